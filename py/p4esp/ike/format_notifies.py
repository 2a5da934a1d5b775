"""What notifies say of formats of ESP: octets, and nothing of who agreed to what.

Numbers and layouts are those of the registry (`p4esp.ipsec.formats`). All but that of WESP are ours
alone.
"""

from dataclasses import dataclass
from typing import Final

from p4esp.ike.codec.message import PayloadSet
from p4esp.ike.codec.payloads import Notify
from p4esp.ike.config import FormatWish
from p4esp.ike.constants import NotifyType
from p4esp.ike.notifies import data_of
from p4esp.ipsec.formats import Format

MOST_SUBS: Final = 1 << 16
UNIT: Final = 4
"""Octets that one unit of a crypt offset stands for."""
_OFFSET_FLAGS: Final = 0xC0
_WESP_OFFSET: Final = 0x3F
_TYPES: Final = frozenset(
    (
        NotifyType.ESP_TRAILER_IN_HEADER,
        NotifyType.ESP_HEADER_IN_TRAILER,
        NotifyType.ESP_CRYPT_OFFSET,
        NotifyType.USE_WESP_MODE,
        NotifyType.USE_WESPV2_MODE,
        NotifyType.SUB_CHILD_SA,
        NotifyType.REPLAY_SUBSPACES,
        NotifyType.HCP_PROPOSAL,
    )
)


@dataclass(frozen=True, slots=True)
class Stated:
    """What the sender of a notify says of itself."""

    subs: int = 1
    """Subspaces or sub-SAs that it receives."""
    shown: int = 0
    """Octets in clear that it accepts."""


def notify_of(form: Format, wish: FormatWish) -> Notify:
    """The notify that asks for a format, and that agrees to it."""
    kind, example = _template(form)
    match kind:
        case NotifyType.REPLAY_SUBSPACES:
            data = example[:2] + (wish.subs % MOST_SUBS).to_bytes(2, "big")
        case NotifyType.SUB_CHILD_SA:
            block = (wish.subs - 1).bit_length() if example[1] else 0
            data = bytes((example[0], block)) + (wish.subs - 1).to_bytes(2, "big") + example[4:]
        case NotifyType.ESP_CRYPT_OFFSET:
            data = bytes((wish.shown // UNIT, example[1]))
        case NotifyType.USE_WESPV2_MODE:
            data = bytes((wish.shown // UNIT,))
        case _:
            data = example
    return Notify(kind, data)


def _template(form: Format) -> tuple[NotifyType, bytes]:
    """The registry's example has every octet that the format itself fixes."""
    if form.notify is None:
        raise ValueError(f"format {form.name} is not negotiated")
    return NotifyType(form.notify.number), form.notify.example


def stated(form: Format, message: PayloadSet, *, answer: bool) -> Stated | None:
    """What a message says of a format; None: nothing, or another variant of it.

    An offer may name several variants, an answer only the one. Reserved bits do not count.
    """
    kind, example = _template(form)
    data = data_of(kind, message, (len(example),))
    if data is None:
        return None
    match kind:
        case NotifyType.REPLAY_SUBSPACES:
            number = int.from_bytes(data[2:], "big") or MOST_SUBS
            return Stated(subs=number) if data[0] == example[0] else None
        case NotifyType.SUB_CHILD_SA:
            return _stated_subs(data, example)
        case NotifyType.ESP_CRYPT_OFFSET | NotifyType.USE_WESPV2_MODE:
            return _stated_shown(data, example)
        case NotifyType.ESP_TRAILER_IN_HEADER if not answer:
            return Stated() if data[0] & example[0] else None
        case _:
            return Stated() if data == example else None


def _stated_shown(data: bytes, example: bytes) -> Stated | None:
    """WESPv2 may show nothing at all. Whether the peer knows flow IDs is nothing to us."""
    if len(example) == 1:
        return Stated(shown=(data[0] & _WESP_OFFSET) * UNIT)
    same_flags = not (data[1] ^ example[1]) & _OFFSET_FLAGS
    return Stated(shown=data[0] * UNIT) if data[0] and same_flags else None


def _stated_subs(data: bytes, example: bytes) -> Stated | None:
    """Format and key derivation are the responder's to pick, of what it knows: one of each."""
    subs = int.from_bytes(data[2:4], "big") + 1
    block = 1 << data[1] if example[1] else subs
    if (data[0], data[4:]) != (example[0], example[4:]) or subs > block:
        return None
    return Stated(subs=subs)


def unasked(message: PayloadSet, *, private: bool) -> Notify | None:
    """A notify about formats in an answer to a request that had none; `private`: whether numbers
    mean that which no RFC has.
    """
    types = _TYPES if private else {NotifyType.USE_WESP_MODE}
    return next((notify for notify in message.every(Notify) if notify.type in types), None)
