"""Messages of one IKE SA on their way in and out: protection, trace, outbox."""

from collections.abc import Sequence

from p4esp.ike.codec.chain import encode_chain
from p4esp.ike.codec.encrypted import Encrypted
from p4esp.ike.codec.header import Header, parse_header
from p4esp.ike.codec.message import Message, encode_clear
from p4esp.ike.codec.payload import AnyPayload
from p4esp.ike.constants import OPENINGS, ExchangeType
from p4esp.ike.crypto.int_auth import plain_form
from p4esp.ike.drops import Drop
from p4esp.ike.mobility import follows, is_mobile
from p4esp.ike.opening import Opened, Opener
from p4esp.ike.path import Datagram, Path
from p4esp.ike.state import IkeSaState, Phase
from p4esp.ike.tasks.base import Inbound
from p4esp.ike.trace import TraceKind, TraceRecord
from p4esp.ike.transport import NON_ESP_MARKER
from p4esp.ike.window import Packets

UDP_HEADER_SIZE = 8


class Wire:
    """Encodes and opens messages; what it opened is authentic, unless it is IKE_SA_INIT."""

    def __init__(self, state: IkeSaState) -> None:
        self._state = state
        self._outbox: list[Datagram] = []
        self._opener = Opener(state)
        self.last_heard = state.now
        """When the last authentic and new message came."""
        self.last_sent = state.now
        """When the last datagram left."""

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
    ) -> Packets:
        """A message of this IKE SA, protected unless it begins it."""
        sa = self._state
        header = Header(sa.spi_i, sa.spi_r, exchange, sa.initiator, response, message_id)
        packets = self._seal(header, payloads)
        if exchange == ExchangeType.IKE_INTERMEDIATE:
            self._record(response, plain_form(packets[0], encode_chain(payloads)[1]))
        self._trace(TraceKind.SENT, sa.path, header, payloads, size=sum(map(len, packets)))
        return packets

    def _seal(self, header: Header, payloads: Sequence[AnyPayload]) -> Packets:
        sa = self._state
        if header.exchange in OPENINGS:
            return (encode_clear(header, payloads),)
        if sa.protection is None:
            raise RuntimeError("a protected message was built before there are keys")
        if not sa.fragmentation:
            return (sa.protection.seal(header, payloads),)
        return sa.protection.seal_within(header, payloads, self._size_limit())

    def _size_limit(self) -> int:
        """Octets of the largest message that fits into an IP packet of the configured size."""
        ip_header = 40 if self._state.path.remote.host.version == 6 else 20
        overhead = ip_header + UDP_HEADER_SIZE + len(NON_ESP_MARKER)
        return self._state.env.settings.fragment_size - overhead

    def additions(self, exchange: ExchangeType, *, response: bool) -> list[AnyPayload]:
        """What extensions append to a message."""
        sa = self._state
        return [
            payload
            for extension in sa.env.extensions
            for payload in extension.additions(sa, exchange, response=response)
        ]

    def send(self, packets: Packets, path: Path) -> None:
        """Put a message into the outbox."""
        self._outbox += [Datagram(data, path) for data in packets]
        self.last_sent = self._state.now

    def resend(self, kind: TraceKind, packets: Packets, path: Path) -> None:
        """Put a message into the outbox that went out before, in all its fragments."""
        self._trace(kind, path, parse_header(packets[0]), size=sum(map(len, packets)))
        self.send(packets, path)

    @property
    def deadline(self) -> float | None:
        """When an incomplete message is forgotten."""
        return self._opener.deadline

    def handle_timer(self) -> None:
        """Forget incomplete messages whose time is up."""
        self._opener.expire(self._state.now)

    def open(self, message: Message) -> Opened | None:
        """See `Opener.open`."""
        return self._opener.open(message)

    def is_authentic(self, encrypted: Encrypted) -> bool:
        """See `Opener.is_authentic`."""
        return self._opener.is_authentic(encrypted)

    def read(self, opened: Opened, path: Path) -> Inbound:
        """An opened message's payloads, shown to extensions. `ParseError`: malformed."""
        self._heard(opened, path)
        payloads = opened.payloads()
        if opened.header.exchange == ExchangeType.IKE_INTERMEDIATE:
            self._record(opened.header.response, opened.plain_form())
        self._trace(TraceKind.RECEIVED, path, opened.header, payloads.payloads, size=opened.size)
        inbound = Inbound(opened.header, payloads, path, opened.raw)
        for extension in self._state.env.extensions:
            extension.received(self._state, inbound)
        return inbound

    def _record(self, response: bool, octets: bytes) -> None:
        """Keep what AUTH will cover, under the keys of this exchange (RFC 9242 3.3.2)."""
        suite, keys = self._state.secrets
        if response:
            self._state.additional.int_auth.add_response(suite.prf, keys.pr, octets)
        else:
            self._state.additional.int_auth.add_request(suite.prf, keys.pi, octets)

    def _heard(self, opened: Opened, path: Path) -> None:
        if opened.header.exchange not in OPENINGS:
            self.last_heard = self._state.now
            self._follow(path)

    def _follow(self, path: Path) -> None:
        """Send to where the peer now is (RFC 7296 2.23): a responder follows to the port IKE_AUTH
        comes from; later only a peer behind a NAT may move, only when we are not behind one, and
        never back to the port without ESP. With MOBIKE nobody moves unless he says so.
        """
        sa = self._state
        if path == sa.path or is_mobile(sa):
            return
        floating = sa.phase is Phase.NEGOTIATING and not sa.initiator
        if floating or (follows(sa) and path.local.port == sa.env.settings.ports.nat):
            sa.use_path(path)
            sa.settle_path()

    def drop(
        self, path: Path, reason: Drop, header: Header | None = None, detail: str = ""
    ) -> None:
        """Record that a message was not used."""
        sa = self._state
        hook = sa.env.dropped or sa.env.trace
        if hook is not None:
            text, peer = detail or reason.value, sa.peer.name if sa.peer else ""
            kind = TraceKind.DROPPED
            hook(TraceRecord(sa.now, kind, path, header, peer, drop=reason, reason=text))

    def _trace(
        self,
        kind: TraceKind,
        path: Path,
        header: Header | None,
        payloads: Sequence[AnyPayload] = (),
        *,
        size: int = 0,
    ) -> None:
        sa = self._state
        if sa.env.trace is None:
            return
        names = tuple(map(str, payloads))
        peer = sa.peer.name if sa.peer else ""
        sa.env.trace(TraceRecord(sa.now, kind, path, header, peer, size, names))
