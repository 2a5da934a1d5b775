"""How large packets arrive whole, told over IKE (draft-liu-ipsecme-ikev2-mtu-dect).

Both ends say in IKE_AUTH that they know it. Then each may tell the other, for one child SA: the
largest packet outside that comes whole (LINK_MAX_ATOMIC_PACKET), and the largest inside that the
link behind it takes (PACKET_TOO_BIG). The layouts are this project's: the draft's could not be
read. What is told is authenticated, but may still be a lie: it never raises anything, and the owner
of the SA has a floor.
"""

from collections.abc import Iterator
from typing import Final

from p4esp.ike.children import ChildSa
from p4esp.ike.codec.payload import AnyPayload
from p4esp.ike.codec.payloads import Notify
from p4esp.ike.constants import ExchangeType, NotifyType
from p4esp.ike.errors import CommandError
from p4esp.ike.events import PathMtuTold
from p4esp.ike.extensions.mutual import MutualNotify
from p4esp.ike.notifies import note_ignored
from p4esp.ike.state import IkeSaState
from p4esp.ike.tasks.base import Inbound, InitiatorTask, Verdict

SUPPORTED: Final = NotifyType.LINK_MAX_ATOMIC_PACKET
INSIDE: Final = NotifyType.PACKET_TOO_BIG
INTERVAL: Final = 10.0
"""Seconds between two reports about one child SA."""
INNER_MOST: Final = 64
"""Octets of an inner packet that a report may quote."""
_MTU_SIZE: Final = 4
_SPI_SIZE: Final = 4
_SIZES: Final = {
    SUPPORTED: range(_MTU_SIZE, _MTU_SIZE + 1),
    INSIDE: range(_MTU_SIZE, _MTU_SIZE + INNER_MOST + 1),
}


class MtuDetection(MutualNotify):
    """Support in IKE_AUTH, and the reports of a peer."""

    def __init__(self) -> None:
        super().__init__(
            *(SUPPORTED, ExchangeType.IKE_AUTH),
            lambda wishes: wishes.mtu_detection,
            private=True,
        )

    def received(self, sa: IkeSaState, message: Inbound) -> None:
        """A report counts in a request of an authenticated peer, after both have said so."""
        super().received(sa, message)
        if not sa.authenticated or message.header.exchange == ExchangeType.IKE_AUTH:
            return
        reports = [one for one in message.payloads.every(Notify) if one.type in _SIZES]
        if reports and sa.announced.agreed(SUPPORTED):
            _take(sa, message, reports)


def _take(sa: IkeSaState, message: Inbound, reports: list[Notify]) -> None:
    header = message.header
    if header.response or header.exchange != ExchangeType.INFORMATIONAL:
        note_ignored(sa, f"{reports[0]} outside of an INFORMATIONAL request")
        return
    for report in _single(sa, reports):
        fault = _fault(sa, report)
        if fault is None:
            sa.events.append(_told(sa, report))
        else:
            note_ignored(sa, f"{report} {fault}")


def _single(sa: IkeSaState, reports: list[Notify]) -> Iterator[Notify]:
    """Those that are there once: of two that speak of one SA neither counts."""
    for report in reports:
        if sum((one.type, one.spi) == (report.type, report.spi) for one in reports) == 1:
            yield report
        else:
            note_ignored(sa, f"{report} there twice; accepted: once for each SA")


def _fault(sa: IkeSaState, report: Notify) -> str | None:
    if len(report.spi) != _SPI_SIZE:
        return f"with {len(report.spi)} octets of SPI; accepted: {_SPI_SIZE}"
    if len(report.data) not in _SIZES[NotifyType(report.type)]:
        sizes = _SIZES[NotifyType(report.type)]
        return f"of {len(report.data)} octets; accepted: {sizes[0]} to {sizes[-1]}"
    child = _child(sa, report)
    if child is None:
        return f"of SPI {report.spi.hex()}, which no child SA sends to"
    if report.protocol != child.protocol:
        return f"of protocol {report.protocol}; accepted: {child.protocol}"
    return None


def _child(sa: IkeSaState, report: Notify) -> ChildSa | None:
    """The peer names what it receives by."""
    return sa.children.by_outbound(int.from_bytes(report.spi, "big"))


def _told(sa: IkeSaState, report: Notify) -> PathMtuTold:
    child = _child(sa, report)
    if child is None:
        raise RuntimeError("a report of no child SA")
    mtu = int.from_bytes(report.data[:_MTU_SIZE], "big")
    inner = report.data[_MTU_SIZE:]
    return PathMtuTold(child.params, mtu, inside=report.type == INSIDE, inner=inner)


class TellMtu(InitiatorTask):
    """Our report about a child SA that we receive on."""

    exchange = ExchangeType.INFORMATIONAL

    def __init__(self, child: ChildSa, mtu: int, inner: bytes | None) -> None:
        """`mtu` in octets; `inner`: the first octets of the packet inside that was longer, or none
        of them; None: it is about packets outside.
        """
        self._child = child
        self._mtu = mtu
        self._inner = inner

    def prepare(self, sa: IkeSaState) -> bool:
        """Only while the child SA is there."""
        return self._child in sa.children

    def build(self, sa: IkeSaState) -> list[AnyPayload]:
        """N(LINK_MAX_ATOMIC_PACKET) or N(PACKET_TOO_BIG)."""
        kind = SUPPORTED if self._inner is None else INSIDE
        data = self._mtu.to_bytes(_MTU_SIZE, "big") + (self._inner or b"")[:INNER_MOST]
        spi = self._child.params.spi_in.to_bytes(_SPI_SIZE, "big")
        return [Notify(kind, data, protocol=self._child.protocol, spi=spi)]

    def process(self, sa: IkeSaState, reply: Inbound) -> Verdict:
        """The answer says only that it was heard."""
        return Verdict.DONE


def report(sa: IkeSaState, child: ChildSa, mtu: int, inner: bytes | None) -> TellMtu:
    """The task that tells the peer; CommandError where it does not know of it, or has just been
    told.
    """
    if not sa.announced.agreed(SUPPORTED):
        raise CommandError(f"peer {sa.config.name} and we have not agreed on mtu_detection")
    if child.mtu_told is not None and sa.now < child.mtu_told + INTERVAL:
        raise CommandError(f"the peer was told {sa.now - child.mtu_told:.0f} s ago")
    child.mtu_told = sa.now
    return TellMtu(child, mtu, inner)
