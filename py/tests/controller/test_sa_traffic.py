"""Peers whose packets arrive are not asked whether they live; silent ones are (RFC 7296 2.4)."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from lab_helpers import PROGRAM, passes

from p4esp.controller.config import parse_config
from p4esp.demo.lab import Lab, running_lab
from p4esp.demo.plan import Change, gateway_section
from p4esp.service.journal import Kind

DELAY = 0.5


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    """A lab whose left site asks its peer for life after half a second of silence."""
    async with running_lab(PROGRAM) as running, asyncio.timeout(15):
        await running.tunnel_up()
        await running.stop_controller()
        running.config = lambda: config(running)  # type: ignore[method-assign]
        running.start_controller(traffic_interval=0.05)
        await running.tunnel_up()
        yield running


def config(lab: Lab):
    plans = {site.plan.name: (site.plan, site.address, Change()) for site in lab.sites}
    sections = {name: gateway_section(*parts) for name, parts in plans.items()}
    delays = {"left": DELAY, "right": 0}
    for name, delay in delays.items():
        sections[name]["peers"][0]["dpd_delay"] = delay
    return parse_config({"gateways": sections}, "lab")


def checks(lab: Lab) -> int:
    """Liveness checks: INFORMATIONAL requests of the left site."""
    sent = [record.message for name, record in lab.trace if name == "left"]
    return sum(message.startswith("INFORMATIONAL req") for message in sent)


async def test_a_peer_whose_packets_arrive_is_not_asked_and_a_silent_one_is(lab: Lab) -> None:
    await lab.happened(lab.left, Kind.SA_REMOVED)
    before = checks(lab)
    for _ in range(40):
        assert await passes(lab, lab.right, lab.left)
        await asyncio.sleep(DELAY / 10)
    assert checks(lab) == before
    while checks(lab) == before:
        await asyncio.sleep(0.05)


async def test_what_we_send_is_no_sign_of_a_peer_s_life(lab: Lab) -> None:
    await lab.happened(lab.left, Kind.SA_REMOVED)
    lab.wire.on_wire = lambda frame: None
    while lab.gateway(lab.left).connections.established:
        await passes(lab, lab.left, lab.right)
        await asyncio.sleep(0.05)
    assert "no answer to INFORMATIONAL" in str(await lab.happened(lab.left, Kind.IKE_DOWN))
