"""All IKE SAs of one host behind the same five verbs: demultiplexing, limits, commands."""

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import replace

from p4esp.ike.admission import Admission, Refused
from p4esp.ike.audit import Audit
from p4esp.ike.child_scope import Packet
from p4esp.ike.clustering import (
    EXPORT_NONCE_SIZE,
    open_export,
    restore_state,
    seal_export,
)
from p4esp.ike.codec.header import Header, parse_header
from p4esp.ike.config import PeerConfig, PeerLookup
from p4esp.ike.constants import NO_SPI, VERSION
from p4esp.ike.delete_reason import DeleteReason
from p4esp.ike.drops import Drop
from p4esp.ike.errors import CommandError, ParseError
from p4esp.ike.events import (
    AuthenticationFailed,
    DownReason,
    Event,
    IkeEstablished,
    IkeSaInfo,
    Redirected,
)
from p4esp.ike.halfopen import HalfOpen, InitKey
from p4esp.ike.memory import Memory
from p4esp.ike.outside import OutsideReplies, is_opening, reported_child_spi
from p4esp.ike.path import Datagram, Path, UdpAddress
from p4esp.ike.ratelimit import RateLimit
from p4esp.ike.redirection import Gateway, Redirects
from p4esp.ike.registry import Entry, Registry
from p4esp.ike.sa import IkeSa
from p4esp.ike.sessions import KeptSessions
from p4esp.ike.state import Environment, Phase
from p4esp.ike.timers import Timers
from p4esp.ike.trace import TraceKind, TraceRecord
from p4esp.ike.transport import Kind, Ports
from p4esp.ipsec.identity import NOBODY, Identity
from p4esp.ipsec.sa import EVERYTHING, ChildSaParams, Share
from p4esp.ipsec.selectors import Address

MAX_HINTS = 1.0
"""Claims per second, of all senders, that a child SA is not known, which are looked into."""

_UNCOUNTED = (Phase.STANDBY, Phase.REKEYED, Phase.CLOSED, Phase.DEAD)


def directory(peers: Iterable[PeerConfig]) -> PeerLookup:
    """A lookup in a fixed set of peers, in their order."""
    known = tuple(peers)
    return lambda path: tuple(peer for peer in known if peer.may_use(path))


class IkeEndpoint:
    """Drives several IKE SAs with several peers. See `IkeSa` for the order of the verbs."""

    def __init__(self, env: Environment, peers: PeerLookup, now: float) -> None:
        """`peers` tells which configurations an unknown initiator may belong to."""
        self._audit = Audit(env.trace, env.settings.audit_rate, now)
        fragments = Memory(env.settings.max_fragment_memory)
        self._env = env = replace(env, dropped=self._audit, fragments=fragments)
        self._peers = peers
        self._entries = Registry()
        self._half_open = HalfOpen(env.settings)
        self._admission = Admission(env.settings, env.random, self._half_open, now)
        self._replies = OutsideReplies(env.settings.unprotected_replies, now, env.token_secret)
        self._hints = RateLimit(MAX_HINTS, now)
        self._redirects = Redirects()
        self._sessions = KeptSessions()
        self._timers = Timers()
        self._outbox: list[Datagram] = []
        self._events: deque[Event] = deque()

    @property
    def ports(self) -> Ports:
        """The UDP ports of IKE."""
        return self._env.settings.ports

    def is_live(self, own_spi: bytes) -> bool:
        """Whether an IKE SA has this SPI of ours."""
        return own_spi in self._entries

    @property
    def drops(self) -> Counter[Drop]:
        """Messages that were not used, by reason."""
        return self._audit.counts

    @property
    def ike_sas(self) -> list[IkeSaInfo]:
        """The IKE SAs that are being made or are up."""
        return [e.sa.info for e in self._entries.values() if e.sa.phase not in _UNCOUNTED]

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

    def _drop(self, reason: Drop, path: Path, now: float, header: Header | None = None) -> None:
        kind = TraceKind.DROPPED
        self._audit(TraceRecord(now, kind, path, header, drop=reason, reason=reason.value))

    def _dispatch(self, header: Header, message: bytes, path: Path, now: float) -> None:
        if header.major != VERSION >> 4:
            self._drop(Drop.OTHER_VERSION, path, now, header)
            self._reply(self._replies.refuse_version(header, now), path)
            return
        own_spi = header.spi_r if header.initiator else header.spi_i
        if own_spi == NO_SPI:
            self._receive_opening(header, message, path, now)
            return
        entry = self._entries.get(own_spi)
        if entry is None:
            self._drop(Drop.UNKNOWN_SPI, path, now, header)
            if not self._take_hint(header, message, path, now):
                self._reply(self._replies.refuse_spi(header, now), path)
            return
        entry.sa.receive_datagram(message, path, now)
        self._settle(entry, now)

    def _reply(self, answer: bytes | None, path: Path) -> None:
        if answer is not None:
            self._send(answer, path)

    def _take_hint(self, header: Header, message: bytes, path: Path, now: float) -> bool:
        """Whether it is a claim that ESP of ours is not understood; then see if the peer lives."""
        spi = reported_child_spi(header, message)
        if spi is not None and self._hints.allow(now):
            self._suspect(spi, path.remote.host, now)
        return spi is not None

    def _suspect(self, spi_out: int, host: Address, now: float) -> None:
        for entry in list(self._entries.values()):
            if entry.sa.sends_to(spi_out, host):
                entry.sa.suspect(now)
                self._settle(entry, now)

    def _receive_opening(self, header: Header, message: bytes, path: Path, now: float) -> None:
        if not is_opening(header):
            self._drop(Drop.NOT_AN_OPENING, path, now, header)
            self._take_hint(header, message, path, now)
            return
        key = InitKey.of(header.spi_i, message, path)
        entry = self._known_opening(key) or self._admit(key, header, message, path, now)
        if entry is not None:
            entry.sa.receive_datagram(message, path, now)
            if entry.sa.phase is Phase.DEAD:
                self._admission.note_futile(now)
            self._settle(entry, now)

    def _known_opening(self, key: InitKey) -> Entry | None:
        own_spi = self._half_open.find(key)
        return None if own_spi is None else self._entries[own_spi]

    def _admit(
        self, key: InitKey, header: Header, message: bytes, path: Path, now: float
    ) -> Entry | None:
        """A new IKE SA for an IKE_SA_INIT request, unless a limit or the lookup says no."""
        candidates = self._peers(path)
        if not candidates:
            self._drop(Drop.NO_PEER, path, now, header)
            return None
        excluded = self._env.settings.experimental and any(map(_leaves_cookies_out, candidates))
        refused = self._admission.judge(header, message, path, now, excluded=excluded)
        if refused is not None:
            self._refuse_opening(refused, header, path, now)
            return None
        if not self._make_room(now):
            self._drop(Drop.IKE_SA_LIMIT, path, now, header)
            return None
        proved = self._admission.proves(header, message, path, now)
        sa = IkeSa.respond(self._env, candidates, path, now, key.spi_i)
        self._half_open.add(key, sa.own_spi, proved=proved)
        return self._entries.enter(sa, key)

    def _refuse_opening(self, refused: Refused, header: Header, path: Path, now: float) -> None:
        self._drop(refused.reason, path, now, header)
        if refused.answer is not None:
            self._send(refused.answer, path)

    def _make_room(self, now: float) -> bool:
        """Whether one more IKE SA may be opened; at a limit the oldest that is not authenticated
        goes, and nobody else ever.
        """
        full = len(self._entries) >= self._env.settings.max_ike_sas
        if not full and not self._half_open.full:
            return True
        oldest = self._half_open.oldest
        if oldest is None:
            return False
        entry = self._entries[oldest]
        self._drop(Drop.GAVE_WAY, entry.sa.info.path, now)
        self._abort(entry, DownReason.NO_ROOM, now)
        return True

    def _abort(self, entry: Entry, reason: DownReason, now: float) -> None:
        entry.sa.abort(reason, now)
        self._settle(entry, now)

    def datagrams_to_send(self, now: float) -> list[Datagram]:
        """UDP payloads that leave now, with non-ESP marker where the port asks for it."""
        outbox, self._outbox = self._outbox, []
        return outbox

    def next_event(self) -> Event | None:
        """The oldest event not yet taken."""
        return self._events.popleft() if self._events else None

    def get_timer(self) -> float | None:
        """When `handle_timer` is due; None: never."""
        return self._timers.next

    def handle_timer(self, now: float) -> None:
        """Do what has become due; harmless when nothing has."""
        for own_spi in self._timers.due(now):
            entry = self._entries[own_spi]
            entry.sa.handle_timer(now)
            self._settle(entry, now)

    def _settle(self, entry: Entry, now: float) -> None:
        """Collect what an IKE SA has to say after it was called, and those made by rekeying it."""
        self._enter_successors(entry.sa)
        known = (self._entries.get(sa.own_spi) for sa in entry.sa.successors)
        for one in (entry, *filter(None, known)):
            self._collect(one, now)

    def _enter_successors(self, sa: IkeSa) -> None:
        for successor in sa.successors:
            if successor.phase is not Phase.DEAD and successor.own_spi not in self._entries:
                self._entries.enter(successor)

    def _collect(self, entry: Entry, now: float) -> None:
        sa = entry.sa
        while (event := sa.next_event()) is not None:
            self._entries.note(sa, event)
            if isinstance(event, IkeEstablished):
                self._end_resumed(sa, now)
                self._note_established(event, now)
            if entry.init_key is not None and isinstance(event, AuthenticationFailed):
                self._admission.note_failure(entry.init_key.remote, now)
            self._events.append(event)
        if (kept := sa.take_kept()) is not None:
            self._sessions.keep(kept)
        for datagram in sa.datagrams_to_send(now):
            self._send(datagram.data, datagram.path, sa.info.peer)
        if entry.init_key is not None and sa.authenticated:
            self._half_open.graduate(entry.init_key)
        if sa.phase is Phase.DEAD:
            self._remove(entry)
        else:
            self._timers.set(sa.own_spi, sa.get_timer())

    def _send(self, message: bytes, path: Path, peer: str = "") -> None:
        framed = self._env.settings.ports.frame(message, path.local.port)
        self._outbox.append(Datagram(framed, path, peer))

    def _remove(self, entry: Entry) -> None:
        self._entries.remove(entry)
        self._timers.set(entry.sa.own_spi, None)
        if entry.init_key is not None:
            self._half_open.remove(entry.init_key)

    def _note_established(self, event: IkeEstablished, now: float) -> None:
        """A proven peer that has no other IKE SA with us: neither have we (RFC 7296 2.4).

        Those that proved nothing are not all the same (RFC 7619 2.3).
        """
        ike = event.ike
        if ike.local_id is None or ike.remote_id is None or ike.remote_id == NOBODY:
            return
        others = self._entries.established_with(ike.peer, ike.local_id, ike.remote_id)
        if event.initial_contact and not ike.initiator:
            for own_spi in others:
                self._abort(self._entries[own_spi], DownReason.INITIAL_CONTACT, now)
        elif len(others) >= self._env.settings.max_ike_sas_per_peer:
            self._retire(self._entries[others[0]], now)
        self._entries.note_established(ike)

    def _end_resumed(self, sa: IkeSa, now: float) -> None:
        """The IKE SA that was resumed goes without a word, if it is still here (RFC 5723 4.3.4)."""
        old = None if sa.resumed_from is None else self._entries.get(sa.resumed_from)
        if old is not None:
            self._abort(old, DownReason.RESUMED, now)

    def _retire(self, entry: Entry, now: float) -> None:
        """Delete the oldest IKE SA of a peer that has too many."""
        self._entries.forget_established(entry.sa.info)
        if entry.sa.phase is Phase.ESTABLISHED:
            entry.sa.delete(now, reason=DownReason.NO_ROOM)
            self._settle(entry, now)

    def initiate(
        self, peer: PeerConfig, now: float, *, child: str | None = None, path: Path | None = None
    ) -> bytes:
        """Start an IKE SA with a peer, or resume the one that was lost; returns our SPI, which
        names it from now on.

        `child`: name of the child SA to make with it; None: none. `path`: when the addresses are
        not fixed by the peer's configuration.
        """
        config = None if child is None else peer.child(child)
        way = path or self._path_to(peer)
        kept = self._sessions.take(peer, now, self._env.wall_clock())
        first = self._is_first(peer)
        if kept is not None:
            sa = IkeSa.resume(self._env, peer, way, now, kept, child=config, first_contact=first)
        else:
            sa = IkeSa.initiate(self._env, peer, way, now, child=config, first_contact=first)
        self._settle(self._entries.enter(sa), now)
        return sa.own_spi

    def _is_first(self, peer: PeerConfig) -> bool:
        """Whether there is no IKE SA with a peer; a pattern does not say which peer it will be."""
        expected = peer.remote_id
        if not isinstance(expected, Identity):
            return False
        return not self._entries.established_with(peer.name, peer.local_id, expected)

    def follow_redirect(
        self, peer: PeerConfig, redirected: Redirected, now: float, *, host: Address | None = None
    ) -> bytes:
        """Start an IKE SA with the gateway that the peer sent us to, with the first of the child
        SAs; returns our SPI.

        `host`: its address when it is given by name. `CommandError`: it is a name, of another
        address family, or the peer sent us on too often (RFC 5685 7).
        """
        port = self._env.settings.ports.ike
        path = self._redirects.path_to(redirected, host, port, now)
        config = peer.child(redirected.children[0]) if redirected.children else None
        sa = IkeSa.initiate(
            self._env,
            peer,
            path,
            now,
            child=config,
            redirected_from=redirected.ike.path.remote.host,
        )
        self._settle(self._entries.enter(sa), now)
        return sa.own_spi

    def send_away(self, ike: bytes, gateway: Gateway, now: float) -> None:
        """Have the peer of an IKE SA go to another gateway (RFC 5685)."""
        entry = self._entries.command_target(ike)
        entry.sa.send_away(gateway, now)
        self._settle(entry, now)

    def _path_to(self, peer: PeerConfig) -> Path:
        if peer.local is None or peer.remote is None:
            raise CommandError(f"peer {peer.name} has no fixed local and remote address")
        port = self._env.settings.ports.ike
        return Path(UdpAddress(peer.local, port), UdpAddress(peer.remote, port))

    def create_child(
        self,
        ike: bytes,
        name: str,
        now: float,
        packet: Packet | None = None,
        share: Share = EVERYTHING,
    ) -> None:
        """Ask for a child SA of the peer's configuration under an IKE SA; `packet` is what it is
        needed for, if that is to be told (RFC 7296 2.9), `share` which part of its traffic.
        """
        entry = self._entries.command_target(ike)
        entry.sa.create_child(name, now, packet, share)
        self._settle(entry, now)

    def rekey_ike(self, ike: bytes, now: float) -> None:
        """Replace an IKE SA by a fresh one that takes over its child SAs."""
        entry = self._entries.command_target(ike)
        entry.sa.rekey(now)
        self._settle(entry, now)

    def rekey_child(self, spi_in: int, now: float) -> None:
        """Replace a child SA, named by its inbound SPI."""
        entry = self._entries.owner_of(spi_in)
        entry.sa.rekey_child(spi_in, now)
        self._settle(entry, now)

    def delete_child(
        self,
        spi_in: int,
        now: float,
        told: DeleteReason | None = None,
        reason: DownReason = DownReason.LOCAL_DELETE,
    ) -> None:
        """Delete a child SA, named by its inbound SPI; `told` is what the peer shall hear why, when
        it does not follow from `reason`.
        """
        entry = self._entries.owner_of(spi_in)
        entry.sa.delete_child(spi_in, now, told, reason)
        self._settle(entry, now)

    def delete_ike(self, ike: bytes, now: float, told: DeleteReason | None = None) -> None:
        """Delete an IKE SA and its child SAs; `told` is what the peer shall hear why."""
        entry = self._entries.command_target(ike)
        entry.sa.delete(now, told)
        self._settle(entry, now)

    def export_ike(self, ike: bytes, key: bytes) -> bytes:
        """An IKE SA for another member of a cluster, sealed under a key of 32 octets that the
        members share; it stays usable here.
        """
        content = self._entries.command_target(ike).sa.export()
        return seal_export(content, key, self._env.random(EXPORT_NONCE_SIZE))

    def take_over(
        self,
        sealed: bytes,
        key: bytes,
        peers: Iterable[PeerConfig],
        children: Iterable[ChildSaParams],
        now: float,
        *,
        missed: int = 0,
    ) -> bytes:
        """Go on with an IKE SA that another member exported, who has failed; returns our SPI.

        `children` are the child SAs that the data plane has of it. `missed`: how many packets may
        have been sent or received since the counters were last the same.
        """
        known = {child.spi_in: child for child in children}
        content = open_export(sealed, key)
        exported = restore_state(self._env, peers, known, content, now)
        if exported.state.own_spi in self._entries:
            raise CommandError("the IKE SA is here already; accepted: one that is not")
        entry = self._entries.enter(IkeSa.take_over(exported, now, missed))
        self._entries.note_taken_over(entry.sa)
        self._settle(entry, now)
        return entry.sa.own_spi

    def update_addresses(self, ike: bytes, path: Path, now: float) -> None:
        """Move an IKE SA and its child SAs to another path (RFC 4555)."""
        entry = self._entries.command_target(ike)
        entry.sa.update_addresses(path, now)
        self._settle(entry, now)

    def announce_addresses(self, ike: bytes, addresses: Iterable[Address], now: float) -> None:
        """Tell the peer of an IKE SA at which other addresses we can be reached (RFC 4555)."""
        entry = self._entries.command_target(ike)
        entry.sa.announce_addresses(addresses, now)
        self._settle(entry, now)

    def check_liveness(self, ike: bytes, now: float) -> None:
        """Ask the peer of an IKE SA for a sign of life."""
        entry = self._entries.command_target(ike)
        entry.sa.check_liveness(now)
        self._settle(entry, now)

    def peer_moved(self, spi_in: int, remote: UdpAddress, now: float) -> None:
        """An authentic packet of a child SA came from elsewhere, later than any other: the peer's
        NAT has given it another address or port (RFC 7296 2.23).
        """
        entry = self._entries.owner_of(spi_in)
        entry.sa.peer_moved(remote, now)
        self._settle(entry, now)

    def tell_mtu(self, spi_in: int, mtu: int, inner: bytes | None, now: float) -> None:
        """Tell the peer how long packets of a child SA may be (`IkeSa.tell_mtu`)."""
        entry = self._entries.owner_of(spi_in)
        entry.sa.tell_mtu(spi_in, mtu, inner, now)
        self._settle(entry, now)

    def note_inbound_traffic(self, spi_in: int, now: float) -> None:
        """A child SA received an authentic packet: no liveness check is due for a while."""
        entry = self._entries.owner_of(spi_in)
        entry.sa.note_inbound_traffic(now)

    def note_usage(self, spi_in: int, octets: int, packets: int, now: float) -> None:
        """What a child SA has carried since its beginning, in the busier direction: it is rekeyed
        or deleted at the limits of its configuration.
        """
        entry = self._entries.owner_of(spi_in)
        entry.sa.note_usage(spi_in, octets, packets, now)
        self._settle(entry, now)


def _leaves_cookies_out(peer: PeerConfig) -> bool:
    return peer.extensions.revised_cookie
