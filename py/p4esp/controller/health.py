"""The engine's health decides whether the pipeline may send packets to it.

Without an engine the `crypto_port` entries are withdrawn: packets are dropped as NO_ENGINE and
counted, SAs stay. An engine that comes back without its keys (another epoch) gets the same keys
under fresh handles first: it is offered packets only when no live SA lacks a key there.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from p4esp.controller import tables
from p4esp.controller.engine_keys import ENGINE_ERRORS, PairKeys
from p4esp.controller.entries import Entry, deletes, inserts
from p4esp.controller.numbers import CryptoPath
from p4esp.controller.writer import TableWriter

INTERVAL: Final = 1.0
"""Seconds between two checks."""

Restore = Callable[[], Awaitable[None]]
"""Gives the engine each key that a live SA lacks there."""
Report = Callable[[bool, str], None]


def crypto_ports() -> list[Entry]:
    """The entries of a healthy engine."""
    return [tables.crypto_port(path) for path in CryptoPath]


class EngineHealth:
    """Watches one gateway's engine."""

    def __init__(
        self, keys: PairKeys, writer: TableWriter, restore: Restore, report: Report
    ) -> None:
        self._keys = keys
        self._writer = writer
        self._restore = restore
        self._report = report
        self._epoch: str | None = None
        self._written: list[Entry] = []

    def adopt(self, entries: Iterable[Entry]) -> None:
        """Start from what the switch holds."""
        self._written = list(entries)

    @property
    def offered(self) -> bool:
        """Whether the pipeline sends packets to the engine."""
        return bool(self._written)

    async def run(self, interval: float = INTERVAL) -> None:
        """Check for ever."""
        while True:
            await asyncio.sleep(interval)
            await self.check()

    async def check(self) -> bool:
        """Ask the engine once, and act on a change; whether it is healthy."""
        try:
            health = await self._keys.service.health()
            if not health.ready:
                return await self._withdraw(health.detail)
            await self._update_keys(health.epoch)
        except ENGINE_ERRORS as error:
            return await self._withdraw(str(error))
        await self._offer(health.detail)
        return True

    async def _update_keys(self, epoch: str) -> None:
        if epoch != self._epoch:
            await self._keys.sweep()
            self._epoch = epoch
        await self._restore()

    async def _offer(self, detail: str) -> None:
        missing = [entry for entry in crypto_ports() if entry not in self._written]
        if missing:
            await self._writer.write(inserts(missing))
            self._written = crypto_ports()
            self._report(True, detail)

    async def _withdraw(self, detail: str) -> bool:
        self._epoch = None  # what could not be removed meanwhile, the next sweep removes
        if self._written:
            await self._writer.write(deletes(self._written))
            self._written = []
            self._report(False, detail)
        return False
