"""DELETE_REASON beside Delete payloads (draft-pwouters-ipsecme-delete-info, digest 7).

Nothing is negotiated: it is sent to, and heeded from, a peer that has our vendor ID, without which
the number means nothing.
"""

from typing import Final

from p4esp.ike.codec.message import PayloadSet
from p4esp.ike.codec.payload import AnyPayload
from p4esp.ike.codec.payloads import Delete, Notify
from p4esp.ike.constants import NotifyType
from p4esp.ike.delete_reason import SIZES, DeleteReason, ReasonType
from p4esp.ike.errors import CommandError
from p4esp.ike.events import DownReason
from p4esp.ike.notifies import note_ignored, usable_data
from p4esp.ike.state import IkeSaState

_KIND: Final = NotifyType.DELETE_REASON
_TYPES: Final = {
    DownReason.LOCAL_DELETE: ReasonType.SERVICE_RESTART,
    DownReason.REKEYED: ReasonType.REPLACED_SA,
    DownReason.COLLISION: ReasonType.REPLACED_SA,
    DownReason.NO_ROOM: ReasonType.REPLACED_SA,
    DownReason.IDLE: ReasonType.IDLE_TIMEOUT,
    DownReason.EXPIRED: ReasonType.LIFETIME_EXCEEDED,
}
"""What we say of our own reasons; for the others there is no type. An SA that is deleted by command
is made again soon unless the command says why not.
"""


def tells_reasons(sa: IkeSaState) -> bool:
    """Whether the two ends tell each other why."""
    return sa.authenticated and sa.announced.experimental and sa.config.extensions.delete_reason


def reason_given(
    sa: IkeSaState, down: DownReason, given: DeleteReason | None = None
) -> list[AnyPayload]:
    """The notify that goes with our Delete; `given` is what a command says of it."""
    if not tells_reasons(sa):
        return []
    known = _TYPES.get(down)
    reason = given or (None if known is None else DeleteReason(known))
    if reason is None:
        return []
    old = sa.config.extensions.delete_downtime
    return [Notify(_KIND, reason.encode_downtime() if old else reason.encode())]


def reason_told(sa: IkeSaState, request: PayloadSet) -> DeleteReason | None:
    """What the peer says of its Deletes, all of one message alike; None: nothing that counts."""
    if not tells_reasons(sa):
        return None
    data = usable_data(sa, _KIND, request, SIZES)
    if data is None:
        return None
    if not request.has(Delete):
        note_ignored(sa, f"N({_KIND.name}) without a Delete payload")
        return None
    old = sa.config.extensions.delete_downtime
    return DeleteReason.parse_downtime(data) if old else DeleteReason.parse(data)


def check_tellable(sa: IkeSaState, given: DeleteReason | None) -> None:
    """`CommandError` when a command's reason would not reach the peer."""
    if given is None:
        return
    if not tells_reasons(sa):
        raise CommandError(
            "the peer would not hear why: DELETE_REASON takes extensions.delete_reason and "
            "experimental at both ends; accepted: no reason, text or downtime"
        )
    if given.downtime and not sa.config.extensions.delete_downtime:
        raise CommandError("a downtime is told by extensions.delete_downtime; accepted: none")
