"""What the SAs of a peer receive proves that it lives, so IKE need not ask (RFC 7296 2.4)."""

import asyncio
from contextlib import suppress
from typing import Final

from p4esp.controller.sa_manager import SaManager
from p4esp.controller.target import Session
from p4esp.ike.errors import CommandError
from p4esp.service.driver import Driver

COUNTER: Final = "sa_in_traffic"
"""Counts packets that were authentic and new, by inbound SA index."""


class InboundTraffic:
    """Watches the inbound counters of one session: one read for all SAs."""

    def __init__(self, session: Session, sas: SaManager, ike: Driver) -> None:
        self._session = session
        self._sas = sas
        self._ike = ike
        self._packets: dict[int, int] = {}

    async def run(self, interval: float) -> None:
        """Check every `interval` seconds, for ever."""
        while True:
            await asyncio.sleep(interval)
            await self.check()

    async def check(self) -> None:
        """Tell IKE of each SA that received something since the last check."""
        before, self._packets = self._packets, await self._read()
        for spi_in, packets in self._packets.items():
            if packets != before.get(spi_in, packets):
                self._note(spi_in)

    async def _read(self) -> dict[int, int]:
        """Packets received, by inbound SPI."""
        present = self._sas.negotiated & self._sas.live.keys()
        index = {spi_in: self._sas.live[spi_in].record.placement.sa_in for spi_in in present}
        cells = await self._session.read_counter(COUNTER, index.values()) if index else {}
        return {spi_in: cells[at][0] for spi_in, at in index.items() if at in cells}

    def _note(self, spi_in: int) -> None:
        with suppress(CommandError):  # IKE has given it up meanwhile
            self._ike.command(lambda endpoint, now: endpoint.note_inbound_traffic(spi_in, now))
