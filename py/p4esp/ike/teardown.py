"""Ending an IKE SA, once and with everything said."""

from p4esp.ike.children import ChildTable
from p4esp.ike.delete_reason import DeleteReason
from p4esp.ike.events import DownReason, IkeDown, NegotiationFailed
from p4esp.ike.parting import settle_tickets
from p4esp.ike.state import IkeSaState, Phase

OVER = (Phase.CLOSED, Phase.DEAD)


def close(
    sa: IkeSaState, reason: DownReason, detail: str = "", told: DeleteReason | None = None
) -> None:
    """End an IKE SA whose last answer the peer may still ask for again; children go first. `told`
    is what the peer says why.
    """
    if sa.phase in OVER:
        return
    settle_tickets(sa, reason)
    if sa.provisional:
        sa.children = ChildTable()
    sa.drop_children(DownReason.IKE_SA_GONE, told)
    if sa.authenticated and not sa.provisional:
        sa.events.append(IkeDown(sa.info(), reason, detail, told))
    _release_successors(sa)
    sa.additional.give_up_followup()
    if sa.heir is None and not sa.provisional:
        sa.assigned.release()
    sa.phase = Phase.CLOSED


def _release_successors(sa: IkeSaState) -> None:
    """What the peer's rekey made goes along, unless it has taken over."""
    if sa.rival is not None:
        close(sa.rival, DownReason.IKE_SA_GONE)
        sa.rival.phase = Phase.DEAD
    for successor in sa.successors:
        successor.predecessor = None


def give_up(sa: IkeSaState, reason: DownReason, detail: str) -> None:
    """End an IKE SA for good, because of something the peer did or did not do."""
    if sa.initiator and not sa.authenticated and sa.phase not in OVER:
        sa.events.append(NegotiationFailed(sa.info(), detail))
    close(sa, reason, detail)
    sa.phase = Phase.DEAD
