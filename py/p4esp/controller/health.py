"""The engine's health decides whether the pipeline may send packets to it.

Without an engine the `crypto_port` entries are withdrawn: packets are dropped as NO_ENGINE and
counted, SAs stay. An engine that comes back without its keys (another epoch) gets the same keys
under fresh handles first.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from p4esp.controller import tables
from p4esp.controller.engine_keys import PairKeys
from p4esp.controller.entries import Entry, deletes, inserts
from p4esp.controller.numbers import CryptoPath
from p4esp.controller.writer import TableWriter
from p4esp.engine.errors import EngineUnavailableError

INTERVAL: Final = 1.0
"""Seconds between two checks."""

Restore = Callable[[Iterable[int]], Awaitable[None]]
"""Gives the engine the keys of these lost handles again."""
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
            if health.epoch != self._epoch:
                await self._restore(await self._keys.sweep())
            self._epoch = health.epoch
        except EngineUnavailableError as error:
            return await self._withdraw(str(error))
        await self._offer(health.detail)
        return True

    async def _offer(self, detail: str) -> None:
        missing = [entry for entry in crypto_ports() if entry not in self._written]
        if missing:
            await self._writer.write(inserts(missing))
            self._written = crypto_ports()
            self._report(True, detail)

    async def _withdraw(self, detail: str) -> bool:
        if self._written:
            await self._writer.write(deletes(self._written))
            self._written = []
            self._report(False, detail)
        return False
