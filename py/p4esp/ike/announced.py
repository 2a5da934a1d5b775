"""What the two sides told each other in IKE_SA_INIT about what is to come."""

from dataclasses import dataclass, field

from p4esp.ike.auth.announcements import Announcement
from p4esp.ike.constants import NotifyType


@dataclass(slots=True)
class Announced:
    """Authenticated only by the AUTH payloads that cover those messages."""

    own_hashes: frozenset[int] = frozenset()
    """Hash algorithms for signatures that we announced (RFC 7427 4); empty: none."""
    peer_hashes: frozenset[int] = frozenset()
    """Those that the peer announced."""
    peer_auth: tuple[Announcement, ...] = ()
    """What the peer can verify (RFC 9593); empty: it has not said."""
    peer_authorities: tuple[bytes, ...] = ()
    """The authorities that the peer's CERTREQ payloads name, in their order."""
    owes_methods: bool = False
    """Whether we have promised to say in IKE_INTERMEDIATE what we can verify."""
    childless: bool = False
    """Whether IKE_AUTH may go without a child SA: the responder says so (RFC 6023)."""
    strongswan: bool = False
    """Whether the peer has strongSwan's vendor ID."""
    own_experimental: bool = False
    """Whether we sent our own vendor ID, which stands for numbers of formats of ESP."""
    peer_experimental: bool = False
    """Whether the peer sent it."""
    own: set[NotifyType] = field(default_factory=set)
    """Extensions that we announced by an empty notify."""
    peer: set[NotifyType] = field(default_factory=set)
    """Those that the peer announced."""

    @property
    def experimental(self) -> bool:
        """Whether such numbers mean anything between the two."""
        return self.own_experimental and self.peer_experimental

    @property
    def digital_signatures(self) -> bool:
        """Whether signatures are to be of method 14 (RFC 7427 3)."""
        return bool(self.own_hashes and self.peer_hashes)

    @property
    def beet(self) -> bool:
        """Whether USE_BEET_MODE means BEET between the two: strongSwan's number, which is ours."""
        return self.strongswan or self.experimental

    def agreed(self, kind: NotifyType) -> bool:
        """Whether both ends announced an extension."""
        return kind in self.own and kind in self.peer

    @property
    def extensions(self) -> tuple[str, ...]:
        """Names of those, in order."""
        return tuple(sorted(kind.name for kind in self.own & self.peer))
