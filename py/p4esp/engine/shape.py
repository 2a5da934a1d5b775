"""The part of a request that is the same for every packet of an SA, checked once and kept."""

from __future__ import annotations

from enum import Enum, auto
from typing import Final, NamedTuple

from p4esp.engine.descriptor import BASE, Flag, Op
from p4esp.engine.keystore import KeyEntry

TIH_LEN: Final = 4
#: SPI and the lower half of the sequence number, the header of RFC 4303.
_ESP_LEN: Final = 8
#: Headers without SHOWN: RFC 4303's, SPI with a 64-bit number, and that behind a TIH.
_AAD_LENS: Final = (_ESP_LEN, 12, 16)
_AAD_WITH_TIH: Final = 16
# Whole numbers: to ask an IntFlag takes ten times as long, and every error reply asks.
_SHOWN: Final = int(Flag.SHOWN)
_ESN: Final = int(Flag.ESN)
_IPV6_LEN: Final = 40
_UDP_LEN: Final = 8


class Constant(NamedTuple):
    """The three constant pieces of a frame, as ``descriptor.FRAME_PARTS`` cuts them.

    ``start``: ethertype, op, flags, status, nh. ``middle``: sa to ct_off. ``tail``: icv, align.
    """

    start: bytes
    middle: bytes
    tail: bytes


class Ending(Enum):
    """What the engine writes behind the payload: nothing, a trailer, zeros alone."""

    BARE = auto()
    TRAILER = auto()
    TIH = auto()
    ZEROS = auto()


class Shape(NamedTuple):
    """What a well-formed request asks for; offsets count from the start of the frame.

    The explicit IV stands behind ``aad_len`` bytes of header, and the text behind it, or with SHOWN
    behind clear bytes. ``udp_at`` is 0 when no UDP checksum is asked for.
    """

    constant: Constant
    op: int
    flags: int
    nh: int
    space: int
    aad_at: int
    aad_len: int
    iv_len: int
    text_at: int
    udp_at: int
    align: int

    @property
    def esn(self) -> bool:
        """Whether the AAD holds the full sequence number."""
        return bool(self.flags & Flag.ESN)

    @property
    def trailer(self) -> bool:
        """Whether the engine writes or removes the RFC 4303 trailer."""
        return bool(self.flags & Flag.TRAILER)

    @property
    def ending(self) -> Ending:
        """What the engine writes behind the payload, or removes."""
        if self.flags & Flag.TRAILER:
            return Ending.TRAILER
        if self.flags & Flag.TIH:
            return Ending.TIH
        return Ending.ZEROS if self.flags & Flag.TRIM else Ending.BARE

    @property
    def is_plain(self) -> bool:
        """Whether header and text are those of RFC 4303, with or without the trailer."""
        plain_ending = self.ending in (Ending.TRAILER, Ending.BARE)
        return plain_ending and self.aad_len == _ESP_LEN and not self.shown

    @property
    def shown(self) -> bool:
        """Whether the AAD runs up to the text, the IV within it."""
        return bool(self.flags & Flag.SHOWN)

    @property
    def any_number(self) -> bool:
        """Whether ``seq`` may have 64 bits."""
        return self.esn or self.aad_len != _ESP_LEN

    @property
    def iv_at(self) -> int:
        """Offset of the explicit IV."""
        return self.aad_at + self.aad_len

    @property
    def aad_end(self) -> int:
        """Where the AAD ends: at the text with SHOWN, else at the IV."""
        return self.text_at if self.shown else self.iv_at

    @property
    def tih_at(self) -> int:
        """Offset of the trailer information header, where there is one."""
        if self.aad_len == _AAD_WITH_TIH and not self.shown:
            return self.aad_at
        return self.iv_at + self.iv_len

    @property
    def tih_inside(self) -> bool:
        """Whether the trailer information header is the first word of the text."""
        return self.ending is Ending.TIH and self.tih_at == self.text_at

    @property
    def inner_at(self) -> int:
        """Offset of the payload: behind the headers, be it shown or encrypted."""
        behind_iv = self.iv_at + self.iv_len
        with_tih = self.ending is Ending.TIH and self.tih_at == behind_iv
        return behind_iv + TIH_LEN if with_tih else behind_iv

    @property
    def shown_len(self) -> int:
        """How many bytes of the payload stand in front of the text; -4 with a TIH in the text."""
        return self.text_at - self.inner_at

    @property
    def least_text(self) -> int:
        """The least bytes of a text without its ICV: in sealing of ``plain_len``."""
        if self.op == Op.OPEN and self.trailer:
            return 2
        return TIH_LEN if self.tih_inside else 0

    @property
    def trim(self) -> bool:
        """Whether TFC padding is cut off."""
        return bool(self.flags & Flag.TRIM)

    @property
    def fill(self) -> bool:
        """Whether what the frame lacks of the payload is TFC padding."""
        return bool(self.flags & Flag.FILL)

    @property
    def tail_len(self) -> int:
        """Bytes of trailer behind the padding."""
        return 2 if self.trailer else 0

    @property
    def pad_mask(self) -> int:
        """With n bytes of payload ``-(n + tail_len) & pad_mask`` bytes of padding are written."""
        return 0 if self.ending is Ending.BARE else self.align - 1


def shape_of(entry: KeyEntry, constant: Constant) -> Shape | None:
    """Check the constant pieces of a request against its key; None when they do not fit.

    The caller has made sure that it is a request.
    """
    _, _, op, flags, _, nh = constant.start
    if op != entry.direction or not _flags_fit(op, flags):
        return None
    if not _middle_fits(entry, op, constant.middle) or not _tail_fits(entry, constant.tail):
        return None
    space, pad = int.from_bytes(constant.middle[4:7], "big"), constant.middle[7]
    aad_off, aad_len, iv_len, ct_off = constant.middle[8:12]
    if not headers_fit(flags, aad_off, aad_len, iv_len, ct_off):
        return None
    if entry.transform.masters and (aad_len != _ESP_LEN or flags & ~Flag.MODE != Flag.SHOWN):
        return None
    if not entry.transform.any_header and (aad_len != _ESP_LEN or flags & (Flag.SHOWN | Flag.TIH)):
        return None
    udp_at = BASE + pad if pad else 0
    offsets = (BASE + aad_off, aad_len, iv_len, BASE + ct_off, udp_at)
    return Shape(constant, op, flags, nh, space, *offsets, constant.tail[1])


def _flags_fit(op: int, flags: int) -> bool:
    ending = flags & (Flag.TRAILER | Flag.TIH)
    trim, fill = flags & Flag.TRIM, flags & Flag.FILL
    if ending == Flag.TRAILER | Flag.TIH:
        return False
    if op == Op.OPEN:
        return bool(not fill or (trim and not ending))
    return not (trim and ending) and bool(not fill or ending or trim)


def headers_fit(flags: int, aad_off: int, aad_len: int, iv_len: int, ct_off: int) -> bool:
    """Tell whether the offsets of a descriptor agree, so that ``ct_off`` is where text begins."""
    clear = ct_off - aad_off - aad_len - iv_len
    if aad_len != _ESP_LEN and flags & _ESN:
        return False
    if not flags & _SHOWN:
        return aad_len in _AAD_LENS and not clear
    return aad_len >= _ESP_LEN and clear >= 0 and not (aad_len | clear) % 4


def _middle_fits(entry: KeyEntry, op: int, middle: bytes) -> bool:
    generation, pad, aad_off, _, iv_len, _ = middle[3], *middle[7:12]
    pad_fits = not pad or (op == Op.SEAL and _udp_fits(pad, aad_off))
    return pad_fits and generation == entry.generation and iv_len == entry.transform.iv_len


def _udp_fits(udp_off: int, aad_off: int) -> bool:
    return _IPV6_LEN <= udp_off <= aad_off - _UDP_LEN


def _tail_fits(entry: KeyEntry, tail: bytes) -> bool:
    icv_len, align = tail
    block = entry.transform.block
    return icv_len == entry.transform.icv_len and align.bit_count() == 1 and align >= block
