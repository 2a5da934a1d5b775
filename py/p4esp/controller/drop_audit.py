"""The audit of dropped packets (RFC 4301 5.2, RFC 4303 4), out of the pipeline's counters.

The pipeline counts each reason and shows nobody the packets, so a line says how many there were,
not who sent them. A reason has one line in each interval, however many packets it had.
"""

import asyncio
from collections import Counter
from typing import Final

from p4esp.controller.numbers import Drop
from p4esp.controller.target import Session
from p4esp.service.journal import Entry, Journal, Kind

DROPS: Final = "drops"
AUDITED: Final = {
    Drop.OUTER_FRAGMENT: "RFC 4303 3.4.1",
    Drop.NO_SA: "RFC 4303 3.4.2",
    Drop.SA_EXPIRED: "RFC 4303 3.3.3",
    Drop.ENCAP_MISMATCH: "RFC 5840 2.3",
    Drop.REPLAY_OLD: "RFC 4303 3.4.3",
    Drop.REPLAY_DUP: "RFC 4303 3.4.3",
    Drop.SEQ_ZERO: "RFC 4303 3.4.3",
    Drop.BAD_ICV: "RFC 4303 3.4.4",
    Drop.REPLAY_LATE: "RFC 4303 3.4.3",
    Drop.ECN_DROP: "RFC 6040 4.2",
    Drop.BAD_SELECTOR: "RFC 4301 5.2",
    Drop.SEQ_RANGE: "RFC 4303 3.3.3",
    Drop.NONCE_REFUSED: "RFC 4106 3.1",
    Drop.CLEAR_IN: "RFC 4301 5.2",
    Drop.CLEAR_OUT: "RFC 4301 5.1",
    Drop.POLICY_DISCARD: "RFC 4301 4.4.1",
    Drop.UNSEEN_PORTS: "RFC 4301 7.4",
    Drop.BAD_SUB: "ours: docs/formats.md",
    Drop.BAD_COOKIE: "google/psp",
    Drop.BAD_LABEL: "RFC 4301 5.2",
}
"""Where each auditable event stands; `docs/drop-reasons.md` explains them."""


class DropAudit:
    """Reads the counters of one gateway's switch, whatever session there is."""

    def __init__(self, gateway: str, journal: Journal) -> None:
        self._gateway = gateway
        self._journal = journal
        self._last: dict[int, int] | None = None
        self.totals: Counter[Drop] = Counter()
        """Packets dropped since the controller started, by reason, as far as they are read."""

    async def run(self, session: Session, interval: float) -> None:
        """Check every `interval` seconds, until cancelled."""
        if session.pushed:
            self._last = dict.fromkeys(Drop, 0)
        while True:
            await self.check(session, interval)
            await asyncio.sleep(interval)

    async def check(self, session: Session, interval: float) -> None:
        """Read the counters, and say what has grown. What was there before us is no news."""
        now = {at: packets for at, (packets, _) in (await self._read(session)).items()}
        last, self._last = self._last or now, now
        for reason in Drop:
            grown = now[reason] - last[reason]
            if grown > 0:  # less: the switch has restarted
                self.totals[reason] += grown
                self._tell(reason, grown, interval)

    async def _read(self, session: Session) -> dict[int, tuple[int, int]]:
        return await session.read_counter(DROPS, Drop)

    def _tell(self, reason: Drop, packets: int, interval: float) -> None:
        if reason in AUDITED:
            text = f"{packets} packets in {interval:g} s ({AUDITED[reason]})"
            self._journal.add(Entry(self._gateway, Kind.AUDIT, reason.name, text))
