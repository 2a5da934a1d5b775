"""Diet-ESP (draft-ietf-ipsecme-diet-esp-07) by hand, bit by bit: the residue of a packet, the
packet of a residue, and the octets of both behind the outer IP header.

Written from the draft's field rules alone; the pipeline is judged by it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass

from harness.esp import Key, with_trailer
from harness.frames import internet_checksum

Bits = Iterable[tuple[int, int]]
"""Values, and how many bits each has."""
TCP_LEN, UDP_LEN = 20, 8


@dataclass(frozen=True, slots=True)
class Template:
    """What an SA's packets are.  ``low``: bits of each address that are sent."""

    number: int
    version: int
    protocol: int | None = None
    low: int = 0

    @property
    def header_len(self) -> int:
        """Octets of the IP header."""
        return 40 if self.version == 6 else 20

    @property
    def layer4_len(self) -> int:
        """Octets of the layer 4 header that is not, or not all, in the payload."""
        return {6: TCP_LEN, 17: UDP_LEN, None: 0}[self.protocol]


TEMPLATES = {
    "udp-v4": Template(1, 4, 17),
    "tcp-v4": Template(2, 4, 6),
    "host-v4": Template(3, 4),
    "site-v4": Template(4, 4, low=8),
    "udp-v6": Template(5, 6, 17),
    "tcp-v6": Template(6, 6, 6),
    "host-v6": Template(7, 6),
    "site-v6": Template(8, 6, low=64),
}


@dataclass(frozen=True, slots=True)
class Context:
    """What both ends of an SA know."""

    template: Template
    spi: int
    src: str
    dst: str
    sport: int = 0
    dport: int = 0
    spi_octets: int = 1
    sn_octets: int = 1
    trailer: bool = False

    @property
    def header_len(self) -> int:
        """Octets of the compressed ESP header."""
        return self.spi_octets + self.sn_octets

    def header(self, seq: int) -> bytes:
        """The compressed ESP header."""
        spi, number = self.spi.to_bytes(4), seq.to_bytes(4)
        return spi[4 - self.spi_octets :] + number[4 - self.sn_octets :]

    def compress(self, packet: bytes) -> bytes:
        """The residue and what stands behind it."""
        template = self.template
        fields = _fields_v6(packet) if template.version == 6 else _fields_v4(packet)
        if template.protocol is not None:
            for name in ("identification", "protocol"):
                fields.pop(name, None)
        low = (1 << template.low) - 1
        for name in ("src", "dst"):
            fields[name] = (fields[name][0] & low, template.low)
        rest = packet[template.header_len + template.layer4_len :]
        return packed(fields.values()) + self._sent_of_tcp(packet) + rest

    def _sent_of_tcp(self, packet: bytes) -> bytes:
        if self.template.protocol != 6:
            return b""
        header = packet[self.template.header_len :][:TCP_LEN]
        return header[4:16] + header[18:20]

    def text(self, packet: bytes) -> bytes:
        """What is encrypted."""
        return self.ended(self.compress(packet))

    def ended(self, compressed: bytes) -> bytes:
        """With the trailer, where there is one."""
        if not self.trailer:
            return compressed
        return with_trailer(compressed, 41 if self.template.version == 6 else 4)

    def seal(self, key: Key, seq: int, packet: bytes) -> bytes:
        """What stands behind the outer IP header."""
        return self.seal_text(key, seq, self.text(packet))

    def seal_text(self, key: Key, seq: int, text: bytes) -> bytes:
        """The same for a text of the test's own."""
        aad = struct.pack("!II", self.spi, seq)
        return self.header(seq) + key.aead().encrypt(key.salt + seq.to_bytes(8), text, aad)

    def open(self, key: Key, seq: int, octets: bytes) -> bytes:
        """The text; ``seq`` is the number that the receiver takes it for."""
        assert octets[: self.header_len] == self.header(seq), octets[:8].hex()
        aad = struct.pack("!II", self.spi, seq)
        sealed = octets[self.header_len :]
        return key.aead().decrypt(key.salt + seq.to_bytes(8), sealed, aad)


def packed(fields: Bits) -> bytes:
    """Bits one after the other, and zeros up to an octet."""
    text = "".join(f"{value:0{bits}b}" for value, bits in fields if bits)
    text += "0" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8)


def _fields_v4(packet: bytes) -> dict[str, tuple[int, int]]:
    """The fields that may be sent, in the order of the header."""
    word = int.from_bytes(packet[:20])

    def at(first: int, bits: int) -> tuple[int, int]:
        return word >> (160 - first - bits) & (1 << bits) - 1, bits

    return {
        "ihl": at(4, 4),
        "dscp": at(8, 6),
        "ecn": at(14, 2),
        "identification": at(32, 16),
        "flags": at(48, 16),
        "protocol": at(72, 8),
        "src": at(96, 32),
        "dst": at(128, 32),
    }


def _fields_v6(packet: bytes) -> dict[str, tuple[int, int]]:
    word = int.from_bytes(packet[:40])

    def at(first: int, bits: int) -> tuple[int, int]:
        return word >> (320 - first - bits) & (1 << bits) - 1, bits

    return {
        "dscp": at(4, 6),
        "ecn": at(10, 2),
        "flow_label": at(12, 20),
        "protocol": at(48, 8),
        "src": at(64, 128),
        "dst": at(192, 128),
    }


def arrived(template: Template, packet: bytes, *, hops: int, seq: int) -> bytes:
    """The packet as it leaves the far gateway: what was not sent is made anew there."""
    head = bytearray(packet[: template.header_len])
    head[7 if template.version == 6 else 8] = hops
    if template.version == 4:
        if template.protocol is not None:
            df = head[6] & 0x40
            head[4:6] = b"\0\0" if df else (seq & 0xFFFF).to_bytes(2)
        head[10:12] = b"\0\0"
        head[10:12] = struct.pack("!H", internet_checksum(bytes(head)))
    return bytes(head) + _with_checksum(template, packet)


def _with_checksum(template: Template, packet: bytes) -> bytes:
    """Layer 4 with the checksum that it must have (RFC 768, RFC 9293 3.1, RFC 8200 8.1)."""
    body = packet[template.header_len :]
    if template.protocol is None:
        return body
    at = 16 if template.protocol == 6 else 6
    addresses = packet[8:40] if template.version == 6 else packet[12:20]
    pseudo = addresses + struct.pack("!IHBB", len(body), 0, 0, template.protocol)
    octets = pseudo + body[:at] + b"\0\0" + body[at + 2 :]
    value = internet_checksum(octets + b"\0" * (len(octets) % 2))
    if template.protocol == 17 and value == 0:
        value = 0xFFFF
    return body[:at] + struct.pack("!H", value) + body[at + 2 :]
