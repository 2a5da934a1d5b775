"""ICMP "too big" from outside, and what it quotes of our ESP packet (RFC 1191, RFC 8201); and first
fragments of the peer's.
"""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from p4esp.controller.icmp import FRAGMENTATION_NEEDED
from p4esp.controller.icmpv6 import PACKET_TOO_BIG
from p4esp.controller.packets import (
    ETHERTYPE_IPV4,
    PROTO_ICMP,
    PROTO_ICMPV6,
    PROTO_UDP,
    Ethernet,
    Ipv4,
    Ipv6,
    PacketError,
    checksum,
    upper_checksum,
)
from p4esp.ipsec.formats.sources import EESP_PROTOCOL
from p4esp.ipsec.selectors import Address

_ESP: Final = 50
_WESP: Final = 141
_WESP_MARKER: Final = 2
_FRAGMENT: Final = 44
_EXTENSIONS: Final = (0, 43, _FRAGMENT, 60)
"""IPv6 headers in front of a first fragment's payload (RFC 8200 4.1)."""
_EXTENSION_UNIT: Final = 8


@dataclass(frozen=True, slots=True)
class TooBig:
    """A router says that a packet of ours was longer than the next link carries."""

    mtu: int
    src: Address
    """Outer addresses of the packet it quotes."""
    dst: Address
    length: int
    """Its octets."""
    ports: tuple[int, int] | None
    """Its UDP ports, where it had some."""
    spi: int
    seq: int
    """The low 32 bits of its sequence number: what stands behind the SPI."""
    after: int | None = None
    """The 32 bits behind that, where they are quoted too."""
    session: int | None = None
    """The session ID of EESP, which has the number elsewhere."""


def too_big(frame: Ethernet) -> TooBig:
    """Read a message; PacketError when it is damaged, or does not show SPI and sequence number. Of
    EESP without numbers the IV stands there, which is the count.

    Who quotes 8 octets behind IP (RFC 792) shows no SPI of ESP in UDP, and is not believed.
    """
    if frame.ether_type == ETHERTYPE_IPV4:
        return _of_ipv4(frame.payload)
    return _of_ipv6(frame.payload)


@dataclass(frozen=True, slots=True)
class Fragment:
    """The first piece of an ESP packet that did not come whole."""

    src: Address
    dst: Address
    length: int
    """Octets of the piece, IP header included."""
    ports: tuple[int, int] | None
    """UDP ports, where it has some."""
    spi: int


def first_fragment(frame: Ethernet) -> Fragment:
    """Read one; PacketError when it does not show an SPI."""
    if frame.ether_type == ETHERTYPE_IPV4:
        packet = Ipv4.parse(frame.payload)
        size = (frame.payload[0] & 0xF) * 4 + len(packet.payload)
        return _piece((packet.src, packet.dst), size, packet.protocol, packet.payload)
    whole = Ipv6.parse(frame.payload)
    protocol, rest = whole.protocol, whole.payload
    while protocol in _EXTENSIONS and len(rest) >= _EXTENSION_UNIT:
        more = 0 if protocol == _FRAGMENT else rest[1]
        protocol, rest = rest[0], rest[_EXTENSION_UNIT * (more + 1) :]
    return _piece((whole.src, whole.dst), 40 + len(whole.payload), protocol, rest)


def _piece(ends: tuple[Address, Address], length: int, protocol: int, rest: bytes) -> Fragment:
    ports = None
    if protocol == PROTO_UDP:
        ports, rest, protocol = (_int(rest[:2]), _int(rest[2:4])), rest[8:], _ESP
    if protocol != _ESP or len(rest) < 4:
        raise PacketError("the fragment shows no SPI")
    return Fragment(*ends, length, ports, _int(rest[:4]))


def _of_ipv4(data: bytes) -> TooBig:
    body = Ipv4.parse(data)
    message = body.payload
    if body.protocol != PROTO_ICMP or message[:2] != FRAGMENTATION_NEEDED or checksum(message):
        raise PacketError("not an ICMP message that says fragmentation needed")
    quote = message[8:]
    if len(quote) < 20 or quote[0] >> 4 != 4:
        raise PacketError("the ICMP message quotes no IPv4 packet")
    ends = IPv4Address(quote[12:16]), IPv4Address(quote[16:20])
    length, size = _int(quote[2:4]), (quote[0] & 0xF) * 4
    return _quoted(_int(message[6:8]), ends, length, quote[9], quote[size:])


def _of_ipv6(data: bytes) -> TooBig:
    packet = Ipv6.parse(data)
    message = packet.payload
    if packet.protocol != PROTO_ICMPV6 or upper_checksum(packet, message, PROTO_ICMPV6):
        raise PacketError("not an ICMPv6 message, or its checksum is wrong")
    quote = message[8:]
    if message[:2] != PACKET_TOO_BIG or len(quote) < 40 or quote[0] >> 4 != 6:
        raise PacketError("not an ICMPv6 message that says packet too big")
    ends = IPv6Address(quote[8:24]), IPv6Address(quote[24:40])
    return _quoted(_int(message[4:8]), ends, _int(quote[4:6]) + 40, quote[6], quote[40:])


def _quoted(
    mtu: int, ends: tuple[Address, Address], length: int, protocol: int, rest: bytes
) -> TooBig:
    ports = None
    if protocol == PROTO_UDP:
        ports, rest = (_int(rest[:2]), _int(rest[2:4])), rest[8:]
        protocol, rest = (_WESP, rest[4:]) if _int(rest[:4]) == _WESP_MARKER else (_ESP, rest)
        wide = False
    else:
        wide = ends[0].version == 6
    if protocol == EESP_PROTOCOL:
        return _of_eesp(mtu, ends, length, rest)
    if protocol == _WESP:
        rest = rest[8 if wide else 4 :]
    if protocol not in (_ESP, _WESP) or len(rest) < 8:
        raise PacketError("the quoted packet shows no SPI and sequence number")
    after = _int(rest[8:12]) if len(rest) >= 12 else None
    return TooBig(mtu, *ends, length, ports, _int(rest[:4]), _int(rest[4:8]), after)


def _of_eesp(mtu: int, ends: tuple[Address, Address], length: int, rest: bytes) -> TooBig:
    number_at = 8 + rest[1] if len(rest) >= 8 else 0
    if not number_at or len(rest) < number_at + 8:
        raise PacketError("the quoted packet shows no SPI and sequence number")
    seq = _int(rest[number_at + 4 : number_at + 8])
    return TooBig(mtu, *ends, length, None, _int(rest[4:8]), seq, session=_int(rest[2:4]))


def _int(octets: bytes) -> int:
    return int.from_bytes(octets, "big")
