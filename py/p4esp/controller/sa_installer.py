"""Bringing SA pairs into a switch and out of it again.

Installation: record, keys into the engine, fresh sequence numbers, inbound entry, SAD, outbound
entry, selection. Each step is acknowledged before the next. A failure in the middle takes back
what was done and discards the key; where even that fails, or the controller ends, the record stays
INSTALLING and the next reconciliation discards the SA. Removal is the reverse, after a grace period
in which packets that are with the engine come home.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Final

from p4esp.controller.diet_peers import DietPeerTable
from p4esp.controller.engine_keys import PairKeys
from p4esp.controller.entries import Op, deletes, difference, inserts, modifies
from p4esp.controller.errors import ControllerError
from p4esp.controller.placement import Placements
from p4esp.controller.sa_entries import (
    Handles,
    PairEntries,
    SaSettings,
    destinations,
    pair_entries,
)
from p4esp.controller.sa_formats import spaces_of, window_of
from p4esp.controller.sa_tuning import Tuning, tuned
from p4esp.controller.selection import SaSelection
from p4esp.controller.state_channel import StateChannel
from p4esp.controller.writer import TableWriter
from p4esp.ipsec.sa import ChildSaParams
from p4esp.ipsec.selectors import Address
from p4esp.store import SaRecord, SaState, Store, StoreError

ETHERNET_MTU: Final = 1500
GRACE: Final = 1.0
"""Seconds between the end of an SA's use and its removal."""


@dataclass(slots=True)
class LiveSa:
    """An SA pair that the switch carries."""

    record: SaRecord
    handles: Handles
    entries: PairEntries
    tuning: Tuning | None = field(default=None, compare=False)
    """What was learned about it since it was installed."""
    changing: asyncio.Lock = field(default_factory=asyncio.Lock, compare=False)
    """Held by whoever changes its entries."""

    @property
    def is_leaving(self) -> bool:
        """Whether its removal has begun: nothing else may change then."""
        return self.record.state is SaState.DELETING


@dataclass(frozen=True, slots=True)
class SwitchPort:
    """What an installer needs of one connected switch."""

    writer: TableWriter
    state: StateChannel
    selection: SaSelection


@dataclass(frozen=True, slots=True)
class Numbers:
    """What stands for what in one switch."""

    placements: Placements
    local_id: Callable[[Address], int]
    """The SAD's number of one of our addresses; ControllerError when it is not ours."""
    mtu: Callable[[Address], int] = field(default=lambda _: ETHERNET_MTU)
    """The MTU of the interface towards a tunnel's far end."""
    label: Callable[[int], int] = field(default=lambda _: 0)
    """The number of the security label of a policy's traffic; ControllerError for no policy."""


class SaInstaller:
    """Installs and removes the SA pairs of one gateway; `sleep` waits out the grace period."""

    def __init__(
        self,
        switch: SwitchPort,
        keys: PairKeys,
        numbers: Numbers,
        store: Store,
        *,
        settings: SaSettings,
        grace: float = GRACE,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._switch = switch
        self._keys = keys
        self._placements = numbers.placements
        self._diet = DietPeerTable(numbers.placements.diet, switch.writer, numbers.local_id)
        self._numbers = numbers
        self._store = store
        self._settings = settings
        self._grace = grace
        self._sleep = sleep

    async def install(
        self, gateway: str, child: ChildSaParams, policy: int, *, send: bool = True
    ) -> LiveSa:
        """Install a pair; with `send` false it waits for its predecessor to go before it sends.

        Raises ControllerError, PoolExhaustedError or the engine's errors; nothing is left then.
        Cancelled, it waits for nobody: what it leaves is what a crash would leave.
        """
        record = self._recorded(gateway, child, policy)
        live: LiveSa | None = None
        try:
            live = await self._with_keys(record)
            await self._write(live, send=send)
            live.record = self._moved(record, SaState.INSTALLED)
        except Exception:
            await self._undo(record, live)
            raise
        return live

    def _recorded(self, gateway: str, child: ChildSaParams, policy: int) -> SaRecord:
        window = window_of(child.layout, self._settings.window)
        place = self._placements.acquire(window, *spaces_of(child.layout), child)
        record = SaRecord(gateway, SaState.INSTALLING, policy, child, place)
        try:
            self._store.add_sa(record)
        except StoreError:
            self._placements.release(place)
            raise
        return record

    async def _with_keys(self, record: SaRecord, tuning: Tuning | None = None) -> LiveSa:
        handles = await self._keys.install(record)
        try:
            entries = self.entries(record, handles, tuning)
        except Exception:
            await self._keys.discard(handles)
            raise
        return LiveSa(record, handles, entries, tuning)

    def entries(
        self, record: SaRecord, handles: Handles, tuning: Tuning | None = None
    ) -> PairEntries:
        """The entries of a pair under certain handles."""
        child, mine = record.child, self._numbers.local_id(record.child.local)
        label = self._numbers.label(record.policy)
        entries = pair_entries(record, handles, mine, self._settings, label)
        carries_v6 = any(selector.first.version == 6 for selector in child.remote_ts)
        return tuned(entries, tuning or self.fresh_tuning(child), carries_v6=carries_v6)

    def fresh_tuning(self, child: ChildSaParams) -> Tuning:
        """What holds for an SA before anything is learned."""
        return Tuning(self._numbers.mtu(child.remote))

    async def _write(self, live: LiveSa, *, send: bool) -> None:
        place = live.record.placement
        state, writer = self._switch.state, self._switch.writer
        await state.scrub_spaces(place)
        await writer.write(inserts(live.entries.inbound))
        await self._diet.know(live.record.child)
        await writer.write(inserts(live.entries.sad))
        await writer.write(inserts(live.entries.tunnel))
        await writer.write(inserts((live.entries.outbound,)))
        served = destinations(live.record)
        share = live.record.child.share
        await self._switch.selection.add(served, place.sa_out, first=send, share=share)

    async def _undo(self, record: SaRecord, live: LiveSa | None) -> None:
        try:
            if live is not None:
                await self._keys.discard(live.handles)
                await self._clear(live)
        except ControllerError:
            return  # the record stays INSTALLING: reconciliation finishes this
        self._forget(record)

    async def remove(self, live: LiveSa) -> None:
        """Remove a pair. On ControllerError it stays DELETING, its numbers are not reused."""
        async with live.changing:
            live.record = self._moved(live.record, SaState.DELETING)
        await self._switch.selection.withdraw(live.record.placement.sa_out)
        await self._sleep(self._grace)
        await self._clear(live)
        await self._keys.discard(live.handles)
        self._forget(live.record)

    async def _clear(self, live: LiveSa) -> None:
        """Take the entries out, in reverse order, and scrub the replay cells."""
        place, entries = live.record.placement, live.entries
        await self._switch.selection.withdraw(place.sa_out)
        for group in ((entries.outbound,), entries.tunnel, entries.sad, entries.inbound):
            await self._switch.writer.clear(deletes(group))
        await self._diet.forget(live.record.child)
        if place.cells:
            await self._switch.state.scrub_cells(place.cell_base, place.cells)

    async def rekeyed_engine(self, live: LiveSa) -> None:
        """Give a restarted engine the same keys; the entries learn the fresh handles.

        Sequence numbers and windows are in the switch and go on where they were.
        """
        async with live.changing:
            if not live.is_leaving:
                await self._renew_keys(live)

    async def _renew_keys(self, live: LiveSa) -> None:
        fresh = await self._with_keys(live.record, live.tuning)
        changed = (fresh.entries.inbound[0], fresh.entries.outbound)
        try:
            await self._switch.writer.write(modifies(changed))
        except Exception:
            await self._keys.discard(fresh.handles)
            raise
        stale, live.handles, live.entries = live.handles, fresh.handles, fresh.entries
        await self._keys.discard(stale)

    async def readdress(self, live: LiveSa, child: ChildSaParams) -> None:
        """Move an SA to other outer addresses. What comes in on the old ones is still taken until
        the new ones are in use both ways.
        """
        async with live.changing:
            if not live.is_leaving:
                await self._redirect(live, replace(live.record, child=child))

    async def _redirect(self, live: LiveSa, record: SaRecord) -> None:
        """What was learned about the old way says nothing about the new one."""
        entries = self.entries(record, live.handles)
        self._store.change_sa(record)
        await self._change(live, entries)
        live.record, live.tuning = record, None

    def tuning(self, live: LiveSa) -> Tuning:
        """What holds for an SA at present."""
        return live.tuning or self.fresh_tuning(live.record.child)

    async def tune(self, live: LiveSa, change: Callable[[Tuning], Tuning]) -> None:
        """Change what was learned. An SA that is leaving stays as it is."""
        async with live.changing:
            if not live.is_leaving:
                tuning = change(self.tuning(live))
                await self._change(live, self.entries(live.record, live.handles, tuning))
                live.tuning = tuning

    async def _change(self, live: LiveSa, entries: PairEntries) -> None:
        """Come from one set of entries to another: what is new first, what is old last."""
        updates = difference(live.entries.all, entries.all)
        for op in (Op.INSERT, Op.MODIFY):
            await self._switch.writer.write([one for one in updates if one.op is op])
        live.entries = entries
        await self._switch.writer.clear([one for one in updates if one.op is Op.DELETE])

    def _moved(self, record: SaRecord, state: SaState) -> SaRecord:
        self._store.set_state(record.gateway, record.child.spi_in, state)
        return record.moved_to(state)

    def _forget(self, record: SaRecord) -> None:
        self._store.remove_sa(record.gateway, record.child.spi_in)
        self._placements.release(record.placement)
        self._placements.spis.release(record.child.spi_in)
