"""Requests as a pipeline would send them: Ethernet, descriptor, outer IPv4, ESP."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from p4esp.engine.check.vectors import Vector
from p4esp.engine.descriptor import ETHERTYPE, CryptoFrame, Descriptor, Flag, Op

ETHERNET: Final = bytes.fromhex("02000000000102000000 0002") + ETHERTYPE.to_bytes(2, "big")
#: Outer header 192.0.2.1 -> 198.51.100.2; the engine carries it along and never reads it.
OUTER: Final = bytes.fromhex("45000058beef400040328f4dc0000201c6336402")
_SEQ_MASK: Final = (1 << 32) - 1


def seal_request(
    handle: int,
    seq: int,
    payload: bytes,
    *,
    spi: int = 0xC0FFEE01,
    iv: bytes | None = None,
    implicit_iv: bool = False,
    **fields: Any,
) -> CryptoFrame:
    """Build a seal request; the explicit IV is ``seq`` unless ``iv`` gives another.

    ``fields`` overwrite descriptor fields by name.
    """
    shown_iv = b"" if implicit_iv else iv or seq.to_bytes(8, "big")
    packet = OUTER + _esp_header(spi, seq) + shown_iv + payload
    descriptor = _descriptor(Op.SEAL, handle, seq, len(payload), len(shown_iv))
    return CryptoFrame(ETHERNET, replace(descriptor, **fields), packet)


def open_request(
    handle: int, seq: int, esp: bytes, *, implicit_iv: bool = False, **fields: Any
) -> CryptoFrame:
    """Build an open request for an ESP packet (SPI to ICV); ``fields`` as for a seal request."""
    iv_len = 0 if implicit_iv else 8
    descriptor = _descriptor(Op.OPEN, handle, seq, len(esp) - 8 - iv_len, iv_len)
    return CryptoFrame(ETHERNET, replace(descriptor, **fields), OUTER + esp)


def vector_seal(handle: int, vector: Vector, **fields: Any) -> CryptoFrame:
    """Build the request whose answer is the vector's packet."""
    flags = Flag.TRAILER | (Flag.ESN if vector.esn else Flag(0))
    return seal_request(
        *(handle, vector.seq, vector.payload),
        spi=vector.spi,
        iv=vector.esp[8:16],
        implicit_iv=vector.implicit_iv,
        **{"flags": flags, "nh": vector.next_header} | fields,
    )


def vector_open(handle: int, vector: Vector, **fields: Any) -> CryptoFrame:
    """Build the request that opens the vector's packet, TFC padding trimmed."""
    flags = Flag.TRAILER | Flag.TRIM | (Flag.ESN if vector.esn else Flag(0))
    return open_request(
        *(handle, vector.seq, vector.esp),
        implicit_iv=vector.implicit_iv,
        **{"flags": flags} | fields,
    )


def _esp_header(spi: int, seq: int) -> bytes:
    return spi.to_bytes(4, "big") + (seq & _SEQ_MASK).to_bytes(4, "big")


def _descriptor(op: Op, handle: int, seq: int, length: int, iv_len: int) -> Descriptor:
    offsets = {"aad_off": len(OUTER), "iv_len": iv_len, "ct_off": len(OUTER) + 8 + iv_len}
    return Descriptor(op, handle, seq, length, **offsets)
