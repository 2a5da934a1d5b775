"""How a decrypted text ends in the formats that are not RFC 4303's: padding, next header, TFC.

A reader is made for a shape of open requests. It is asked only behind a right ICV.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from p4esp.engine.descriptor import Status
from p4esp.engine.shape import TIH_LEN, Ending, Shape
from p4esp.engine.trailer import NH_DUMMY, NH_IPV4, NH_IPV6, PADDING, inner_length

_NH_BY_VERSION: Final = {4: NH_IPV4, 6: NH_IPV6}
#: Bytes of an IP header that tell its length.
_HEADER: Final = 6


class Found(NamedTuple):
    """What is left of the text, in bytes; next header and pad length for the reply."""

    size: int
    nh: int
    pad: int


#: Takes a frame and its decrypted text; returns what it found, or what is wrong.
Reader = Callable[[bytes, bytes], Found | Status]
#: Takes a frame, its decrypted text, a next header, and how many bytes of the text count; returns
#: how many of them belong to the inner packet, -1 when its header is bad.
_Trim = Callable[[bytes, bytes, int, int], int]


def reader_of(shape: Shape) -> Reader:
    """Make the reader of a shape."""
    if shape.ending is Ending.TRAILER:
        return _trailer_reader(shape)
    if shape.ending is Ending.TIH:
        return _tih_reader(shape)
    return _packet_reader(shape) if shape.ending is Ending.ZEROS else _bare_reader(shape)


def _bare_reader(shape: Shape) -> Reader:
    nh = shape.nh
    return lambda _, plain: Found(len(plain), nh, 0)


def _trailer_reader(shape: Shape) -> Reader:
    """The trailer of RFC 4303. Where payload is shown, the text need not have any."""
    trimmed, something_shown = _trim_of(shape), shape.shown_len > 0

    def read(frame: bytes, plain: bytes) -> Found | Status:
        pad, nh = plain[-2], plain[-1]
        size = len(plain) - pad - 2
        if size < 0 or not (size or something_shown or nh == NH_DUMMY):
            return Status.BAD_PADLEN
        if plain[size:-2] != PADDING[pad]:
            return Status.BAD_PAD
        size = trimmed(frame, plain, nh, size)
        return Found(size, nh, pad) if size >= 0 else Status.BAD_INNER

    return read


def _tih_reader(shape: Shape) -> Reader:
    """The trailer information header: 16 bits 0, next header, pad length; padding of zeros."""
    trimmed, something_shown = _trim_of(shape), shape.shown_len > 0
    tih_at, inside = shape.tih_at, shape.tih_inside

    def read(frame: bytes, plain: bytes) -> Found | Status:
        high, low, nh, pad = plain[:TIH_LEN] if inside else frame[tih_at : tih_at + TIH_LEN]
        if high or low:
            return Status.BAD_PAD
        size = len(plain) - pad
        payload = size - TIH_LEN if inside else size
        if payload < 0 or not (payload or something_shown or nh == NH_DUMMY):
            return Status.BAD_PADLEN
        if plain[size:] != bytes(pad):
            return Status.BAD_PAD
        size = trimmed(frame, plain, nh, size)
        return Found(size, nh, pad) if size >= 0 else Status.BAD_INNER

    return read


def _packet_reader(shape: Shape) -> Reader:
    """No trailer at all: an IP packet, which tells its kind and length, and zeros behind it."""
    start_of, shown_len = _start_of(shape), shape.shown_len
    most = 0xFFFF if shape.fill else shape.align - 1

    def read(frame: bytes, plain: bytes) -> Found | Status:
        start = start_of(frame, plain)
        nh = _NH_BY_VERSION.get(start[0] >> 4, 0) if start else 0
        size = inner_length(nh, start, len(plain) + shown_len) - shown_len
        behind = len(plain) - size
        if not nh or size < 0 or behind > most:
            return Status.BAD_INNER
        return Found(size, nh, 0) if plain[size:] == bytes(behind) else Status.BAD_PAD

    return read


def _trim_of(shape: Shape) -> _Trim:
    """Cut TFC padding off (RFC 4303 section 2.7), or nothing without TRIM."""
    if not shape.trim:
        return lambda _frame, _plain, _nh, size: size
    start_of, shown_len = _start_of(shape), shape.shown_len

    def trimmed(frame: bytes, plain: bytes, nh: int, size: int) -> int:
        length = inner_length(nh, start_of(frame, plain), size + shown_len)
        return length - shown_len if length >= max(shown_len, 0) else -1

    return trimmed


def _start_of(shape: Shape) -> Callable[[bytes, bytes], bytes]:
    """Find the first bytes of the inner packet, which may be shown in front of the text."""
    inner_at, text_at, behind_tih = shape.inner_at, shape.text_at, shape.tih_inside
    if behind_tih:
        return lambda _, plain: plain[TIH_LEN : TIH_LEN + _HEADER]
    return lambda frame, plain: frame[inner_at:text_at] + plain[:_HEADER]
