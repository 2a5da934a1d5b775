"""Captures of every format with their keys: what `p4esp formats corpus` writes.

Each capture is a run of two gateways that begin anew, pipeline and engine, with the SA of the
digest; its first packet is the vector, where there is one. All of it is the same in every run:
keys, packets, time stamps. The keys are published, and good for nothing else.
"""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from p4esp.controller.sealed_ping import SealedEcho
from p4esp.engine import Direction
from p4esp.formats_lab import sas
from p4esp.formats_lab.errors import LabError
from p4esp.formats_lab.gateways import (
    ETHERNET,
    Gateway,
    Pair,
    esp_of,
    site_frame,
    udp_packet,
    with_ttl,
)
from p4esp.formats_lab.sas import LabSa
from p4esp.formats_lab.vectors import INNER, VECTORS, Vector, digest_sa, vector_sa
from p4esp.formats_lab.writing import Entry
from p4esp.ike.keylog import esp_line
from p4esp.ipsec.algorithms import suite_named
from p4esp.ipsec.diet import key_words
from p4esp.ipsec.formats import FORMATS
from p4esp.ipsec.key_line import HEAD, KeyLine, Secret
from p4esp.ipsec.sa import DirectionKeys
from p4esp.switch.ports.pcap import PcapWriter

SIZES: Final = (28, 61, 62, 63, 64, 300)
"""Octets of the inner packets behind the first: every padding, none and much to hide."""
PORT: Final = 4660
"""To which they go; Wireshark takes it for nothing else than UDP."""
Passed = tuple[bytes, bytes]
"""A frame on the wire, and what the far gateway makes of it."""
START, STEP = 1_767_225_600_000_000_000, 1_000_000
"""Time stamps in nanoseconds: the first is that of 2026-01-01."""
SUITES: Final = {
    "AES-GMAC-128": "aes128gmac",
    "AES-GCM-16-128": "aes128gcm16",
    "AES-GCM-16-IIV-128": "aes128gcm16iiv",
}
"""Keywords of the lab's ciphers."""
PING: Final = "000000070000000002000004beef000170696e67"
"""An echo request in clear, with four octets of data (digest j.2)."""
INDEX: Final = "index.json"


@dataclass(frozen=True, slots=True)
class Capture:
    """A pcap and what Wireshark needs for it."""

    name: str
    format: str
    vector: str
    """Whose octets the first packet has behind its outer IP header, or nothing."""
    source: str
    frames: tuple[bytes, ...]
    inner: tuple[bytes, ...]
    """The packets inside, as the far gateway got them."""
    keys: tuple[str, ...]
    """Lines for our dissector."""
    esp_sa: tuple[str, ...] = ()
    """Lines for Wireshark by itself, where it can do without ours."""

    @property
    def pcap(self) -> bytes:
        """The file."""
        stream, clock = io.BytesIO(), itertools.count(START, STEP)
        writer = PcapWriter(stream, lambda: next(clock))
        for frame in self.frames:
            writer.write(frame)
        return stream.getvalue()

    @property
    def shown(self) -> str:
        """What tshark says of it."""
        if not self.inner:
            return "an echo request and its reply, in clear"
        return f"icv_good of all {len(self.frames)}, and the packets inside"


def captures(program: Path) -> Iterator[Capture]:
    """One of each format, one of each further vector of it, and a ping."""
    told = {form.name: form.source.text for form in FORMATS}
    pair = Pair(program, [])
    for form in FORMATS:
        vectors = [vector for vector in VECTORS if vector.format == form.name]
        for place, vector in enumerate(vectors or [None]):
            name = f"{form.name}-{vector.id}" if place and vector else form.name
            yield _capture(pair, name, form.name, vector, told[form.name])
    yield _ping(program)


def _capture(pair: Pair, name: str, form: str, vector: Vector | None, source: str) -> Capture:
    sa = vector_sa(vector) if vector else digest_sa(form)
    first = vector.sub if vector else 0
    pair.restart([sa])
    if vector and vector.ping:
        passed = list(_pings(pair, sa, vector.ping))
    else:
        before = vector.number - 1 if vector else 0
        passed = list(_passed(pair, [INNER] * (before + 1) + [*_more(sa)], first))[before:]
    return Capture(
        name,
        form,
        vector.id if vector else "",
        source,
        frames=tuple(frame for frame, _ in passed),
        inner=tuple(packet for _, packet in passed),
        keys=(str(key_line(sa)),),
        esp_sa=(_stock_line(sa),) if form == "esp" and sa.parameters.iv_len else (),
    )


def _more(sa: LabSa) -> Iterator[bytes]:
    """Packets behind the first: each of another flow, where an SA is for more than one."""
    for number, size in enumerate(SIZES):
        yield udp_packet(sa, number, size, PORT)


def _passed(pair: Pair, packets: Sequence[bytes], first: int) -> Iterator[Passed]:
    """Each packet in another sub SA; what is inside as it is before one is taken from the TTL."""
    for number, packet in enumerate(packets):
        port = (first + number) % len(sas.SITE_PORTS)
        (frame,) = pair.seal([site_frame(packet)], port=port)
        (opened,) = pair.open([frame])
        inner = opened[ETHERNET:]
        yield frame, with_ttl(inner, inner[8] + 1)


def _pings(pair: Pair, sa: LabSa, ping: SealedEcho) -> Iterator[Passed]:
    """Two encrypted pings, without data and with some."""
    for echo in (ping.echo, replace(ping.echo, number=2, data=b"ping")):
        content = replace(ping, echo=echo).build()
        yield pair.ping(sa, content), content


def key_line(sa: LabSa) -> KeyLine:
    """The line of an SA of the lab."""
    if sa.has_masters:
        keys = DirectionKeys(sa.key, b"")
        return KeyLine(sa.form.name, sa.spi, *sa.ends, "", keys, Secret.MASTERS)
    return KeyLine(
        sa.form.name,
        sa.spi,
        *sa.ends,
        SUITES[sa.transform],
        DirectionKeys(sa.key, b"" if sa.key_each else sa.salt),
        Secret.ROOT if sa.key_each else Secret.KEY,
        subs=sa.subs,
        shown=sa.parameters.shown,
        numbered=sa.parameters.numbered,
        more=key_words(sa.rule) if sa.compresses else (),
    )


def _stock_line(sa: LabSa) -> str:
    suite = suite_named(SUITES[sa.transform])
    return esp_line(suite, *sa.ends, sa.spi, DirectionKeys(sa.key, sa.salt))


def _ping(program: Path) -> Capture:
    """A gateway that answers a ping."""
    gateway = Gateway(program, Direction.OPEN, (sas.WIRE_PORT,))
    gateway.write(sas.opening_base())
    gateway.write([Entry("echo", {"local_id": sas.LOCAL_ID}, "answer_echo")])
    gateway.write(sas.towards(sas.GATEWAY, 32, sas.WIRE_PORT))
    request = ping_frame(bytes.fromhex(PING))
    replies = gateway.carry(sas.WIRE_PORT, [request])
    if len(replies) != 1 or esp_of(replies[0])[:4] != b"\0\0\0\x08":
        raise LabError(f"the ping was not answered; drops: {gateway.drops()}")
    source = "draft-ietf-ipsecme-esp-ping, as a prototype has it."
    return Capture("esp-ping", "esp-ping", "", source, (request, *replies), (), ())


def ping_frame(echo: bytes) -> bytes:
    """A frame of the near gateway's to the far one."""
    total = (20 + len(echo)).to_bytes(2)
    ends = sas.GATEWAY.packed + sas.FAR_GATEWAY.packed
    head = with_ttl(b"\x45\0" + total + bytes(4) + bytes((64, sas.ESP, 0, 0)) + ends, 64)
    return sas.GATEWAY_MAC.to_bytes(6) + sas.SITE_MAC.to_bytes(6) + b"\x08\x00" + head + echo


def files(made: Sequence[Capture]) -> Iterator[tuple[str, bytes]]:
    """Name and octets of every file of the corpus."""
    for capture in made:
        yield f"{capture.name}.pcap", capture.pcap
        yield f"{capture.name}.keys", _lines((HEAD, *capture.keys))
        if capture.esp_sa:
            yield f"{capture.name}.esp_sa", _lines(capture.esp_sa)
    yield INDEX, (json.dumps([_facts(capture) for capture in made], indent=2) + "\n").encode()
    yield "README.md", _lines(_page(made))


def _lines(lines: Sequence[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _facts(capture: Capture) -> dict[str, object]:
    known = asdict(capture)
    facts = {key: known[key] for key in ("name", "format", "vector", "source")}
    inner = [packet.hex() for packet in capture.inner]
    return facts | {"packets": len(capture.frames), "inner": inner}


def _page(made: Sequence[Capture]) -> list[str]:
    rows = [
        f"| [`{c.name}`]({c.name}.pcap) | {c.vector or '-'} | {len(c.frames)} | {c.shown} |"
        for c in made
    ]
    return [*_HEAD, *rows, *_sources(made)]


def _sources(made: Sequence[Capture]) -> list[str]:
    told = {capture.format: capture.source for capture in made}
    return ["", "## Sources", "", *(f"- `{name}`: {text}" for name, text in told.items())]


_HEAD: Final = """# Captures of every ESP format

Written by `p4esp formats corpus`; a test compares. The pipeline program and the crypto engine made
the packets, in a run of two gateways: an SA of each format, and one of each further known-answer
vector of it. The first packet has the octets of the vector behind its outer IP header. The keys
next to each capture are those of the vectors: they protect nothing. The inner packet of the vectors
goes to UDP port 53 and is no DNS, which Wireshark calls malformed. NAME`.keys` is for
[our dissector](../dissector.md), NAME`.esp_sa` for Wireshark by itself.

```sh
tshark -X lua_script:docs/wireshark/p4esp.lua -o p4esp.keys:docs/corpus/eesp-full.keys \\
    -r docs/corpus/eesp-full.pcap
```

[`index.json`](index.json) has the packets that each capture hides.

| Capture | Vector | Packets | tshark shows |
|---|---|---|---|""".splitlines()


def write(made: Sequence[Capture], directory: Path) -> list[Path]:
    """Write the corpus; what else is in the directory stays."""
    directory.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, octets in files(made):
        paths.append(directory / name)
        paths[-1].write_bytes(octets)
    return paths
