"""The peer's side of exchanges: its requests and our answers (RFC 7296 2.1-2.3, 2.21)."""

from p4esp.ike.codec.header import Header, parse_header
from p4esp.ike.codec.message import Message, encode_clear
from p4esp.ike.codec.payload import AnyPayload
from p4esp.ike.codec.payloads import Notify
from p4esp.ike.constants import NO_SPI, OPENINGS, ExchangeType, NotifyType
from p4esp.ike.drops import Drop
from p4esp.ike.errors import (
    AuthenticationError,
    FragmentError,
    IkeError,
    IntegrityError,
    Refusal,
    UnsupportedCriticalPayloadError,
)
from p4esp.ike.events import AuthenticationFailed, DownReason
from p4esp.ike.opening import Opened
from p4esp.ike.path import Path
from p4esp.ike.state import IkeSaState, Phase
from p4esp.ike.tasks.base import Inbound, ResponderTask
from p4esp.ike.tasks.create_child_sa import CreateChildSaResponder
from p4esp.ike.tasks.ike_auth import IkeAuthResponder
from p4esp.ike.tasks.ike_followup_ke import IkeFollowupKeResponder
from p4esp.ike.tasks.ike_init import IkeInitResponder
from p4esp.ike.tasks.ike_intermediate import IkeIntermediateResponder
from p4esp.ike.tasks.informational import InformationalResponder
from p4esp.ike.tasks.resumed_auth import ResumedAuthResponder
from p4esp.ike.tasks.session_resume import SessionResumeResponder
from p4esp.ike.teardown import close
from p4esp.ike.trace import TraceKind
from p4esp.ike.window import Arrival, ResponseWindow
from p4esp.ike.wire import Wire

_ESTABLISHED: dict[int, type[ResponderTask]] = {
    ExchangeType.CREATE_CHILD_SA: CreateChildSaResponder,
    ExchangeType.IKE_FOLLOWUP_KE: IkeFollowupKeResponder,
    ExchangeType.INFORMATIONAL: InformationalResponder,
}
"""Exchanges a peer may start once the IKE SA is established."""
_OPENINGS: dict[int, type[ResponderTask]] = {
    ExchangeType.IKE_SA_INIT: IkeInitResponder,
    ExchangeType.IKE_SESSION_RESUME: SessionResumeResponder,
}
"""Exchanges with which it may begin an IKE SA."""


class Responding:
    """Runs responder tasks: each request once, in order, with its answer kept for repeats."""

    def __init__(self, state: IkeSaState, wire: Wire) -> None:
        self._state = state
        self._wire = wire
        self._window = ResponseWindow()

    @property
    def expected_id(self) -> int:
        """Message ID of the peer's next request."""
        return self._window.expected_id

    def expect(self, message_id: int) -> None:
        """Take no request below `message_id` from now on (RFC 6311)."""
        self._window.expect(message_id)

    def receive(self, message: Message, path: Path) -> None:
        """Take in a request."""
        header = message.header
        arrival = self._window.classify(header.message_id, message.raw)
        task = self._task_for(header.exchange)
        if arrival is Arrival.REPEATED or self._is_recut(message):
            self._wire.resend(TraceKind.REPEATED, self._window.response, path)
        elif arrival is Arrival.OUTSIDE or task is None:
            self._wire.drop(path, Drop.OUTSIDE_WINDOW, header)
        else:
            self._open(task, message, path)

    def _is_recut(self, message: Message) -> bool:
        """Whether it begins the last request once more, in smaller fragments: its sender has heard
        no answer and suspects their size (RFC 7383 2.5.2, 2.6.1).
        """
        encrypted = message.encrypted
        if encrypted is None or encrypted.part is None or encrypted.part.number > 1:
            return False
        last = self._window.is_last(message.header.message_id)
        return last and self._wire.is_authentic(encrypted)

    def _task_for(self, exchange: int) -> ResponderTask | None:
        sa = self._state
        if sa.phase in (Phase.ESTABLISHED, Phase.STANDBY, Phase.REKEYED, Phase.DELETING):
            task = _ESTABLISHED.get(exchange)
            return task() if task else None
        if sa.phase is not Phase.NEGOTIATING or sa.initiator:
            return None
        if sa.keys is None:
            opening = _OPENINGS.get(exchange)
            return opening() if opening else None
        if sa.additional.rounds:
            turn = exchange == ExchangeType.IKE_INTERMEDIATE
            return IkeIntermediateResponder() if turn else None
        if exchange != ExchangeType.IKE_AUTH:
            return None
        return ResumedAuthResponder() if sa.resumption.session else IkeAuthResponder()

    def _open(self, task: ResponderTask, message: Message, path: Path) -> None:
        try:
            opened = self._wire.open(message)
        except FragmentError as error:
            self._wire.drop(path, Drop.FRAGMENT, message.header, str(error))
        except IntegrityError as error:
            self._wire.drop(path, Drop.NOT_AUTHENTIC, message.header, str(error))
        else:
            if opened is not None:
                self._run(task, opened, path)

    def _run(self, task: ResponderTask, opened: Opened, path: Path) -> None:
        try:
            payloads = self._process(task, self._wire.read(opened, path))
        except Refusal as refusal:
            self._refuse(opened, path, refusal)
        except UnsupportedCriticalPayloadError as error:
            self._refuse(opened, path, self._critical(error))
        except IkeError as error:
            self._malformed(opened, path, error)
        else:
            self._answer(opened, path, payloads)
            task.answered(self._state)

    def _process(self, task: ResponderTask, request: Inbound) -> list[AnyPayload]:
        task.process(self._state, request)
        payloads = task.build(self._state)
        exchange = ExchangeType(request.header.exchange)
        return payloads + self._wire.additions(exchange, response=True)

    def _answer(self, request: Opened, path: Path, payloads: list[AnyPayload]) -> None:
        exchange, message_id = ExchangeType(request.header.exchange), request.header.message_id
        packets = self._wire.encode(exchange, message_id, payloads, response=True)
        if exchange in OPENINGS:
            (self._state.init_response,) = packets
        self._window.commit(request.raw, packets)
        self._wire.send(packets, path)

    def _critical(self, error: UnsupportedCriticalPayloadError) -> Refusal:
        """Fatal only while the IKE SA is being made (RFC 7296 2.21.2)."""
        return Refusal(
            NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD,
            str(error),
            data=bytes([error.payload_type]),
            fatal=self._state.phase is Phase.NEGOTIATING,
        )

    def _malformed(self, request: Opened, path: Path, error: IkeError) -> None:
        """Silence in IKE_SA_INIT; under protection INVALID_SYNTAX, and the end of the IKE SA."""
        if request.header.exchange in OPENINGS:
            self._wire.drop(path, Drop.MALFORMED_INSIDE, request.header, str(error))
        else:
            refusal = Refusal(NotifyType.INVALID_SYNTAX, str(error), fatal=True)
            self._refuse(request, path, refusal)

    def _refuse(self, request: Opened, path: Path, refusal: Refusal) -> None:
        self._wire.drop(path, Drop.REFUSED, request.header, str(refusal))
        notify = Notify(refusal.notify, refusal.data, refusal.protocol, refusal.spi)
        if request.header.exchange in OPENINGS:
            self._refuse_init(request.header, path, notify)
            return
        self._answer(request, path, [notify])
        if isinstance(refusal, AuthenticationError):
            self._state.events.append(AuthenticationFailed(self._state.info(), refusal.reason))
        if refusal.fatal:
            close(self._state, DownReason.PROTOCOL_ERROR, str(refusal))

    def _refuse_init(self, request: Header, path: Path, notify: Notify) -> None:
        """An unprotected error with SPIr zero (RFC 7296 2.6)."""
        header = Header(request.spi_i, NO_SPI, request.exchange, False, True, request.message_id)
        self._wire.send((encode_clear(header, [notify]),), path)

    def refuse_critical(
        self, data: bytes, path: Path, error: UnsupportedCriticalPayloadError
    ) -> None:
        """Answer an IKE_SA_INIT request with an unknown critical payload; drop any other message,
        whose clear payloads nobody vouches for.
        """
        header = parse_header(data)
        self._wire.drop(path, Drop.MALFORMED_INSIDE, header, str(error))
        fresh = not self._state.initiator and self._state.keys is None
        if fresh and header.exchange in OPENINGS and not header.response:
            data = bytes([error.payload_type])
            notify = Notify(NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD, data)
            self._refuse_init(header, path, notify)
