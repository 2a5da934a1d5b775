"""What the test engine does beyond RFC 4303's header and trailer: trailer information in front of
the payload, payload in clear, and no trailer at all (docs/crypto-port.md)."""

from __future__ import annotations

from harness.esp import padding
from harness.ids import EngineFaultError, Status

FLAG_ESN = 0x01
FLAG_TRAILER = 0x02
FLAG_TRIM = 0x04
FLAG_FILL = 0x08
FLAG_SHOWN = 0x40
FLAG_TIH = 0x80

TIH_LEN = 4
AAD_LEN = 8
AAD_WITH_TIH = 16
NH_NONE = 59
VERSIONS = {4: 4, 6: 41}
"""Next header by the first nibble of an IP packet."""


def plaintext(flags: int, payload: bytes, align: int, next_header: int) -> tuple[bytes, int]:
    """What is encrypted, and how many octets of padding it has."""
    if flags & FLAG_TRAILER:
        pad = padding(len(payload), align)
        return payload + pad + bytes([len(pad), next_header]), len(pad)
    zeros = -len(payload) % align if flags & (FLAG_TIH | FLAG_TRIM) else 0
    return payload + bytes(zeros), zeros


def additional_data(flags: int, head: bytes, aad_off: int, aad_len: int, seq: int) -> bytes:
    """AAD of the formats: a range of the packet, and with ESN the whole number in it."""
    data = head[aad_off : aad_off + aad_len]
    return data[:4] + seq.to_bytes(8) + data[8:] if flags & FLAG_ESN else data


def iv_at(flags: int, header_end: int, ct_off: int, iv_len: int) -> int:
    """Where the explicit IV begins; ``header_end`` is aad_off + aad_len."""
    return header_end if flags & FLAG_SHOWN else ct_off - iv_len


def information(flags: int, aad_off: int, aad_len: int, ct_off: int, iv_len: int) -> int:
    """Where the trailer information header is: in the AAD, or at the front of the text."""
    if aad_len == AAD_WITH_TIH and not flags & FLAG_SHOWN:
        return aad_off
    return aad_off + aad_len + iv_len if flags & FLAG_SHOWN else ct_off


def without_padding(
    tih: bytes, text: bytes, own: int, *, nothing: bool = False
) -> tuple[bytes, int, int]:
    """Text, pad length and next header by a trailer information header, of which ``own`` octets
    stand in the text.

    ``nothing``: no payload is a payload.
    """
    zero, next_header, pad_len = int.from_bytes(tih[:2]), tih[2], tih[3]
    end = len(text) - pad_len
    if zero:
        raise EngineFaultError(Status.BAD_PAD)
    if end < own or (end == own and next_header != NH_NONE and not nothing):
        raise EngineFaultError(Status.BAD_PADLEN)
    if any(text[end:]):
        raise EngineFaultError(Status.BAD_PAD)
    return text[:end], pad_len, next_header


def by_own_length(text: bytes, align: int, *, filled: bool) -> tuple[bytes, int]:
    """The IP packet that a text begins with, and its next header."""
    next_header = VERSIONS.get(text[0] >> 4 if text else 0)
    if next_header is None or len(text) < (20 if next_header == 4 else 40):
        raise EngineFaultError(Status.BAD_INNER)
    at, more = (2, 0) if next_header == 4 else (4, 40)
    length = int.from_bytes(text[at : at + 2]) + more
    if length > len(text) or (len(text) - length >= align and not filled):
        raise EngineFaultError(Status.BAD_INNER)
    if any(text[length:]):
        raise EngineFaultError(Status.BAD_PAD)
    return text[:length], next_header
