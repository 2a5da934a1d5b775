"""SA sets (RFC 9611): buckets move one by one, and no flow but theirs notices."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lab_helpers import PROGRAM, delivered, drops
from scapy.layers.inet import IP
from scapy.layers.ipsec import ESP

from p4esp.controller.config import ControllerConfig, parse_config
from p4esp.controller.numbers import Spread
from p4esp.controller.packets import ETHERTYPE_IPV4, Ethernet, Ipv4, Udp
from p4esp.controller.sa_sets import BUCKETS, SaSet
from p4esp.controller.selection import SaSelection
from p4esp.demo.lab import Lab, running_lab
from p4esp.demo.plan import INSIDE, Change, gateway_section
from p4esp.service.journal import Kind

steps = st.lists(st.tuples(st.sampled_from(["join", "leave"]), st.integers(0, 9)), max_size=30)


@given(steps)
def test_shares_are_even_only_what_must_move_moves_and_nobody_serves_who_has_left(todo) -> None:
    made, present = SaSet(1, Spread.FLOW), set()
    for verb, sa in todo:
        before = list(made.owner)
        if verb == "join":
            moves = made.join(sa)
            assert all(after == sa for _, after in moves.values())
            present.add(sa)
        else:
            moves = made.leave(sa)
            assert all(owner == sa for owner, _ in moves.values())
            present.discard(sa)
        changed = {at for at in range(BUCKETS) if made.owner[at] != before[at]}
        assert changed == moves.keys()
        assert all(before[at] == old for at, (old, _) in moves.items())
        held = Counter(made.owner)
        assert held.keys() == (present or {None})
        assert max(held.values()) - min(held.values()) <= 1


def test_low_buckets_are_shared_too_so_that_few_ports_or_classes_are_spread() -> None:
    made = SaSet(1, Spread.PORT)
    for sa in (1, 2, 3, 4):
        made.join(sa)
    assert len(set(made.owner[:8])) == 4


@given(st.integers(2, 6))
def test_an_heir_takes_exactly_the_buckets_of_who_leaves(members: int) -> None:
    made = SaSet(1, Spread.FLOW)
    for sa in range(1, members + 1):
        made.join(sa)
    before = list(made.owner)
    moves = made.leave(1, heir=99)
    assert set(moves) == {at for at, owner in enumerate(before) if owner == 1}
    assert made.owner == [99 if owner == 1 else owner for owner in before]


def test_par_01_a_bound_bucket_is_its_sas_alone_and_falls_back_when_that_leaves() -> None:
    made = SaSet(1, Spread.PORT)
    assert made.bind(7, [1]) == {1: (None, 7)}
    made.join(8)
    assert made.owner[1] == 7
    assert made.leave(7) == {1: (7, None)}


FLOWS = range(2000, 2060)


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    """A lab with three child SAs of one configuration."""
    async with running_lab(PROGRAM) as running, asyncio.timeout(20):
        await running.tunnel_up()
        for number in (2, 3):
            await another(running, number)
        running.outer = []  # type: ignore[attr-defined]
        running.wire.on_wire = lambda frame: running.outer.append(frame) or frame  # type: ignore[attr-defined]
        yield running


async def another(lab: Lab, number: int) -> None:
    """A child SA more, with equal selectors."""
    gateway = lab.gateway(lab.left)
    (ike,) = gateway.connections.established
    gateway.ike.command(lambda endpoint, now: endpoint.create_child(ike, "net", now))
    while not all(len(lab.gateway(site).sas.live) == number for site in lab.sites):
        await asyncio.sleep(0.005)


def selection(lab: Lab) -> SaSelection:
    link = lab.gateway(lab.left).link
    assert link is not None
    return link.selection


def policy(lab: Lab) -> int:
    return next(iter(lab.gateway(lab.left).sas.live.values())).record.policy


def indexes(lab: Lab) -> dict[int, int]:
    """Outbound index by outbound SPI."""
    sas = lab.gateway(lab.left).sas.live.values()
    return {live.record.child.spi_out: live.record.placement.sa_out for live in sas}


def frame(lab: Lab, port: int, dscp: int = 0) -> bytes:
    left, right = lab.left.plan, lab.right.plan
    sent = Udp(port, 9, port.to_bytes(2, "big")).over(left.host, right.host)
    packet = Ipv4(sent.src, sent.dst, sent.protocol, sent.payload, tos=dscp << 2)
    return Ethernet(left.mac(INSIDE), left.host_mac, ETHERTYPE_IPV4, packet.build()).build()


def sas_of(lab: Lab, flows: Iterable[int] = FLOWS, dscp: int = 0) -> dict[int, int]:
    """Which SPI carries each flow; every packet must arrive."""
    used = {}
    for port in flows:
        lab.outer.clear()  # type: ignore[attr-defined]
        lab.left.host.send(frame(lab, port, dscp))
        (sent,) = lab.outer  # type: ignore[attr-defined]
        used[port] = IP(Ethernet.parse(sent).payload)[ESP].spi
        lab.wire.deliver()
    assert delivered(lab.right.host.receive()) == [port.to_bytes(2, "big") for port in flows]
    return used


async def test_par_02_flows_are_spread_over_all_members_and_all_arrive(lab: Lab) -> None:
    await selection(lab).form_set(policy(lab), Spread.FLOW)
    used = sas_of(lab)
    assert set(used.values()) == indexes(lab).keys()
    assert sas_of(lab) == used, "a flow stays where it is"


async def test_a_member_that_joins_takes_flows_and_the_others_stay(lab: Lab) -> None:
    await selection(lab).form_set(policy(lab), Spread.FLOW)
    before, old = sas_of(lab), indexes(lab).keys()
    await another(lab, 4)
    (fresh,) = indexes(lab).keys() - old
    after = sas_of(lab)
    assert {after[port] for port in FLOWS if after[port] != before[port]} == {fresh}


async def test_a_member_that_is_deleted_loses_no_packet_and_moves_no_other_flow(lab: Lab) -> None:
    await selection(lab).form_set(policy(lab), Spread.FLOW)
    before = sas_of(lab)
    leaving = before[FLOWS[0]]
    gateway = lab.gateway(lab.left)
    (spi_in,) = [
        spi for spi, live in gateway.sas.live.items() if live.record.child.spi_out == leaving
    ]
    gateway.delete_child(spi_in)
    removed = asyncio.create_task(lab.happened(lab.left, Kind.SA_REMOVED))
    while not removed.done():
        during = sas_of(lab)
        await asyncio.sleep(0)
    during = sas_of(lab)
    assert leaving not in during.values()
    stayed = [port for port in FLOWS if before[port] != leaving]
    assert all(during[port] == before[port] for port in stayed)
    assert not drops(lab.left).keys() & {"STALE_SA", "ACQUIRE"}


async def test_a_rekeyed_member_is_replaced_and_nothing_is_lost(lab: Lab) -> None:
    await selection(lab).form_set(policy(lab), Spread.FLOW)
    before = sas_of(lab)
    gateway = lab.gateway(lab.left)
    old = next(iter(gateway.sas.live))
    gateway.rekey_child(old)
    removed = asyncio.create_task(lab.happened(lab.left, Kind.SA_REMOVED))
    while not removed.done():
        sas_of(lab)
        await asyncio.sleep(0)
    after = sas_of(lab)
    assert set(after.values()) == indexes(lab).keys()
    assert set(before.values()) - set(after.values())


async def test_par_01_a_port_of_its_own_and_a_class_of_its_own_and_the_fallback(lab: Lab) -> None:
    one, two, _ = indexes(lab)
    at = indexes(lab)
    where = selection(lab)
    await where.form_set(policy(lab), Spread.DSCP)
    await where.bind(policy(lab), at[one], [46])
    await where.bind(policy(lab), at[two], [0])
    assert set(sas_of(lab, dscp=46).values()) == {one}
    assert set(sas_of(lab, dscp=0).values()) == {two}
    await where.dissolve_set(policy(lab))
    await where.form_set(policy(lab), Spread.PORT)
    await where.bind(policy(lab), at[one], [INSIDE])
    assert set(sas_of(lab).values()) == {one}


async def test_a_set_that_is_dissolved_leaves_one_sa_and_no_entry(lab: Lab) -> None:
    where = selection(lab)
    await where.form_set(policy(lab), Spread.FLOW)
    await where.dissolve_set(policy(lab))
    assert len(set(sas_of(lab).values())) == 1
    link = lab.gateway(lab.left).link
    assert link is not None
    assert await link.session.read("sa_member") == []


async def test_a_restarted_controller_finds_sas_and_leaves_no_bucket_behind(lab: Lab) -> None:
    await selection(lab).form_set(policy(lab), Spread.FLOW)
    await lab.stop_controller()
    lab.start_controller()
    await lab.happened(lab.left, Kind.RECONCILED, "3 SAs stay")
    await lab.happened(lab.left, Kind.READY)
    link = lab.gateway(lab.left).link
    assert link is not None
    assert await link.session.read("sa_member") == []


@pytest.fixture
async def configured() -> AsyncIterator[Lab]:
    """A lab whose configuration wants three SAs, at both ends."""
    running = Lab(PROGRAM, Change())
    running.config = lambda: three_of_each(running)  # type: ignore[method-assign]
    await running.start()
    try:
        async with asyncio.timeout(20):
            await running.tunnel_up()
            running.outer = []  # type: ignore[attr-defined]
            running.wire.on_wire = lambda frame: running.outer.append(frame) or frame  # type: ignore[attr-defined]
            yield running
    finally:
        await running.stop()


def three_of_each(lab: Lab) -> ControllerConfig:
    sections = {
        site.plan.name: gateway_section(site.plan, site.address, lab.change) for site in lab.sites
    }
    for section in sections.values():
        section["peers"][0]["children"][0] |= {"parallel": 3, "spread": "flow"}
    return parse_config({"gateways": sections}, "lab")


async def complete(lab: Lab, number: int = 3) -> None:
    while not all(len(lab.gateway(site).sas.live) == number for site in lab.sites):
        await asyncio.sleep(0.005)


async def test_parallel_makes_so_many_sas_and_spreads_flows_over_them(configured: Lab) -> None:
    await complete(configured)
    assert set(sas_of(configured).values()) == indexes(configured).keys()


async def test_parallel_replaces_an_sa_that_is_lost(configured: Lab) -> None:
    lab = configured
    await complete(lab)
    lost = next(iter(lab.gateway(lab.left).sas.live))
    lab.gateway(lab.left).delete_child(lost)
    await lab.happened(lab.left, Kind.SA_REMOVED)
    await complete(lab)
    assert lost not in lab.gateway(lab.left).sas.live
    assert set(sas_of(lab).values()) == indexes(lab).keys()


async def test_parallel_outlives_the_controller(configured: Lab) -> None:
    lab = configured
    await complete(lab)
    before = sas_of(lab)
    await lab.stop_controller()
    lab.change = Change(starts=())
    lab.start_controller()
    await lab.happened(lab.left, Kind.READY)
    assert set(sas_of(lab).values()) == set(before.values())
