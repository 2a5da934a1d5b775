"""Both sides of RFC 6311 at one IKE SA: requests outside the window, and what moves it."""

from dataclasses import dataclass

from p4esp.ike.codec.header import Header
from p4esp.ike.codec.message import Message
from p4esp.ike.constants import ExchangeType, NotifyType
from p4esp.ike.drops import Drop
from p4esp.ike.errors import FragmentError, IntegrityError, ParseError
from p4esp.ike.extensions.message_id_sync import skip_counters
from p4esp.ike.message_id_sync import COUNTERS, SYNC, SyncIds, counter_delta
from p4esp.ike.notifies import MalformedNotifyError
from p4esp.ike.opening import Opened
from p4esp.ike.path import Path
from p4esp.ike.requesting import Requesting
from p4esp.ike.responding import Responding
from p4esp.ike.state import IkeSaState, Phase
from p4esp.ike.tasks.sync_ids import SyncIdsRequest
from p4esp.ike.trace import TraceKind
from p4esp.ike.window import MAX_MESSAGE_ID, Packets
from p4esp.ike.wire import Wire

SKIPPED = 1024
"""Requests that the one before us may have sent since its state was exported."""


@dataclass(frozen=True, slots=True)
class _Answered:
    """The last synchronisation: its repeat has the same answer until another request comes."""

    raw: bytes
    packets: Packets
    expected_id: int


class Syncing:
    """Of one IKE SA."""

    def __init__(
        self, state: IkeSaState, wire: Wire, requesting: Requesting, responding: Responding
    ) -> None:
        self._state, self._wire = state, wire
        self._requesting, self._responding = requesting, responding
        self._answered: _Answered | None = None
        self._highest = -1
        """The highest message ID that a synchronisation has named as the peer's next one."""

    def receive(self, message: Message, path: Path) -> bool:
        """Take in a request that synchronises message IDs; False: it is none."""
        if not self._may_be(message):
            return False
        if self._is_repeat(message.raw):
            return True
        try:
            opened = self._wire.open(message)
            ours = opened is not None and opened.payloads().notify(SYNC) is not None
        except (FragmentError, IntegrityError, ParseError):
            return False
        if opened is not None and ours:
            self._judge(opened, path)
        return ours

    def _may_be(self, message: Message) -> bool:
        """Whether it is worth opening: they are never fragmented."""
        header, encrypted = message.header, message.encrypted
        whole = encrypted is not None and encrypted.part is None
        outside = header.exchange == ExchangeType.INFORMATIONAL and header.message_id == 0
        return whole and outside and self._state.phase is Phase.ESTABLISHED and self._agreed

    @property
    def _agreed(self) -> bool:
        kind = NotifyType.IKEV2_MESSAGE_ID_SYNC_SUPPORTED
        return self._state.announced.agreed(kind)

    def _is_repeat(self, raw: bytes) -> bool:
        last = self._answered
        if last is None or last.raw != raw or last.expected_id != self._responding.expected_id:
            return False
        self._wire.resend(TraceKind.REPEATED, last.packets, self._state.path)
        return True

    def _judge(self, opened: Opened, path: Path) -> None:
        """Silence for what is malformed or old: it may be a replay (RFC 6311 5.1)."""
        try:
            asked = SyncIds.of(opened.payloads(), COUNTERS)
        except MalformedNotifyError as error:
            self._drop(opened.header, path, str(error))
            return
        if asked.send <= max(self._highest, self._responding.expected_id - 1):
            self._drop(opened.header, path, f"message ID {asked.send} was used before")
        else:
            self._answer(opened, path, asked)

    def _drop(self, header: Header, path: Path, reason: str) -> None:
        self._wire.drop(path, Drop.OUTSIDE_WINDOW, header, reason)

    def _answer(self, opened: Opened, path: Path, asked: SyncIds) -> None:
        """The higher numbers of both; our outstanding request goes out again under one of them."""
        payloads = self._wire.read(opened, path).payloads
        self._highest = asked.send
        self._responding.expect(asked.send)
        own = max(asked.receive, self._requesting.next_id)
        answer = SyncIds(asked.nonce, own, asked.send).notify()
        packets = self._wire.encode(ExchangeType.INFORMATIONAL, 0, [answer], response=True)
        self._answered = _Answered(opened.raw, packets, asked.send)
        self._wire.send(packets, path)
        self._requesting.move_on(own)
        skip_counters(self._state, counter_delta(self._state, payloads))

    def begin(self, missed: int) -> None:
        """Say that we have taken over. The numbers that we know may be old."""
        skip_counters(self._state, missed)
        if self._agreed:
            send = min(self._requesting.next_id + SKIPPED, MAX_MESSAGE_ID)
            receive = min(self._responding.expected_id, MAX_MESSAGE_ID)
            task = SyncIdsRequest(send, receive, missed, self._use)
            self._state.tasks.appendleft(task)

    def _use(self, send: int, receive: int) -> None:
        self._requesting.move_on(send)
        self._responding.expect(receive)
