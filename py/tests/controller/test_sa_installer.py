"""Order of installation and removal, and what is left after a failure at each step."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

import pytest
from controller_samples import CHILD
from installer_bench import Bench

from p4esp.controller.engine_keys import TRANSFORMS
from p4esp.controller.entries import Op, Update
from p4esp.controller.errors import SwitchUnreachableError, TableWriteError
from p4esp.controller.sa_installer import LiveSa, Numbers
from p4esp.engine import CryptoFrame, Direction, Engine, Flag, KeySpec
from p4esp.engine.check.requests import open_request, seal_request
from p4esp.ipsec.algorithms import SUITES, Suite
from p4esp.ipsec.sa import ChildSaParams, DirectionKeys, Keymat, UdpEncapsulation
from p4esp.ipsec.selectors import TrafficSelector
from p4esp.store import SaState

NETS_V6 = tuple(map(TrafficSelector.of_network, ("2001:db8:1::/48", "2001:db8:2::/48")))
INSTALLATION = [
    "key OPEN",
    "key SEAL",
    "scrub_seq",
    "scrub_top",
    "insert sa_in",
    "insert sad",
    "insert sa_out",
    "insert sa_select",
]


async def test_installation_keeps_the_order_of_the_design() -> None:
    """Engine key, fresh sequence numbers, inbound, outbound, policy (design section 8)."""
    bench = Bench()
    await bench.installed()
    assert bench.events == INSTALLATION
    assert bench.states == [SaState.INSTALLED]


@pytest.mark.parametrize("name", TRANSFORMS)
async def test_an_sa_of_each_suite_is_installed_with_its_sizes_and_all_its_keys(name: str) -> None:
    suite, bench = SUITES[name], Bench()
    there, back = (_keys_of(suite, seed) for seed in (1, 101))
    child = replace(CHILD, suite=suite, keymat=Keymat(back, there))
    live = await bench.installer.install("left", child, 1)
    for entry in (live.entries.inbound[0], live.entries.outbound):
        args = dict(entry.args)
        sizes = [args[field] for field in ("iv_len", "icv_len", "align")]
        assert sizes == [suite.iv_size, suite.icv_size, suite.align]
    assert [key.transform for key in bench.engine.stats().keys] == [TRANSFORMS[name]] * 2
    await _passes_to_its_peer(bench.engine, live, there)


def _keys_of(suite: Suite, seed: int) -> DirectionKeys:
    octets = bytes((seed + n) % 256 for n in range(suite.keymat_size))
    return DirectionKeys(
        octets[: suite.key_size],
        octets[suite.key_size : suite.cipher_size],
        octets[suite.cipher_size :],
    )


async def _passes_to_its_peer(ours: Engine, live: LiveSa, keys: DirectionKeys) -> None:
    """What our engine seals under the outbound key, the peer's opens with its inbound key."""
    peer, transform = Engine(), TRANSFORMS[live.record.child.suite.name]
    spec = KeySpec(Direction.OPEN, transform, keys.key, keys.salt, integrity_key=keys.integrity)
    esn = {"transform": transform, "flags": Flag.TRAILER | Flag.ESN}
    generation = live.record.placement.generation_out
    request = seal_request(live.handles.seal, 7, b"payload", gen=generation, **esn)
    sealed = CryptoFrame.decode(ours.process(request.encode()) or b"")
    opening = open_request(peer.install(spec), 7, sealed.packet[20:], **esn)
    opened = CryptoFrame.decode(peer.process(opening.encode()) or b"")
    assert opened.packet[opening.descriptor.ct_off :] == b"payload"


async def test_removal_is_the_reverse_after_a_grace_period() -> None:
    bench = Bench()
    live = await bench.installed()
    bench.events.clear()
    await bench.installer.remove(live)
    expected = ["delete sa_select", "wait 5", "delete sa_out", "delete sad", "delete sa_in"]
    assert bench.events == [*expected, *["scrub_cells"] * 4, "key removed", "key removed"]
    assert sum(count for _, count in bench.cells) == live.record.placement.cells
    assert (bench.entries, bench.states, bench.engine.key_count) == ({}, [], 0)
    assert bench.placements.cells_used == 0


@pytest.mark.parametrize("step", INSTALLATION)
async def test_a_failure_at_any_step_leaves_nothing(step: str) -> None:
    bench = Bench(fail_at=step)
    with pytest.raises(SwitchUnreachableError):
        await bench.installed()
    assert (bench.entries, bench.states, bench.engine.key_count) == ({}, [], 0)
    assert bench.placements.cells_used == 0
    assert bench.selection.entries() == []


@pytest.mark.parametrize("step", ["insert sad", "insert sa_out"])
async def test_where_taking_back_fails_too_the_key_is_discarded_and_the_doubt_recorded(
    step: str,
) -> None:
    bench = Bench(fail_at=step)
    taken_back = bench.step

    def lost(name: str) -> None:
        if name.startswith(("delete", "scrub_cells")):
            raise SwitchUnreachableError("gone")
        taken_back(name)

    bench.step = lost  # type: ignore[method-assign]
    with pytest.raises(SwitchUnreachableError):
        await bench.installed()
    assert bench.engine.key_count == 0
    assert bench.states == [SaState.INSTALLING]
    assert bench.placements.cells_used > 0, "its replay cells are not given to another SA"


async def test_a_removal_that_fails_stays_recorded() -> None:
    bench = Bench()
    live = await bench.installed()
    bench.fail_at, bench.unreachable = "delete sad", True
    with pytest.raises(SwitchUnreachableError):
        await bench.installer.remove(live)
    assert bench.states == [SaState.DELETING]
    assert bench.placements.cells_used == live.record.placement.cells


async def test_an_entry_in_the_way_is_named() -> None:
    bench = Bench()
    live = await bench.installed()
    bench.engine.remove_all()

    async def refuse(updates: Sequence[Update]) -> dict[int, tuple[str, str]]:
        return {0: ("ALREADY_EXISTS", "taken")} if updates[0].op is Op.INSERT else {}

    bench.send = refuse  # type: ignore[method-assign]
    bench.installer._switch.writer._send = refuse
    with pytest.raises(TableWriteError, match=r"insert sa_in\[sa=0x1\].*ALREADY_EXISTS"):
        await bench.installer.install("left", _other(), 1)
    assert bench.states == [live.record.state]


def _other() -> ChildSaParams:
    return replace(CHILD, spi_in=0x33333333)


async def test_a_successor_waits_until_its_predecessor_is_withdrawn() -> None:
    """RFC 7296 2.8: the responder of a rekey goes on sending on the old SA."""
    bench = Bench()
    old = await bench.installed()
    new = await bench.installer.install("left", _other(), 1, send=False)
    (selected,) = bench.selection.entries()
    assert selected.arg("sa") == old.record.placement.sa_out
    await bench.installer.remove(old)
    (selected,) = [entry for entry in bench.entries.values() if entry.table == "sa_select"]
    assert selected.arg("sa") == new.record.placement.sa_out


async def test_a_restarted_engine_changes_two_entries_in_place() -> None:
    bench = Bench()
    live = await bench.installed()
    before = live.entries
    bench.events.clear()
    bench.engine = Engine()
    await bench.installer.rekeyed_engine(live)
    written = ["key OPEN", "key SEAL", "modify sa_in", "modify sa_out"]
    assert bench.events == [*written, "key removed", "key removed"]
    assert bench.engine.key_count == 2
    changed = set(before.outbound.args) - set(live.entries.outbound.args)
    assert {name for name, _ in changed} == {"key"}


async def test_a_peer_that_moved_changes_one_entry_and_the_record() -> None:
    bench = Bench()
    child = replace(CHILD, encapsulation=UdpEncapsulation(4500, 4500))
    live = await bench.installer.install("left", child, 1)
    bench.events.clear()
    there = IPv4Address("203.0.113.9")
    moved = replace(child, remote=there, encapsulation=UdpEncapsulation(4500, 60000))
    await bench.installer.readdress(live, moved)
    assert bench.events == ["modify sa_out"]
    outbound = live.entries.outbound
    assert (outbound.arg("tunnel_dst"), outbound.arg("udp_dport")) == (int(there), 60000)
    (kept,) = bench.store.sas("left")
    assert kept == live.record


async def test_a_move_to_another_address_of_ours_is_received_on_both_meanwhile() -> None:
    bench = Bench()
    here = IPv4Address("192.0.2.77")
    bench.installer._numbers = Numbers(
        bench.placements, lambda address: 2 if address == here else 1
    )
    live = await bench.installed()
    bench.events.clear()
    moved = replace(CHILD, local=here, encapsulation=UdpEncapsulation(4500, 4500))
    await bench.installer.readdress(live, moved)
    assert bench.events == ["insert sad", "modify sa_out", "delete sad"]
    (kept,) = bench.store.sas("left")
    assert kept.child == moved


OVER_V6 = {"local": IPv6Address("2001:db8:ff::1"), "remote": IPv6Address("2001:db8:ff::2")}


async def test_over_ipv6_the_outer_addresses_are_there_before_the_sa_and_go_after_it() -> None:
    bench = Bench()
    child = replace(CHILD, **OVER_V6, local_ts=NETS_V6[:1], remote_ts=NETS_V6[1:])
    live = await bench.installer.install("left", child, 1)
    written = [event for event in bench.events if event.startswith("insert")]
    assert set(written[:2]) == {"insert sa_in", "insert pair_v6"}
    tables = ["sad", "tunnel_v6", "sa_out", "sa_select_v6"]
    assert written[2:] == [f"insert {table}" for table in tables]
    bench.events.clear()
    await bench.installer.remove(live)
    deleted = [event for event in bench.events if event.startswith("delete")]
    assert deleted[:4] == [f"delete {table}" for table in reversed(tables)]
    assert bench.entries == {}


@pytest.mark.parametrize("step", ["insert tunnel_v6", "insert sa_out"])
async def test_a_failure_over_ipv6_leaves_nothing(step: str) -> None:
    bench = Bench(fail_at=step)
    with pytest.raises(SwitchUnreachableError):
        await bench.installer.install("left", replace(CHILD, **OVER_V6), 1)
    assert (bench.entries, bench.states, bench.engine.key_count) == ({}, [], 0)


@pytest.mark.parametrize(
    ("before", "after", "events"),
    [
        ({}, OVER_V6, ["insert tunnel_v6", "modify sa_out"]),
        (OVER_V6, {}, ["modify sa_out", "delete tunnel_v6"]),
        (
            OVER_V6,
            OVER_V6 | {"remote": IPv6Address("2001:db8:77::2")},
            ["modify tunnel_v6"],
        ),
    ],
    ids=["to IPv6", "to IPv4", "within IPv6"],
)
async def test_a_move_between_families_never_leaves_an_sa_without_addresses(
    before, after, events: list[str]
) -> None:
    """RFC 4555: the new address may be of the other family."""
    bench = Bench()
    live = await bench.installer.install("left", replace(CHILD, **before), 1)
    bench.events.clear()
    await bench.installer.readdress(live, replace(CHILD, **after))
    assert bench.events == events
    assert {entry.key for entry in live.entries.all} < bench.entries.keys()


async def test_a_cancelled_installation_waits_for_nobody_and_leaves_what_a_crash_would() -> None:
    bench = Bench()
    sending = asyncio.Event()

    async def hang(_: Sequence[Update]) -> dict[int, tuple[str, str]]:
        sending.set()
        await asyncio.Event().wait()
        return {}

    bench.writer._send = hang
    installing = asyncio.create_task(bench.installed())
    await sending.wait()
    installing.cancel()
    async with asyncio.timeout(5):
        await asyncio.wait((installing,))
    assert installing.cancelled()
    assert bench.states == [SaState.INSTALLING]
