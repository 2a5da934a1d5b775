"""Switch, engine, store, controller or peer fail: what stays, what ends, and what comes back."""

import asyncio
import itertools
from dataclasses import replace
from typing import Any

import pytest
from lab_helpers import (
    PROGRAM,
    all_tables,
    drops,
    passes,
    passes_soon,
    restart_controller_with,
    sa_tables,
)

from p4esp.controller import gateway
from p4esp.controller.errors import SwitchUnreachableError
from p4esp.controller.link import take_over
from p4esp.controller.sa_installer import LiveSa
from p4esp.demo.lab import Lab, running_lab
from p4esp.demo.plan import LEFT, Change, gateway_section
from p4esp.engine.errors import EngineUnavailableError, HandlesExhaustedError
from p4esp.engine.keystore import KeySpec
from p4esp.service.journal import Kind
from p4esp.store import StoreError

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")


@pytest.fixture
async def lab():
    async with running_lab(PROGRAM) as running, asyncio.timeout(15):
        await running.tunnel_up()
        yield running


async def test_a_restarted_switch_gets_new_keys_and_the_peer_forgets_the_old(lab: Lab) -> None:
    """ICV-15: no key is used again when the registers are gone."""
    used = {live.record.child.spi_in for live in lab.gateway(lab.left).sas.live.values()}
    assert await passes(lab, lab.left, lab.right)
    await lab.restart_switch(lab.left)
    await lab.happened(lab.left, Kind.REGISTERS_LOST)
    await passes_soon(lab, lab.left, lab.right)
    await passes_soon(lab, lab.right, lab.left)
    await lab.happened(lab.right, Kind.SA_REMOVED)
    for site in lab.sites:
        (live,) = lab.gateway(site).sas.live.values()
        assert live.record.child.spi_in not in used


async def test_a_restarted_controller_leaves_the_switch_alone(lab: Lab) -> None:
    """ROB-03: the data plane goes on, and its registers are read back."""
    assert await passes(lab, lab.left, lab.right)
    before = {site.plan.name: await all_tables(lab, site) for site in lab.sites}
    space = next(iter(lab.gateway(lab.left).sas.live.values())).record.placement.space_out
    await lab.stop_controller()
    for _ in range(3):
        assert await passes(lab, lab.left, lab.right), "traffic needs no controller"
    lab.change = Change(starts=())
    lab.start_controller()
    for site in lab.sites:
        assert "1 SAs stay" in str(await lab.happened(site, Kind.RECONCILED))
        await lab.happened(site, Kind.READY)
        ike = {entry for entry in before[site.plan.name] if entry.table == "ike_sa"}
        assert await all_tables(lab, site) == before[site.plan.name] - ike
    link = lab.gateway(lab.left).link
    assert link is not None
    assert await link.state.read_sequence(space) == 4
    assert await passes(lab, lab.left, lab.right)


async def test_after_a_controller_restart_new_sas_replace_the_orphans(lab: Lab) -> None:
    (old,) = lab.gateway(lab.left).sas.live
    await lab.stop_controller()
    lab.start_controller()
    await lab.happened(lab.left, Kind.SA_REMOVED, f"{old:08x}")
    await lab.happened(lab.right, Kind.SA_REMOVED)
    for site in lab.sites:
        assert len(lab.gateway(site).sas.live) == 1
    assert await passes(lab, lab.left, lab.right)


async def test_without_an_engine_packets_are_counted_and_the_sa_stays(lab: Lab) -> None:
    lab.left.engine.up = False
    await lab.happened(lab.left, Kind.ENGINE_DOWN)
    assert not await passes(lab, lab.left, lab.right)
    assert drops(lab.left)["NO_ENGINE"] == 1
    sas = dict(lab.gateway(lab.left).sas.live)
    lab.left.engine.up = True
    await lab.journal.next(lambda entry: entry.kind is Kind.ENGINE_UP)
    assert await passes(lab, lab.left, lab.right)
    assert lab.gateway(lab.left).sas.live == sas


async def test_a_restarted_engine_gets_the_same_keys_under_fresh_handles(lab: Lab) -> None:
    (live,) = lab.gateway(lab.left).sas.live.values()
    old = live.handles
    assert await passes(lab, lab.left, lab.right)
    lab.left.engine.restart()
    await lab.happened(lab.left, Kind.KEYS_RESTORED)
    await passes_soon(lab, lab.left, lab.right)
    await passes_soon(lab, lab.right, lab.left)
    assert live.handles != old
    assert len(lab.gateway(lab.left).sas.live) == 1
    assert len(await sa_tables(lab, lab.left)) == 4


@pytest.mark.parametrize("failing", [0, 1])
@pytest.mark.parametrize(
    "error", [EngineUnavailableError("hiccup"), HandlesExhaustedError("all handles are used")]
)
async def test_an_engine_that_fails_while_it_gets_its_keys_back_gets_them_later(
    lab: Lab, failing: int, error: Exception
) -> None:
    """The engine is offered packets only when no live SA lacks a key there."""
    (live,) = lab.gateway(lab.left).sas.live.values()
    engine, install, calls = lab.left.engine, lab.left.engine.install, itertools.count()

    async def hiccup(spec: KeySpec) -> int:
        if next(calls) == failing:
            raise error
        return await install(spec)

    engine.install = hiccup  # type: ignore[method-assign]
    engine.restart()
    assert str(error) in str(await lab.happened(lab.left, Kind.ENGINE_DOWN))
    await lab.happened(lab.left, Kind.KEYS_RESTORED)
    await lab.journal.has(lambda entry: entry.kind is Kind.ENGINE_UP)
    await passes_soon(lab, lab.left, lab.right)
    assert {live.handles.open, live.handles.seal} == {
        key.handle for key in (await engine.stats()).keys
    }


async def test_a_store_that_fails_ends_one_new_sa_and_nothing_else(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    (old,) = lab.gateway(lab.left).sas.live

    def full(_: object) -> None:
        raise StoreError("p4esp.db: database or disk is full")

    monkeypatch.setattr(lab.store, "add_sa", full)
    lab.gateway(lab.left).rekey_child(old)
    for site in lab.sites:
        assert "disk is full" in str(await lab.happened(site, Kind.SA_FAILED))
    assert await passes(lab, lab.left, lab.right)
    assert lab.gateway(lab.left).link is not None


async def test_a_store_that_cannot_be_read_is_tried_again(lab: Lab) -> None:
    await lab.stop_controller()
    sas = lab.store.sas

    def unreadable(gateway: str) -> None:
        raise StoreError(f"{gateway}: disk I/O error")

    lab.store.sas = unreadable  # type: ignore[method-assign]
    lab.start_controller()
    assert "disk I/O error" in str(await lab.happened(lab.left, Kind.STORE_FAILED))
    lab.store.sas = sas  # type: ignore[method-assign]
    await lab.happened(lab.left, Kind.READY)


async def test_a_child_that_ends_while_the_switch_is_taken_over_does_not_come_back(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    left, right = (lab.gateway(site) for site in lab.sites)
    ((old, live),) = left.sas.live.items()

    async def slowly(*arguments: Any) -> list[LiveSa]:
        kept = await take_over(*arguments)
        right.delete_child(live.record.child.spi_out)
        while old in left.sas.negotiated:
            await asyncio.sleep(0.001)
        return kept

    monkeypatch.setattr(gateway, "take_over", slowly)
    assert left.link is not None
    left.link.session.end(SwitchUnreachableError("the stream ended"))
    await lab.happened(lab.left, Kind.SA_REMOVED, f"{old:08x}")
    await passes_soon(lab, lab.left, lab.right)
    assert old not in left.sas.live


async def test_an_sa_of_a_peer_that_is_configured_no_more_ends_with_the_next_controller(
    lab: Lab,
) -> None:
    """RFC 4301 4.4: SAs come from the SPD and the peer authorisation database."""
    await lab.stop_controller()
    await restart_controller_with(lab, peers=[], policies=[])
    assert "0 SAs stay" in str(await lab.happened(lab.left, Kind.RECONCILED))
    assert not await passes(lab, lab.right, lab.left)
    assert await sa_tables(lab, lab.left) == set()
    assert (await lab.left.engine.stats()).keys == ()


async def test_an_address_that_is_ours_no_more_ends_its_sas_and_nothing_else(lab: Lab) -> None:
    section = gateway_section(LEFT, lab.left.address, Change(starts=()))
    section["interfaces"][1]["addresses"] = ["192.0.2.9/24"]
    section["peers"][0]["local"] = "192.0.2.9"
    await lab.stop_controller()
    await restart_controller_with(lab, **section)
    assert "0 SAs stay" in str(await lab.happened(lab.left, Kind.RECONCILED))


async def test_an_install_that_a_slow_engine_holds_over_a_lost_stream_takes_nothing_from_others(
    lab: Lab,
) -> None:
    left, engine = lab.gateway(lab.left), lab.left.engine
    install, asked, refuse = engine.install, asyncio.Event(), asyncio.Event()

    async def hang(_: KeySpec) -> int:
        asked.set()
        await refuse.wait()
        raise EngineUnavailableError("no answer in 5 s")

    engine.install = hang  # type: ignore[method-assign]
    left.rekey_child(next(iter(left.sas.live)))
    await asked.wait()
    assert left.link is not None
    left.link.session.end(SwitchUnreachableError("the stream ended"))
    await lab.journal.next(lambda entry: entry.kind is Kind.READY)
    engine.install = install  # type: ignore[method-assign]
    refuse.set()
    assert "no answer" in str(await lab.happened(lab.left, Kind.SA_FAILED))
    await passes_soon(lab, lab.left, lab.right)


async def test_a_child_whose_ike_sa_dies_while_it_is_made_is_tried_again(lab: Lab) -> None:
    (old,) = lab.gateway(lab.left).sas.live
    connections = lab.gateway(lab.left).connections
    lab.gateway(lab.left).delete_child(old)
    await lab.happened(lab.left, Kind.SA_REMOVED, f"{old:08x}")
    lab.wire.on_wire = lambda frame: None
    connections.bring_up("right", "net")
    await lab.happened(lab.left, Kind.IKE_DOWN)
    lab.wire.on_wire = lambda frame: frame
    await passes_soon(lab, lab.left, lab.right)


@pytest.mark.parametrize("reachable", [True, False], ids=["soft limit", "hard limit"])
async def test_an_sa_that_outlived_its_ike_sa_is_replaced_at_its_limits(reachable: bool) -> None:
    """Where the peer is not reachable at the soft limit, the hard one makes room for an acquire."""
    change = Change(sa={"grace": 0.0, "soft_packets": 10, "hard_packets": 20})
    async with running_lab(PROGRAM, change) as lab, asyncio.timeout(15):
        await lab.tunnel_up()
        (old,) = lab.gateway(lab.left).sas.live
        await lab.stop_controller()
        lab.change = replace(change, starts=())
        lab.start_controller()
        for site in lab.sites:
            await lab.happened(site, Kind.READY)
        lab.wire.on_wire = lambda frame: frame if reachable else None
        for _ in range(10 if reachable else 21):
            await passes(lab, lab.left, lab.right)
        await lab.happened(lab.left, Kind.SA_REMOVED, f"{old:08x}")
        lab.wire.on_wire = lambda frame: frame
        await passes_soon(lab, lab.left, lab.right)
