"""What the operator decides: peers, their children, timers and limits."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from p4esp.ike.auth.credentials import PeerAuth
from p4esp.ike.encrypted_dns import ResolverOffer
from p4esp.ike.errors import CommandError
from p4esp.ike.extension_wishes import ExtensionWishes
from p4esp.ike.internal_config import InternalConfig
from p4esp.ike.path import Path
from p4esp.ike.pool import AddressPool
from p4esp.ike.ppk import PpkPolicy
from p4esp.ike.proposals import Template
from p4esp.ike.redirection import Gateway
from p4esp.ike.transport import Ports
from p4esp.ipsec.formats import Format, format_named
from p4esp.ipsec.identity import Identity
from p4esp.ipsec.identity_pattern import PeerIdentity
from p4esp.ipsec.sa import Mode
from p4esp.ipsec.selectors import Address, TrafficSelector

_HASHES = "prfsha256-prfsha384-prfsha512"
_METHODS = "x25519-ecp256-ecp384-ecp521-modp3072-modp4096-modp2048"
DEFAULT_IKE = (
    Template.ike(f"aes256gcm16-aes128gcm16-chacha20poly1305-{_HASHES}-{_METHODS}"),
    Template.ike(f"aes256-aes128-sha256-sha384-sha512-{_HASHES}-{_METHODS}"),
)
"""What RFC 8247 says MUST or SHOULD, AEAD first."""
DEFAULT_ESP = (Template.esp("aes256gcm16-aes128gcm16-chacha20poly1305-esn-noesn"),)
"""The AEAD ciphers of RFC 8221: those every data plane here carries."""


@dataclass(frozen=True, slots=True)
class Limit:
    """A rekey begins at `soft`, or up to the share `spread` of it earlier; use ends at `hard`."""

    soft: float
    hard: float
    spread: float = 0.1

    def __post_init__(self) -> None:
        if not 0 < self.soft < self.hard or not 0 <= self.spread < 1:
            raise ValueError(
                f"limit: soft {self.soft:g}, hard {self.hard:g}, spread {self.spread:g}; "
                "accepted: 0 < soft < hard, 0 <= spread < 1"
            )

    def rekey_at(self, fraction: float) -> float:
        """Where a rekey begins; `fraction`, 0 <= fraction < 1, is random, so that the two ends
        seldom begin at once (RFC 7296 2.8.1).
        """
        return self.soft * (1.0 - self.spread * fraction)


@dataclass(frozen=True, slots=True)
class Lifetime:
    """What a child SA may last and carry, in the busier direction; None: without limit."""

    seconds: Limit | None = None
    octets: Limit | None = None
    packets: Limit | None = None


@dataclass(frozen=True, slots=True)
class FormatWish:
    """How packets of a child SA are to be laid out, where the peer agrees."""

    name: str = "esp"
    """A name of `p4esp.ipsec.formats`."""
    subs: int = 1
    """Subspaces or sub-SAs that we can receive, of formats that have them."""
    shown: int = 0
    """Octets of each payload in clear at most, of formats that show some; of EESP the payload info
    header is the first 4.
    """
    required: bool = False
    """Without the peer's consent: no child SA, rather than plain ESP."""
    numbered: bool = True
    """False: EESP without sequence numbers, and so without protection against replays."""
    spi_octets: int = 4
    """Of Diet-ESP: how many low octets of the SPI must be sent at least."""
    sn_octets: int = 4
    """Those of the sequence number."""
    trailer: bool = True
    """Of Diet-ESP: whether the ESP trailer must be sent."""

    @property
    def plain(self) -> bool:
        """Whether nothing beyond RFC 4303 is wanted."""
        return self.name == "esp"

    @property
    def form(self) -> Format:
        """The format of that name."""
        return format_named(self.name)


class ChildKe(StrEnum):
    """Which key exchange a CREATE_CHILD_SA for a child may have (RFC 7296 1.3.1)."""

    LISTED = "listed"
    """That of its proposals; none where they name none."""
    IKE = "ike"
    """That of its proposals, else that of the IKE SA."""
    OPTIONAL = "optional"
    """That of its proposals, else that of the IKE SA, else none."""
    NONE = "none"
    """None, whatever its proposals name."""


@dataclass(frozen=True, slots=True)
class ChildConfig:
    """A child SA we would make or accept."""

    name: str
    local_ts: tuple[TrafficSelector, ...]
    remote_ts: tuple[TrafficSelector, ...]
    proposals: tuple[Template, ...] = DEFAULT_ESP
    lifetime: Lifetime = field(default_factory=Lifetime)
    mode: Mode = Mode.TUNNEL
    """In transport mode the selectors are narrowed to the two hosts of the IKE SA; those of BEET
    mode are one pair of inner addresses.
    """
    format: FormatWish = field(default_factory=FormatWish)
    ke: ChildKe = ChildKe.LISTED
    resources: int = 0
    """Resources over which its traffic may be spread, one SA each beside the first (RFC 9611); 0:
    none.
    """
    dscp_classes: tuple[tuple[int, ...], ...] = ()
    """DSCPs, ascending, of traffic that has an SA of its own; all others have the first SA."""
    labels: tuple[bytes, ...] = ()
    """Security labels (RFC 9478), without NUL, best first: an SA has one of them."""
    label_required: bool = True
    """With a peer that knows no labels make no child SA, rather than one without a label."""
    mode_required: bool = True
    """Without the peer's consent to the mode: no child SA, rather than a tunnel."""


class Childless(StrEnum):
    """Whether IKE_AUTH makes a child SA (RFC 6023)."""

    ALLOW = "allow"
    """As the initiator wants."""
    FORCE = "force"
    """Never: each child SA has a CREATE_CHILD_SA of its own, with a key exchange where wanted."""
    NEVER = "never"
    """Always."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a peer gets of our network when it asks (RFC 7296 2.19)."""

    pools: tuple[AddressPool, ...]
    """One address of each pool whose IP version the peer wants."""
    config: InternalConfig = field(default_factory=InternalConfig)
    """What goes with the addresses."""
    required: bool = True
    """Make no child SA for a peer that does not ask: it could claim anybody's address."""
    resolvers: tuple[ResolverOffer, ...] = ()
    """Name servers with encryption, for a peer that asks for such."""


@dataclass(frozen=True, slots=True)
class PeerConfig:
    """A peer, as initiator and as responder."""

    name: str
    local_id: Identity
    remote_id: PeerIdentity
    """Who the peer may be."""
    auth: PeerAuth
    """How we prove who we are, and how the peer must."""
    local: Address | None = None
    """Our address towards this peer; None: any."""
    remote: Address | None = None
    """The peer's address; None: any, then it can only be the initiator."""
    proposals: tuple[Template, ...] = DEFAULT_IKE
    children: tuple[ChildConfig, ...] = ()
    lifetime: Limit | None = None
    """Seconds an IKE SA lives; None: without limit."""
    dpd_delay: float | None = None
    """Seconds of silence after which the peer must prove it lives; None: never asked."""
    initial_contact: bool = True
    """Tell the peer to drop what it still has of us, when we have nothing of it."""
    ppk: PpkPolicy | None = None
    """Keys mixed into those of the IKE SA where the peer has one of them, too (RFC 8784, 9867)."""
    force_encapsulation: bool = False
    """Pretend to be behind a NAT, so that ESP is carried in UDP."""
    childless: Childless = Childless.ALLOW
    assignment: Assignment | None = None
    """Internal addresses for the peer; its side of child SAs is then no more than these."""
    request_addresses: tuple[int, ...] = ()
    """IP versions (4, 6) of which we ask the peer for an internal address."""
    request_encrypted_dns: bool = False
    """Ask with the addresses for name servers that are spoken to under encryption (RFC 9464)."""
    mobike: bool = False
    """Let the end that began change its addresses (RFC 4555): the peer's to any, whatever `remote`
    says.
    """
    follow_redirects: bool = False
    """Go to another gateway when the peer sends us there (RFC 5685); it must prove the same
    identity.
    """
    redirect_to: Gateway | None = None
    """Send the peer to this gateway, where it can follow."""
    additional_local: tuple[Address, ...] = ()
    """Further addresses at which the peer can reach us; told with MOBIKE."""
    extensions: ExtensionWishes = field(default_factory=ExtensionWishes)
    """Extensions of IKE to use where the peer has them too."""

    def may_use(self, path: Path) -> bool:
        """Whether the addresses of a path fit this peer."""
        return self.local in (None, path.local.host) and self.remote in (None, path.remote.host)

    def child(self, name: str) -> ChildConfig:
        """The child configuration of a name."""
        for child in self.children:
            if child.name == name:
                return child
        names = ", ".join(child.name for child in self.children) or "none"
        raise CommandError(f"peer {self.name} has no child {name!r}; it has {names}")


@dataclass(frozen=True, slots=True)
class Retransmission:
    """When a request is sent again (RFC 7296 2.4). Times are seconds.

    The defaults are strongSwan's: waits of 4, 7.2, 13, 23, 42 and 76 s, 165 s until giving up.
    """

    first: float = 4.0
    base: float = 1.8
    tries: int = 5
    """Retransmissions after the first transmission."""
    jitter: float = 0.1
    """Largest share of a wait that may be taken off at random."""

    def wait(self, sent: int, fraction: float) -> float:
        """Seconds to wait after the transmission number `sent` (0 = the first).

        `fraction`, 0 <= fraction < 1, is random.
        """
        return self.first * self.base**sent * (1.0 - self.jitter * fraction)

    @property
    def total(self) -> float:
        """Seconds, at most, until a request without answer is given up."""
        return sum(self.wait(sent, 0.0) for sent in range(self.tries + 1))


@dataclass(frozen=True, slots=True)
class Settings:
    """Timers (seconds) and limits of one endpoint."""

    ports: Ports = field(default_factory=Ports)
    retransmission: Retransmission = field(default_factory=Retransmission)
    half_open_timeout: float = 30.0
    """A responder forgets an IKE SA that is not authenticated by then."""
    linger: float = 10.0
    """A closed IKE SA still answers retransmissions of the last request for so long."""
    cookie_threshold: int = 16
    """Half-open IKE SAs from which on initiators must show a cookie (RFC 7296 2.6). Lower than the
    limits below, so that nobody fills them under another's address.
    """
    max_half_open: int = 1000
    """Half-open IKE SAs; at the limit the oldest gives way."""
    max_half_open_per_source: int = 32
    init_rate: float = 20.0
    """IKE_SA_INIT requests per second and source that are looked at. Beyond that a cookie must be
    shown, and with cookies no more than that again.
    """
    futile_rate: float = 10.0
    """IKE_SA_INIT requests per second, of all sources, that come to nothing before all initiators
    must show a cookie.
    """
    max_auth_failures: int = 10
    """Failed authentications of one source in `auth_failure_period` seconds, after which it opens
    no IKE SA for a while.
    """
    auth_failure_period: float = 60.0
    max_sources: int = 4096
    """Sources for which rates are kept; the longest silent is forgotten first."""
    max_ike_sas: int = 20_000
    """IKE SAs in all; peers open none beyond, we may."""
    max_ike_sas_per_peer: int = 8
    """IKE SAs with one pair of identities; the oldest is deleted for the newest."""
    max_init_size: int = 4096
    """Octets of the largest IKE_SA_INIT request that is looked at."""
    fragment_size: int = 1280
    """Octets of the largest IP packet a protected message may make when the peer takes fragments
    (RFC 7383 2.5.1); 576 for IPv4 networks that are poorer than that.
    """
    max_fragments: int = 64
    """Fragments of one message that are accepted."""
    max_message_size: int = 32_768
    """Octets of payloads in one message that are put together from fragments."""
    max_fragment_memory: int = 16 << 20
    """Octets of fragments that may wait at all IKE SAs together; half of it for half-open ones."""
    reassembly_timeout: float = 30.0
    """An incomplete message is forgotten after so long."""
    max_children: int = 64
    """Child SAs that a peer may make under one IKE SA; as many again may be there while they are
    being replaced, else at the limit none could be rekeyed.
    """
    create_child_rate: float = 20.0
    """CREATE_CHILD_SA requests per second that a peer may make for long: each takes computing here
    and work in the data plane.
    """
    nat_keepalive: float = 20.0
    """Seconds without a datagram of ours after which a keepalive goes out when we are behind a NAT
    (RFC 3948 4); 0: none are sent.
    """
    ticket_lifetime: float = 3600.0
    """Seconds a ticket for a peer is good, at most (RFC 5723 9.8)."""
    hint_interval: float = 10.0
    """Seconds between liveness checks of one IKE SA that unauthenticated messages may cause."""
    audit_rate: float = 20.0
    """Records per second of messages that were not used; the others are counted."""
    experimental: bool = False
    """Whether formats of ESP and extensions that are no standard may be agreed on, by private
    numbers and under our vendor ID.
    """
    unprotected_replies: float = 10.0
    """Answers per second to messages outside any IKE SA (errors only)."""


PeerLookup = Callable[[Path], tuple[PeerConfig, ...]]
"""Configurations that may be meant by an IKE_SA_INIT request on a path."""
