"""The address that a UDP packet came to, and that its answer leaves from (RFC 3542, ip(7)).

A socket bound to all addresses learns the destination of each packet from ancillary data, and
gives the source of each answer the same way.
"""

import socket
import struct
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from p4esp.ipsec.selectors import Address

_IP_PKTINFO: Final = 8
"""Linux's value: the socket module has no name for it before Python 3.14."""
_INFO4: Final = struct.Struct("=i4s4s")
"""struct in_pktinfo: interface, source to send from, destination of the packet."""
_INFO6: Final = struct.Struct("=16sI")
"""struct in6_pktinfo: address, interface."""
SPACE: Final = socket.CMSG_SPACE(max(_INFO4.size, _INFO6.size))
"""Octets of ancillary data to make room for."""

Ancillary = tuple[int, int, bytes]


def ask_for(udp: socket.socket) -> None:
    """Have the destination of each packet told."""
    if udp.family == socket.AF_INET6:
        udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    else:
        udp.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)


def destination(ancillary: Iterable[Ancillary]) -> Address | None:
    """Where a packet was sent to."""
    for level, kind, data in ancillary:
        if (level, kind) == (socket.IPPROTO_IP, _IP_PKTINFO):
            return IPv4Address(_INFO4.unpack_from(data)[2])
        if (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO):
            return IPv6Address(_INFO6.unpack_from(data)[0])
    return None


def source(address: Address) -> list[Ancillary]:
    """Ancillary data that makes a packet leave from an address."""
    if isinstance(address, IPv6Address):
        info = _INFO6.pack(address.packed, 0)
        return [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, info)]
    info = _INFO4.pack(0, address.packed, bytes(4))
    return [(socket.IPPROTO_IP, _IP_PKTINFO, info)]
