"""What must hold for two IKE endpoints whatever is done to them."""

from dataclasses import dataclass, field

from ike_lab import Lab, Node
from ike_ledger import live

from p4esp.ike.codec.chain import parse_chain
from p4esp.ike.codec.encrypted import Encrypted
from p4esp.ike.codec.message import Message, PayloadSet, parse_message
from p4esp.ike.codec.payloads import Authentication, IdInitiator, IdResponder
from p4esp.ike.constants import ExchangeType
from p4esp.ike.errors import IkeError
from p4esp.ike.events import ChildRekeyed, ChildUp, IkeDown, IkeEstablished, IkeRekeyed
from p4esp.ike.path import Datagram
from p4esp.ike.protection import Protection
from p4esp.ike.transport import Kind, Ports

MAX_IKE_SAS = 64
MAX_QUEUE = 64
IV_SIZE = 8


PORTS = Ports()


def message_in(datagram: Datagram) -> Message | None:
    """The IKE message that a datagram carries, if it does and can be read."""
    kind, data = PORTS.unframe(datagram.data, datagram.path.remote.port)
    try:
        return parse_message(data) if kind is Kind.IKE else None
    except IkeError:
        return None


def protection_for(node: Node, message: Message) -> Protection | None:
    """What `node` opens a message with, if it has an IKE SA for it."""
    header = message.header
    own_spi = header.spi_r if header.initiator else header.spi_i
    entry = node.endpoint._entries.get(own_spi)
    return entry.sa._state.protection if entry else None


def inner_of(node: Node, message: Message) -> tuple[Encrypted, bytes] | None:
    """The payload octets inside a message for `node`, if they are authentic."""
    protection = protection_for(node, message)
    if protection is None or message.encrypted is None:
        return None
    try:
        return message.encrypted, protection.open_piece(message.encrypted)
    except IkeError:
        return None


@dataclass
class Oracle:
    """Watches what is sent and what comes of it."""

    lab: Lab
    _sealed: dict[tuple[object, ...], bytes] = field(default_factory=dict)
    _proofs: set[tuple[bytes, bytes]] = field(default_factory=set)
    """Identity and AUTH of both ends, as they came from the endpoints themselves."""

    def sent(self, datagram: Datagram) -> None:
        """An endpoint sent this: no (key, IV) twice, unless for the same octets."""
        message = message_in(datagram)
        if message is None or message.encrypted is None:
            return
        header = message.header
        use = (header.spi_i, header.spi_r, header.initiator, message.encrypted.body[:IV_SIZE])
        assert self._sealed.setdefault(use, datagram.data) == datagram.data, "an IV came twice"
        if header.exchange == ExchangeType.IKE_AUTH:
            self._proofs |= self._proofs_in(message)

    def _proofs_in(self, message: Message) -> set[tuple[bytes, bytes]]:
        inner = [inner_of(node, message) for node in self.lab.nodes.values()]
        return {proof for found in inner if found for proof in _proof(*found)}

    def deliver(self, datagram: Datagram) -> None:
        """Hand a datagram over: nobody is authenticated by what no endpoint ever proved."""
        node = self.lab.nodes[datagram.path.remote.host]
        proof = self._proof_for(node, message_in(datagram))
        before = len(node.of(IkeEstablished))
        self.lab.deliver(datagram)
        if len(node.of(IkeEstablished)) > before:
            assert proof & self._proofs, "an IKE SA was established without a proof"

    @staticmethod
    def _proof_for(node: Node, message: Message | None) -> set[tuple[bytes, bytes]]:
        found = message and inner_of(node, message)
        return _proof(*found) if found else set()

    def check(self) -> None:
        """State and queues are bounded, and the events of each side add up."""
        for node in self.lab.nodes.values():
            entries = node.endpoint._entries.values()
            assert len(entries) <= MAX_IKE_SAS
            assert len(node.endpoint._timers) <= MAX_QUEUE + 3 * MAX_IKE_SAS
            for entry in entries:
                self._check_queues(entry.sa._state)
            held = {c.params.spi_in for entry in entries for c in entry.sa.children}
            assert held == set(live(node)), "events and child SAs differ"
            self._check_events(node)

    @staticmethod
    def _check_queues(state: object) -> None:
        for name in ("tasks", "deferred", "children", "early_deletes", "events", "successors"):
            assert len(getattr(state, name, ())) <= MAX_QUEUE, f"{name} grows"

    @staticmethod
    def _check_events(node: Node) -> None:
        up = [event.ike.spi for event in node.of(IkeEstablished)]
        up += [event.new.spi for event in node.of(IkeRekeyed)]
        down = [event.ike.spi for event in node.of(IkeDown)]
        assert len(set(up)) == len(up), "an IKE SA came up twice"
        assert len(set(down)) == len(down), "an IKE SA went down twice"
        assert set(down) <= set(up), "an IKE SA went down that never was up"

    def check_silence(self) -> None:
        """After a long time without a network nothing is left."""
        for node in self.lab.nodes.values():
            assert not node.endpoint._entries, "an IKE SA is left"
            assert node.endpoint.half_open == 0
            assert node.endpoint.get_timer() is None
            assert live(node) == {}
            made = {event.child.spi_in for event in node.of(ChildUp)}
            made |= {event.new.spi_in for event in node.of(ChildRekeyed)}
            assert node.spis.used <= made, "an SPI that no event named was never given back"


def _proof(encrypted: Encrypted, inner: bytes) -> set[tuple[bytes, bytes]]:
    try:
        payloads = PayloadSet(parse_chain(encrypted.first_inner, inner))
    except IkeError:
        return set()
    identities = payloads.every(IdInitiator) + payloads.every(IdResponder)
    return {
        (identity.encode(), auth.encode())
        for identity in identities
        for auth in payloads.every(Authentication)
    }
