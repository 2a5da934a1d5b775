"""What SAs carry: a sign of the peer's life (RFC 7296 2.4), and use that counts towards limits."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import Final, NamedTuple

from p4esp.controller.sa_manager import SaManager
from p4esp.controller.target import Session
from p4esp.ike.errors import CommandError
from p4esp.service.driver import Driver

INBOUND: Final = "sa_in_traffic"
"""Counts packets that were authentic and new, by inbound SA index."""
OUTBOUND: Final = "sa_out_traffic"
"""Counts packets that were sealed, by outbound SA index."""

_Cell = tuple[int, int]
"""Packets and octets."""


class _Reading(NamedTuple):
    """What the counters of an SA pair showed; indexes are reused, so only differences count."""

    inbound: _Cell
    outbound: _Cell

    def since(self, first: "_Reading") -> tuple[int, int]:
        """Packets and octets since another reading, in the busier direction."""
        ways = list(zip(self, first, strict=True))
        packets, octets = (max(now[i] - then[i] for now, then in ways) for i in (0, 1))
        return packets, octets


class SaTraffic:
    """Watches the counters of one session: one read each way for all SAs."""

    def __init__(
        self,
        session: Session,
        sas: SaManager,
        ike: Driver,
        carried: Callable[[Collection[int]], None],
    ) -> None:
        """`carried` is told of the SAs that have carried something, by inbound SPI."""
        self._session = session
        self._carried = carried
        self._sas = sas
        self._ike = ike
        self._first: dict[int, _Reading] = {}
        self._last: dict[int, _Reading] = {}

    async def run(self, interval: float) -> None:
        """Check every `interval` seconds, for ever."""
        while True:
            await asyncio.sleep(interval)
            await self.check()

    async def check(self) -> None:
        """Tell IKE what each SA has carried since it was first seen here."""
        before, self._last = self._last, await self._read()
        self._first = {spi: self._first.get(spi, now) for spi, now in self._last.items()}
        moved = [spi for spi, now in self._last.items() if now != before.get(spi, now)]
        for spi_in in moved:
            self._report(spi_in, before[spi_in], self._last[spi_in])
        self._carried(moved)

    def _report(self, spi_in: int, before: _Reading, now: _Reading) -> None:
        packets, octets = now.since(self._first[spi_in])
        with suppress(CommandError):  # IKE has given it up meanwhile
            if now.inbound != before.inbound:
                self._ike.command(lambda ike, time: ike.note_inbound_traffic(spi_in, time))
            self._ike.command(lambda ike, time: ike.note_usage(spi_in, octets, packets, time))

    async def _read(self) -> dict[int, _Reading]:
        """The counters, by inbound SPI."""
        present = self._sas.negotiated & self._sas.live.keys()
        places = {spi: self._sas.live[spi].record.placement for spi in present}
        inbound = await self._cells(INBOUND, {spi: at.sa_in for spi, at in places.items()})
        outbound = await self._cells(OUTBOUND, {spi: at.sa_out for spi, at in places.items()})
        both = inbound.keys() & outbound.keys()
        return {spi: _Reading(inbound[spi], outbound[spi]) for spi in both}

    async def _cells(self, counter: str, index: Mapping[int, int]) -> dict[int, _Cell]:
        cells = await self._session.read_counter(counter, index.values()) if index else {}
        return {spi: cells[at] for spi, at in index.items() if at in cells}
