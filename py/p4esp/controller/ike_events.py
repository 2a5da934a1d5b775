"""What a gateway does about each event of its IKE endpoint."""

from collections.abc import Callable

from p4esp.controller import tables
from p4esp.controller.counter_sync import skip_counters
from p4esp.controller.entries import Op, Update
from p4esp.controller.errors import ControllerError
from p4esp.controller.link import SwitchLink
from p4esp.controller.path_mtu import PathMtu
from p4esp.controller.sa_installer import LiveSa
from p4esp.controller.sa_manager import SaManager
from p4esp.controller.shares import Shares
from p4esp.ike.errors import CommandError
from p4esp.ike.events import (
    AuthenticationFailed,
    ChildDown,
    ChildFailed,
    ChildRekeyed,
    ChildUp,
    Event,
    IkeDown,
    IkeEstablished,
    IkeRekeyed,
    IkeRekeyFailed,
    IkeSaInfo,
    InitRefused,
    InternalAddresses,
    MoveRefused,
    NegotiationFailed,
    PathChanged,
    PathMtuTold,
    Redirected,
    ReplayCountersSkipped,
)
from p4esp.ipsec.sa import ChildSaParams
from p4esp.service.connections import Connections
from p4esp.service.driver import Driver
from p4esp.service.journal import Entry, Journal, Kind
from p4esp.service.key_export import KeyExporter
from p4esp.store import StoreError


class IkeEvents:
    """The event handler of one gateway; `link` gives the switch while there is one."""

    def __init__(
        self,
        gateway: str,
        sas: SaManager,
        journal: Journal,
        link: Callable[[], SwitchLink | None],
        export_keys: KeyExporter | None = None,
    ) -> None:
        self._export_keys = export_keys
        self._gateway = gateway
        self._sas = sas
        self._journal = journal
        self._link = link
        self.path_mtu: PathMtu | None = None
        """What learns path MTUs, while the switch is connected."""

    def attach(self, ike: Driver, connections: Connections, shares: Shares) -> None:
        """Complete the circle: events lead to commands."""
        self._ike = ike
        self._shares = shares
        self._connections = connections

    async def handle(self, event: Event) -> None:
        """Deal with one event. Nothing the switch or the store does wrong ends the IKE task."""
        try:
            await self._deal_with(event)
        except StoreError as error:
            self._journal.add(
                Entry(self._gateway, Kind.STORE_FAILED, type(event).__name__, str(error))
            )

    async def _deal_with(self, event: Event) -> None:
        match event:
            case IkeEstablished(ike):
                await self._ike_up(ike)
            case IkeDown():
                await self._ike_down(event)
            case IkeRekeyed(old, new):
                await self._ike_rekeyed(old, new)
            case IkeRekeyFailed(ike, reason):
                self._note(Kind.IKE_FAILED, ike, f"not rekeyed: {reason}")
            case NegotiationFailed(ike, reason) | AuthenticationFailed(ike, reason):
                self._failed(ike, reason)
            case InitRefused(ike, reason) | MoveRefused(ike, reason):
                self._note(Kind.IKE_FAILED, ike, reason)
            case Redirected():
                self._connections.redirected(event)
            case ReplayCountersSkipped():
                await self._skip_counters(event)
            case _:
                await self._deal_with_child(event)

    async def _deal_with_child(self, event: Event) -> None:
        match event:
            case ChildUp(child):
                await self._child_up(child)
            case ChildRekeyed(new=new):
                await self._child_up(new, send=new.initiator, rekeyed=True)
            case ChildDown():
                self._child_down(event)
            case ChildFailed(ike, name, reason, detail):
                text = f"{name}: {reason}{': ' if detail else ''}{detail}"
                self._note(Kind.SA_FAILED, ike, text)
                self._child_failed(event)
            case InternalAddresses(ike):
                self._note(Kind.ADDRESSES, ike, event.text)
            case PathMtuTold() if self.path_mtu is not None:
                await self.path_mtu.told(event)
            case PathChanged():
                await self._path_changed(event)
            case _:
                return

    async def _ike_up(self, ike: IkeSaInfo) -> None:
        self._connections.ike_up(ike)
        await self._mark(Op.INSERT, ike.spi)
        self._note(Kind.IKE_UP, ike, f"{ike.suite}, {ike.path}")

    async def _ike_rekeyed(self, old: IkeSaInfo, new: IkeSaInfo) -> None:
        """From now on commands go to the new IKE SA; only a delete is still said over the old."""
        self._connections.established.pop(old.spi, None)
        self._connections.established[new.spi] = new
        await self._mark(Op.INSERT, new.spi)
        await self._mark(Op.DELETE, old.spi)
        self._note(Kind.IKE_REKEYED, new, f"{new.suite}, was {old.spi.hex()}")

    async def _ike_down(self, event: IkeDown) -> None:
        ike = event.ike
        if self._connections.established.pop(ike.spi, None) is not None:
            await self._mark(Op.DELETE, ike.spi)
            self._connections.peer_failed(ike.peer, event.told)  # what it was making is lost
            self._shares.peer_down(ike.peer)
        self._note(Kind.IKE_DOWN, ike, event.why)

    async def _mark(self, op: Op, spi: bytes) -> None:
        """Tell the pipeline which IKE SPIs are live: their messages have a meter of their own."""
        link = self._link()
        if link is None:
            return  # the next connection writes the table anew
        try:
            await link.writer.write([Update(op, tables.ike_sa(spi))])
        except ControllerError as error:
            self._journal.add(Entry(self._gateway, Kind.REFUSED, spi.hex(), str(error)))

    async def _path_changed(self, change: PathChanged) -> None:
        try:
            await self._sas.readdress(change)
        except ControllerError as error:
            self._note(Kind.SA_FAILED, change.ike, f"cannot follow to {change.new}: {error}")

    async def _skip_counters(self, event: ReplayCountersSkipped) -> None:
        link = self._link()
        for spi_in in event.children if link is not None else ():
            live = self._sas.live.get(spi_in)
            if live is not None and link is not None:
                await self._skip(live, link, event)

    async def _skip(self, live: LiveSa, link: SwitchLink, event: ReplayCountersSkipped) -> None:
        """An SA whose numbers do not suffice is replaced instead."""
        child = live.record.child
        try:
            if await skip_counters(live, link.state, event.delta):
                text = f"{event.delta} of {child.spi_out:08x}"
                self._note(Kind.SKIPPED, event.ike, text)
            else:
                self._ike.command(lambda endpoint, now: endpoint.rekey_child(child.spi_in, now))
        except (ControllerError, CommandError) as error:
            self._note(Kind.SA_FAILED, event.ike, f"{child.spi_in:08x}: counters stay: {error}")

    def _failed(self, ike: IkeSaInfo, reason: str) -> None:
        """Of what somebody begins in a peer's name, nothing follows for what we have begun."""
        self._note(Kind.IKE_FAILED, ike, reason)
        if ike.initiator:
            self._connections.peer_failed(ike.peer)

    async def _child_up(
        self, child: ChildSaParams, *, send: bool = True, rekeyed: bool = False
    ) -> None:
        if self._export_keys is not None:
            self._export_keys.child(child)
        if await self._sas.up(child, send=send):
            await self._serve(child, rekeyed=rekeyed)
            return
        if child.share.partial:
            self._shares.not_carried(child)
        else:
            self._connections.attempt_failed((child.peer, child.name))
        try:
            self._ike.command(lambda endpoint, now: endpoint.delete_child(child.spi_in, now))
        except CommandError:
            return  # IKE has given it up meanwhile

    async def _serve(self, child: ChildSaParams, *, rekeyed: bool) -> None:
        """An SA is installed: others of its child may be wanted now."""
        if not child.share.partial:
            self._connections.child_up((child.peer, child.name))
            self._sas.retire_strangers(child.peer)
            if child.initiator:
                self._connections.bring_up(child.peer, child.name)  # one of several, perhaps
        await self._shares.child_up(child, rekeyed=rekeyed)

    def _child_failed(self, event: ChildFailed) -> None:
        if event.share.partial:
            self._shares.failed(event)
        else:
            self._connections.attempt_failed((event.ike.peer, event.name))

    def _child_down(self, event: ChildDown) -> None:
        self._sas.down(event.child, event.why)
        self._shares.child_down(event.child, event.reason)
        if not event.child.share.partial:
            self._connections.child_down(event.child, event.reason, event.told)

    def _note(self, kind: Kind, ike: IkeSaInfo, text: str) -> None:
        self._journal.add(Entry(self._gateway, kind, ike.label, text))
