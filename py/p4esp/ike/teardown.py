"""Ending an IKE SA, once and with everything said."""

from p4esp.ike.events import DownReason, IkeDown, NegotiationFailed
from p4esp.ike.state import IkeSaState, Phase

OVER = (Phase.CLOSED, Phase.DEAD)


def close(sa: IkeSaState, reason: DownReason, detail: str = "") -> None:
    """End an IKE SA whose last answer the peer may still ask for again; children go first."""
    if sa.phase in OVER:
        return
    sa.drop_children(DownReason.IKE_SA_GONE)
    if sa.authenticated:
        sa.events.append(IkeDown(sa.info(), reason, detail))
    sa.phase = Phase.CLOSED


def give_up(sa: IkeSaState, reason: DownReason, detail: str) -> None:
    """End an IKE SA for good, because of something the peer did or did not do."""
    if sa.initiator and not sa.authenticated and sa.phase not in OVER:
        sa.events.append(NegotiationFailed(sa.info(), detail))
    close(sa, reason, detail)
    sa.phase = Phase.DEAD
