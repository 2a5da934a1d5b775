"""The controller on the P4Runtime server that nobody here wrote."""

import asyncio
import os
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from ipaddress import ip_address

import pytest
from bmv2_process import SKIP_REASON, find_bmv2, running_bmv2
from controller_samples import CHILD
from lab_helpers import PROGRAM

from p4esp.controller.config import parse_config
from p4esp.controller.gateway import Gateway
from p4esp.controller.reconcile import SA_TABLES
from p4esp.controller.surroundings import Surroundings
from p4esp.demo.plan import LEFT, Change, gateway_section
from p4esp.demo.site import LabEngine
from p4esp.ike.events import DownReason
from p4esp.ipsec.sa import ChildSaParams
from p4esp.ipsec.selectors import TrafficSelector
from p4esp.service.journal import Journal, Kind
from p4esp.store import Sealer, Store

pytestmark = pytest.mark.skipif(find_bmv2() is None, reason=SKIP_REASON)


def prefixes(selectors: tuple[TrafficSelector, ...]) -> list[str]:
    return [str(net) for selector in selectors for net in selector.prefixes()]


@asynccontextmanager
async def running_gateway(address: str, store: Store, engine: LabEngine, child: ChildSaParams):
    journal = Journal()
    around = Surroundings(
        *(PROGRAM, store, journal), clock=time.monotonic, random_bytes=os.urandom, reconnect=0.1
    )
    section = gateway_section(LEFT, address, Change(starts=()))
    section["interfaces"][1]["addresses"].append("2001:db8:ff::1/64")
    for part in (section["peers"][0]["children"][0], section["policies"][0]):
        part["local"], part["remote"] = map(prefixes, (child.local_ts, child.remote_ts))
    for key in ("local", "remote"):
        section["peers"][0][key] = str(getattr(child, key))
    config = parse_config({"gateways": {"left": section}}, "test")
    gateway = Gateway("left", config.gateways["left"], engine, around)
    task = asyncio.create_task(gateway.run())
    try:
        await journal.has(lambda entry: entry.kind is Kind.READY)
        yield gateway, journal
    finally:
        task.cancel()
        await asyncio.wait((task,))


OVER_V6 = replace(
    CHILD,
    local=ip_address("2001:db8:ff::1"),
    remote=ip_address("2001:db8:ff::2"),
    local_ts=(TrafficSelector.of_network("2001:db8:1::/48"), *CHILD.local_ts),
    remote_ts=(TrafficSelector.of_network("2001:db8:2::/48"), *CHILD.remote_ts),
)
SEVERAL = replace(
    OVER_V6,
    remote_ts=(*OVER_V6.remote_ts, TrafficSelector.of_network("2001:db8:3::/48")),
)


@pytest.mark.parametrize(
    ("child", "entries"),
    [(CHILD, 4), (OVER_V6, 7), (SEVERAL, 10)],
    ids=["IPv4", "IPv6", "several pairs"],
)
async def test_an_sa_is_installed_survives_a_controller_restart_and_is_removed(
    child: ChildSaParams, entries: int
) -> None:
    store, engine = Store(None, Sealer(bytes(32))), LabEngine()
    async with asyncio.timeout(30), running_bmv2() as bmv2:
        there = (bmv2.grpc_address, store, engine, child)
        async with running_gateway(*there) as (gateway, _):
            assert await gateway.sas.up(child)
            before = set(await gateway.link.session.read(*SA_TABLES))
            assert len(before) == entries
            place = gateway.sas.live[child.spi_in].record.placement
            await gateway.link.state.advance_sequence(place.space_out, 41)
        async with running_gateway(*there) as (gateway, journal):
            kept = await journal.has(lambda entry: entry.kind is Kind.RECONCILED)
            assert "1 SAs stay" in kept.text
            assert set(await gateway.link.session.read(*SA_TABLES)) == before
            assert await gateway.link.state.read_sequence(place.space_out) == 41
            gateway.sas.down(child, DownReason.LOCAL_DELETE)
            await gateway.sas.settled()
            assert await gateway.link.session.read(*SA_TABLES) == []
    assert (store.sas("left"), engine.engine.key_count) == ([], 0)
