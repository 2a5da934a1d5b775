"""tshark with our dissector: captures of packets that tests make, and what it says of each."""

import os
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from format_vectors import ANSWERS, KEY_EACH, ROOT, SHARED
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw
from scapy.utils import RawPcapWriter

REPOSITORY = Path(__file__).parents[2]
DISSECTOR = REPOSITORY / "docs" / "wireshark" / "p4esp.lua"
NOWHERE = Path("/nonexistent")
"""Without preferences of whoever runs the tests."""
TSHARK = shutil.which("tshark")
needs_tshark = pytest.mark.skipif(TSHARK is None, reason="tshark missing")
PROTOCOLS = {"header-in-trailer": 254, "wesp": 141, "wesp-v2": 141}
PROTOCOLS |= {"eesp-optimized": 253, "eesp-full": 253}
MASTERS = (
    "34448a064292601b11a0978f56a2d34cf3fc35ede1a6bc04f8db3e5243a2b0ca",
    "563952565d3a78ae773ec1b779f2f2d99f4a7f53a6fbb9b07d5b71f39364d739",
)
VH = {
    "VH1": "040106011a34567800000000000000014500002400014000401126c30a0100010a02000212340035"
    "5791aa05bb6691c249bda4a1edf3166febe685291b00a43b7ab875a9",
    "VH2": "040200031a3456780000000000000002f4fc7e538c7047d5dc1f85e8c01752d7a93dd58fe6b3c0ae"
    "d46e3439c0c43f046852f8b536a5d6a31d24cc80b8ab807796a1c918d1d8bf4c820834bc",
    "VH3": "040208031a34567800000000000000020000000000000000"
    "4500002400014000401126c30a0100010a02000212340035"
    "f4ec7e53cd320491dc59c284bfa0619858ebdb305190216b5c0539f2",
}
VI = "010116751cf22dc63414c22a015f5b48068cda0632754b79e327cddbf341"
PING = "000000070000000002000004beef000170696e67"
LINK = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
FAULTS = ("truncated", "cut", "bad_version", "bad_option", "bad_length", "bad_reserved")
FAULTS += ("bad_padding", "bad_payload", "bad_residue", "bad_icv", "mismatch", "out_of_range")
FAULTS += ("no_sa", "no_key", "key_file")
NAMES = ("frame.number", "_ws.col.Protocol", "p4esp.format", "p4esp.icv_good", "p4esp.inner")
NAMES += ("p4esp.recovered_sn", "p4esp.next_header", "_ws.lua.error", "_ws.lua.text", "ip.src")
EXPERTS = tuple(f"p4esp.{name}.expert" for name in FAULTS)


@dataclass(frozen=True)
class Row:
    """What tshark says of a frame."""

    protocol: str
    format: str
    good: str
    """"1", "0", or nothing where no ICV was computed."""
    inner: bytes
    number: str
    next_header: str
    sources: tuple[str, ...]
    faults: frozenset[str]


def run(*arguments: str, profile: Path = NOWHERE) -> str:
    """Output of tshark, which complains of nothing."""
    assert TSHARK is not None
    done = subprocess.run(
        [TSHARK, *arguments],
        capture_output=True,
        text=True,
        check=True,
        cwd=REPOSITORY,
        env={**os.environ, "WIRESHARK_CONFIG_DIR": str(profile)},
    )
    said = [line for line in done.stderr.splitlines() if "This could be dangerous" not in line]
    assert said == [], said[:5]
    assert "Lua Error" not in done.stdout
    return done.stdout


def dissect(capture: Path, keys: Path | None, *more: str) -> list[Row]:
    """Every frame of a capture."""
    chosen = [] if keys is None else ["-o", f"p4esp.keys:{keys}"]
    wanted = [word for name in (*NAMES, *EXPERTS) for word in ("-e", name)]
    layout = ["-T", "fields", "-E", "separator=|", "-E", "aggregator=;"]
    script = ["-X", f"lua_script:{DISSECTOR}"]
    text = run(*script, *chosen, "-r", str(capture), *layout, *wanted, *more)
    return [_row(line.split("|"), number) for number, line in enumerate(text.splitlines(), 1)]


def _row(values: Sequence[str], number: int) -> Row:
    frame, protocol, form, good, inner, sn, next_header, *lua, sources = values[: len(NAMES)]
    assert int(frame) == number
    assert lua == ["", ""], f"frame {frame}: {lua}"
    said = zip(FAULTS, values[len(NAMES) :], strict=True)
    return Row(
        *(protocol, form, good, bytes.fromhex(inner), sn, next_header),
        tuple(sources.split(";")),
        frozenset(name for name, value in said if value),
    )


def judged(
    directory: Path, packets: Iterable[Packet], lines: Iterable[str], *more: str
) -> list[Row]:
    """What tshark says of packets, with a key file of these lines."""
    capture, keys = directory / "made.pcap", directory / "made.keys"
    write(capture, packets)
    keys.write_text("".join(f"{line}\n" for line in lines))
    return dissect(capture, keys, *more)


def write(capture: Path, packets: Iterable[Packet]) -> None:
    """A capture file; a packet's `wirelen` says that it was longer on the wire."""
    with RawPcapWriter(str(capture), linktype=1) as writer:
        writer.write_header(None)
        for number, packet in enumerate(packets):
            octets = bytes(packet)
            length = packet.wirelen or len(octets)
            writer.write_packet(octets, sec=1_767_225_600 + number, usec=0, wirelen=length)


@dataclass(frozen=True)
class Sealed:
    """Octets behind an outer IP header, and the line of the key file that opens them."""

    name: str
    protocol: int
    octets: bytes
    line: str
    """But for the addresses."""
    inner: bytes
    udp: int = 0
    """The port, in UDP."""

    def over(self, place: int, version: int = 4, octets: bytes | None = None) -> Packet:
        """The packet to a destination of its own, as it is or with other octets."""
        sent = Raw(self.octets if octets is None else octets)
        inside = UDP(sport=self.udp, dport=self.udp, chksum=0) / sent if self.udp else sent
        protocol = 17 if self.udp else self.protocol
        if version == 4:
            return LINK / IP(src="192.0.2.1", dst=destination(place), proto=protocol) / inside
        ends = {"src": "2001:db8::1", "dst": destination(place, 6)}
        return LINK / IPv6(**ends, nh=protocol, hlim=64) / inside

    def key_line(self, place: int, version: int = 4) -> str:
        """The line for that destination."""
        return f"{self.line} destination={destination(place, version)}"


def destination(place: int, version: int = 4) -> str:
    """An address for each place."""
    return f"192.0.2.{place + 10}" if version == 4 else f"2001:db8::{place + 10:x}"


def vectors() -> list[Sealed]:
    """Every packet of the digest that a key opens."""
    made = [_of_answer(name) for name in ANSWERS]
    psp = f"format=psp master0={MASTERS[0]} master1={MASTERS[1]}"
    inner = ANSWERS["V0"][1].payload
    made += [Sealed(name, 17, bytes.fromhex(h), psp, inner, udp=1000) for name, h in VH.items()]
    made.append(Sealed("VI", 50, bytes.fromhex(VI), DIET, restored(inner)))
    return made


GCM, IIV = "encryption=aes128gcm16", "encryption=aes128gcm16iiv"
KEY = f"key={SHARED.key.hex()} salt={SHARED.salt.hex()}"
DIET = (
    f"format=diet-esp spi=0x1001 {IIV} {KEY} template=udp-v4 spi_octets=1 sn_octets=1 "
    "inner_source=10.1.0.1 inner_destination=10.2.0.2 inner_source_port=4660 "
    "inner_destination_port=53"
)


def restored(inner: bytes) -> bytes:
    """What a Diet-ESP template gives back of the digest's inner packet: no identification, and
    checksums that are there.
    """
    packet = IP(inner)
    packet.id = 0
    del packet.chksum, packet[UDP].chksum
    return bytes(packet)


def _of_answer(name: str) -> Sealed:
    form, packet, octets = ANSWERS[name]
    protocol = PROTOCOLS.get(form, 50)
    encryption = "encryption=aes128gmac" if form == "wesp" else IIV if packet.implicit_iv else GCM
    secret = f"root={ROOT.hex()}" if form in KEY_EACH else KEY
    numbered = "" if packet.numbered else " numbered=no"
    more = f"subs=4 shown={packet.shown}{numbered}"
    line = _line(form, f"{encryption} {secret} {more}")
    return Sealed(name, protocol, bytes.fromhex(octets), line, packet.payload)


def _line(form: str, more: str) -> str:
    return f"format={form} spi=0x1001 {more}"
