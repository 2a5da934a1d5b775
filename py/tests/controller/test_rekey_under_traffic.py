"""Rekeying makes before it breaks: steady traffic both ways loses not one packet (RFC 7296 2.8)."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from lab_helpers import PROGRAM, all_tables, delivered, drops, host_frame

from p4esp.controller import tables
from p4esp.controller.config import ControllerConfig, parse_config
from p4esp.demo.lab import Lab, running_lab
from p4esp.demo.plan import Change, gateway_section
from p4esp.demo.site import Site
from p4esp.ike.errors import CommandError
from p4esp.service.journal import Kind

PERIOD = 0.002
"""Seconds between two packets each way."""


class Traffic:
    """Numbered packets both ways, and what became of them."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self.sent: dict[str, list[bytes]] = {site.plan.name: [] for site in lab.sites}
        self.received: dict[str, list[bytes]] = {site.plan.name: [] for site in lab.sites}

    async def run(self) -> None:
        """Send until cancelled."""
        for number in itertools.count():
            for source, target in (self._lab.sites, self._lab.sites[::-1]):
                payload = number.to_bytes(4, "big")
                self.sent[target.plan.name].append(payload)
                source.host.send(host_frame(source, target, payload))
            await asyncio.sleep(PERIOD)
            self.collect()

    def collect(self) -> None:
        """Take what has arrived."""
        for site in self._lab.sites:
            self.received[site.plan.name] += delivered(site.host.receive())


@asynccontextmanager
async def steady_traffic(lab: Lab) -> AsyncIterator[Traffic]:
    """Traffic inside the block; afterwards it all must have arrived, once, with nothing dropped."""
    traffic, before = Traffic(lab), [drops(site) for site in lab.sites]
    task = asyncio.create_task(traffic.run())
    try:
        yield traffic
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    await asyncio.sleep(0.1)
    lab.wire.deliver()
    traffic.collect()
    assert traffic.received == traffic.sent
    assert len(traffic.sent["left"]) > 50
    assert [drops(site) for site in lab.sites] == before


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    change = Change(esp=("aes256gcm16-x25519-esn",), sa={"grace": 0.2})
    async with running_lab(PROGRAM, change) as running, asyncio.timeout(60):
        await running.tunnel_up()
        yield running


def count(lab: Lab, site: Site, kind: Kind) -> int:
    """How often something has happened at a site."""
    entries = [entry for entry in lab.journal.entries if entry.kind is kind]
    return sum(entry.gateway == site.plan.name for entry in entries)


async def at_both_again(lab: Lab, kind: Kind) -> None:
    """Wait until something has happened once more at both sites."""
    waiting = [(site, count(lab, site, kind)) for site in lab.sites]
    for site, before in waiting:
        while count(lab, site, kind) == before:
            await lab.journal.next(lambda entry: entry.kind is kind)


async def rekey_ike(lab: Lab, site: Site) -> None:
    (ike,) = lab.gateway(site).connections.established
    lab.gateway(site).ike.command(lambda endpoint, now: endpoint.rekey_ike(ike, now))
    await at_both_again(lab, Kind.IKE_DOWN)


async def rekey_child(lab: Lab, site: Site) -> None:
    (old,) = lab.gateway(site).sas.negotiated
    lab.gateway(site).rekey_child(old)
    await at_both_again(lab, Kind.SA_REMOVED)


async def test_child_and_ike_rekeys_from_either_side_lose_no_packet(lab: Lab) -> None:
    async with steady_traffic(lab):
        for _ in range(2):
            for site, rekey in itertools.product(lab.sites, (rekey_ike, rekey_child)):
                await rekey(lab, site)
    for site in lab.sites:
        gateway = lab.gateway(site)
        (live,) = gateway.sas.live.values()
        assert live.record.child.spi_in in gateway.sas.negotiated
        marked = {entry for entry in await all_tables(lab, site) if entry.table == "ike_sa"}
        assert marked == {tables.ike_sa(spi) for spi in gateway.connections.established}
        assert len(marked) == 1


@pytest.mark.parametrize("what", ["ike", "child"])
async def test_rekeys_that_both_sides_begin_at_once_lose_no_packet(lab: Lab, what: str) -> None:
    async with steady_traffic(lab):
        for _ in range(5):
            for site in lab.sites:
                gateway = lab.gateway(site)
                with suppress(CommandError):
                    if what == "child":
                        gateway.rekey_child(next(iter(gateway.sas.negotiated)))
                    else:
                        (ike,) = gateway.connections.established
                        gateway.ike.command(lambda ep, now, ike=ike: ep.rekey_ike(ike, now))
            await asyncio.sleep(1)
    for site in lab.sites:
        assert len(lab.gateway(site).sas.negotiated) == 1
        assert len(lab.gateway(site).connections.established) == 1


LIMITS = [
    {"rekey_time": 1, "life_time": 30},
    {"rekey_time": 0, "rekey_packets": 100, "life_packets": 100_000},
    {"rekey_time": 0, "rekey_bytes": 10_000, "life_bytes": 10_000_000},
]


@pytest.mark.parametrize("limits", LIMITS, ids=["time", "packets", "octets"])
async def test_each_limit_rekeys_and_loses_no_packet(limits: dict[str, int]) -> None:
    async with running_lab(PROGRAM) as lab, asyncio.timeout(60):
        await lab.tunnel_up()
        await lab.stop_controller()
        lab.config = lambda: with_limits(lab, limits)  # type: ignore[method-assign]
        lab.start_controller(traffic_interval=0.05)
        await lab.tunnel_up()
        await lab.happened(lab.left, Kind.SA_REMOVED)
        async with steady_traffic(lab):
            for _ in range(2):
                await at_both_again(lab, Kind.SA_REMOVED)
        assert count(lab, lab.left, Kind.LIMIT) == 0  # the pipeline had no cause to speak


def with_limits(lab: Lab, limits: dict[str, int]) -> ControllerConfig:
    """Limits at the left; the IKE SA lives for two seconds."""
    change = Change(sa={"grace": 0.2})
    sections = {
        site.plan.name: gateway_section(site.plan, site.address, change) for site in lab.sites
    }
    for name, child in (("left", limits), ("right", {"rekey_time": 0})):
        (peer,) = sections[name]["peers"]
        peer["lifetime"] = {"rekey_time": 2 if name == "left" else 0}
        peer["children"][0]["lifetime"] = child
    return parse_config({"gateways": sections}, "lab")
