"""What becomes of tickets when their IKE SA ends (RFC 5723 6.2, 9.8)."""

from typing import Final

from p4esp.ike.events import DownReason
from p4esp.ike.sessions import Kept, Session
from p4esp.ike.state import IkeSaState

LOST: Final = (DownReason.PEER_DEAD, DownReason.PEER_CRASHED)
"""Ends after which an IKE SA may be resumed; after all others its tickets are void."""


def settle_tickets(sa: IkeSaState, reason: DownReason) -> None:
    """Keep ours where the IKE SA is lost rather than deleted; else revoke what we gave away."""
    tickets = sa.resumption
    if reason not in LOST:
        if tickets.issued is not None:
            sa.env.tickets.spend(tickets.issued, sa.now)
    elif tickets.ticket is not None and sa.authenticated and not sa.provisional:
        tickets.kept = Kept(tickets.ticket.data, tickets.ticket.expires, Session.of(sa))
    tickets.ticket = tickets.issued = None
