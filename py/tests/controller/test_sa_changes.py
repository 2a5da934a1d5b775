"""What may happen to an installed SA at the same time: new keys, a new address, its end."""

import asyncio
from dataclasses import replace
from ipaddress import IPv4Address
from itertools import count

import pytest
from controller_samples import CHILD
from installer_bench import Bench

from p4esp.controller.entries import Entry
from p4esp.controller.errors import SwitchUnreachableError
from p4esp.controller.protect_rules import ProtectRules
from p4esp.controller.sa_manager import SaManager
from p4esp.engine.core import Engine
from p4esp.engine.errors import EngineUnavailableError
from p4esp.engine.keystore import KeySpec
from p4esp.ike.events import DownReason
from p4esp.ipsec.policy import Action, PolicyRule
from p4esp.ipsec.sa import UdpEncapsulation
from p4esp.service.journal import Journal, Kind
from p4esp.store import SaState

BEHIND_NAT = replace(CHILD, encapsulation=UdpEncapsulation(4500, 4500))
ELSEWHERE = IPv4Address("203.0.113.9")
MOVED = replace(CHILD, remote=ELSEWHERE, encapsulation=UdpEncapsulation(4500, 60000))
RULE = PolicyRule("all", Action.PROTECT, CHILD.local_ts, CHILD.remote_ts, child="right/net")


async def others_run() -> None:
    """Let every task come as far as it can."""
    for _ in range(50):
        await asyncio.sleep(0)


def written(bench: Bench, table: str) -> Entry:
    """The only entry of a table."""
    (entry,) = (entry for entry in bench.entries.values() if entry.table == table)
    return entry


@pytest.mark.parametrize("first", ["keys", "address"])
async def test_new_keys_and_a_new_address_at_the_same_time_both_last(first: str) -> None:
    bench = Bench()
    live = await bench.installer.install("left", BEHIND_NAT, 1)
    bench.engine = Engine()
    changes = {
        "keys": lambda: bench.installer.rekeyed_engine(live),
        "address": lambda: bench.installer.readdress(live, MOVED),
    }
    bench.writing.clear()
    order = sorted(changes, key=lambda name: name != first)
    tasks = []
    for name in order:
        tasks.append(asyncio.create_task(changes[name]()))
        await others_run()
    bench.writing.set()
    await asyncio.gather(*tasks)
    outbound = written(bench, "sa_out")
    assert outbound.arg("tunnel_dst") == int(ELSEWHERE)
    assert outbound.arg("key") in bench.handles
    assert written(bench, "sa_in").arg("key") in bench.handles
    assert outbound == live.entries.outbound


async def test_an_sa_that_ends_while_it_gets_its_keys_back_is_gone_with_all_of_them() -> None:
    bench = Bench()
    live = await bench.installed()
    bench.engine = Engine()
    bench.keying.clear()
    restoring = asyncio.create_task(bench.installer.rekeyed_engine(live))
    await others_run()
    removing = asyncio.create_task(bench.installer.remove(live))
    await others_run()
    bench.keying.set()
    await asyncio.gather(restoring, removing)
    assert (bench.entries, bench.handles, bench.states) == ({}, set(), [])


@pytest.mark.parametrize("change", ["keys", "address"])
async def test_nothing_changes_about_an_sa_whose_removal_has_begun(change: str) -> None:
    bench = Bench()
    live = await bench.installer.install("left", BEHIND_NAT, 1)
    bench.writing.clear()
    removing = asyncio.create_task(bench.installer.remove(live))
    await others_run()
    bench.events.clear()
    async with asyncio.timeout(5):
        if change == "keys":
            await bench.installer.rekeyed_engine(live)
        else:
            await bench.installer.readdress(live, MOVED)
    assert bench.events == []
    bench.writing.set()
    await removing
    assert not bench.entries


async def test_keys_whose_entries_cannot_be_written_do_not_stay_in_the_engine() -> None:
    bench = Bench()
    live = await bench.installed()
    before = bench.handles
    bench.fail_at = "modify sa_in"
    with pytest.raises(SwitchUnreachableError):
        await bench.installer.rekeyed_engine(live)
    assert bench.handles == before == {live.handles.open, live.handles.seal}


def manager_on(bench: Bench, journal: Journal) -> SaManager:
    parts = ("left", bench.store, bench.keys, bench.placements)
    manager = SaManager(*parts, rules=ProtectRules([RULE]), journal=journal)
    manager.connect(bench.installer, ())
    return manager


async def test_an_sa_whose_engine_restarts_during_installation_is_not_lost() -> None:
    """It is up, it gets its keys at the next check, and its end removes everything."""
    bench, journal = Bench(), Journal()
    manager = manager_on(bench, journal)
    ordinary, calls = bench.install, count(1)

    async def restarts(spec: KeySpec) -> int:
        call = next(calls)
        if call == 2:
            bench.engine = Engine()
            await bench.keys.sweep()
        elif call == 3:
            raise EngineUnavailableError("it fails once")
        return await ordinary(spec)

    bench.install = restarts  # type: ignore[method-assign]
    assert await manager.up(CHILD)
    (live,) = manager.live.values()
    with pytest.raises(EngineUnavailableError):
        await manager.restore_keys()
    assert list(manager.live.values()) == [live]
    await manager.restore_keys()
    assert {live.handles.open, live.handles.seal} <= bench.handles
    await bench.keys.sweep()
    manager.down(CHILD, DownReason.LOCAL_DELETE)
    await manager.settled()
    assert (bench.entries, bench.handles, bench.states) == ({}, set(), [])
    assert [note.kind for note in journal.entries].count(Kind.SA_UP) == 1


async def test_keys_of_sas_that_were_leaving_when_the_registers_were_lost_are_swept() -> None:
    bench = Bench()
    manager = manager_on(bench, Journal())
    assert await manager.up(CHILD)
    bench.writing.clear()
    manager.down(CHILD, DownReason.LOCAL_DELETE)
    await others_run()
    assert bench.states == [SaState.DELETING]
    manager.disconnect()
    await others_run()
    assert bench.handles
    assert [child.spi_in for child in manager.registers_lost()] == [CHILD.spi_in]
    await bench.keys.sweep()
    assert (bench.handles, bench.states) == (set(), [])


async def test_keys_of_sas_that_ended_while_the_switch_was_away_are_swept() -> None:
    bench = Bench()
    manager = manager_on(bench, Journal())
    assert await manager.up(CHILD)
    manager.disconnect()
    manager.down(CHILD, DownReason.PEER_DELETE)
    manager.registers_lost()
    await bench.keys.sweep()
    assert bench.handles == set()


async def test_an_sa_whose_key_was_swept_before_the_engine_had_answered_gets_it_back() -> None:
    """The sweep takes a key for a stray that the engine has and nobody has heard of yet."""
    bench, answers = Bench(), asyncio.Event()
    manager, ordinary = manager_on(bench, Journal()), bench.install

    async def answers_late(spec: KeySpec) -> int:
        handle = await ordinary(spec)
        await answers.wait()
        return handle

    bench.install = answers_late  # type: ignore[method-assign]
    coming = asyncio.create_task(manager.up(CHILD))
    await others_run()
    await bench.keys.sweep()
    answers.set()
    assert await coming
    await manager.restore_keys()
    (live,) = manager.live.values()
    assert bench.handles == {live.handles.open, live.handles.seal}
