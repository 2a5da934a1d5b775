"""Inner packets of any shape that an SA may carry, made without our own code or scapy's guesses."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace

ICMP, TCP, UDP, ICMPV6 = 1, 6, 17, 58
HOP_BY_HOP, ROUTING, FRAGMENT, DESTINATION = 0, 43, 44, 60
IPV4, IPV6 = 0x0800, 0x86DD


def checksum(octets: bytes) -> int:
    """RFC 1071, over an even number of octets."""
    total = sum(word for (word,) in struct.iter_unpack("!H", octets))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


@dataclass(frozen=True, slots=True)
class Packet4:
    """An IPv4 packet; ``flags`` are the three bits and the offset as they stand in the header."""

    src: int
    dst: int
    protocol: int
    payload: bytes
    tos: int = 0
    ident: int = 0
    flags: int = 0
    hops: int = 64
    options: bytes = b""

    @property
    def dont_fragment(self) -> bool:
        """The DF bit."""
        return bool(self.flags & 0x4000)

    def octets(self) -> bytes:
        """The packet with its lengths and its checksum."""
        header_len = 20 + len(self.options)
        head = struct.pack(
            "!BBHHHBBHII",
            *(0x40 | header_len // 4, self.tos, header_len + len(self.payload)),
            *(self.ident, self.flags, self.hops, self.protocol, 0, self.src, self.dst),
        )
        value = checksum(head + self.options)
        return head[:10] + value.to_bytes(2, "big") + head[12:] + self.options + self.payload

    def later(self, hops: int, **changes: int) -> Packet4:
        """The packet after so many hops."""
        return replace(self, hops=self.hops - hops, **changes)


@dataclass(frozen=True, slots=True)
class Packet6:
    """An IPv6 packet; ``chain`` are extension headers, each without its first octet."""

    src: int
    dst: int
    protocol: int
    payload: bytes
    traffic_class: int = 0
    label: int = 0
    hops: int = 64
    chain: Sequence[tuple[int, bytes]] = ()

    def octets(self) -> bytes:
        """The packet with its lengths."""
        numbers = [*(number for number, _ in self.chain), self.protocol]
        pairs = zip(self.chain, numbers[1:], strict=True)
        body = b"".join(bytes([following]) + rest for (_, rest), following in pairs) + self.payload
        word = 6 << 28 | self.traffic_class << 20 | self.label
        head = struct.pack("!IHBB", word, len(body), numbers[0], self.hops)
        return head + self.src.to_bytes(16, "big") + self.dst.to_bytes(16, "big") + body

    def later(self, hops: int, **changes: int) -> Packet6:
        """The packet after so many hops."""
        return replace(self, hops=self.hops - hops, **changes)


Packet = Packet4 | Packet6


def extension(number: int, units: int, fill: bytes) -> tuple[int, bytes]:
    """A header of 8 * (units + 1) octets; a fragment header's has 8 and no length of its own. A
    routing header has no segments left."""
    content = (fill * 8)[: 6 + 8 * units]
    if number == FRAGMENT:
        return number, b"\0" + (fill * 8)[:6]
    if number == ROUTING:
        content = content[:1] + b"\0" + content[2:]
    return number, bytes([units]) + content


def udp(sport: int, dport: int, data: bytes) -> bytes:
    """A datagram; nobody on the way looks at its checksum."""
    return struct.pack("!HHHH", sport, dport, 8 + len(data), 0x1234) + data


def tcp(sport: int, dport: int, data: bytes) -> bytes:
    """A segment."""
    return struct.pack("!HHIIBBHHH", sport, dport, 1, 2, 0x50, 0x10, 512, 0x1234, 0) + data


def frame(mac: int, octets: bytes, source: int = 0x0200_0000_0777) -> bytes:
    """An Ethernet frame for one of our ports."""
    kind = IPV6 if octets[0] >> 4 == 6 else IPV4
    return mac.to_bytes(6, "big") + source.to_bytes(6, "big") + kind.to_bytes(2, "big") + octets
