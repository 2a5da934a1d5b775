"""Ethernet, IPv4 and UDP, as far as a controller that speaks for an address needs them.

Everything parsed here came from the network: the only exception out of `parse` is `PacketError`.
"""

import struct
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from typing import Final, Self

ETHERTYPE_IPV4: Final = 0x0800
ETHERTYPE_ARP: Final = 0x0806
ETHERTYPE_VLAN: Final = 0x8100
PROTO_ICMP: Final = 1
PROTO_UDP: Final = 17
NO_MAC: Final = bytes(6)

_IPV4 = struct.Struct("!BBHHHBBH4s4s")
_UDP = struct.Struct("!HHHH")


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
class Udp:
    """A UDP datagram."""

    sport: int
    dport: int
    payload: bytes

    @classmethod
    def parse(cls, packet: Ipv4) -> Self:
        """The datagram in an IPv4 packet; a checksum of zero means none (RFC 768)."""
        data = packet.payload
        if packet.protocol != PROTO_UDP or len(data) < _UDP.size:
            raise PacketError(f"protocol {packet.protocol}, {len(data)} octets: not a UDP datagram")
        sport, dport, length, csum = _UDP.unpack_from(data)
        if not _UDP.size <= length <= len(data):
            raise PacketError(f"UDP length {length} does not fit {len(data)} octets")
        if csum and checksum(_pseudo_header(packet, length) + data[:length]):
            raise PacketError("UDP checksum is wrong")
        return cls(sport, dport, data[_UDP.size : length])

    def over(self, src: IPv4Address, dst: IPv4Address) -> Ipv4:
        """The IPv4 packet that carries the datagram, checksum included."""
        length = _UDP.size + len(self.payload)
        packet = Ipv4(src, dst, PROTO_UDP, b"")
        datagram = _UDP.pack(self.sport, self.dport, length, 0) + self.payload
        csum = checksum(_pseudo_header(packet, length) + datagram) or 0xFFFF
        return replace(packet, payload=datagram[:6] + csum.to_bytes(2, "big") + datagram[8:])


def _pseudo_header(packet: Ipv4, length: int) -> bytes:
    return packet.src.packed + packet.dst.packed + struct.pack("!HH", PROTO_UDP, length)


def routed_frame(packet: Ipv4) -> bytes:
    """A frame for packet-out ROUTE: the pipeline fills in both MAC addresses."""
    return Ethernet(NO_MAC, NO_MAC, ETHERTYPE_IPV4, packet.build()).build()
