"""The ICMP that a router owes its neighbours (RFC 792, RFC 1812 4.3).

On an unprotected port question and answer are clear traffic like any other: the pipeline hands us
the one and sends the other only where the SPD bypasses it (RFC 4301 5.1, 5.2).
"""

from dataclasses import replace
from ipaddress import IPv4Address
from typing import Final

from p4esp.controller.packets import PROTO_ICMP, Ipv4, checksum

ECHO_REPLY: Final = 0
ECHO_REQUEST: Final = 8
FRAGMENTATION_NEEDED: Final = bytes((3, 4))
_TIME_EXCEEDED: Final = bytes((11, 0))
_ERRORS: Final = (3, 4, 5, 11, 12)
_QUOTED: Final = 8
"""Octets of the offending packet's payload that an error quotes (RFC 792)."""


def echo_reply(request: Ipv4) -> Ipv4 | None:
    """The answer to an echo request to us; None for anything else."""
    data = request.payload
    if request.protocol != PROTO_ICMP or request.is_fragment or len(data) < 8:
        return None
    if data[0] != ECHO_REQUEST or checksum(data):
        return None
    body = _with_checksum(bytes((ECHO_REPLY, 0)), data[4:])
    return Ipv4(request.dst, request.src, PROTO_ICMP, body)


def time_exceeded(offender: Ipv4, source: IPv4Address) -> Ipv4 | None:
    """The error for a packet that ran out of hops; None where RFC 1812 4.3.2.7 forbids one."""
    return _error(_TIME_EXCEEDED, 0, offender, source)


def fragmentation_needed(offender: Ipv4, source: IPv4Address, mtu: int) -> Ipv4 | None:
    """The error for a packet with DF that is longer than `mtu` (RFC 1191 4), or None."""
    return _error(FRAGMENTATION_NEEDED, mtu, offender, source)


def _error(type_code: bytes, told: int, offender: Ipv4, source: IPv4Address) -> Ipv4 | None:
    """`told` is the word in front of the quotation."""
    if not _deserves_error(offender):
        return None
    quoted = replace(offender, payload=offender.payload[:_QUOTED])
    body = told.to_bytes(4, "big") + _quoted_header(offender, quoted) + quoted.payload
    return Ipv4(source, offender.src, PROTO_ICMP, _with_checksum(type_code, body))


def _deserves_error(packet: Ipv4) -> bool:
    if packet.fragment & 0x1FFF or packet.src.is_multicast or packet.src.is_unspecified:
        return False
    if packet.dst.is_multicast or int(packet.dst) == 0xFFFFFFFF or int(packet.src) == 0xFFFFFFFF:
        return False
    is_icmp = packet.protocol == PROTO_ICMP
    return not (is_icmp and (not packet.payload or packet.payload[0] in _ERRORS))


def _quoted_header(offender: Ipv4, quoted: Ipv4) -> bytes:
    """The offender's header with its true total length, options left out."""
    header = bytearray(quoted.build()[:20])
    header[2:4] = (20 + len(offender.payload)).to_bytes(2, "big")
    header[10:12] = bytes(2)
    header[10:12] = checksum(bytes(header)).to_bytes(2, "big")
    return bytes(header)


def _with_checksum(type_code: bytes, rest: bytes) -> bytes:
    return type_code + checksum(type_code + bytes(2) + rest).to_bytes(2, "big") + rest
