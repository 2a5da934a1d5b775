"""TEMPORARY_FAILURE: ask again later, and not for ever (RFC 7296 2.25)."""

from p4esp.ike.events import DownReason
from p4esp.ike.state import IkeSaState, Phase
from p4esp.ike.tasks.base import InitiatorTask
from p4esp.ike.tasks.deleting import delete_ike

RETRY_DELAY = (5.0, 15.0)
"""Seconds, least and most, before trying again."""
PATIENCE = 180.0
"""Seconds of nothing but TEMPORARY_FAILURE to a task after which the ends must be out of step."""


def retry_later(sa: IkeSaState, task: InitiatorTask) -> None:
    """Put a refused task off; the IKE SA is deleted when the peer has refused for too long."""
    if task.refused_since is None:
        task.refused_since = sa.now
    if sa.now - max(task.refused_since, sa.answered) < PATIENCE:
        least, most = RETRY_DELAY
        delay = least + (most - least) * sa.env.fraction()
        sa.deferred.append((sa.now + delay, task))
    elif sa.phase is Phase.ESTABLISHED:
        delete_ike(sa, DownReason.OUT_OF_STEP)


def answered(sa: IkeSaState) -> None:
    """The peer gave a proper answer."""
    sa.answered = sa.now
