"""What the IKE core tells its owner. Every event is a fact: it needs no answer.

Deal with a peer's events before its datagrams leave: a responder's answer must not leave before the
inbound child SA that it promises is installed (RFC 7296 2.8).
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from p4esp.ike.constants import NotifyType
from p4esp.ike.delete_reason import DeleteReason
from p4esp.ike.internal_config import InternalConfig
from p4esp.ike.nat import NatStatus
from p4esp.ike.path import Path
from p4esp.ike.ppk import PpkMode
from p4esp.ike.redirection import Gateway
from p4esp.ipsec.identity import Identity
from p4esp.ipsec.sa import EVERYTHING, ChildSaParams, Share, UdpEncapsulation
from p4esp.ipsec.selectors import Address


class DownReason(StrEnum):
    """Why an SA is gone."""

    LOCAL_DELETE = "deleted by us"
    PEER_DELETE = "deleted by the peer"
    REKEYED = "replaced by a rekeyed SA"
    COLLISION = "redundant after a simultaneous rekey"
    PEER_DEAD = "the peer does not answer"
    PEER_CRASHED = "the peer has lost its state, and proves it"
    RESUMED = "a newer one was resumed from it"
    INITIAL_CONTACT = "the peer started afresh"
    IKE_SA_GONE = "its IKE SA is gone"
    PROTOCOL_ERROR = "the peer broke the protocol"
    REDIRECTED = "the peer is to use another gateway"
    NO_ROOM = "a newer one takes its place"
    EXPIRED = "its lifetime is over"
    IDLE = "it carried nothing for long"
    OUT_OF_STEP = "the peer was busy for too long: both ends' states must differ"


@dataclass(frozen=True, slots=True)
class IkeSaInfo:
    """An IKE SA, as far as others need to know it."""

    spi: bytes
    """Our SPI, 8 octets: names the IKE SA in commands and events."""
    peer_spi: bytes
    peer: str
    """Name of the peer's configuration; empty while a responder does not know it yet."""
    initiator: bool
    path: Path
    local_id: Identity | None = None
    remote_id: Identity | None = None
    suite: str = ""
    nat: NatStatus | None = None
    ppk: PpkMode = PpkMode.NONE
    """How a postquantum preshared key got into its keys."""
    ppk_id: str = ""
    """Which: type and name."""
    extensions: tuple[str, ...] = ()
    """Names of the notifies of extensions that both ends announced."""
    resumed: bool = False
    """Whether it was made from the keys of another (RFC 5723)."""

    @property
    def label(self) -> str:
        """Peer and our SPI, for people to read; the peer's address while its name is not known."""
        return f"{self.peer or self.path.remote.host} {self.spi.hex()}"


@dataclass(frozen=True, slots=True)
class IkeEstablished:
    """Both sides are authenticated."""

    ike: IkeSaInfo
    initial_contact: bool
    """The peer said that it has no other IKE SA with us."""


@dataclass(frozen=True, slots=True)
class IkeRekeyed:
    """`new` has taken over the child SAs of `old`, whose IkeDown follows (RFC 7296 1.3.2).

    Child SAs do not change with it.
    """

    old: IkeSaInfo
    new: IkeSaInfo


@dataclass(frozen=True, slots=True)
class IkeRekeyFailed:
    """The peer refused to rekey the IKE SA, which stays as it is."""

    ike: IkeSaInfo
    reason: str


@dataclass(frozen=True, slots=True)
class IkeDown:
    """An established IKE SA is gone; a ChildDown for each of its children came before."""

    ike: IkeSaInfo
    reason: DownReason
    detail: str = ""
    told: DeleteReason | None = None
    """What the peer that deleted it says why."""

    @property
    def why(self) -> str:
        """The reason in words."""
        return ": ".join(filter(None, (self.reason, self.detail, _words(self.told))))


@dataclass(frozen=True, slots=True)
class NegotiationFailed:
    """An IKE SA we tried to make did not come up."""

    ike: IkeSaInfo
    reason: str


@dataclass(frozen=True, slots=True)
class InitRefused:
    """The answer to IKE_SA_INIT was an error. It is not authenticated, so we keep waiting for a
    better one until retransmission ends.
    """

    ike: IkeSaInfo
    reason: str


@dataclass(frozen=True, slots=True)
class AuthenticationFailed:
    """One side did not accept the other's proof of identity; no IKE SA is left."""

    ike: IkeSaInfo
    reason: str


@dataclass(frozen=True, slots=True)
class InternalAddresses:
    """The responder gave the initiator addresses of its network, for the life of the IKE SA and
    its successors; `ike.initiator` says to whom.
    """

    ike: IkeSaInfo
    config: InternalConfig
    unreachable: tuple[Address, ...] = ()
    """Initiator: addresses of resolvers that the first child SA does not carry."""

    @property
    def text(self) -> str:
        """For people."""
        outside = ", ".join(map(str, self.unreachable))
        return f"{self.config}" + (f"; no child SA leads to {outside}" if outside else "")


@dataclass(frozen=True, slots=True)
class ChildUp:
    """A child SA is agreed on: install it, inbound first."""

    child: ChildSaParams


@dataclass(frozen=True, slots=True)
class ChildRekeyed:
    """`new` takes over from `old`: install it, keep `old` inbound until its ChildDown and a while
    after.

    Send on `new` at once when `new.initiator`; otherwise go on sending on `old` until it is down,
    because the peer may not have installed `new` yet (RFC 7296 2.8).
    """

    old: ChildSaParams
    new: ChildSaParams


@dataclass(frozen=True, slots=True)
class ChildDown:
    """A child SA is gone. Its inbound SPI is the allocator's again only when its owner says so."""

    child: ChildSaParams
    reason: DownReason
    told: DeleteReason | None = None
    """What the peer that deleted it, or its IKE SA, says why."""

    @property
    def why(self) -> str:
        """The reason in words."""
        return ": ".join(filter(None, (self.reason, _words(self.told))))


@dataclass(frozen=True, slots=True)
class ChildFailed:
    """A child SA we asked for was not made; the IKE SA stays."""

    ike: IkeSaInfo
    name: str
    reason: str
    detail: str = ""
    """What is known of why, where the peer only says that it will not."""
    share: Share = EVERYTHING
    """The part of the child's traffic that it was to be for."""
    refusal: NotifyType | None = None
    """The peer's error, where it has a name that we know."""


@dataclass(frozen=True, slots=True)
class PathMtuTold:
    """The peer says how long packets of a child SA may be. It is authenticated, and may be a lie.

    Lower what holds for the SA, within reason, for a while; never raise it.
    """

    child: ChildSaParams
    mtu: int
    """Octets of the largest IP packet."""
    inside: bool
    """Whether that is a packet inside the SA; else it is one outside."""
    inner: bytes = b""
    """The first octets, up to 64, of a packet inside that was longer."""


@dataclass(frozen=True, slots=True)
class PathChanged:
    """One end is elsewhere now: its NAT mapping changed (RFC 7296 2.23), or it moved (RFC 4555).

    The child SAs of the IKE SA must follow.
    """

    ike: IkeSaInfo
    old: Path
    new: Path
    encapsulation: UdpEncapsulation | None
    """How ESP travels from now on."""

    def followed_by(self, child: ChildSaParams) -> ChildSaParams:
        """What becomes of a child SA of this IKE SA; keys, SPIs and selectors stay."""
        local, remote = self.new.local.host, self.new.remote.host
        return replace(child, local=local, remote=remote, encapsulation=self.encapsulation)


@dataclass(frozen=True, slots=True)
class MoveRefused:
    """The peer does not want us at another path; we go on using the one before."""

    ike: IkeSaInfo
    reason: str
    path: Path


@dataclass(frozen=True, slots=True)
class Redirected:
    """The gateway sends us to another one (RFC 5685); this IKE SA ends.

    `IkeEndpoint.follow_redirect` starts again there. Before IKE_AUTH nobody vouches for it.
    """

    ike: IkeSaInfo
    gateway: Gateway
    children: tuple[str, ...]
    """Names of the child SAs it had, or was to have."""


@dataclass(frozen=True, slots=True)
class ReplayCountersSkipped:
    """One end has been taken over and may have missed packets, or have forgotten some that it sent:
    raise what child SAs count as sent (RFC 6311 5.2).
    """

    ike: IkeSaInfo
    children: tuple[int, ...]
    """Our inbound SPIs of them."""
    delta: int
    """What is to be added, packets."""


@dataclass(frozen=True, slots=True)
class PeerAlive:
    """The peer answered a liveness check that was asked for by command."""

    ike: IkeSaInfo


Event = (
    IkeEstablished
    | IkeRekeyed
    | IkeRekeyFailed
    | IkeDown
    | NegotiationFailed
    | InitRefused
    | AuthenticationFailed
    | InternalAddresses
    | ChildUp
    | ChildRekeyed
    | ChildDown
    | ChildFailed
    | PathMtuTold
    | PathChanged
    | MoveRefused
    | Redirected
    | ReplayCountersSkipped
    | PeerAlive
)


def _words(told: DeleteReason | None) -> str:
    return "" if told is None else str(told)


def peer_of(event: Event) -> str:
    """Name of the peer an event is about: one peer's events are dealt with in their order."""
    match event:
        case ChildUp(child) | ChildDown(child) | ChildRekeyed(new=child) | PathMtuTold(child):
            return child.peer
        case IkeRekeyed(new=ike):
            return ike.peer
        case _:
            return event.ike.peer
