"""What the dissector keeps of keys, whose packets it opens with them, and lines that it refuses."""

import os
import subprocess
from pathlib import Path

import pytest
from format_reference import Packet, seal, sub_key
from format_vectors import INNER, ROOT
from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6
from scapy.packet import Packet as Sent
from scapy.packet import Raw
from tshark_dissector import (
    DISSECTOR,
    GCM,
    IIV,
    KEY,
    LINK,
    MASTERS,
    TSHARK,
    Sealed,
    judged,
    needs_tshark,
    run,
    vectors,
    write,
)

pytestmark = needs_tshark
MANY, MOST_KEPT = 2000, 256
NO_MEMORY = 20_000
"""In kB; keys of all packets would be 100 MB."""
ALL = f"format=sub-child spi=0x1001 {IIV} root={ROOT.hex()}"


def of_sub(sub: int, number: int = 1) -> bytes:
    packet = Packet(INNER, sub=sub, seq=number, implicit_iv=True)
    return seal("sub-child", sub_key(ROOT, sub), packet)


def memory_of(directory: Path, packets: list[Sent], line: str) -> int:
    """The most that tshark had of it, in kB."""
    capture, keys = directory / "many.pcap", directory / "many.keys"
    write(capture, packets)
    keys.write_text(f"{line}\n")
    script = ["-X", f"lua_script:{DISSECTOR}", "-o", f"p4esp.keys:{keys}"]
    words = [str(TSHARK), *script, "-r", str(capture), "-Y", "p4esp"]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(words, stdout=quiet, stderr=quiet) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_maxrss


def forged(form: str, number: int) -> Sealed:
    """A packet that has a key of its own, and a wrong ICV."""
    if form == "psp":
        masters = f"format=psp master0={MASTERS[0]} master1={MASTERS[1]}"
        octets = bytes.fromhex("04010001") + number.to_bytes(4) + bytes(40)
        return Sealed("psp", 17, octets, masters, b"", udp=1000)
    line = f"{ALL} subs={MANY if form == 'within' else 1}"
    octets = bytes.fromhex("00001001") + number.to_bytes(2) + bytes(40)
    return Sealed(form, 50, octets, line, b"")


@pytest.mark.parametrize("form", ["psp", "within", "beyond"])
def test_forged_packets_that_have_a_key_each_cost_no_memory(tmp_path, form) -> None:
    line = forged(form, 0).key_line(0)
    same = [forged(form, 0).over(0)] * MANY
    many = [forged(form, number).over(0) for number in range(MANY)]
    least, most = (memory_of(tmp_path, packets, line) for packets in (same, many))
    assert most - least < NO_MEMORY


def test_only_some_keys_of_authentic_packets_are_kept(tmp_path) -> None:
    item = Sealed("sub-child", 50, b"", f"{ALL} subs={MANY}", INNER)
    least, most = (
        memory_of(
            tmp_path,
            [item.over(0, octets=of_sub(number % subs)) for number in range(MANY)],
            item.key_line(0),
        )
        for subs in (MOST_KEPT, MANY)
    )
    assert most - least < NO_MEMORY


def test_packets_are_opened_whose_keys_were_kept_and_forgotten(tmp_path) -> None:
    subs = MOST_KEPT + 44
    item = Sealed("sub-child", 50, b"", f"{ALL} subs={subs}", INNER)
    packets = [item.over(0, octets=of_sub(sub, n)) for n in (1, 2) for sub in range(subs)]
    packets += [item.over(0, octets=of_sub(subs - 1, n)) for n in (3, 4)]
    rows = judged(tmp_path, packets, [item.key_line(0)])
    assert {(row.good, row.inner, row.faults) for row in rows} == {("1", INNER, frozenset())}


# ------------------------------------------------------------ addresses


def vector(name: str) -> Sealed:
    return next(item for item in vectors() if item.name == name)


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("name", ["VA", "VI"])
def test_sas_are_found_by_address_when_tshark_shows_names(tmp_path, name, version) -> None:
    hosts, item = tmp_path / "hosts", vector(name)
    named = ["192.0.2.1 left", "192.0.2.10 right", "2001:db8::1 left", "2001:db8::a right"]
    hosts.write_text("".join(f"{line}\n" for line in named))
    names = ("-N", "n", "-H", str(hosts))
    source = "192.0.2.1" if version == 4 else "2001:db8::1"
    lines = [f"{item.key_line(0, version)} source={source}"]
    packets = [item.over(0, version), item.over(1, version)]
    for more in ((), names):
        row, other = judged(tmp_path, packets, lines, *more)
        assert (row.good, row.faults, row.inner) == ("1", frozenset(), item.inner)
        assert (other.good, other.faults) == ("", {"no_sa"})
    assert "right" in run(*names, "-r", str(tmp_path / "made.pcap"))


@pytest.mark.parametrize("version", [4, 6])
def test_the_hop_limit_is_that_of_the_header_around_esp(tmp_path, version) -> None:
    item = vector("VI")
    inside = item.over(0, version).payload
    ipv4 = {"src": "198.51.100.1", "dst": "198.51.100.2", "ttl": 9, "proto": 41}
    ipv6 = {"src": "2001:db8:9::1", "dst": "2001:db8:9::2", "hlim": 9, "nh": 4}
    outside = IPv6(**ipv6) if version == 4 else IP(**ipv4)
    link = LINK.copy()
    (row,) = judged(tmp_path, [link / outside / inside], [item.key_line(0, version)])
    assert (row.good, row.inner, row.faults) == ("1", item.inner, frozenset())


SPELLINGS = {
    "2001:db8::a": True,
    "2001:DB8:0:0::000A": True,
    "2001:db8:0:0:0:0:0:a": True,
    "2001:db8::0.0.0.10": True,
    "2001:db8::b": False,
    "::": False,
    "2001:db8::": False,
    "192.0.2.10": False,
    "2001:db8:0:0:0:0:0:0:a": None,
    "2001:db8:0:0:0:0:0::a": None,
    "2001:db8:a": None,
    "2001::db8::a": None,
    "2001:db8:::a": None,
    "2001:db8::a:": None,
    "2001:db8::0000a": None,
    "2001:db8::g": None,
    "2001:db8::0.0.0.256": None,
    ":": None,
    "20010db800000000000000000000000a": None,
    "192.0.2": None,
    "right": None,
}
"""Whether an address is that of the packet; None: it is not understood."""


def test_an_address_is_the_same_in_every_spelling(tmp_path) -> None:
    item = vector("VA")
    spare = f"format=esp spi=1 {GCM} {KEY}"
    for text, wanted in SPELLINGS.items():
        (row,) = judged(tmp_path, [item.over(0, 6)], [f"{item.line} destination={text}", spare])
        assert row.good == ("1" if wanted else ""), text
        assert ("key_file" in row.faults) is (wanted is None), text


# ------------------------------------------------------------ lines that are refused

EESP = "format=eesp-optimized spi=0x1001"
AT_THE_END = "format=header-in-trailer spi=0x1001"
IMPLICIT = "an implicit IV is made of the sequence number: there is none with numbered=no"
SHORT = "header-in-trailer has an ICV of 16 octets, not"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (f"{EESP} {IIV} {KEY} numbered=no", IMPLICIT),
        (f"{EESP} {IIV} root={ROOT.hex()} numbered=no", IMPLICIT),
        (f"{EESP} {IIV} {KEY}", ""),
        (f"{EESP} {GCM} {KEY} numbered=no", ""),
        (f"{AT_THE_END} encryption=aes128gcm12 {KEY}", f"{SHORT} 12"),
        (f"{AT_THE_END} encryption=aes128gcm8 {KEY}", f"{SHORT} 8"),
        (f"{AT_THE_END} {IIV} {KEY}", ""),
    ],
)
def test_a_line_that_no_sa_can_have_is_refused_with_a_reason(tmp_path, line, reason) -> None:
    capture, keys = tmp_path / "one.pcap", tmp_path / "one.keys"
    write(capture, [vector("VA").over(0), LINK / Raw(b"nothing")])
    keys.write_text(f"{line}\n")
    words = ("-X", f"lua_script:{DISSECTOR}", "-o", f"p4esp.keys:{keys}", "-r", str(capture))
    text = run(*words, "-V")
    assert ("line 1: " in text) is bool(reason)
    assert reason in text
