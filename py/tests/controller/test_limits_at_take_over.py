"""Packet limits that SAs reach while no controller listens."""

import asyncio
from dataclasses import replace

import pytest
from lab_helpers import PROGRAM, drops, passes, passes_soon

from p4esp.controller import gateway
from p4esp.controller.errors import ControllerError, SwitchUnreachableError
from p4esp.controller.sa_events import SaEvents
from p4esp.demo.lab import running_lab
from p4esp.demo.plan import Change
from p4esp.service.journal import Kind

LIMITED = Change(sa={"grace": 0.0, "soft_packets": 10, "hard_packets": 20})


@pytest.mark.parametrize(("packets", "limit"), [(12, "SOFT_LIMIT at 12"), (25, "HARD_LIMIT at 20")])
async def test_a_controller_acts_on_a_limit_that_an_sa_reached_without_one(
    packets: int, limit: str
) -> None:
    async with running_lab(PROGRAM, LIMITED) as lab, asyncio.timeout(15):
        await lab.tunnel_up()
        (old,) = lab.gateway(lab.left).sas.live
        await lab.stop_controller()
        passed = [await passes(lab, lab.left, lab.right) for _ in range(packets)]
        assert sum(passed) == min(packets, 20)
        lab.change = replace(LIMITED, starts=())
        lab.start_controller()
        assert limit in str(await lab.happened(lab.left, Kind.LIMIT))
        await lab.happened(lab.left, Kind.SA_REMOVED, f"{old:08x}")
        await passes_soon(lab, lab.left, lab.right)
        assert drops(lab.left).get("SA_EXPIRED", 0) == max(0, packets - 20)


async def test_a_limit_that_was_reached_while_the_stream_was_away_rekeys_too() -> None:
    async with running_lab(PROGRAM, LIMITED) as lab, asyncio.timeout(15):
        await lab.tunnel_up()
        left = lab.gateway(lab.left)
        (old,) = left.sas.live
        assert left.link is not None
        left.link.session.end(SwitchUnreachableError("the stream ended"))
        for _ in range(12):
            assert await passes(lab, lab.left, lab.right)
        await lab.happened(lab.left, Kind.SA_REMOVED, f"{old:08x}")
        assert await passes(lab, lab.left, lab.right)


async def test_an_sa_below_its_limits_is_left_alone_at_take_over() -> None:
    async with running_lab(PROGRAM, LIMITED) as lab, asyncio.timeout(15):
        await lab.tunnel_up()
        left = lab.gateway(lab.left)
        for _ in range(9):
            assert await passes(lab, lab.left, lab.right)
        assert left.link is not None
        parts = (left.sas, left.ike, left.connections, lab.journal)
        acquire = left.shares.acquire
        events = SaEvents(left.link.session, *parts, acquire=acquire, clock=lambda: 0.0)
        await events.catch_up(left.link.state)
        assert not [entry for entry in lab.journal.entries if entry.kind is Kind.LIMIT]


async def test_what_stands_in_the_way_of_a_take_over_is_noted_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    attempts = 0

    async def fail(*_: object) -> None:
        nonlocal attempts
        attempts += 1
        raise ControllerError("an entry is refused")

    async with running_lab(PROGRAM) as lab, asyncio.timeout(15):
        await lab.tunnel_up()
        await lab.stop_controller()
        monkeypatch.setattr(gateway, "take_over", fail)
        lab.start_controller()
        while attempts < 8:
            await asyncio.sleep(0.01)
        kinds = [entry.kind for entry in lab.journal.entries if entry.gateway == "left"]
        assert kinds == [Kind.CONNECTED, Kind.DISCONNECTED]
