"""What is known about one IKE SA: the data that tasks and extensions read and change."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum, auto
from typing import TYPE_CHECKING, Protocol

from p4esp.ike.additional import AdditionalExchanges
from p4esp.ike.announced import Announced
from p4esp.ike.assigning import Assigned
from p4esp.ike.children import ChildSa, ChildTable
from p4esp.ike.codec.proposal import Proposal
from p4esp.ike.config import PeerConfig, Settings
from p4esp.ike.constants import NO_SPI
from p4esp.ike.crash_tokens import CrashTokens
from p4esp.ike.crypto.keyexchange import RandomSource
from p4esp.ike.crypto.schedule import IkeKeys, Nonces
from p4esp.ike.crypto.suite import IkeSuite
from p4esp.ike.delete_reason import DeleteReason
from p4esp.ike.events import ChildDown, DownReason, Event, IkeSaInfo, PathChanged
from p4esp.ike.memory import Memory
from p4esp.ike.mobility import Mobility
from p4esp.ike.nat import NatStatus
from p4esp.ike.path import Path
from p4esp.ike.ppk import PostquantumKey, PpkMode, shown
from p4esp.ike.protection import Protection
from p4esp.ike.ratelimit import RateLimit
from p4esp.ike.redirection import Redirection
from p4esp.ike.resumption import Resumption
from p4esp.ike.term import Term
from p4esp.ike.tickets import TicketOffice
from p4esp.ike.trace import TraceHook
from p4esp.ipsec.diet import Apart
from p4esp.ipsec.identity import Identity
from p4esp.ipsec.sa import Mode, UdpEncapsulation
from p4esp.ipsec.selectors import TrafficSelector

if TYPE_CHECKING:
    from p4esp.ike.extensions.base import Extension
    from p4esp.ike.tasks.base import InitiatorTask


class SpiAllocator(Protocol):
    """Gives out inbound ESP SPIs: 256..0xFFFFFFFF, never one that is in use."""

    def allocate(self, count: int = 1, apart: Apart | None = None) -> int:
        """A free SPI, from now on in use; `LookupError` when no more child SAs can be had. Of a
        block of `count`, a power of two, the first, aligned to the size. With `apart` it differs
        from others in its low octets, which are not 0.
        """

    def release(self, spi: int) -> None:
        """Take back an SPI, or the block that begins with it, which no ChildUp or ChildRekeyed
        event has named.
        """


@dataclass(frozen=True, slots=True)
class IntendedSa:
    """A child SA that is about to be agreed to."""

    peer: str
    """Name of the peer's configuration."""
    remote_id: Identity
    """Who the peer has proved to be: one configuration may be for several."""
    child: str
    """Name of the child configuration."""
    mode: Mode
    local_ts: Sequence[TrafficSelector]
    remote_ts: Sequence[TrafficSelector]


Objection = Callable[[IntendedSa], str | None]
"""Why the owner cannot carry such a child SA; None when it can."""


def no_objection(sa: IntendedSa) -> str | None:
    """The owner can carry whatever the configuration allows."""
    return None


KeyExport = Callable[[bytes, bytes, IkeSuite, IkeKeys], None]
"""Called with SPIi, SPIr, algorithms and keys of each new IKE SA; only for explicit key export.

The keys are overwritten when the IKE SA ends: who wants to keep them copies them at once.
"""


WallClock = Callable[[], datetime]
"""The time of day, aware of its zone: only for the validity of certificates."""


@dataclass(frozen=True, slots=True)
class Environment:
    """What an IKE SA needs from outside, shared by all SAs of an endpoint."""

    random: RandomSource
    spis: SpiAllocator
    settings: Settings
    extensions: Sequence["Extension"] = ()
    trace: TraceHook | None = None
    dropped: TraceHook | None = None
    """Takes the records of dropped messages instead of `trace`; an endpoint sets it."""
    fragments: Memory = field(default_factory=lambda: Memory(Settings().max_fragment_memory))
    """For incomplete messages; an endpoint sets it by its settings."""
    export_keys: KeyExport | None = None
    objection: Objection = no_objection
    """Asked before a child SA is agreed to (RFC 7296 2.9: TS_UNACCEPTABLE)."""
    wall_clock: WallClock = field(kw_only=True)
    tickets: TicketOffice = field(init=False)
    """For peers that want to resume an IKE SA (RFC 5723)."""
    moves_counters: bool = field(default=False, kw_only=True)
    """Whether the owner acts on `ReplayCountersSkipped` (RFC 6311)."""
    token_secret: bytes = field(default=b"", repr=False, kw_only=True)
    """What our crash tokens are made of (RFC 6290 5.1): kept for good by the owner, who gives none
    where no peer is to have tokens.
    """

    def __post_init__(self) -> None:
        """The keys of tickets are new with each process."""
        object.__setattr__(self, "tickets", TicketOffice(self.random))

    def fraction(self) -> float:
        """A random number, 0 <= fraction < 1."""
        return int.from_bytes(self.random(4), "big") / 2**32


class Phase(Enum):
    """Life of an IKE SA."""

    NEGOTIATING = auto()
    """Not authenticated; half-open when we are the responder."""
    ESTABLISHED = auto()
    STANDBY = auto()
    """Made by rekeying another, whose child SAs it shares until it takes them over or goes."""
    REKEYED = auto()
    """A successor has its child SAs; the peer is about to delete it."""
    DELETING = auto()
    """We asked the peer to delete it."""
    CLOSED = auto()
    """Over, but retransmissions of the last request still get their answer for a while."""
    DEAD = auto()


class Subject(Enum):
    """What our outstanding request changes: this decides collisions (RFC 7296 2.25)."""

    NOTHING = auto()
    CHILD_SA = auto()
    IKE_SA = auto()


@dataclass(slots=True)
class PostquantumState:
    """Use of a postquantum preshared key (RFC 8784, RFC 9867)."""

    announced: frozenset[PpkMode] = frozenset()
    """Initiator: the ways that it offered in IKE_SA_INIT."""
    agreed: PpkMode = PpkMode.NONE
    """The way that both ends announced there."""
    mode: PpkMode = PpkMode.NONE
    """The way that `key` got into the keys in force."""
    key: PostquantumKey | None = None
    """It stays known for as long as the IKE SA lives, whatever becomes of its source."""
    owner: str = ""
    """Name of the peer that it was found for: in IKE_INTERMEDIATE the responder cannot be sure."""
    declined: bool = False
    """Whether the peer took none in CREATE_CHILD_SA of an offer that used one up."""
    plain: IkeKeys | None = None
    """Initiator: the keys without it, which count when the responder cannot use it."""


class IkeSaState:
    """One IKE SA's data. `initiator` and SPIs are those of the IKE SA, not of an exchange."""

    def __init__(
        self,
        env: Environment,
        path: Path,
        now: float,
        *,
        spi_i: bytes,
        spi_r: bytes = NO_SPI,
        peer: PeerConfig | None = None,
        candidates: Sequence[PeerConfig] = (),
    ) -> None:
        """With `peer` we are the initiator; a responder has `candidates` until IKE_AUTH."""
        self.env, self.now = env, now
        self.initiator = peer is not None
        self.spi_i, self.spi_r = spi_i, spi_r
        self.peer = peer
        self.candidates = tuple(candidates)
        self.remote_id: Identity | None = None
        """Who the peer has proved to be; ID_NULL for one that proved nothing."""
        self.phase = Phase.NEGOTIATING
        self.authenticated = False
        self.provisional = False
        """Whether it was made by a rekey and has not taken over: its owner has not heard of it."""
        self.init_request = self.init_response = b""
        self.nonces = Nonces(b"", b"")
        self.proposal: Proposal | None = None
        self.suite: IkeSuite | None = None
        self.keys: IkeKeys | None = None
        self.protection: Protection | None = None
        self.additional, self.ppk = AdditionalExchanges(), PostquantumState()
        self.nat: NatStatus | None = None
        self.mobility = Mobility(path, path, mover=self.initiator)
        self.fragmentation = False
        """Whether protected messages may travel in fragments (RFC 7383); rekeying inherits it."""
        self.announced, self.crash = Announced(), CrashTokens.at(now)
        self.redirection = Redirection()
        self.assigned = Assigned()
        self.first_contact = False
        """Initiator: we have no other IKE SA with the peer. Responder: the peer says so."""
        self.children = ChildTable()
        self.asked_of_us = _allowance(env.settings, now)
        """CREATE_CHILD_SA requests of the peer, on this IKE SA and its successors."""
        self.awaiting_child = False
        """Whether the peer may already have a child SA whose answer has not reached us."""
        self.early_deletes: set[tuple[int, int]] = set()
        """Protocols and SPIs of the peer's that it deleted while we awaited such an answer."""
        self.term, self.resumption = Term(), Resumption()
        self.asking = Subject.NOTHING
        self.successors: list[IkeSaState] = []
        """IKE SAs made by rekeying this one: two when both ends do so at once."""
        self.rival: IkeSaState | None = None
        """What the peer's exchange made while ours was outstanding, not decided yet."""
        self.heir: IkeSaState | None = None
        """The successor that has our child SAs."""
        self.predecessor: IkeSaState | None = None
        """The IKE SA that this one was made from, until that is over."""
        self.answered = now
        """When the peer last gave a proper answer to CREATE_CHILD_SA."""
        self.events: deque[Event] = deque()
        self.tasks: deque[InitiatorTask] = deque()
        self.deferred: list[tuple[float, InitiatorTask]] = []

    def successor(self, spi_i: bytes, spi_r: bytes, *, initiator: bool) -> "IkeSaState":
        """An IKE SA without keys that may take over from this one (RFC 7296 1.3.2, 2.18).

        What the initial exchanges settled outlives them; message IDs start again from 0.
        """
        new = IkeSaState(self.env, self.path, self.now, spi_i=spi_i, spi_r=spi_r, peer=self.config)
        new.initiator, new.phase = initiator, Phase.STANDBY
        new.authenticated, new.provisional, new.nat = True, True, self.nat
        new.fragmentation, new.mobility = self.fragmentation, self.mobility
        new.ppk = replace(self.ppk)
        new.redirection, new.asked_of_us = self.redirection, self.asked_of_us
        new.children, new.predecessor = self.children, self
        new.remote_id, new.assigned = self.remote_id, self.assigned
        new.announced = self.announced
        new.resumption = self.resumption.successor()
        new.crash = self.crash.passed_on(self.now, made_by_us=initiator)
        self.successors.append(new)
        return new

    @property
    def own_spi(self) -> bytes:
        """The SPI by which messages reach us."""
        return self.spi_i if self.initiator else self.spi_r

    @property
    def peer_spi(self) -> bytes:
        """The peer's SPI; zero while unknown."""
        return self.spi_r if self.initiator else self.spi_i

    @property
    def config(self) -> PeerConfig:
        """The peer's configuration; known to the initiator, and to all once authenticated."""
        if self.peer is None:
            raise RuntimeError("the peer of this IKE SA is not known yet")
        return self.peer

    @property
    def in_question(self) -> Sequence[PeerConfig]:
        """Whose configuration it may be: a responder learns that in IKE_AUTH."""
        return self.candidates if self.peer is None else (self.peer,)

    @property
    def proven_id(self) -> Identity:
        """Who the peer is; known once it is authenticated."""
        if self.remote_id is None:
            raise RuntimeError("the peer of this IKE SA is not authenticated yet")
        return self.remote_id

    @property
    def secrets(self) -> tuple[IkeSuite, IkeKeys]:
        """Algorithms and keys; there are some once IKE_SA_INIT is done."""
        if self.suite is None or self.keys is None:
            raise RuntimeError("this IKE SA has no keys")
        return self.suite, self.keys

    def info(self) -> IkeSaInfo:
        """A summary for events."""
        peer = self.peer
        return IkeSaInfo(
            self.own_spi,
            self.peer_spi,
            peer.name if peer else "",
            self.initiator,
            self.path,
            peer.local_id if peer else None,
            self.remote_id or _expected(peer),
            str(self.suite) if self.suite else "",
            self.nat,
            self.ppk.mode,
            shown(self.ppk.key.identity) if self.ppk.key else "",
            self.announced.extensions,
            self.resumption.session is not None,
        )

    @property
    def path(self) -> Path:
        """The path in use for IKE; successors share it."""
        return self.mobility.path

    @property
    def encapsulation(self) -> UdpEncapsulation | None:
        """How ESP travels on the path in use."""
        if self.nat is None or not self.nat.found:
            return None
        return UdpEncapsulation(self.path.local.port, self.path.remote.port)

    def use_path(self, path: Path) -> None:
        """Use another path for IKE from now on; once authenticated, ESP waits for `settle_path`."""
        self.mobility.path = path
        if self.authenticated:
            self.mobility.moves += 1
        else:
            self.mobility.child_path = path

    def settle_path(self) -> None:
        """ESP follows to the path in use, also when an heir has the child SAs meanwhile."""
        if self.heir is not None:
            self.heir.nat = self.nat
            self.heir.settle_path()
            return
        ends = self.mobility
        change = PathChanged(self.info(), ends.child_path, ends.path, self.encapsulation)
        ends.settled, ends.child_path = ends.moves, ends.path
        moved = [(child, change.followed_by(child.params)) for child in self.children]
        if change.old != change.new or any(child.params != params for child, params in moved):
            self.events.append(change)
        for child, params in moved:
            child.params = params

    def ask_next(self, task: "InitiatorTask") -> None:
        """Put a task first in line, unless one of its kind waits: a peer may cause any number."""
        if self.heir is not None:
            self.heir.ask_next(task)
        elif not any(type(waiting) is type(task) for waiting in self.tasks):
            self.tasks.appendleft(task)

    def abandon_tasks(self) -> None:
        """Forget everything that was to be asked."""
        tasks = [*self.tasks, *(task for _, task in self.deferred)]
        self.tasks.clear()
        self.deferred.clear()
        for task in tasks:
            task.abandon(self)

    def forget_keys(self) -> None:
        """Drop all key material; nothing more is sent or understood."""
        for keys in (self.keys, self.ppk.plain):
            if keys is not None:
                keys.wipe()
        self.keys = self.protection = self.ppk.plain = self.ppk.key = None

    def drop_child(
        self, child: ChildSa, reason: DownReason, told: DeleteReason | None = None
    ) -> None:
        """Forget a child SA and say so; `told` is what the peer says why."""
        self.children.remove(child)
        self.events.append(ChildDown(child.params, reason, told))

    def drop_children(self, reason: DownReason, told: DeleteReason | None = None) -> None:
        """Forget all child SAs and say so."""
        for child in self.children:
            self.drop_child(child, reason, told)


def _expected(peer: PeerConfig | None) -> Identity | None:
    expected = peer.remote_id if peer else None
    return expected if isinstance(expected, Identity) else None


def _allowance(settings: Settings, now: float) -> RateLimit:
    """All child SAs a peer may have it may make, and rekey, at once."""
    return RateLimit(settings.create_child_rate, now, 2.0 * settings.max_children)
