"""Auditable drops are lines in the journal, few of them, and numbers in the metrics."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest
from lab_helpers import PROGRAM, host_frame
from prometheus_client import CollectorRegistry, generate_latest

from p4esp.controller.drop_audit import AUDITED, DropAudit
from p4esp.controller.metrics import ControllerCollector
from p4esp.controller.numbers import Drop
from p4esp.controller.target import Session
from p4esp.demo.lab import Lab, running_lab
from p4esp.demo.plan import OUTSIDE
from p4esp.service.journal import Journal, Kind


class Counters:
    """A session that has nothing but drop counters."""

    pushed = False

    def __init__(self) -> None:
        self.cells: Counter[int] = Counter()

    async def read_counter(self, _: str, indexes) -> dict[int, tuple[int, int]]:
        return {index: (self.cells[index], 0) for index in indexes}


def audit() -> tuple[DropAudit, Counters, Journal]:
    journal = Journal()
    return DropAudit("left", journal), Counters(), journal


def lines(journal: Journal) -> list[str]:
    return [f"{entry.subject} {entry.text}" for entry in journal.entries]


async def check(auditor: DropAudit, counters: Counters) -> None:
    session: Session = counters  # type: ignore[assignment]
    await auditor.check(session, 10.0)


async def test_each_auditable_reason_has_one_line_with_number_and_section() -> None:
    auditor, counters, journal = audit()
    await check(auditor, counters)
    counters.cells.update(dict.fromkeys(Drop, 7))
    await check(auditor, counters)
    assert lines(journal) == [
        f"{r.name} 7 packets in 10 s ({AUDITED[r]})" for r in Drop if r in AUDITED
    ]
    assert auditor.totals == dict.fromkeys(Drop, 7)


async def test_what_was_there_before_us_and_what_has_not_grown_is_no_news() -> None:
    auditor, counters, journal = audit()
    counters.cells[Drop.BAD_ICV] = 5
    for _ in range(3):
        await check(auditor, counters)
    assert lines(journal) == []


async def test_counters_that_start_anew_are_no_drops_and_count_from_there() -> None:
    auditor, counters, journal = audit()
    counters.cells[Drop.NO_SA] = 50
    await check(auditor, counters)
    counters.cells[Drop.NO_SA] = 2
    await check(auditor, counters)
    counters.cells[Drop.NO_SA] = 3
    await check(auditor, counters)
    assert lines(journal) == ["NO_SA 1 packets in 10 s (RFC 4303 3.4.2)"]


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    async with running_lab(PROGRAM) as running, asyncio.timeout(20):
        await running.stop_controller()
        running.start_controller(audit_interval=0.05)
        await running.tunnel_up()
        yield running


async def test_a_replayed_and_a_forged_packet_are_told_and_exported(lab: Lab) -> None:
    seen: list[bytes] = []
    lab.wire.on_wire = lambda frame: seen.append(frame) or frame  # type: ignore[func-returns-value]
    lab.left.host.send(host_frame(lab.left, lab.right))
    lab.wire.deliver()
    forged = bytearray(seen[-1])
    forged[-1] ^= 1
    forged[41] += 1
    for frame in (seen[-1], bytes(forged)):
        lab.right.device.inject(OUTSIDE, frame)
    assert "RFC 4303 3.4.3" in (await lab.happened(lab.right, Kind.AUDIT, "REPLAY_DUP")).text
    assert "RFC 4303 3.4.4" in (await lab.happened(lab.right, Kind.AUDIT, "BAD_ICV")).text
    collector, registry = ControllerCollector(), CollectorRegistry()
    collector.watch(lab.controller.gateways)
    registry.register(collector)
    page = generate_latest(registry).decode()
    assert 'p4esp_drops_total{gateway="right",reason="BAD_ICV"} 1.0' in page
    assert 'p4esp_drops_total{gateway="left",reason="BAD_ICV"} 0.0' in page
