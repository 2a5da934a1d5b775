"""Whatever keeps a child from coming up, attempts at it become rarer, and a success starts over."""

import asyncio
from collections.abc import Hashable
from typing import Any

import pytest
from lab_helpers import PROGRAM

from p4esp.demo import lab as demo_lab
from p4esp.demo.lab import Lab
from p4esp.demo.plan import Change, Plan
from p4esp.ike.config import Retransmission, Settings
from p4esp.service.backoff import Backoff
from p4esp.service.journal import Kind

QUICK = Settings(retransmission=Retransmission(first=0.02, tries=2))
FIRST, MOST = 0.01, 0.08


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> asyncio.Queue[float]:
    """The pauses after failures, as they are begun."""
    begun: asyncio.Queue[float] = asyncio.Queue()
    ordinary = Backoff.failed

    def failed(backoff: Backoff, what: Hashable) -> float:
        pause = ordinary(backoff, what)
        begun.put_nowait(pause)
        return pause

    monkeypatch.setattr(Backoff, "failed", failed)
    return begun


def other_proposals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Left offers what right does not accept."""
    ordinary = demo_lab.gateway_section

    def section(plan: Plan, address: str, change: Change) -> dict[str, Any]:
        config = ordinary(plan, address, change)
        if plan.name == "left":
            config["peers"][0]["children"][0]["proposals"] = ["aes128gcm16-noesn"]
        return config

    monkeypatch.setattr(demo_lab, "gateway_section", section)


@pytest.mark.parametrize("fault", ["psk", "proposals", "silence"])
async def test_what_fails_again_and_again_is_tried_less_and_less_often(
    fault: str, monkeypatch: pytest.MonkeyPatch, pauses: asyncio.Queue[float]
) -> None:
    if fault == "proposals":
        other_proposals(monkeypatch)
    lab = Lab(PROGRAM, Change(psk={"right": "another secret"} if fault == "psk" else {}))
    for site in lab.sites:
        await site.start()
    lab.plug()
    if fault == "silence":
        lab.wire.disconnect()
    lab.start_controller(ike_settings=QUICK, retry=FIRST, retry_most=MOST)
    try:
        async with asyncio.timeout(15):
            seen = [await pauses.get() for _ in range(6)]
    finally:
        await lab.stop()
    caps = [FIRST, 2 * FIRST, 4 * FIRST, MOST, MOST, MOST]
    assert all(cap / 2 <= pause <= cap for pause, cap in zip(seen, caps, strict=True))


async def test_a_tunnel_comes_up_once_the_wire_is_back(pauses: asyncio.Queue[float]) -> None:
    lab = Lab(PROGRAM, Change())
    for site in lab.sites:
        await site.start()
    lab.plug()
    lab.wire.disconnect()
    lab.start_controller(ike_settings=QUICK, retry=FIRST, retry_most=MOST)
    try:
        async with asyncio.timeout(15):
            for _ in range(3):
                await pauses.get()
            lab.plug()
            await lab.happened(lab.right, Kind.SA_UP)
    finally:
        await lab.stop()
