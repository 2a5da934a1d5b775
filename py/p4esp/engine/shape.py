"""The part of a request that is the same for every packet of an SA, checked once and kept."""

from __future__ import annotations

from typing import Final, NamedTuple

from p4esp.engine.descriptor import BASE, Flag, Op
from p4esp.engine.keystore import KeyEntry

# Whole integers: the complement of an IntFlag loses the bits that have no name.
_UNKNOWN_FLAGS: Final = {
    Op.SEAL: 0xFF ^ int(Flag.ESN | Flag.TRAILER | Flag.FILL | Flag.MODE),
    Op.OPEN: 0xFF ^ int(Flag.ESN | Flag.TRAILER | Flag.TRIM | Flag.MODE),
}
_AAD_LEN: Final = 8
_IPV6_LEN: Final = 40
_UDP_LEN: Final = 8


class Constant(NamedTuple):
    """The three constant pieces of a frame, as ``descriptor.FRAME_PARTS`` cuts them.

    ``start``: ethertype, op, flags, status, nh. ``middle``: sa to ct_off. ``tail``: icv, align.
    """

    start: bytes
    middle: bytes
    tail: bytes


class Shape(NamedTuple):
    """What a well-formed request asks for; offsets count from the start of the frame.

    ``udp_at`` is 0 when no UDP checksum is asked for.
    """

    constant: Constant
    op: int
    flags: int
    nh: int
    space: int
    aad_at: int
    text_at: int
    udp_at: int
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

    @property
    def fill(self) -> bool:
        """Whether what the frame lacks of the payload is TFC padding."""
        return bool(self.flags & Flag.FILL)

    @property
    def pad_mask(self) -> int:
        """With n bytes of payload, ``-(n + 2) & pad_mask`` bytes of padding are written."""
        return self.align - 1 if self.trailer else 0


def shape_of(entry: KeyEntry, constant: Constant) -> Shape | None:
    """Check the constant pieces of a request against its key; None when they do not fit.

    The caller has made sure that it is a request.
    """
    _, _, op, flags, _, nh = constant.start
    if op != entry.direction or not _flags_fit(op, flags):
        return None
    if not _middle_fits(entry, op, constant.middle) or not _tail_fits(entry, constant.tail):
        return None
    space, pad, aad_off = int.from_bytes(constant.middle[4:7], "big"), *constant.middle[7:9]
    text_at, udp_at = BASE + constant.middle[11], BASE + pad if pad else 0
    return Shape(constant, op, flags, nh, space, BASE + aad_off, text_at, udp_at, constant.tail[1])


def _flags_fit(op: int, flags: int) -> bool:
    needs_trailer = flags & (Flag.TRIM | Flag.FILL)
    return not flags & _UNKNOWN_FLAGS[Op(op)] and bool(not needs_trailer or flags & Flag.TRAILER)


def _middle_fits(entry: KeyEntry, op: int, middle: bytes) -> bool:
    generation, pad, aad_off, aad_len, iv_len, ct_off = middle[3], *middle[7:12]
    key_fits = (generation, aad_len, iv_len) == (
        *(entry.generation, _AAD_LEN),
        entry.transform.iv_len,
    )
    pad_fits = not pad or (op == Op.SEAL and _udp_fits(pad, aad_off))
    return key_fits and pad_fits and ct_off == aad_off + aad_len + iv_len


def _udp_fits(udp_off: int, aad_off: int) -> bool:
    return _IPV6_LEN <= udp_off <= aad_off - _UDP_LEN


def _tail_fits(entry: KeyEntry, tail: bytes) -> bool:
    icv_len, align = tail
    block = entry.transform.block
    return icv_len == entry.transform.icv_len and align.bit_count() == 1 and align >= block
