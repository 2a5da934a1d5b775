"""Reading notifies that come once and hold so many octets, and saying which were not used."""

from collections.abc import Container
from typing import TYPE_CHECKING

from p4esp.ike.codec.message import PayloadSet
from p4esp.ike.codec.payloads import Notify
from p4esp.ike.constants import NotifyType
from p4esp.ike.drops import Drop
from p4esp.ike.trace import TraceKind, TraceRecord

if TYPE_CHECKING:
    from p4esp.ike.state import IkeSaState

EMPTY: Container[int] = (0,)
"""Sizes of a notify without data."""


class MalformedNotifyError(ValueError):
    """A notify that says nothing: wrong length, with an SPI, or there twice."""


def data_of(kind: NotifyType, message: PayloadSet, sizes: Container[int]) -> bytes | None:
    """What a message holds of a notify, which must have one of these sizes; None: nothing."""
    found = message.notifies(kind)
    if not found:
        return None
    if len(found) > 1:
        raise MalformedNotifyError(f"{found[0]} is there {len(found)} times; accepted: once")
    _check(found[0], sizes)
    return found[0].data


def _check(notify: Notify, sizes: Container[int]) -> None:
    """Without an SPI the protocol does not count (RFC 7296 3.10)."""
    if notify.spi:
        raise MalformedNotifyError(
            f"{notify} of protocol {notify.protocol} with {len(notify.spi)} octets of SPI; "
            "accepted: none"
        )
    if len(notify.data) not in sizes:
        raise MalformedNotifyError(f"{notify} holds {len(notify.data)} octets; accepted: {sizes}")


def usable_data(
    sa: "IkeSaState", kind: NotifyType, message: PayloadSet, sizes: Container[int] = EMPTY
) -> bytes | None:
    """The same, but one that is malformed counts as none and is recorded (RFC 7296 2.5: what is
    not understood is ignored).
    """
    try:
        return data_of(kind, message, sizes)
    except MalformedNotifyError as error:
        note_ignored(sa, str(error))
        return None


def usable_each(
    sa: "IkeSaState", kind: NotifyType, message: PayloadSet, sizes: Container[int]
) -> list[bytes]:
    """What a message holds of a notify that may come several times, malformed ones left out."""
    found = []
    for notify in message.notifies(kind):
        data = usable_data(sa, kind, PayloadSet((notify,)), sizes)
        found += [] if data is None else [data]
    return found


def note_ignored(sa: "IkeSaState", reason: str) -> None:
    """Record a notify that is not used, while the rest of its message is."""
    hook = sa.env.dropped or sa.env.trace
    if hook is not None:
        peer = sa.peer.name if sa.peer else ""
        hook(
            TraceRecord(
                *(sa.now, TraceKind.DROPPED, sa.path, None, peer),
                drop=Drop.IGNORED_NOTIFY,
                reason=f"ignored: {reason}",
            )
        )
