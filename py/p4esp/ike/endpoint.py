"""All IKE SAs of one host behind the same five verbs: demultiplexing, limits, commands."""

import heapq
from collections import Counter, defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from p4esp.ike.codec.header import Header, parse_header
from p4esp.ike.codec.message import encode_clear, parse_message
from p4esp.ike.codec.payloads import Notify
from p4esp.ike.config import PeerConfig, PeerLookup
from p4esp.ike.constants import NO_SPI, VERSION, ExchangeType, NotifyType
from p4esp.ike.cookies import Cookies
from p4esp.ike.errors import CommandError, ParseError
from p4esp.ike.events import (
    ChildDown,
    ChildRekeyed,
    ChildUp,
    DownReason,
    Event,
    IkeEstablished,
    IkeSaInfo,
)
from p4esp.ike.halfopen import HalfOpen, InitKey
from p4esp.ike.path import Datagram, Path, UdpAddress
from p4esp.ike.ratelimit import RateLimit
from p4esp.ike.sa import IkeSa
from p4esp.ike.state import Environment, Phase
from p4esp.ike.trace import TraceKind, TraceRecord
from p4esp.ike.transport import Kind
from p4esp.ipsec.identity import Identity


class Drop(StrEnum):
    """Why a datagram never reached an IKE SA."""

    RUNT = "too short for any header"
    NOT_IKE = "ESP or NAT keepalive"
    MALFORMED = "no well-formed IKE header"
    OTHER_VERSION = "major version is not 2"
    UNKNOWN_SPI = "no IKE SA has this SPI"
    NOT_AN_OPENING = "responder SPI is zero, but this is no IKE_SA_INIT request"
    TOO_LARGE = "IKE_SA_INIT request exceeds the size limit"
    NO_COOKIE = "many IKE SAs are half-open, and it has no cookie of ours"
    HALF_OPEN_LIMIT = "too many half-open IKE SAs"
    SOURCE_LIMIT = "too many half-open IKE SAs from this source"
    NO_PEER = "no peer is configured for these addresses"


_IdPair = tuple[Identity | None, Identity | None]


@dataclass(slots=True)
class _Entry:
    sa: IkeSa
    timer: float | None = None
    init_key: InitKey | None = None
    """How repeats of the IKE_SA_INIT request find a responder's IKE SA."""


def directory(peers: Iterable[PeerConfig]) -> PeerLookup:
    """A lookup in a fixed set of peers, in their order."""
    known = tuple(peers)
    return lambda path: tuple(peer for peer in known if peer.may_use(path))


class IkeEndpoint:
    """Drives several IKE SAs with several peers. See `IkeSa` for the order of the verbs."""

    def __init__(self, env: Environment, peers: PeerLookup, now: float) -> None:
        """`peers` tells which configurations an unknown initiator may belong to."""
        self._env = env
        self._peers = peers
        self._entries: dict[bytes, _Entry] = {}
        self._children: dict[int, bytes] = {}
        self._by_peer: defaultdict[_IdPair, set[bytes]] = defaultdict(set)
        self._half_open = HalfOpen(env.settings)
        self._cookies = Cookies(env.random)
        self._replies = RateLimit(env.settings.unprotected_replies, now)
        self._timers: list[tuple[float, bytes]] = []
        self._outbox: list[Datagram] = []
        self._events: deque[Event] = deque()
        self.drops: Counter[Drop] = Counter()
        """Datagrams that never reached an IKE SA, by reason."""

    @property
    def ike_sas(self) -> list[IkeSaInfo]:
        """The IKE SAs that are being made or are up."""
        over = (Phase.CLOSED, Phase.DEAD)
        return [entry.sa.info for entry in self._entries.values() if entry.sa.phase not in over]

    @property
    def half_open(self) -> int:
        """IKE SAs whose initiator has not proved who it is."""
        return len(self._half_open)

    def receive_datagram(self, payload: bytes, path: Path, now: float) -> None:
        """Take in the payload of a UDP datagram. Whatever it holds, nothing is raised."""
        kind, message = self._env.settings.ports.unframe(payload, path.local.port)
        if kind is not Kind.IKE:
            self._drop(Drop.RUNT if kind is Kind.RUNT else Drop.NOT_IKE, path, now)
            return
        try:
            header = parse_header(message)
        except ParseError:
            self._drop(Drop.MALFORMED, path, now)
        else:
            self._dispatch(header, message, path, now)

    def _drop(self, reason: Drop, path: Path, now: float) -> None:
        self.drops[reason] += 1
        if self._env.trace is not None:
            self._env.trace(TraceRecord(now, TraceKind.DROPPED, path, reason=reason.value))

    def _dispatch(self, header: Header, message: bytes, path: Path, now: float) -> None:
        if header.major != VERSION >> 4:
            self._drop(Drop.OTHER_VERSION, path, now)
            self._refuse_version(header, path, now)
            return
        own_spi = header.spi_r if header.initiator else header.spi_i
        if own_spi == NO_SPI:
            self._receive_opening(header, message, path, now)
            return
        entry = self._entries.get(own_spi)
        if entry is None:
            self._drop(Drop.UNKNOWN_SPI, path, now)
            return
        entry.sa.receive_datagram(message, path, now)
        self._settle(entry, now)

    def _refuse_version(self, header: Header, path: Path, now: float) -> None:
        """Tell who speaks a later version which one we speak (RFC 7296 2.5)."""
        if header.major < VERSION >> 4 or header.response or not self._replies.allow(now):
            return
        answer = Header(header.spi_i, header.spi_r, header.exchange, False, True, header.message_id)
        self._send(encode_clear(answer, [Notify(NotifyType.INVALID_MAJOR_VERSION)]), path)

    def _receive_opening(self, header: Header, message: bytes, path: Path, now: float) -> None:
        if not _is_opening(header):
            self._drop(Drop.NOT_AN_OPENING, path, now)
            return
        key = InitKey.of(header.spi_i, message, path)
        entry = self._known_opening(key) or self._admit(key, message, path, now)
        if entry is not None:
            entry.sa.receive_datagram(message, path, now)
            self._settle(entry, now)

    def _known_opening(self, key: InitKey) -> _Entry | None:
        own_spi = self._half_open.find(key)
        return None if own_spi is None else self._entries[own_spi]

    def _admit(self, key: InitKey, message: bytes, path: Path, now: float) -> _Entry | None:
        """A new IKE SA for an IKE_SA_INIT request, unless a limit or the lookup says no."""
        candidates = self._peers(path)
        refusal = self._admission_refusal(message, path, now) if candidates else Drop.NO_PEER
        if refusal is not None:
            self._drop(refusal, path, now)
            return None
        sa = IkeSa.respond(self._env, candidates, path, now, key.spi_i)
        self._half_open.add(key, sa.own_spi)
        return self._enter(sa, key)

    def _admission_refusal(self, message: bytes, path: Path, now: float) -> Drop | None:
        if len(message) > self._env.settings.max_init_size:
            return Drop.TOO_LARGE
        if self._half_open.needs_cookie and (refusal := self._cookie_refusal(message, path, now)):
            return refusal
        if self._half_open.full:
            return Drop.HALF_OPEN_LIMIT
        return Drop.SOURCE_LIMIT if self._half_open.source_full(path) else None

    def _cookie_refusal(self, message: bytes, path: Path, now: float) -> Drop | None:
        """No state is kept and nothing is computed for who only claims an address."""
        try:
            opening = parse_message(message)
            if self._cookies.is_shown(opening, path, now):
                return None
            self._send(self._cookies.demand(opening, path, now), path)
        except ParseError:
            return Drop.MALFORMED
        return Drop.NO_COOKIE

    def _enter(self, sa: IkeSa, key: InitKey | None = None) -> _Entry:
        entry = _Entry(sa, init_key=key)
        self._entries[sa.own_spi] = entry
        return entry

    def datagrams_to_send(self, now: float) -> list[Datagram]:
        """UDP payloads that leave now, with non-ESP marker where the port asks for it."""
        outbox, self._outbox = self._outbox, []
        return outbox

    def next_event(self) -> Event | None:
        """The oldest event not yet taken."""
        return self._events.popleft() if self._events else None

    def get_timer(self) -> float | None:
        """When `handle_timer` is due; None: never."""
        while self._timers and not self._is_current(*self._timers[0]):
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def _is_current(self, time: float, own_spi: bytes) -> bool:
        entry = self._entries.get(own_spi)
        return entry is not None and entry.timer == time

    def handle_timer(self, now: float) -> None:
        """Do what has become due; harmless when nothing has."""
        while (due := self.get_timer()) is not None and due <= now:
            _, own_spi = heapq.heappop(self._timers)
            entry = self._entries[own_spi]
            entry.timer = None
            entry.sa.handle_timer(now)
            self._settle(entry, now)

    def _settle(self, entry: _Entry, now: float) -> None:
        """Collect what an IKE SA has to say after it was called."""
        sa = entry.sa
        while (event := sa.next_event()) is not None:
            self._note(sa, event, now)
            self._events.append(event)
        for datagram in sa.datagrams_to_send(now):
            self._send(datagram.data, datagram.path)
        if entry.init_key is not None and sa.authenticated:
            self._half_open.graduate(entry.init_key)
        if sa.phase is Phase.DEAD:
            self._remove(entry)
        else:
            self._schedule(entry)

    def _send(self, message: bytes, path: Path) -> None:
        framed = self._env.settings.ports.frame(message, path.local.port)
        self._outbox.append(Datagram(framed, path))

    def _schedule(self, entry: _Entry) -> None:
        timer = entry.sa.get_timer()
        if timer != entry.timer:
            entry.timer = timer
            if timer is not None:
                heapq.heappush(self._timers, (timer, entry.sa.own_spi))

    def _remove(self, entry: _Entry) -> None:
        info = entry.sa.info
        del self._entries[info.spi]
        self._by_peer[info.local_id, info.remote_id].discard(info.spi)
        if entry.init_key is not None:
            self._half_open.remove(entry.init_key)

    def _note(self, sa: IkeSa, event: Event, now: float) -> None:
        if isinstance(event, ChildUp):
            self._children[event.child.spi_in] = sa.own_spi
        elif isinstance(event, ChildRekeyed):
            self._children[event.new.spi_in] = sa.own_spi
        elif isinstance(event, ChildDown):
            self._children.pop(event.child.spi_in, None)
        elif isinstance(event, IkeEstablished):
            self._note_established(sa, event, now)

    def _note_established(self, sa: IkeSa, event: IkeEstablished, now: float) -> None:
        """A proven peer that has no other IKE SA with us: neither have we (RFC 7296 2.4)."""
        peers = self._by_peer[event.ike.local_id, event.ike.remote_id]
        if event.initial_contact and not event.ike.initiator:
            for own_spi in list(peers):
                entry = self._entries[own_spi]
                entry.sa.abort(DownReason.INITIAL_CONTACT, now)
                self._settle(entry, now)
        peers.add(sa.own_spi)

    def initiate(
        self, peer: PeerConfig, now: float, *, child: str | None = None, path: Path | None = None
    ) -> bytes:
        """Start an IKE SA with a peer; returns our SPI, which names it from now on.

        `child`: name of the child SA to make with it; None: none. `path`: when the addresses are
        not fixed by the peer's configuration.
        """
        config = None if child is None else peer.child(child)
        way = path or self._path_to(peer)
        first = not self._by_peer[peer.local_id, peer.remote_id]
        sa = IkeSa.initiate(self._env, peer, way, now, child=config, first_contact=first)
        self._settle(self._enter(sa), now)
        return sa.own_spi

    def _path_to(self, peer: PeerConfig) -> Path:
        if peer.local is None or peer.remote is None:
            raise CommandError(f"peer {peer.name} has no fixed local and remote address")
        port = self._env.settings.ports.ike
        return Path(UdpAddress(peer.local, port), UdpAddress(peer.remote, port))

    def create_child(self, ike: bytes, name: str, now: float) -> None:
        """Ask for a child SA of the peer's configuration under an IKE SA."""
        entry = self._entry(ike)
        entry.sa.create_child(name, now)
        self._settle(entry, now)

    def rekey_child(self, spi_in: int, now: float) -> None:
        """Replace a child SA, named by its inbound SPI."""
        entry = self._child_entry(spi_in)
        entry.sa.rekey_child(spi_in, now)
        self._settle(entry, now)

    def delete_child(self, spi_in: int, now: float) -> None:
        """Delete a child SA, named by its inbound SPI."""
        entry = self._child_entry(spi_in)
        entry.sa.delete_child(spi_in, now)
        self._settle(entry, now)

    def delete_ike(self, ike: bytes, now: float) -> None:
        """Delete an IKE SA and its child SAs."""
        entry = self._entry(ike)
        entry.sa.delete(now)
        self._settle(entry, now)

    def check_liveness(self, ike: bytes, now: float) -> None:
        """Ask the peer of an IKE SA for a sign of life."""
        entry = self._entry(ike)
        entry.sa.check_liveness(now)
        self._settle(entry, now)

    def note_inbound_traffic(self, spi_in: int, now: float) -> None:
        """A child SA received an authentic packet: no liveness check is due for a while."""
        entry = self._child_entry(spi_in)
        entry.sa.note_inbound_traffic(now)

    def _entry(self, ike: bytes) -> _Entry:
        entry = self._entries.get(ike)
        if entry is None:
            raise CommandError(f"there is no IKE SA with SPI {ike.hex()}")
        return entry

    def _child_entry(self, spi_in: int) -> _Entry:
        owner = self._children.get(spi_in)
        if owner is None:
            raise CommandError(f"there is no child SA with inbound SPI {spi_in:08x}")
        return self._entry(owner)


def _is_opening(header: Header) -> bool:
    return (
        header.exchange == ExchangeType.IKE_SA_INIT
        and header.initiator
        and not header.response
        and header.message_id == 0
        and header.spi_i != NO_SPI
    )
