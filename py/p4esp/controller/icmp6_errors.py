"""The ICMPv6 error that a tunnel's entry owes a source (RFC 4443 3.2, RFC 2473 7.1)."""

from ipaddress import IPv6Address
from typing import Final

from p4esp.controller.packets import checksum
from p4esp.controller.quoted import PACKET_TOO_BIG, pseudo_header_v6

ETHERTYPE_IPV6: Final = 0x86DD
LEAST_MTU: Final = 1280
_HEADER: Final = 40
_ICMPV6: Final = 58
_FIRST_QUERY: Final = 128
"""ICMPv6 types below are errors, and no error answers another."""


def packet_too_big(offender: bytes, source: IPv6Address, mtu: int) -> bytes | None:
    """The message as an IPv6 packet; None where RFC 4443 2.4(e) forbids one.

    No MTU below IPv6's least is told: what is shorter is carried, however long it gets outside.
    """
    if len(offender) < _HEADER or not _deserves_error(offender):
        return None
    quote = offender[: LEAST_MTU - _HEADER - 8]
    body = bytes((PACKET_TOO_BIG, 0, 0, 0)) + max(mtu, LEAST_MTU).to_bytes(4, "big") + quote
    ends = source.packed + offender[8:24]
    csum = checksum(pseudo_header_v6(ends, len(body)) + body)
    message = body[:2] + csum.to_bytes(2, "big") + body[4:]
    head = bytes((0x60, 0, 0, 0)) + len(message).to_bytes(2, "big") + bytes((_ICMPV6, 64))
    return head + ends + message


def _deserves_error(offender: bytes) -> bool:
    source = IPv6Address(offender[8:24])
    if source.is_multicast or source.is_unspecified:
        return False
    return not (offender[6] == _ICMPV6 and offender[_HEADER : _HEADER + 1] < bytes((_FIRST_QUERY,)))
