"""Ethernet, IPv4, IPv6 and UDP, as far as a controller that speaks for an address needs them.

Everything parsed here came from the network: the only exception out of `parse` is `PacketError`.
"""

import struct
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address
from typing import Final, Self, overload

ETHERTYPE_IPV4: Final = 0x0800
ETHERTYPE_ARP: Final = 0x0806
ETHERTYPE_VLAN: Final = 0x8100
ETHERTYPE_IPV6: Final = 0x86DD
PROTO_ICMP: Final = 1
PROTO_UDP: Final = 17
PROTO_FRAGMENT: Final = 44
PROTO_ICMPV6: Final = 58
NO_MAC: Final = bytes(6)

_IPV4 = struct.Struct("!BBHHHBBH4s4s")
_IPV6 = struct.Struct("!IHBB16s16s")
_UDP = struct.Struct("!HHHH")
_EXTENSIONS: Final = (0, 43, 60)
"""Hop-by-hop options, routing header, destination options: of one shape (RFC 8200 4)."""
_MAX_EXTENSIONS: Final = 8


class PacketError(ValueError):
    """The octets are not what they should be; the text says which field and why."""


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    padded = data + b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


@dataclass(frozen=True, slots=True)
class Ethernet:
    """An Ethernet frame; `vid` 0 is untagged, `ether_type` is the one behind a tag."""

    dst: bytes
    src: bytes
    ether_type: int
    payload: bytes
    vid: int = 0

    @classmethod
    def parse(cls, frame: bytes) -> Self:
        """Take a frame apart, an 802.1Q tag included."""
        if len(frame) < 14:
            raise PacketError(f"frame of {len(frame)} octets is shorter than an Ethernet header")
        ether_type = int.from_bytes(frame[12:14], "big")
        if ether_type != ETHERTYPE_VLAN:
            return cls(frame[:6], frame[6:12], ether_type, frame[14:])
        if len(frame) < 18:
            raise PacketError("frame ends inside its 802.1Q tag")
        tag, inner_type = struct.unpack_from("!HH", frame, 14)
        return cls(frame[:6], frame[6:12], inner_type, frame[18:], tag & 0xFFF)

    def build(self) -> bytes:
        """The frame as octets, without padding."""
        tag = struct.pack("!HH", ETHERTYPE_VLAN, self.vid) if self.vid else b""
        return self.dst + self.src + tag + self.ether_type.to_bytes(2, "big") + self.payload


@dataclass(frozen=True, slots=True)
class Ipv4:
    """An IPv4 packet. Options are kept on parsing and never sent."""

    src: IPv4Address
    dst: IPv4Address
    protocol: int
    payload: bytes
    ttl: int = 64
    tos: int = 0
    identification: int = 0
    fragment: int = 0
    """Flags and fragment offset as in the header."""
    options: bytes = b""

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Take a packet apart; Ethernet padding behind it is cut off."""
        header_size = _check_header(data)
        fields = _IPV4.unpack_from(data)
        _, tos, total, identification, fragment, ttl, protocol, _, src, dst = fields
        if not header_size <= total <= len(data):
            raise PacketError(f"IPv4 total length {total} does not fit {len(data)} octets")
        addresses = (IPv4Address(src), IPv4Address(dst))
        payload, options = data[header_size:total], data[20:header_size]
        rest = {"ttl": ttl, "tos": tos, "identification": identification, "fragment": fragment}
        return cls(*addresses, protocol, payload, options=options, **rest)

    @property
    def is_fragment(self) -> bool:
        """Whether more fragments follow or some came before."""
        return self.fragment & 0x3FFF != 0

    def build(self) -> bytes:
        """The packet as octets, without options, with its checksum."""
        length = _IPV4.size + len(self.payload)
        head = (0x45, self.tos, length, self.identification, self.fragment, self.ttl, self.protocol)
        addresses = (self.src.packed, self.dst.packed)
        csum = checksum(_IPV4.pack(*head, 0, *addresses))
        return _IPV4.pack(*head, csum, *addresses) + self.payload


def _check_header(data: bytes) -> int:
    if len(data) < _IPV4.size:
        raise PacketError(f"{len(data)} octets are shorter than an IPv4 header")
    header_size = (data[0] & 0xF) * 4
    if data[0] >> 4 != 4 or header_size < _IPV4.size or header_size > len(data):
        raise PacketError(f"version and header length octet {data[0]:#04x} is not IPv4's")
    if checksum(data[:header_size]):
        raise PacketError("IPv4 header checksum is wrong")
    return header_size


@dataclass(frozen=True, slots=True)
class Ipv6:
    """An IPv6 packet. Extension headers in front of the payload are kept on parsing."""

    src: IPv6Address
    dst: IPv6Address
    protocol: int
    """Of the payload: behind the extension headers. 44: the payload is a fragment."""
    payload: bytes
    hop_limit: int = 64
    traffic_class: int = 0
    flow_label: int = 0
    extensions: bytes = b""
    first: int | None = None
    """Next header field of the IPv6 header itself, when there are extension headers."""

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Take a packet apart; Ethernet padding behind it is cut off."""
        if len(data) < _IPV6.size or data[0] >> 4 != 6:
            raise PacketError(f"{len(data)} octets, first {data[:1].hex()}: no IPv6 header")
        word, length, first, hop_limit, src, dst = _IPV6.unpack_from(data)
        if length > len(data) - _IPV6.size:
            raise PacketError(f"IPv6 payload length {length} does not fit {len(data)} octets")
        body = data[_IPV6.size : _IPV6.size + length]
        protocol, size = _behind_extensions(first, body)
        return cls(
            *(IPv6Address(src), IPv6Address(dst), protocol, body[size:], hop_limit),
            traffic_class=word >> 20 & 0xFF,
            flow_label=word & 0xFFFFF,
            extensions=body[:size],
            first=first if size else None,
        )

    @property
    def is_fragment(self) -> bool:
        """Whether this is a fragment, the first and only one included."""
        return self.protocol == PROTO_FRAGMENT

    def build(self) -> bytes:
        """The packet as octets."""
        word = 6 << 28 | self.traffic_class << 20 | self.flow_label
        body = self.extensions + self.payload
        first = self.protocol if self.first is None else self.first
        addresses = (self.src.packed, self.dst.packed)
        return _IPV6.pack(word, len(body), first, self.hop_limit, *addresses) + body


def _behind_extensions(first: int, body: bytes) -> tuple[int, int]:
    """The protocol behind all extension headers, and their size; a fragment header ends them."""
    protocol, size = first, 0
    for _ in range(_MAX_EXTENSIONS):
        if protocol not in _EXTENSIONS:
            return protocol, size
        if len(body) < size + 8 or len(body) < size + (body[size + 1] + 1) * 8:
            raise PacketError(f"extension header {protocol} does not fit {len(body)} octets")
        protocol, size = body[size], size + (body[size + 1] + 1) * 8
    raise PacketError(f"more than {_MAX_EXTENSIONS - 1} extension headers")


IpPacket = Ipv4 | Ipv6


def ip_packet(frame: Ethernet) -> IpPacket:
    """The IP packet in a frame, of whichever family its ethertype says."""
    if frame.ether_type == ETHERTYPE_IPV6:
        return Ipv6.parse(frame.payload)
    return Ipv4.parse(frame.payload)


def upper_checksum(packet: IpPacket, data: bytes, protocol: int) -> int:
    """The checksum over a packet's pseudo header and `data` (RFC 768, RFC 8200 8.1)."""
    numbers = (protocol, len(data))
    tail = struct.pack("!HH" if isinstance(packet, Ipv4) else "!II", *_order(packet, numbers))
    return checksum(packet.src.packed + packet.dst.packed + tail + data)


def _order(packet: IpPacket, numbers: tuple[int, int]) -> tuple[int, int]:
    """IPv4 has the protocol first, IPv6 the length."""
    return numbers if isinstance(packet, Ipv4) else numbers[::-1]


@dataclass(frozen=True, slots=True)
class Udp:
    """A UDP datagram."""

    sport: int
    dport: int
    payload: bytes

    @classmethod
    def parse(cls, packet: IpPacket) -> Self:
        """The datagram in a packet; over IPv4 a checksum of zero means none (RFC 768), over IPv6
        there must be one (RFC 8200 8.1).
        """
        data = packet.payload
        if packet.protocol != PROTO_UDP or len(data) < _UDP.size:
            raise PacketError(f"protocol {packet.protocol}, {len(data)} octets: not a UDP datagram")
        sport, dport, length, csum = _UDP.unpack_from(data)
        if not _UDP.size <= length <= len(data):
            raise PacketError(f"UDP length {length} does not fit {len(data)} octets")
        optional = isinstance(packet, Ipv4) and not csum
        if not optional and (not csum or upper_checksum(packet, data[:length], PROTO_UDP)):
            raise PacketError("UDP checksum is wrong")
        return cls(sport, dport, data[_UDP.size : length])

    @overload
    def over(self, src: IPv4Address, dst: IPv4Address) -> Ipv4: ...

    @overload
    def over(self, src: IPv6Address, dst: IPv6Address) -> Ipv6: ...

    def over(self, src: IPv4Address | IPv6Address, dst: IPv4Address | IPv6Address) -> IpPacket:
        """The packet that carries the datagram, checksum included; ValueError for two families."""
        length = _UDP.size + len(self.payload)
        packet = packet_between(src, dst, PROTO_UDP, b"")
        datagram = _UDP.pack(self.sport, self.dport, length, 0) + self.payload
        csum = upper_checksum(packet, datagram, PROTO_UDP) or 0xFFFF
        return replace(packet, payload=datagram[:6] + csum.to_bytes(2, "big") + datagram[8:])


def packet_between(
    src: IPv4Address | IPv6Address, dst: IPv4Address | IPv6Address, protocol: int, payload: bytes
) -> IpPacket:
    """A packet of the addresses' family; ValueError for two families."""
    if isinstance(src, IPv4Address) and isinstance(dst, IPv4Address):
        return Ipv4(src, dst, protocol, payload)
    if isinstance(src, IPv6Address) and isinstance(dst, IPv6Address):
        return Ipv6(src, dst, protocol, payload)
    raise ValueError(f"{src} and {dst} are of different families")


def routed_frame(packet: IpPacket) -> bytes:
    """A frame for packet-out ROUTE: the pipeline fills in both MAC addresses."""
    ether_type = ETHERTYPE_IPV4 if isinstance(packet, Ipv4) else ETHERTYPE_IPV6
    return Ethernet(NO_MAC, NO_MAC, ether_type, packet.build()).build()
