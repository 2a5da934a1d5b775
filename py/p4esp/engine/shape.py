"""The part of a request that is the same for every packet of an SA, checked once and kept."""

from __future__ import annotations

from typing import Final, NamedTuple

from p4esp.engine.descriptor import BASE, Flag, Op
from p4esp.engine.keystore import KeyEntry

# Whole integers: the complement of an IntFlag loses the bits that have no name.
_UNKNOWN_FLAGS: Final = {
    Op.SEAL: 0xFF ^ int(Flag.ESN | Flag.TRAILER),
    Op.OPEN: 0xFF ^ int(Flag.ESN | Flag.TRAILER | Flag.TRIM),
}
_AAD_LEN: Final = 8


class Constant(NamedTuple):
    """The three constant pieces of a frame, as ``descriptor.FRAME_PARTS`` cuts them.

    ``start``: ethertype, op, flags, status, nh. ``middle``: sa to ct_off. ``tail``: icv, align.
    """

    start: bytes
    middle: bytes
    tail: bytes


class Shape(NamedTuple):
    """What a well-formed request asks for; offsets count from the start of the frame."""

    constant: Constant
    op: int
    flags: int
    nh: int
    space: int
    aad_at: int
    text_at: int
    align: int

    @property
    def esn(self) -> bool:
        """Whether the AAD holds the full sequence number."""
        return bool(self.flags & Flag.ESN)

    @property
    def trailer(self) -> bool:
        """Whether the engine writes or removes the trailer."""
        return bool(self.flags & Flag.TRAILER)

    @property
    def trim(self) -> bool:
        """Whether TFC padding is cut off."""
        return bool(self.flags & Flag.TRIM)


def shape_of(entry: KeyEntry, constant: Constant) -> Shape | None:
    """Check the constant pieces of a request against its key; None when they do not fit.

    The caller has made sure that it is a request.
    """
    _, _, op, flags, _, nh = constant.start
    if op != entry.direction or not _flags_fit(op, flags):
        return None
    if not _middle_fits(entry, constant.middle) or not _tail_fits(entry, constant.tail):
        return None
    space, aad_off = int.from_bytes(constant.middle[4:7], "big"), constant.middle[8]
    text_at = BASE + constant.middle[11]
    return Shape(constant, op, flags, nh, space, BASE + aad_off, text_at, constant.tail[1])


def _flags_fit(op: int, flags: int) -> bool:
    trims_without_trailer = flags & Flag.TRIM and not flags & Flag.TRAILER
    return not flags & _UNKNOWN_FLAGS[Op(op)] and not trims_without_trailer


def _middle_fits(entry: KeyEntry, middle: bytes) -> bool:
    generation, pad, aad_off, aad_len, iv_len, ct_off = middle[3], *middle[7:12]
    key_fits = (generation, aad_len, iv_len) == (
        *(entry.generation, _AAD_LEN),
        entry.transform.iv_len,
    )
    return key_fits and not pad and ct_off == aad_off + aad_len + iv_len


def _tail_fits(entry: KeyEntry, tail: bytes) -> bool:
    icv_len, align = tail
    return icv_len == entry.transform.icv_len and align.bit_count() == 1
