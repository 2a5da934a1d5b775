"""The ICMPv6 that a router owes its neighbours (RFC 4443). Neighbour discovery is in `nd`.

What `icmp` says of unprotected ports is true here too.
"""

from ipaddress import IPv6Address
from typing import Final

from p4esp.controller.packets import PROTO_ICMPV6, Ipv6, upper_checksum

PACKET_TOO_BIG: Final = bytes((2, 0))
_TIME_EXCEEDED: Final = bytes((3, 0))
ECHO_REQUEST: Final = 128
ECHO_REPLY: Final = 129
REDIRECT: Final = 137
_FIRST_INFORMATIONAL: Final = 128
LEAST_MTU: Final = 1280
"""RFC 8200 5: every IPv6 link carries so much."""
_MAX_ERROR: Final = LEAST_MTU
"""Octets of an error packet: it quotes as much as fits the least MTU (RFC 4443 2.4 c)."""
_HEADERS: Final = 48
"""Octets of IPv6 and ICMPv6 in front of the quotation."""


def echo_reply(request: Ipv6) -> Ipv6 | None:
    """The answer to an echo request to us; None for anything else."""
    data = request.payload
    if request.protocol != PROTO_ICMPV6 or len(data) < 8 or request.src.is_multicast:
        return None
    if data[0] != ECHO_REQUEST or upper_checksum(request, data, PROTO_ICMPV6):
        return None
    if request.src.is_unspecified:
        return None
    return message(request.dst, request.src, bytes((ECHO_REPLY, 0)), data[4:])


def time_exceeded(offender: Ipv6, source: IPv6Address) -> Ipv6 | None:
    """The error for a packet that ran out of hops; None where RFC 4443 2.4 e forbids one."""
    if offender.dst.is_multicast:
        return None
    return _error(_TIME_EXCEEDED, 0, offender, source)


def packet_too_big(offender: Ipv6, source: IPv6Address, mtu: int) -> Ipv6 | None:
    """The error for a packet that is longer than `mtu` (RFC 4443 3.2), or None.

    No MTU below IPv6's least is told: what is shorter is carried, however long it gets outside.
    """
    return _error(PACKET_TOO_BIG, max(mtu, LEAST_MTU), offender, source)


def _error(type_code: bytes, told: int, offender: Ipv6, source: IPv6Address) -> Ipv6 | None:
    """`told` is the word in front of the quotation."""
    if not _is_answerable(offender):
        return None
    body = told.to_bytes(4, "big") + offender.build()[: _MAX_ERROR - _HEADERS]
    return message(source, offender.src, type_code, body)


def _is_answerable(packet: Ipv6) -> bool:
    """Whether its source is a host's and it is no error itself (RFC 4443 2.4 e)."""
    if packet.src.is_multicast or packet.src.is_unspecified:
        return False
    if packet.protocol != PROTO_ICMPV6:
        return True
    kind = packet.payload[0] if packet.payload else 0
    return kind >= _FIRST_INFORMATIONAL and kind != REDIRECT


def message(
    src: IPv6Address, dst: IPv6Address, type_code: bytes, rest: bytes, hop_limit: int = 64
) -> Ipv6:
    """A message with its checksum; `rest` is what stands behind the checksum."""
    packet = Ipv6(src, dst, PROTO_ICMPV6, b"", hop_limit)
    csum = upper_checksum(packet, type_code + bytes(2) + rest, PROTO_ICMPV6)
    body = type_code + csum.to_bytes(2, "big") + rest
    return Ipv6(src, dst, PROTO_ICMPV6, body, hop_limit)
