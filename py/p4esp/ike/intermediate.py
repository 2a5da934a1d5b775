"""What is known about the exchanges between IKE_SA_INIT and IKE_AUTH (RFC 9242)."""

from collections import deque
from dataclasses import dataclass, field

from p4esp.ike.crypto.int_auth import IntAuth
from p4esp.ike.crypto.keyexchange import KeyExchangeMethod


@dataclass(slots=True)
class IntermediateState:
    """Of one IKE SA, until it is established."""

    supported: bool = False
    """Whether the peer can do IKE_INTERMEDIATE."""
    pending: deque[type[KeyExchangeMethod]] = field(default_factory=deque)
    """Additional key exchanges that are still to come before IKE_AUTH (RFC 9370)."""
    int_auth: IntAuth = field(default_factory=IntAuth)
