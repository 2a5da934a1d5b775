"""Two gateways under one controller, with real pipelines, engines and IKE."""

import asyncio
from dataclasses import replace

import pytest
from lab_helpers import (
    PROGRAM,
    drops,
    host_frame,
    passes,
    passes_soon,
    restart_controller_with,
    sa_tables,
)
from prometheus_client import CollectorRegistry, generate_latest
from scapy.layers.inet import ICMP, IP

from p4esp.controller.entries import Op, Update
from p4esp.controller.errors import NotPrimaryError
from p4esp.controller.metrics import ControllerCollector
from p4esp.controller.numbers import CRYPTO_PORT, Drop
from p4esp.controller.packets import ETHERTYPE_IPV4, Ethernet, Ipv4
from p4esp.controller.target import SwitchAddress, open_session
from p4esp.demo.lab import Lab, running_lab
from p4esp.demo.plan import INSIDE, LEFT, OUTSIDE, Change, gateway_section
from p4esp.service.journal import Kind

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")


@pytest.fixture
async def lab():
    async with running_lab(PROGRAM) as running, asyncio.timeout(15):
        await running.tunnel_up()
        yield running


async def test_packets_pass_both_ways_unchanged_but_for_ttl_and_checksum(lab: Lab) -> None:
    for source, target in (lab.sites, lab.sites[::-1]):
        sent = host_frame(source, target, bytes(range(200)))
        source.host.send(sent)
        lab.wire.deliver()
        (frame,) = target.host.receive()
        before, after = (Ipv4.parse(Ethernet.parse(f).payload) for f in (sent, frame))
        assert after == replace(before, ttl=before.ttl - 2)


async def test_udp_encapsulated_sas_carry_packets_too() -> None:
    async with running_lab(PROGRAM, Change(encapsulate=True)) as lab, asyncio.timeout(15):
        await lab.tunnel_up()
        for source, target in (lab.sites, lab.sites[::-1]):
            assert await passes(lab, source, target)
        (live,) = lab.gateway(lab.left).sas.live.values()
        assert live.record.child.encapsulation is not None


async def test_an_sa_of_32_bit_sequence_numbers_carries_packets() -> None:
    change = Change(esp=("aes128gcm16-noesn",))
    async with running_lab(PROGRAM, change) as lab, asyncio.timeout(15):
        await lab.tunnel_up()
        assert await passes(lab, lab.left, lab.right)
        (live,) = lab.gateway(lab.left).sas.live.values()
        assert not live.record.child.esn


async def test_traffic_brings_up_a_child_that_nobody_started() -> None:
    async with running_lab(PROGRAM, Change(starts=())) as lab, asyncio.timeout(15):
        for site in lab.sites:
            await lab.happened(site, Kind.READY)
        lab.left.host.send(host_frame(lab.left, lab.right))
        await lab.tunnel_up()
        assert await passes(lab, lab.left, lab.right)
        assert drops(lab.left)["ACQUIRE"] == 1


async def test_wrong_psk_both_sides_say_why_and_no_sa_is_left() -> None:
    change = Change(psk={"right": "another secret"})
    async with running_lab(PROGRAM, change) as lab, asyncio.timeout(15):
        reasons = [await lab.happened(site, Kind.IKE_FAILED) for site in lab.sites]
        assert "AUTHENTICATION_FAILED" in str(reasons[0])
        assert "AUTH" in str(reasons[1])
        for site in lab.sites:
            assert not lab.gateway(site).sas.live
            assert await sa_tables(lab, site) == set()
            assert not (await site.engine.stats()).keys
            assert lab.store.sas(site.plan.name) == []


async def test_a_rekey_by_hand_loses_no_packet_and_leaves_only_the_new_sa(lab: Lab) -> None:
    (old,) = lab.gateway(lab.left).sas.live
    lab.gateway(lab.left).rekey_child(old)
    removed = [asyncio.create_task(lab.happened(site, Kind.SA_REMOVED)) for site in lab.sites]
    while not all(task.done() for task in removed):
        assert await passes(lab, lab.left, lab.right)
        assert await passes(lab, lab.right, lab.left)
        await asyncio.sleep(0.005)
    for site in lab.sites:
        (live,) = lab.gateway(site).sas.live.values()
        assert live.record.child.spi_in != old
        assert len(await sa_tables(lab, site)) == 4
        assert len((await site.engine.stats()).keys) == 2


async def test_the_soft_limit_rekeys_before_the_hard_one_stops_traffic() -> None:
    change = Change(sa={"grace": 0.0, "soft_packets": 10, "hard_packets": 1000})
    async with running_lab(PROGRAM, change) as lab, asyncio.timeout(15):
        await lab.tunnel_up()
        (old,) = lab.gateway(lab.left).sas.live
        for _ in range(10):
            assert await passes(lab, lab.left, lab.right)
        await lab.happened(lab.left, Kind.SA_REMOVED, f"{old:08x}")
        assert await passes(lab, lab.left, lab.right)


async def test_a_second_controller_is_told_who_is_primary(lab: Lab) -> None:
    address = SwitchAddress("left", lab.left.address, election_id=5)
    with pytest.raises(NotPrimaryError, match="primary with election id 10; ours is 5"):
        async with open_session(address, PROGRAM):
            pass
    assert await passes(lab, lab.left, lab.right)


async def test_a_controller_that_is_outbid_says_so_and_stands_back(lab: Lab) -> None:
    address = SwitchAddress("left", lab.left.address, election_id=20)
    async with open_session(address, PROGRAM) as other:
        await lab.happened(lab.left, Kind.DISCONNECTED, "election id 20")
        assert not other.pushed
        assert await passes(lab, lab.left, lab.right), "the data plane goes on"


async def test_a_switch_with_another_program_is_refused_by_difference(lab: Lab, tmp_path) -> None:
    text = PROGRAM.p4info.read_text()
    other = tmp_path / "other.p4info.txtpb"
    other.write_text(text.replace("size: 65536", "size: 1024", 1))
    foreign = replace(PROGRAM, p4info=other)
    await lab.stop_controller()
    lab.start_controller(program=foreign)
    refused = await lab.happened(lab.left, Kind.REFUSED)
    assert "table" in str(refused)
    assert "differs" in str(refused)
    assert await passes(lab, lab.left, lab.right), "it is left as it was"


async def test_a_program_that_the_switch_refuses_is_told_with_its_reason(tmp_path) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text("{}")
    async with asyncio.timeout(15), running_lab(replace(PROGRAM, config=broken)) as lab:
        for site in lab.sites:
            refused = await lab.happened(site, Kind.DISCONNECTED)
            assert "INVALID_ARGUMENT" in refused.text


async def test_a_packet_held_in_the_engine_never_meets_the_sa_that_came_after(lab: Lab) -> None:
    """Design section 4: delete and re-add an SA while its packets are in the engine."""
    held: list[bytes | None] = []
    lab.left.engine.tamper = lambda _, reply: held.append(reply)
    assert not await passes(lab, lab.left, lab.right)
    lab.left.engine.tamper = lambda _, reply: reply
    (old,) = lab.gateway(lab.left).sas.live
    lab.gateway(lab.left).delete_child(old)
    await lab.happened(lab.left, Kind.SA_REMOVED, f"{old:08x}")
    await passes_soon(lab, lab.left, lab.right)
    (sealed,) = held
    assert sealed is not None
    lab.left.device.inject(CRYPTO_PORT, sealed)
    lab.wire.deliver()
    assert drops(lab.left)["STALE_SA"] == 1
    assert lab.right.host.receive() == []


async def test_a_failing_write_unwinds_the_sa_and_tells_the_peer(lab: Lab) -> None:
    """An entry that stands in the way of the second SA's outbound entry."""
    link = lab.gateway(lab.left).link
    assert link is not None
    (live,) = lab.gateway(lab.left).sas.live.values()
    in_the_way = replace(live.entries.outbound, match=(("sa", 1),))
    await link.writer.write([Update(Op.INSERT, in_the_way)])
    lab.gateway(lab.left).rekey_child(live.record.child.spi_in)
    failed = await lab.happened(lab.left, Kind.SA_FAILED)
    assert "ALREADY_EXISTS" in str(failed)
    await lab.happened(lab.right, Kind.SA_REMOVED)
    assert len((await lab.left.engine.stats()).keys) <= 2


async def test_a_stray_sa_entry_is_removed_by_the_next_controller(lab: Lab) -> None:
    link = lab.gateway(lab.left).link
    assert link is not None
    (live,) = lab.gateway(lab.left).sas.live.values()
    stray = replace(live.entries.inbound[0], match=(("sa", 77),))
    await link.writer.write([Update(Op.INSERT, stray)])
    await lab.stop_controller()
    lab.change = Change(starts=())
    lab.start_controller()
    await lab.happened(lab.left, Kind.READY)
    assert stray not in await sa_tables(lab, lab.left)
    assert await passes(lab, lab.right, lab.left), "the stray's replay cells were another SA's"


async def test_icmp_is_answered_in_clear_only_to_our_own_links(lab: Lab) -> None:
    lab.left.host.send(host_frame(lab.left, lab.right, ttl=1))
    async with asyncio.timeout(2):
        while not (frames := lab.left.host.receive()):
            await asyncio.sleep(0.005)
    packet = Ipv4.parse(Ethernet.parse(frames[0]).payload)
    assert (packet.protocol, packet.payload[0], str(packet.src)) == (1, 11, "10.1.0.1")
    # TTL 2 runs out behind the tunnel: an answer would leave in clear, outside it.
    lab.left.host.send(host_frame(lab.left, lab.right, ttl=2))
    lab.wire.deliver()
    await asyncio.sleep(0.05)
    assert drops(lab.right) == {Drop.TTL.name: 1}
    assert lab.left.host.receive() == []


def icmp_of(frames: list[bytes]) -> list[IP]:
    """The ICMP messages among frames."""
    parsed = (Ethernet.parse(frame) for frame in frames)
    packets = [IP(frame.payload) for frame in parsed if frame.ether_type == ETHERTYPE_IPV4]
    return [packet for packet in packets if ICMP in packet]


def ping_from_outside(lab: Lab) -> list[bytes]:
    """Ping the left gateway from the right one, in clear; frames that leave the left one."""
    seen: list[bytes] = []

    def tap(frame: bytes) -> bytes:
        seen.append(frame)
        return frame

    lab.wire.on_wire = tap
    left, right = lab.left.plan, lab.right.plan
    request = IP(src=str(right.outer), dst=str(left.outer)) / ICMP(id=3, seq=4) / b"ping"
    macs = (left.mac(OUTSIDE), right.mac(OUTSIDE))
    lab.left.device.inject(OUTSIDE, Ethernet(*macs, ETHERTYPE_IPV4, bytes(request)).build())
    return seen


async def test_a_ping_from_outside_is_clear_traffic_that_no_rule_allows(lab: Lab) -> None:
    seen = ping_from_outside(lab)
    assert drops(lab.left)["POLICY_DISCARD"] == 1
    assert seen == []


async def test_a_ping_from_outside_is_answered_where_policy_bypasses_it(lab: Lab) -> None:
    """RFC 4301 5.2 for the question, 5.1 for the answer."""
    section = gateway_section(LEFT, lab.left.address, Change())
    bypass = {"name": "ping", "action": "bypass", "protocol": 1}
    place = {"local": ["192.0.2.1/32"], "remote": ["192.0.2.0/24"]}
    await lab.stop_controller()
    await restart_controller_with(lab, policies=[*section["policies"], bypass | place])
    seen = ping_from_outside(lab)
    async with asyncio.timeout(2):
        while not (answers := icmp_of(seen)):
            await asyncio.sleep(0.005)
    assert [(ip.src, ip[ICMP].type) for ip in answers] == [("192.0.2.1", 0)]
    assert "CLEAR_OUT" not in drops(lab.left)


async def test_metrics_count_sas_and_what_happened(lab: Lab) -> None:
    collector = ControllerCollector()
    collector.watch(lab.controller.gateways)
    for entry in lab.journal.entries:
        collector.count(entry)
    registry = CollectorRegistry()
    registry.register(collector)
    page = generate_latest(registry).decode()
    assert 'p4esp_child_sas{gateway="left"} 1.0' in page
    assert 'p4esp_ike_sas{gateway="right"} 1.0' in page
    assert 'p4esp_switch_connected{gateway="left"} 1.0' in page
    assert 'p4esp_events_total{gateway="right",kind="SA up"} 1.0' in page


async def test_an_echo_request_to_the_gateway_is_answered(lab: Lab) -> None:
    plan = lab.left.plan
    request = IP(src=str(plan.host), dst="10.1.0.1") / ICMP(id=3, seq=4) / b"ping"
    frame = Ethernet(plan.mac(INSIDE), plan.host_mac, ETHERTYPE_IPV4, bytes(request))
    lab.left.host.send(frame.build())
    async with asyncio.timeout(2):
        while not (frames := lab.left.host.receive()):
            await asyncio.sleep(0.005)
    answer = IP(Ethernet.parse(frames[0]).payload)
    assert (answer[ICMP].type, answer[ICMP].id, answer.dst) == (0, 3, str(plan.host))
