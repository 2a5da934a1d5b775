"""Requests as a pipeline would send them: Ethernet, descriptor, outer IPv4, ESP."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from p4esp.engine.check.vectors import Vector
from p4esp.engine.descriptor import ETHERTYPE, CryptoFrame, Descriptor, Flag, Op
from p4esp.engine.transforms import Transform, lookup

GCM: Final = "AES-GCM-16-128"

ETHERNET: Final = bytes.fromhex("02000000000102000000 0002") + ETHERTYPE.to_bytes(2, "big")
#: Outer header 192.0.2.1 -> 198.51.100.2; the engine carries it along and never reads it.
OUTER: Final = bytes.fromhex("45000058beef400040328f4dc0000201c6336402")
_SEQ_MASK: Final = (1 << 32) - 1


def seal_request(
    handle: int,
    seq: int,
    payload: bytes,
    *,
    transform: str = GCM,
    outer: bytes = OUTER,
    spi: int = 0xC0FFEE01,
    iv: bytes | None = None,
    **fields: Any,
) -> CryptoFrame:
    """Build a seal request behind an ``outer`` header.

    The IV is ``iv``, or ``seq`` in 8 bytes, and zeros where the engine writes it. ``fields``
    overwrite descriptor fields by name.
    """
    sizes = lookup(transform)
    shown_iv = (iv or seq.to_bytes(max(8, sizes.iv_len), "big"))[: sizes.iv_len]
    if iv is None and not sizes.guarded:
        shown_iv = bytes(sizes.iv_len)
    packet = outer + _esp_header(spi, seq) + shown_iv + payload
    descriptor = _descriptor((Op.SEAL, handle, seq, len(payload)), sizes, len(outer))
    return CryptoFrame(ETHERNET, replace(descriptor, **fields), packet)


def open_request(
    handle: int,
    seq: int,
    esp: bytes,
    *,
    transform: str = GCM,
    outer: bytes = OUTER,
    **fields: Any,
) -> CryptoFrame:
    """Build an open request for an ESP packet (SPI to ICV); ``fields`` as for a seal request."""
    sizes = lookup(transform)
    length = len(esp) - 8 - sizes.iv_len
    descriptor = _descriptor((Op.OPEN, handle, seq, length), sizes, len(outer))
    return CryptoFrame(ETHERNET, replace(descriptor, **fields), outer + esp)


def vector_seal(handle: int, vector: Vector, **fields: Any) -> CryptoFrame:
    """Build the request whose answer is the vector's packet."""
    flags = Flag.TRAILER | (Flag.ESN if vector.esn else Flag(0))
    return seal_request(
        *(handle, vector.seq, vector.payload),
        transform=vector.transform,
        spi=vector.spi,
        iv=vector.iv,
        **{"flags": flags, "nh": vector.next_header} | fields,
    )


def vector_open(handle: int, vector: Vector, **fields: Any) -> CryptoFrame:
    """Build the request that opens the vector's packet, TFC padding trimmed."""
    flags = Flag.TRAILER | Flag.TRIM | (Flag.ESN if vector.esn else Flag(0))
    return open_request(
        *(handle, vector.seq, vector.esp),
        transform=vector.transform,
        **{"flags": flags} | fields,
    )


def _esp_header(spi: int, seq: int) -> bytes:
    return spi.to_bytes(4, "big") + (seq & _SEQ_MASK).to_bytes(4, "big")


def _descriptor(asked: tuple[Op, int, int, int], sizes: Transform, outer_len: int) -> Descriptor:
    return Descriptor(
        *asked,
        ct_off=outer_len + 8 + sizes.iv_len,
        aad_off=outer_len,
        iv_len=sizes.iv_len,
        icv=sizes.icv_len,
        align=sizes.align,
    )
