"""Our side of exchanges: a queue of tasks, one request at a time (RFC 7296 2.1-2.4, 2.21)."""

from p4esp.ike.codec.header import Header
from p4esp.ike.codec.message import Message
from p4esp.ike.constants import OPENINGS
from p4esp.ike.drops import Drop
from p4esp.ike.errors import FragmentError, IkeError, IntegrityError
from p4esp.ike.events import DownReason
from p4esp.ike.mobility import alternatives, is_mobile
from p4esp.ike.opening import Opened
from p4esp.ike.path import Path
from p4esp.ike.state import IkeSaState, Phase, Subject
from p4esp.ike.tasks.base import InitiatorTask, Verdict
from p4esp.ike.tasks.deleting import delete_ike
from p4esp.ike.teardown import OVER, give_up
from p4esp.ike.trace import TraceKind
from p4esp.ike.window import Outstanding, Packets, RequestWindow
from p4esp.ike.wire import Wire

PROBE_AFTER = 2
"""Retransmissions after which other paths are tried as well (RFC 4555 3.10)."""


class Requesting:
    """Runs initiator tasks: sends, retransmits, matches responses."""

    def __init__(self, state: IkeSaState, wire: Wire) -> None:
        self._state = state
        self._wire = wire
        self._window = RequestWindow(state.env.settings.retransmission)

    @property
    def deadline(self) -> float | None:
        """When the outstanding request is due for retransmission."""
        outstanding = self._window.outstanding
        return outstanding.deadline if outstanding else None

    @property
    def idle(self) -> bool:
        """Whether nothing is outstanding or queued."""
        return self._window.outstanding is None and not self._state.tasks

    def settle(self) -> None:
        """Send the next request when its turn has come; give everything back when it is over."""
        sa = self._state
        while sa.phase not in OVER and self._window.outstanding is None and sa.tasks:
            self._begin_next()
        if sa.phase in OVER:
            self._abandon()

    def _begin_next(self) -> None:
        """A task that is never sent must hold nothing: message IDs are looked at before."""
        if self._is_exhausted():
            return
        task = self._state.tasks.popleft()
        if task.prepare(self._state):
            self._send(task)

    def _is_exhausted(self) -> bool:
        """Whether the IKE SA had to be given up for want of message IDs."""
        if self._window.exhausted:
            give_up(self._state, DownReason.PROTOCOL_ERROR, "all message IDs are used up")
        return self._window.exhausted

    def _abandon(self) -> None:
        outstanding = self._window.outstanding
        self._window.complete()
        if outstanding is not None:
            outstanding.task.abandon(self._state)
        self._state.abandon_tasks()

    def _send(self, task: InitiatorTask) -> None:
        packets = self._build(task, self._window.id_for(task))
        self._state.asking = task.subject
        self._window.send(task, packets, self._state.now, self._state.env.fraction())
        self._wire.send(packets, self._state.path)

    def _build(self, task: InitiatorTask, message_id: int) -> Packets:
        payloads = task.build(self._state)
        if task.message_id is None:
            payloads += self._wire.additions(task.exchange, response=False)
        packets = self._wire.encode(task.exchange, message_id, payloads, response=False)
        if task.exchange in OPENINGS:
            (self._state.init_request,) = packets
        return packets

    def receive(self, message: Message, path: Path) -> None:
        """Take in a response."""
        outstanding = self._window.answered_by(message.header)
        if outstanding is None:
            self._wire.drop(path, Drop.UNASKED, message.header)
            return
        try:
            opened = self._wire.open(message)
        except FragmentError as error:
            self._wire.drop(path, Drop.FRAGMENT, message.header, str(error))
        except IntegrityError as error:
            self._wire.drop(path, Drop.NOT_AUTHENTIC, message.header, str(error))
        else:
            if opened is not None:
                self._process(outstanding, opened, path)

    def _process(self, outstanding: Outstanding, opened: Opened, path: Path) -> None:
        task = outstanding.task
        try:
            outside = task.message_id is not None
            if outside and not task.is_new(self._state, opened.payloads()):
                return
            verdict = task.process(self._state, self._wire.read(opened, path))
        except IkeError as error:
            self._refuse(opened.header, path, error)
        else:
            self._conclude(outstanding, verdict)

    def _refuse(self, header: Header, path: Path, error: IkeError) -> None:
        """Before there are keys wait for a better response; an authentic one that is malformed
        ends the IKE SA (RFC 7296 2.21), and a peer that is authenticated is told (RFC 6989 2.5).
        """
        self._wire.drop(path, Drop.USELESS_ANSWER, header, str(error))
        if header.exchange in OPENINGS:
            return
        if self._state.phase is Phase.ESTABLISHED:
            self._abandon()
            delete_ike(self._state, DownReason.PROTOCOL_ERROR, str(error))
        else:
            give_up(self._state, DownReason.PROTOCOL_ERROR, str(error))

    def _conclude(self, outstanding: Outstanding, verdict: Verdict) -> None:
        if verdict is Verdict.DONE:
            self._window.complete()
            self._state.asking = Subject.NOTHING
        elif verdict is Verdict.REPLACED:
            self._window.take_back()
        elif verdict is Verdict.RETRY:
            self._rebuild(outstanding)
        elif verdict is Verdict.RETRY_LATER:
            self._window.outdate(self._state.now, self._state.env.fraction())

    def _rebuild(self, outstanding: Outstanding) -> None:
        packets = self._build(outstanding.task, outstanding.message_id)
        self._window.replace(packets, self._state.now, self._state.env.fraction())
        self._wire.send(packets, self._state.path)

    @property
    def next_id(self) -> int:
        """Message ID of the next new request."""
        return self._window.next_id

    def move_on(self, next_id: int) -> None:
        """Use no message ID below `next_id` from now on: what is outstanding goes out again under
        a new one, because who has taken over does not know it (RFC 6311 9).
        """
        self._window.advance(next_id)
        outstanding = self._window.outstanding
        if outstanding is None or outstanding.task.message_id is not None:
            return
        if not self._is_exhausted():
            self._send(outstanding.task)

    def hurry(self) -> None:
        """Send the outstanding request again at once: the path has changed (RFC 4555 3.5)."""
        outstanding = self._window.outstanding
        if outstanding is not None:
            self._wire.resend(TraceKind.RETRANSMITTED, outstanding.packets, self._state.path)

    def handle_timer(self) -> None:
        """Retransmit when it is time; give up when all tries are spent."""
        outstanding, now = self._window.outstanding, self._state.now
        if outstanding is None or now < outstanding.deadline:
            return
        if outstanding.outdated:
            self._rebuild(outstanding)
            return
        packets = self._window.retransmit(now, self._state.env.fraction())
        if packets is not None:
            self._resend(packets, outstanding.sent)
            return
        self._abandon()
        tries = 1 + outstanding.sent
        reason = f"no answer to {outstanding.task.exchange.name}, sent {tries} times"
        give_up(self._state, DownReason.PEER_DEAD, reason)

    def _resend(self, packets: Packets, sent: int) -> None:
        """Once more; where we may move, a path that stays silent is not the only one tried."""
        sa = self._state
        self._wire.resend(TraceKind.RETRANSMITTED, packets, sa.path)
        if sent >= PROBE_AFTER and is_mobile(sa) and sa.mobility.mover:
            sa.mobility.probing = True
            for path in alternatives(sa):
                self._wire.resend(TraceKind.RETRANSMITTED, packets, path)
