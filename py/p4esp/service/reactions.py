"""What follows for reconnection from why a peer deleted an SA (digest 7.2): from the type and the
downtime alone, never from the text.
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from p4esp.ike.delete_reason import DeleteReason, ReasonType

STANDBY: Final = 3600.0
"""Seconds between attempts at what the peer has taken out of service, and the longest hold."""
SPREAD: Final = 0.1
"""Share of a downtime that is added at random, so that not all peers come back at once."""


class Course(Enum):
    """How a child comes back."""

    SOON = auto()
    """Like any that was lost; nothing is done where another SA serves by then."""
    SLOWLY = auto()
    """Like one that was refused: less and less often."""
    HELD = auto()
    """Not before a pause is over, whoever asks for it."""
    STOPPED = auto()
    """Not at all, until the peer makes it or the operator acts."""
    ON_DEMAND = auto()
    """When traffic asks for it."""


@dataclass(frozen=True, slots=True)
class Reaction:
    """What to do about a child that was deleted."""

    course: Course
    pause: float = 0.0
    """Seconds, of one that is held."""
    alert: bool = False
    """Whether the operator has to act, at one end or the other."""


_STANDBY: Final = Reaction(Course.HELD, STANDBY, alert=True)
_REACTIONS: Final = {
    ReasonType.SERVICE_SHUTDOWN: Reaction(Course.SLOWLY),
    ReasonType.SERVICE_RESTART: Reaction(Course.SOON),
    ReasonType.CONFIGURATION_CHILD_DELETED: Reaction(Course.STOPPED, alert=True),
    ReasonType.CONFIGURATION_IKE_DELETED: _STANDBY,
    ReasonType.CONFIGURATION_IKE_UPDATED: Reaction(Course.SOON),
    ReasonType.ADMINISTRATIVELY_DOWN: _STANDBY,
    ReasonType.IDLE_TIMEOUT: Reaction(Course.ON_DEMAND),
    ReasonType.INITIAL_CONTACT_REPLACED: Reaction(Course.SOON),
    ReasonType.REPLACED_SA: Reaction(Course.SOON),
    ReasonType.LIFETIME_EXCEEDED: Reaction(Course.SOON),
}


def reaction_to(told: DeleteReason, fraction: float) -> Reaction | None:
    """What to do; `fraction`, 0 <= fraction < 1, is random. None: as if nothing had been told."""
    if told.downtime:
        return Reaction(Course.HELD, min(told.downtime, STANDBY) * (1 + SPREAD * fraction))
    known = told.type in ReasonType.__members__.values()
    return _REACTIONS[ReasonType(told.type)] if known else None
