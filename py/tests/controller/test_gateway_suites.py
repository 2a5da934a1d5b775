"""Two gateways agree on each suite and carry packets with it; nothing is seen that must not be."""

import asyncio

import pytest
from lab_helpers import PROGRAM, passes

from p4esp.controller.engine_keys import TRANSFORMS
from p4esp.demo.lab import running_lab
from p4esp.demo.plan import Change
from p4esp.demo.watch import Watch


@pytest.mark.parametrize("suite", TRANSFORMS)
async def test_packets_pass_both_ways_and_no_invariant_is_broken(suite: str) -> None:
    change = Change(esp=(f"{suite}-esn",))
    async with running_lab(PROGRAM, change) as lab, asyncio.timeout(15):
        await lab.tunnel_up()
        watches = []
        for site in lab.sites:
            (live,) = lab.gateway(site).sas.live.values()
            assert live.record.child.suite.name == suite
            watches.append(Watch(site))
            watches[-1].keys_of(live)
        for size in range(8):
            for source, target in (lab.sites, lab.sites[::-1]):
                assert await passes(lab, source, target, bytes(range(size)))
        assert [violation for watch in watches for violation in watch.violations()] == []
