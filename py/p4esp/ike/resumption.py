"""What one IKE SA knows of tickets (RFC 5723): those it has, gave away, or came from."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography import x509

from p4esp.ike.tickets import Serial

if TYPE_CHECKING:
    from p4esp.ike.sessions import Kept, Session


@dataclass(frozen=True, slots=True)
class Ticket:
    """One that the peer gave us, which means nothing to us."""

    data: bytes = field(repr=False)
    expires: float
    renew: float
    """When to ask for another one."""


@dataclass(slots=True)
class Resumption:
    """At both ends."""

    wanted: bool = False
    """Whether we ask the peer for tickets: we began the IKE SA."""
    peer_method: int = 0
    """The AUTH method by which the peer has proved its identity."""
    certificates: tuple[x509.Certificate, ...] = ()
    """The path by which it did, its own certificate first, if it did by certificates."""
    asking: bool = False
    """Whether our outstanding request asks for one."""
    asked: bool = False
    """Whether the request that is being answered asks for one."""
    ticket: Ticket | None = None
    issued: Serial | None = None
    """The ticket that we gave the peer last."""
    session: "Session | None" = None
    """What this IKE SA was resumed from."""
    presented: Serial | None = None
    """The ticket that the peer came with."""
    kept: "Kept | None" = None
    """What the IKE SA can be resumed with, once it is lost; its owner takes it."""

    def successor(self) -> "Resumption":
        """That of an IKE SA that replaces this one: a ticket is good for one IKE SA."""
        return Resumption(self.wanted, self.peer_method, self.certificates)
