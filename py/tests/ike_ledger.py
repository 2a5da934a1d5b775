"""What two IKE endpoints of the lab say they have, and requests of a test's own making."""

from ike_lab import Lab, Node

from p4esp.ike.codec.message import PayloadSet
from p4esp.ike.codec.payload import AnyPayload
from p4esp.ike.constants import ExchangeType
from p4esp.ike.events import ChildDown, ChildRekeyed, ChildUp, IkeEstablished
from p4esp.ike.state import IkeSaState
from p4esp.ike.tasks.base import Inbound, InitiatorTask, Verdict
from p4esp.ipsec.sa import ChildSaParams


def ike_of(node: Node) -> bytes:
    """The SPI of the first IKE SA."""
    spi: bytes = node.one(IkeEstablished).ike.spi
    return spi


def live(node: Node) -> dict[int, ChildSaParams]:
    """Child SAs that are up by the events, keyed by inbound SPI."""
    alive: dict[int, ChildSaParams] = {}
    for event in node.events:
        if isinstance(event, ChildUp):
            alive[event.child.spi_in] = event.child
        elif isinstance(event, ChildRekeyed):
            alive[event.new.spi_in] = event.new
        elif isinstance(event, ChildDown):
            del alive[event.child.spi_in]
    return alive


def assert_mirrored(lab: Lab) -> None:
    """Both ends have the same IKE SAs and the same child SAs with the same keys."""
    ends = [{(i.spi, i.peer_spi) for i in n.endpoint.ike_sas} for n in (lab.west, lab.east)]
    assert {pair[::-1] for pair in ends[0]} == ends[1]
    west, east = live(lab.west), live(lab.east)
    assert {c.spi_out for c in west.values()} == set(east)
    for mine in west.values():
        _assert_pair(mine, east[mine.spi_out])


def _assert_pair(mine: ChildSaParams, theirs: ChildSaParams) -> None:
    assert mine.spi_in == theirs.spi_out
    assert mine.keymat.inbound == theirs.keymat.outbound
    assert mine.keymat.outbound == theirs.keymat.inbound
    assert (mine.local_ts, mine.remote_ts) == (theirs.remote_ts, theirs.local_ts)


class Ask(InitiatorTask):
    """A request with payloads of the test's choosing; keeps the answer."""

    def __init__(self, exchange: ExchangeType, *payloads: AnyPayload) -> None:
        self.exchange = exchange  # type: ignore[misc]
        self._payloads = list(payloads)
        self.answer: PayloadSet | None = None

    def build(self, sa: IkeSaState) -> list[AnyPayload]:
        return self._payloads

    def process(self, sa: IkeSaState, reply: Inbound) -> Verdict:
        self.answer = reply.payloads
        return Verdict.DONE


def ask(lab: Lab, exchange: ExchangeType, *payloads: AnyPayload) -> PayloadSet | None:
    """West asks east; the answer's payloads."""
    task = Ask(exchange, *payloads)
    entry = lab.west.endpoint._entries[ike_of(lab.west)]
    entry.sa._start(task)
    lab.west.endpoint._settle(entry, lab.now)
    lab.settle()
    return task.answer
