"""Additional key exchanges of one IKE SA: what is known of those that are under way (RFC 9370)."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from p4esp.ike.crypto.int_auth import IntAuth
from p4esp.ike.crypto.keyexchange import KeyExchangeMethod

FOLLOWUP_TIMEOUT = 60.0
"""Seconds after which a peer that does not go on must start over."""


@dataclass(slots=True)
class Followup:
    """What the peer's CREATE_CHILD_SA began and IKE_FOLLOWUP_KE exchanges are to complete."""

    link: bytes
    """What the next request must show; ours to choose."""
    expires: float
    methods: deque[type[KeyExchangeMethod]]
    """Those still to come."""
    finish: Callable[[bytes], None]
    """Makes the SA, given SK(1) | SK(2) | ...; may raise `Refusal`."""
    abandon: Callable[[], None]
    """Gives back what is held for it."""
    secrets: bytes = field(default=b"", repr=False)


@dataclass(slots=True)
class AdditionalExchanges:
    """Before IKE_AUTH, and after CREATE_CHILD_SA."""

    supported: bool = False
    """Whether the peer can do IKE_INTERMEDIATE."""
    rounds: int = 0
    """IKE_INTERMEDIATE exchanges that are still to come before IKE_AUTH."""
    pending: deque[type[KeyExchangeMethod]] = field(default_factory=deque)
    """Key exchange methods of them; the last round may be without."""
    int_auth: IntAuth = field(default_factory=IntAuth)
    followup: Followup | None = None
    """One at a time: a peer that begins anew gives up the one before."""

    def give_up_followup(self) -> None:
        """Forget what waits to be completed."""
        followup, self.followup = self.followup, None
        if followup is not None:
            followup.abandon()
