"""The mode of a child SA: asked for by a notify, and agreed to by the same one (RFC 7296 1.3.1,
draft-ietf-ipsecme-ikev2-beet-mode). Who leaves it out of an answer means a tunnel.
"""

from typing import Final

from p4esp.ike.children import ChildSa
from p4esp.ike.codec.message import PayloadSet
from p4esp.ike.codec.payloads import Notify
from p4esp.ike.constants import NotifyType
from p4esp.ike.errors import ProposalError, Refusal
from p4esp.ike.notifies import EMPTY, MalformedNotifyError, data_of, note_ignored, usable_data
from p4esp.ike.state import IkeSaState
from p4esp.ipsec.sa import Mode

MODE_NOTIFIES: Final = {
    Mode.TRANSPORT: NotifyType.USE_TRANSPORT_MODE,
    Mode.BEET: NotifyType.USE_BEET_MODE,
}


def mode_notifies(mode: Mode) -> list[Notify]:
    """What asks for a mode other than the tunnel, and agrees to it."""
    kind = MODE_NOTIFIES.get(mode)
    return [] if kind is None else [Notify(kind)]


def mode_asked(sa: IkeSaState, offer: PayloadSet, replaces: ChildSa | None) -> Mode:
    """The mode that a peer asks for, or that its rekey must stay with. `Refusal` when it is two at
    once, and when an SA is to be replaced by one in another mode.
    """
    beet = sa.announced.beet and usable_data(sa, NotifyType.USE_BEET_MODE, offer) is not None
    transport = offer.notify(NotifyType.USE_TRANSPORT_MODE) is not None
    if beet and transport:
        raise Refusal(NotifyType.INVALID_SYNTAX, "the peer asks for transport and beet mode")
    wish = _only(beet=beet, transport=transport)
    return wish if replaces is None else _kept(wish, replaces.params.mode)


def _only(*, beet: bool, transport: bool) -> Mode:
    if beet:
        return Mode.BEET
    return Mode.TRANSPORT if transport else Mode.TUNNEL


def _kept(wish: Mode, old: Mode) -> Mode:
    """A tunnel stays one whatever is asked for: its peer may have wished for more from the first,
    and took what it got.
    """
    if old not in (Mode.TUNNEL, wish):
        reason = f"an SA in {old} mode is not to be replaced by one in {wish} mode"
        raise Refusal(NotifyType.NO_PROPOSAL_CHOSEN, reason)
    return old


def mode_answered(sa: IkeSaState, answer: PayloadSet) -> Mode:
    """The mode that a responder agrees to; `ProposalError` when it does not say which."""
    try:
        data = data_of(NotifyType.USE_BEET_MODE, answer, EMPTY) if sa.announced.beet else None
    except MalformedNotifyError as error:
        raise ProposalError(f"the peer answered with {error}") from None
    transport = answer.notify(NotifyType.USE_TRANSPORT_MODE) is not None
    if data is not None and transport:
        raise ProposalError("the peer answered with transport and beet mode")
    if answer.notify(NotifyType.USE_AGGFRAG) is not None:
        note_ignored(sa, f"{NotifyType.USE_AGGFRAG.name}, which was not asked for")
    return _only(beet=data is not None, transport=transport)
