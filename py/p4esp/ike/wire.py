"""Messages of one IKE SA on their way in and out: protection, trace, outbox."""

from collections.abc import Sequence

from p4esp.ike.codec.header import Header, parse_header
from p4esp.ike.codec.message import Message, PayloadSet, encode_clear
from p4esp.ike.codec.payload import AnyPayload
from p4esp.ike.constants import ExchangeType
from p4esp.ike.errors import IntegrityError
from p4esp.ike.events import PathChanged
from p4esp.ike.path import Datagram, Path
from p4esp.ike.state import IkeSaState, Phase
from p4esp.ike.tasks.base import Inbound
from p4esp.ike.trace import TraceKind, TraceRecord


class Wire:
    """Encodes and opens messages; what it opened is authentic, unless it is IKE_SA_INIT."""

    def __init__(self, state: IkeSaState) -> None:
        self._state = state
        self._outbox: list[Datagram] = []
        self.last_heard = state.now
        """When the last authentic and new message came."""

    def take_outbox(self) -> list[Datagram]:
        """Datagrams to send, oldest first."""
        outbox, self._outbox = self._outbox, []
        return outbox

    def encode(
        self,
        exchange: ExchangeType,
        message_id: int,
        payloads: Sequence[AnyPayload],
        response: bool,
    ) -> bytes:
        """A message of this IKE SA, protected unless it is IKE_SA_INIT."""
        sa = self._state
        header = Header(sa.spi_i, sa.spi_r, exchange, sa.initiator, response, message_id)
        data = self._seal(header, payloads)
        self._trace(TraceKind.SENT, sa.path, header, payloads, size=len(data))
        return data

    def _seal(self, header: Header, payloads: Sequence[AnyPayload]) -> bytes:
        if header.exchange == ExchangeType.IKE_SA_INIT:
            return encode_clear(header, payloads)
        if self._state.protection is None:
            raise RuntimeError("a protected message was built before there are keys")
        return self._state.protection.seal(header, payloads)

    def additions(self, exchange: ExchangeType, *, response: bool) -> list[AnyPayload]:
        """What extensions append to a message."""
        sa = self._state
        return [
            payload
            for extension in sa.env.extensions
            for payload in extension.additions(sa, exchange, response=response)
        ]

    def send(self, data: bytes, path: Path) -> None:
        """Put a message into the outbox."""
        self._outbox.append(Datagram(data, path))

    def resend(self, kind: TraceKind, data: bytes, path: Path) -> None:
        """Put a message into the outbox that went out before."""
        self._trace(kind, path, parse_header(data), size=len(data))
        self.send(data, path)

    def open(self, message: Message, path: Path) -> Inbound:
        """The message's payloads, shown to extensions. `IntegrityError`: not authentic."""
        payloads = self._payloads(message)
        self._trace(
            TraceKind.RECEIVED, path, message.header, payloads.payloads, size=len(message.raw)
        )
        if message.header.exchange != ExchangeType.IKE_SA_INIT:
            self.last_heard = self._state.now
            self._follow(path)
        inbound = Inbound(message.header, payloads, path, message.raw)
        for extension in self._state.env.extensions:
            extension.received(self._state, inbound)
        return inbound

    def _payloads(self, message: Message) -> PayloadSet:
        if message.header.exchange == ExchangeType.IKE_SA_INIT:
            if message.encrypted is not None:
                raise IntegrityError("SK payload in IKE_SA_INIT")
            return message.clear
        if self._state.protection is None:
            raise IntegrityError("protected message before there are keys")
        return self._state.protection.open(message)

    def _follow(self, path: Path) -> None:
        """Send to where the peer now is (RFC 7296 2.23): a responder follows to the port IKE_AUTH
        comes from; later only a peer behind a NAT may move, and only when we are not behind one.
        """
        sa = self._state
        if path == sa.path:
            return
        floating = sa.phase is Phase.NEGOTIATING and not sa.initiator
        behind_nat = sa.nat is not None and sa.nat.remote and not sa.nat.local
        if floating or behind_nat:
            old, sa.path = sa.path, path
            if sa.authenticated:
                sa.events.append(PathChanged(sa.info(), old, path))

    def drop(self, path: Path, reason: str, header: Header | None = None) -> None:
        """Record that a message was not used."""
        self._trace(TraceKind.DROPPED, path, header, reason=reason)

    def _trace(
        self,
        kind: TraceKind,
        path: Path,
        header: Header | None,
        payloads: Sequence[AnyPayload] = (),
        *,
        reason: str = "",
        size: int = 0,
    ) -> None:
        sa = self._state
        if sa.env.trace is None:
            return
        names = tuple(map(str, payloads))
        peer = sa.peer.name if sa.peer else ""
        sa.env.trace(TraceRecord(sa.now, kind, path, header, peer, size, names, reason))
