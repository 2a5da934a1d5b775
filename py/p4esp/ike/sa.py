"""One IKE SA without clock, socket, task or random source: octets and time go in, octets, events
and the next deadline come out.
"""

from collections.abc import Iterable, Sequence
from typing import Self

from p4esp.ike.child_scope import Packet, packet_scope
from p4esp.ike.children import ChildPhase, ChildSa
from p4esp.ike.clustering import Exported, export_state
from p4esp.ike.codec.header import Header
from p4esp.ike.codec.message import Message, parse_message
from p4esp.ike.config import ChildConfig, PeerConfig
from p4esp.ike.constants import NO_SPI, OPENINGS
from p4esp.ike.crash_tokens import has_token
from p4esp.ike.delete_reason import DeleteReason
from p4esp.ike.drops import Drop
from p4esp.ike.errors import CommandError, ParseError, UnsupportedCriticalPayloadError
from p4esp.ike.events import DownReason, Event, IkeEstablished, IkeSaInfo
from p4esp.ike.extensions.crash_detection import is_proved_lost
from p4esp.ike.extensions.delete_reason import check_tellable
from p4esp.ike.extensions.mtu_detection import report
from p4esp.ike.keepalive import Keepalive
from p4esp.ike.lifetimes import handle_due, next_due, note_usage
from p4esp.ike.mobility import follows, is_mobile
from p4esp.ike.outside import hints_at_loss
from p4esp.ike.path import Datagram, Path, UdpAddress
from p4esp.ike.phase_clock import PhaseClock
from p4esp.ike.ratelimit import RateLimit
from p4esp.ike.redirection import Gateway
from p4esp.ike.requesting import Requesting
from p4esp.ike.responding import Responding
from p4esp.ike.sessions import Kept
from p4esp.ike.spi import new_ike_spi
from p4esp.ike.state import Environment, IkeSaState, Phase
from p4esp.ike.syncing import Syncing
from p4esp.ike.tasks.base import InitiatorTask
from p4esp.ike.tasks.create_child import CreateChild
from p4esp.ike.tasks.deleting import DeleteChild, delete_ike
from p4esp.ike.tasks.ike_init import IkeInit
from p4esp.ike.tasks.informational import CheckLiveness
from p4esp.ike.tasks.mobike import AnnounceAddresses, move_to
from p4esp.ike.tasks.redirect import SendAway
from p4esp.ike.tasks.rekey_ike import RekeyIke, is_being_rekeyed
from p4esp.ike.tasks.session_resume import SessionResume
from p4esp.ike.teardown import give_up
from p4esp.ike.wire import Wire
from p4esp.ipsec.sa import EVERYTHING, Share
from p4esp.ipsec.selectors import Address


class IkeSa:
    """An IKE SA in either role. Times are seconds on one monotonic clock of the caller's.

    After each call the caller drains `next_event()`, then `datagrams_to_send()`, then asks
    `get_timer()` when to call `handle_timer()`.
    """

    def __init__(self, state: IkeSaState) -> None:
        """Use `initiate` or `respond`."""
        self._state = state
        self._wire = Wire(state)
        self._requesting = Requesting(state, self._wire)
        self._responding = Responding(state, self._wire)
        self._syncing = Syncing(state, self._wire, self._requesting, self._responding)
        self._keepalive = Keepalive(state, self._wire)
        self._suspicion = RateLimit(1.0 / state.env.settings.hint_interval, state.now)
        self._phase_clock = PhaseClock(state)
        self.successors: list[IkeSa] = []
        """IKE SAs made by rekeying this one; the owner enters them under their own SPIs."""

    @classmethod
    def initiate(
        cls,
        env: Environment,
        peer: PeerConfig,
        path: Path,
        now: float,
        *,
        child: ChildConfig | None = None,
        first_contact: bool = False,
        redirected_from: Address | None = None,
    ) -> Self:
        """Start an IKE SA with a peer, and a child SA with it when `child` is given.

        `first_contact`: there is no other IKE SA with this peer. `redirected_from`: the gateway
        that sent us to this one.
        """
        state = IkeSaState(env, path, now, spi_i=new_ike_spi(env.random), peer=peer)
        state.first_contact, state.redirection.came_from = first_contact, redirected_from
        state.redirection.first_children = (child.name,) if child else ()
        sa = cls(state)
        sa._start(IkeInit(state, child))
        return sa

    @classmethod
    def resume(
        cls,
        env: Environment,
        peer: PeerConfig,
        path: Path,
        now: float,
        kept: Kept,
        *,
        child: ChildConfig | None = None,
        first_contact: bool = False,
    ) -> Self:
        """Start an IKE SA with a peer from a lost one (RFC 5723); see `initiate`."""
        state = IkeSaState(env, path, now, spi_i=new_ike_spi(env.random), peer=peer)
        state.first_contact, state.resumption.session = first_contact, kept.session
        state.redirection.first_children = (child.name,) if child else ()
        sa = cls(state)
        sa._start(SessionResume(state, kept, child))
        return sa

    @classmethod
    def take_over(cls, exported: Exported, now: float, missed: int) -> Self:
        """Go on with an IKE SA of another one's, who has failed (RFC 6311)."""
        sa = cls(exported.state)
        sa._requesting.move_on(exported.next_id)
        sa._responding.expect(exported.expected_id)
        exported.state.events.append(IkeEstablished(sa.info, initial_contact=False))
        sa._syncing.begin(missed)
        exported.state.now = now
        sa._settle()
        return sa

    def export(self) -> bytes:
        """What another one needs to take over, in clear; `CommandError` when it cannot be."""
        self._require_established()
        return export_state(self._state, self._requesting.next_id, self._responding.expected_id)

    @classmethod
    def respond(
        cls,
        env: Environment,
        candidates: Sequence[PeerConfig],
        path: Path,
        now: float,
        spi_i: bytes,
    ) -> Self:
        """Be ready for the IKE_SA_INIT request of an initiator whose SPI is `spi_i`."""
        spi_r = new_ike_spi(env.random)
        return cls(IkeSaState(env, path, now, spi_i=spi_i, spi_r=spi_r, candidates=candidates))

    @property
    def info(self) -> IkeSaInfo:
        """A summary."""
        return self._state.info()

    @property
    def phase(self) -> Phase:
        """Where the IKE SA is in its life."""
        return self._state.phase

    @property
    def authenticated(self) -> bool:
        """Whether the peer has proved who it is."""
        return self._state.authenticated

    @property
    def own_spi(self) -> bytes:
        """Our SPI, 8 octets."""
        return self._state.own_spi

    @property
    def heir(self) -> bytes | None:
        """Our SPI of the IKE SA that has taken over, if one has."""
        return None if self._state.heir is None else self._state.heir.own_spi

    @property
    def resumed_from(self) -> bytes | None:
        """Our SPI of the IKE SA that it was resumed from, if it was."""
        session = self._state.resumption.session
        return None if session is None else session.spi

    def take_kept(self) -> Kept | None:
        """What it can be resumed with now that it is lost; from now on the caller's."""
        tickets = self._state.resumption
        kept, tickets.kept = tickets.kept, None
        return kept

    @property
    def children(self) -> list[ChildSa]:
        """The child SAs, those being replaced or deleted included."""
        return list(self._state.children)

    def receive_datagram(self, data: bytes, path: Path, now: float) -> None:
        """Take in an IKE message, without non-ESP marker. Whatever it holds, nothing is raised."""
        self._state.now = now
        try:
            self._receive(data, path)
        except UnsupportedCriticalPayloadError as error:
            self._responding.refuse_critical(data, path, error)
        except ParseError as error:
            self._wire.drop(path, Drop.MALFORMED_INSIDE, detail=str(error))
        if self._stillborn():
            self._state.phase = Phase.DEAD
        self._settle()

    def _stillborn(self) -> bool:
        """Whether the request that a responder was made for came to nothing."""
        sa = self._state
        return sa.phase is Phase.NEGOTIATING and not sa.initiator and sa.keys is None

    def _receive(self, data: bytes, path: Path) -> None:
        message = parse_message(data)
        if not self._is_ours(message.header):
            self._wire.drop(path, Drop.WRONG_SA, message.header)
        elif message.encrypted is None and message.header.exchange not in OPENINGS:
            self._receive_clear(message, path)
        elif message.header.response:
            self._requesting.receive(message, path)
        elif not self._syncing.receive(message, path):
            self._responding.receive(message, path)

    def _receive_clear(self, message: Message, path: Path) -> None:
        """What nobody vouches for is no more than a hint, but for a token that only the peer knows
        and gives away when it has lost the IKE SA (RFC 6290 4.5). From whatever address.
        """
        state, loss = self._state, hints_at_loss(message)
        if loss and is_proved_lost(state, message):
            give_up(state, DownReason.PEER_CRASHED, f"a token came from {path.remote}")
            return
        bad = "with a crash token that does not count" if has_token(message) else ""
        self._wire.drop(path, Drop.NOT_PROTECTED, message.header, bad)
        if loss:
            self.suspect(state.now)

    def _is_ours(self, header: Header) -> bool:
        sa = self._state
        if header.spi_i != sa.spi_i or header.initiator == sa.initiator:
            return False
        if header.exchange in OPENINGS:
            return header.response or header.spi_r == NO_SPI
        return header.spi_r == sa.spi_r

    def datagrams_to_send(self, now: float) -> list[Datagram]:
        """Messages that leave now, without non-ESP marker."""
        self._state.now = now
        return self._wire.take_outbox()

    def next_event(self) -> Event | None:
        """The oldest event not yet taken."""
        events = self._state.events
        return events.popleft() if events else None

    def get_timer(self) -> float | None:
        """When `handle_timer` is due; None: never."""
        times = [self._requesting.deadline, self._phase_clock.deadline, self._silence_ends()]
        times += [self._wire.deadline, self._keepalive.deadline, next_due(self._state)]
        times += [time for time, _ in self._state.deferred]
        return min((time for time in times if time is not None), default=None)

    def handle_timer(self, now: float) -> None:
        """Do what has become due; harmless when nothing has."""
        self._state.now = now
        self._phase_clock.handle_timer()
        if _due(self._silence_ends(), now):
            self._state.tasks.append(CheckLiveness(report=False))
        self._wire.handle_timer()
        self._requesting.handle_timer()
        self._resume_deferred()
        handle_due(self._state)
        self._settle()
        self._keepalive.handle_timer()

    def _silence_ends(self) -> float | None:
        """When a silent peer must prove that it lives (RFC 7296 2.4)."""
        if self._state.phase is not Phase.ESTABLISHED or not self._requesting.idle:
            return None
        delay = self._state.config.dpd_delay
        return None if delay is None else self._wire.last_heard + delay

    def _resume_deferred(self) -> None:
        now, deferred = self._state.now, self._state.deferred
        self._state.tasks.extend(task for time, task in deferred if time <= now)
        self._state.deferred = [(time, task) for time, task in deferred if time > now]

    def _settle(self) -> None:
        self._requesting.settle()
        self._phase_clock.note()
        self._settle_successors()

    def _settle_successors(self) -> None:
        for state in self._state.successors[len(self.successors) :]:
            self.successors.append(IkeSa(state))
        for successor in self.successors:
            successor._state.now = self._state.now
            successor._settle()

    def create_child(
        self, name: str, now: float, packet: Packet | None = None, share: Share = EVERYTHING
    ) -> None:
        """Ask for a child SA of the peer's configuration; `packet` is what it is needed for,
        `share` which part of the child's traffic it is for.
        """
        self._require_established()
        config = self._state.config.child(name)
        wanted = None if packet is None else packet_scope(config, packet)
        self._command(CreateChild(config, packet=wanted, share=share), now)

    def rekey(self, now: float) -> None:
        """Replace the IKE SA by a fresh one that takes over its child SAs, then delete it."""
        if is_being_rekeyed(self._state):
            raise CommandError("the IKE SA is being rekeyed already")
        self._require_established()
        self._command(RekeyIke(self._state), now)

    def rekey_child(self, spi_in: int, now: float) -> None:
        """Replace a child SA by a fresh one with the same selectors, then delete the old one."""
        child = self._child(spi_in)
        if child.phase is not ChildPhase.INSTALLED or child.successor is not None:
            raise CommandError(f"child SA {spi_in:08x} is being replaced or deleted already")
        self._command(CreateChild(child.config, child), now)

    def delete_child(
        self,
        spi_in: int,
        now: float,
        told: DeleteReason | None = None,
        reason: DownReason = DownReason.LOCAL_DELETE,
    ) -> None:
        """Delete a child SA at both ends; `told` is what the peer shall hear why, when it does not
        follow from `reason`.
        """
        self._require_established()
        check_tellable(self._state, told)
        child = self._child(spi_in)
        if child.phase is ChildPhase.DELETING:
            raise CommandError(f"child SA {spi_in:08x} is being deleted already")
        self._command(DeleteChild(child, reason, told), now)

    def tell_mtu(self, spi_in: int, mtu: int, inner: bytes | None, now: float) -> None:
        """Tell the peer how long packets may be that it sends on a child SA: `mtu` octets outside,
        or inside when there is an `inner` packet, of which some octets are quoted. `CommandError`
        where the peer does not know of that, or was told just now.
        """
        self._require_established()
        self._state.now = now
        self._command(report(self._state, self._child(spi_in), mtu, inner), now)

    def check_liveness(self, now: float) -> None:
        """Ask the peer for a sign of life: `PeerAlive`, or `IkeDown` in the end."""
        self._command(CheckLiveness(report=True), now)

    def delete(
        self,
        now: float,
        told: DeleteReason | None = None,
        reason: DownReason = DownReason.LOCAL_DELETE,
    ) -> None:
        """Delete the IKE SA, or stop making it; requests not yet sent are forgotten. `told` is what
        the peer shall hear why, when it does not follow from `reason`.
        """
        if self._state.phase is Phase.NEGOTIATING:
            self.abort(reason, now)
            return
        self._require_established()
        check_tellable(self._state, told)
        self._state.now = now
        delete_ike(self._state, reason, given=told)
        self._settle()

    def update_addresses(self, path: Path, now: float) -> None:
        """Move to another path, and the child SAs when the peer agrees (RFC 4555 3.5).

        `PathChanged` or `MoveRefused` tells the outcome.
        """
        self._require_movable(path)
        self._state.now = now
        self._state.mobility.probing = False
        move_to(self._state, path)
        self._requesting.hurry()
        self._settle()

    def _require_movable(self, path: Path) -> None:
        self._require_established()
        if not is_mobile(self._state):
            raise CommandError("the IKE SA cannot move: MOBIKE was not agreed on")
        if not self._state.mobility.mover:
            raise CommandError("the IKE SA was begun by the peer, only the peer moves it (MOBIKE)")
        if path.local.host.version != path.remote.host.version:
            raise CommandError(f"{path} has two address families, must have one")

    def announce_addresses(self, addresses: Iterable[Address], now: float) -> None:
        """Tell the peer at which other addresses we can be reached (RFC 4555 3.6)."""
        self._require_established()
        if not is_mobile(self._state):
            raise CommandError("addresses are not announced: MOBIKE was not agreed on")
        self._command(AnnounceAddresses(addresses), now)

    def send_away(self, gateway: Gateway, now: float) -> None:
        """Have the peer go to another gateway (RFC 5685 5)."""
        self._require_established()
        if not self._state.redirection.peer_follows:
            raise CommandError("the peer would not go: it has not announced REDIRECT_SUPPORTED")
        self._command(SendAway(gateway), now)

    def abort(self, reason: DownReason, now: float) -> None:
        """End the IKE SA without telling the peer."""
        self._state.now = now
        give_up(self._state, reason, str(reason))
        self._settle()

    def suspect(self, now: float) -> None:
        """Ask the peer for a sign of life because somebody hints that it has lost an SA: anybody
        can, so this happens rarely and proves nothing (RFC 7296 2.4).
        """
        self._state.now = now
        quiet = self._state.phase is Phase.ESTABLISHED and self._requesting.idle
        if quiet and self._suspicion.allow(now):
            self._start(CheckLiveness(report=False))

    def sends_to(self, spi: int, host: Address) -> bool:
        """Whether a child SA sends ESP with this SPI to this address."""
        here = self._state.path.remote.host == host
        return here and self._state.children.by_outbound(spi) is not None

    def peer_moved(self, remote: UdpAddress, now: float) -> None:
        """The peer's NAT has changed its mapping: send there, IKE and ESP (RFC 7296 2.23). One that
        says itself where it is (MOBIKE) is not followed, and nobody when we are behind a NAT.
        """
        sa = self._state
        if not follows(sa):
            raise CommandError(f"the peer is at {sa.path.remote} until it says otherwise")
        sa.now = now
        sa.use_path(Path(sa.path.local, remote))
        sa.settle_path()
        self._settle()

    def note_inbound_traffic(self, now: float) -> None:
        """A child SA received an authentic packet, so the peer lives (RFC 7296 2.4)."""
        self._wire.last_heard = max(self._wire.last_heard, now)

    def note_usage(self, spi_in: int, octets: int, packets: int, now: float) -> None:
        """What a child SA has carried since its beginning, in the busier direction."""
        self._state.now = now
        note_usage(self._state, self._child(spi_in), octets, packets)
        handle_due(self._state)
        self._settle()

    def _child(self, spi_in: int) -> ChildSa:
        child = self._state.children.by_inbound(spi_in)
        if child is None:
            raise CommandError(f"there is no child SA with inbound SPI {spi_in:08x}")
        return child

    def _command(self, task: InitiatorTask, now: float) -> None:
        self._require_established()
        self._state.now = now
        self._start(task)

    def _require_established(self) -> None:
        if self._state.phase is not Phase.ESTABLISHED:
            raise CommandError(f"the IKE SA is {self._state.phase.name}, must be ESTABLISHED")

    def _start(self, task: InitiatorTask) -> None:
        self._state.tasks.append(task)
        self._settle()


def _due(time: float | None, now: float) -> bool:
    return time is not None and time <= now
