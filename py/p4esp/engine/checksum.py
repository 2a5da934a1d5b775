"""The UDP checksum over IPv6 (RFC 8200 section 8.1, RFC 768, RFC 1071)."""

from __future__ import annotations

from typing import Final

_UDP: Final = 17
_ONES: Final = 0xFFFF


def udp_length(frame: bytes, udp_at: int) -> int:
    """Return the length field of the UDP header at an offset; 0 where the frame ends before."""
    return int.from_bytes(frame[udp_at + 4 : udp_at + 6], "big")


def with_udp_checksum(frame: bytes, ip_at: int, udp_at: int) -> bytes:
    """Return a frame, which ends where the datagram does, with the datagram's checksum written.

    The pseudo header has the addresses of the IPv6 header at ``ip_at``.
    """
    head, data = frame[: udp_at + 6], frame[udp_at + 8 :]
    checksum = _checksum(_pseudo_header(frame, ip_at, udp_at) + head[udp_at:] + data)
    return b"".join((head, checksum.to_bytes(2, "big"), data))


def _pseudo_header(frame: bytes, ip_at: int, udp_at: int) -> bytes:
    addresses = frame[ip_at + 8 : ip_at + 40]
    return addresses + bytes(2) + frame[udp_at + 4 : udp_at + 6] + bytes((0, 0, 0, _UDP))


def _checksum(data: bytes) -> int:
    """Return the complement of the sum of 16-bit words, 0xFFFF where that is 0.

    2^16 is 1 modulo 2^16 - 1: the ones' complement sum is the remainder of the whole number. A sum
    of 0 cannot be, for the pseudo header holds a 17: remainder 0 stands for a sum of 0xFFFF.
    """
    return _ONES - int.from_bytes(data + bytes(len(data) % 2), "big") % _ONES
