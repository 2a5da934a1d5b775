"""Finding the high half of an ESN again (RFC 4303 appendix A3).

A receiver that has missed 2^32 packets or more infers wrong high halves for ever: every packet
fails its ICV, and nothing else tells. So where `THRESHOLD` packets of an SA have failed and none
was accepted in between, the pipeline is let try one, two, ... more subspaces, one of them a second
and `MOST` in all. A trial lasts `TRIAL` of the interval only: packets that are in order fail
meanwhile. Only an authentic packet moves the window, so a wrong trial has no effect. An SA on which
nothing was found is left alone until it accepts a packet.
"""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from p4esp.controller.drop_audit import DROPS
from p4esp.controller.errors import ControllerError
from p4esp.controller.numbers import Drop
from p4esp.controller.sa_installer import LiveSa
from p4esp.controller.sa_manager import SaManager
from p4esp.controller.sa_traffic import INBOUND
from p4esp.controller.state_channel import StateChannel
from p4esp.controller.target import Session
from p4esp.service.journal import Entry, Journal, Kind

FORGED: Final = "sa_in_forged"
"""Counts packets that were not authentic, by inbound SA index."""
THRESHOLD: Final = 64
MOST: Final = 16
"""Subspaces that are tried."""
TRIAL: Final = 0.25
_HIGHEST: Final = 31
"""Sequence numbers end at 2^37 (design section 4)."""


@dataclass(slots=True)
class _Doubt:
    """An SA whose packets fail. Counters as they stood when that was seen first."""

    forged: int
    accepted: int
    skip: int = 0
    """Subspaces tried so far."""
    given_up: bool = False


class EsnResync:
    """Watches the ESN SAs of one session."""

    def __init__(
        self, session: Session, sas: SaManager, state: StateChannel, journal: Journal
    ) -> None:
        self._session = session
        self._sas = sas
        self._state = state
        self._journal = journal
        self._failed = -1
        """Packets of all SAs together."""
        self._forged: dict[int, int] = {}
        self._doubts: dict[int, _Doubt] = {}
        self._trying: list[LiveSa] = []

    async def run(self, interval: float) -> None:
        """Look every `interval` seconds, until cancelled."""
        while True:
            await asyncio.sleep(interval * (1 - TRIAL))
            await self.check()
            if self._trying:
                await asyncio.sleep(interval * TRIAL)
                await self.end_trials()

    async def check(self) -> None:
        """See which SAs fail, and begin the next trial of each that does nothing else."""
        if not await self._has_news():
            return
        present = {spi: live for spi, live in self._sas.live.items() if _is_watched(live)}
        before, self._forged = self._forged, await self._read(FORGED, present.values())
        self._doubts = {spi: doubt for spi, doubt in self._doubts.items() if spi in present}
        failing = {spi for spi, now in self._forged.items() if now > before.get(spi, now)}
        suspects = [present[spi] for spi in failing | self._doubts.keys()]
        accepted = await self._read(INBOUND, suspects)
        for live in suspects:
            await self._judge(live, accepted[live.record.child.spi_in])

    async def _has_news(self) -> bool:
        """Whether any packet has failed since the last look, or some SA is in doubt: reading the
        counters of all SAs costs more.
        """
        cells = await self._session.read_counter(DROPS, (Drop.BAD_ICV,))
        before, self._failed = self._failed, cells[Drop.BAD_ICV][0]
        return self._failed != before or bool(self._doubts)

    async def _judge(self, live: LiveSa, accepted: int) -> None:
        spi = live.record.child.spi_in
        doubt = self._doubts.get(spi)
        if doubt is None:  # what failed so far, may have failed before the last accepted one
            self._doubts[spi] = _Doubt(self._forged[spi], accepted)
        elif accepted != doubt.accepted:
            del self._doubts[spi]
            if doubt.skip:
                self._note(live, "packets are accepted again")
        elif not doubt.given_up and self._forged[spi] - doubt.forged >= THRESHOLD:
            with suppress(ControllerError):  # the next look tries the next one
                await self._try(live, doubt)

    async def _try(self, live: LiveSa, doubt: _Doubt) -> None:
        high = await self._state.read_top(live.record.placement.space_in) >> 32
        doubt.skip += 1
        if doubt.skip > min(MOST, _HIGHEST - high):
            doubt.given_up = True
            self._note(live, f"given up: none of {doubt.skip - 1} subspaces was right")
            return
        if doubt.skip == 1:
            failed = self._forged[live.record.child.spi_in] - doubt.forged
            self._note(live, f"{failed} packets failed and none was accepted: trying others")
        self._trying.append(live)
        skip = doubt.skip
        await self._sas.tune(live, lambda now: replace(now, trial_from=high, trial_skip=skip))

    async def end_trials(self) -> None:
        """Let the pipeline infer as ever."""
        trying, self._trying = self._trying, []
        for live in trying:
            with suppress(ControllerError):  # the session is over, or the SA is gone
                await self._sas.tune(live, lambda now: replace(now, trial_from=0, trial_skip=0))

    async def _read(self, counter: str, sas: Iterable[LiveSa]) -> dict[int, int]:
        """Packets by inbound SPI."""
        index = {live.record.child.spi_in: live.record.placement.sa_in for live in sas}
        if not index:
            return {}
        cells = await self._session.read_counter(counter, index.values())
        return {spi: cells[at][0] for spi, at in index.items()}

    def _note(self, live: LiveSa, text: str) -> None:
        record = live.record
        self._journal.add(Entry.of_child(record.gateway, Kind.RESYNC, record.child, text))


def _is_watched(live: LiveSa) -> bool:
    return live.record.child.esn and live.record.placement.window > 0
