"""The controller on the P4Runtime server that nobody here wrote."""

import asyncio
import os
import time
from contextlib import asynccontextmanager

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
from p4esp.service.journal import Journal, Kind
from p4esp.store import Sealer, Store

pytestmark = pytest.mark.skipif(find_bmv2() is None, reason=SKIP_REASON)


@asynccontextmanager
async def running_gateway(address: str, store: Store, engine: LabEngine):
    journal = Journal()
    around = Surroundings(
        *(PROGRAM, store, journal), clock=time.monotonic, random_bytes=os.urandom, reconnect=0.1
    )
    section = gateway_section(LEFT, address, Change(starts=()))
    config = parse_config({"gateways": {"left": section}}, "test")
    gateway = Gateway("left", config.gateways["left"], engine, around)
    task = asyncio.create_task(gateway.run())
    try:
        await journal.has(lambda entry: entry.kind is Kind.READY)
        yield gateway, journal
    finally:
        task.cancel()
        await asyncio.wait((task,))


async def test_an_sa_is_installed_survives_a_controller_restart_and_is_removed() -> None:
    store, engine = Store(None, Sealer(bytes(32))), LabEngine()
    async with asyncio.timeout(30), running_bmv2() as bmv2:
        async with running_gateway(bmv2.grpc_address, store, engine) as (gateway, _):
            assert await gateway.sas.up(CHILD)
            before = set(await gateway.link.session.read(*SA_TABLES))
            assert len(before) == 4
            place = gateway.sas.live[CHILD.spi_in].record.placement
            await gateway.link.state.advance_sequence(place.space_out, 41)
        async with running_gateway(bmv2.grpc_address, store, engine) as (gateway, journal):
            kept = await journal.has(lambda entry: entry.kind is Kind.RECONCILED)
            assert "1 SAs stay" in kept.text
            assert set(await gateway.link.session.read(*SA_TABLES)) == before
            assert await gateway.link.state.read_sequence(place.space_out) == 41
            gateway.sas.down(CHILD, DownReason.LOCAL_DELETE)
            await gateway.sas.settled()
            assert await gateway.link.session.read(*SA_TABLES) == []
    assert (store.sas("left"), engine.engine.key_count) == ([], 0)
