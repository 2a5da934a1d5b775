"""The RFC 4303 trailer (sections 2.4 to 2.7): padding, pad length, next header, TFC padding."""

from __future__ import annotations

from typing import Final

from p4esp.engine.descriptor import Status

#: ``PADDING[n]``: the n padding bytes 1, 2, 3, ... of RFC 4303 section 2.4.
PADDING: Final = tuple(bytes(range(1, n + 1)) for n in range(256))
#: ``TAIL[n]``: padding of n bytes and the pad length byte; the next header follows.
TAIL: Final = tuple(PADDING[n] + bytes((n,)) for n in range(256))
BYTE: Final = tuple(bytes((n,)) for n in range(256))

NH_IPV4: Final = 4
NH_IPV6: Final = 41
NH_DUMMY: Final = 59


def trailer_fault(plain: bytes) -> Status | None:
    """Name what is wrong with the trailer that ends a decrypted packet, or None.

    An empty payload is a fault too, unless the packet is a dummy (next header 59).
    """
    size = len(plain)
    pad = plain[-2]
    if pad + 2 > size or (pad + 2 == size and plain[-1] != NH_DUMMY):
        return Status.BAD_PADLEN
    if plain[size - 2 - pad : size - 2] != PADDING[pad]:
        return Status.BAD_PAD
    return None


def inner_length(nh: int, plain: bytes, size: int) -> int:
    """Return how many of the first ``size`` bytes are the inner packet (RFC 4303 section 2.7).

    Next header 4 and 41 go by the IP length, anything else keeps ``size``. -1: the inner
    header has another version, is too short, or claims more bytes than there are.
    """
    if nh == NH_IPV4:
        return _ipv4_length(plain, size)
    if nh == NH_IPV6:
        return _ipv6_length(plain, size)
    return size


def _ipv4_length(plain: bytes, size: int) -> int:
    if size < 20 or not 0x45 <= plain[0] <= 0x4F:
        return -1
    total = plain[2] << 8 | plain[3]
    return total if (plain[0] & 15) * 4 <= total <= size else -1


def _ipv6_length(plain: bytes, size: int) -> int:
    if size < 40 or plain[0] >> 4 != 6:
        return -1
    total = 40 + (plain[4] << 8 | plain[5])
    return total if total <= size else -1
