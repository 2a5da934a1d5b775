"""Path MTU end to end: who is told what, and which routers are believed (digest 6.3)."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from ipaddress import IPv4Address

import pytest
from lab_helpers import PROGRAM, drops, restart_controller_with
from scapy.layers.inet import ICMP, IP, UDP, defragment
from scapy.layers.ipsec import ESP
from scapy.packet import Raw

from p4esp.controller.packets import ETHERTYPE_IPV4, Ethernet
from p4esp.controller.path_mtu import PathMtu
from p4esp.controller.path_mtu_settings import PathMtuSettings
from p4esp.controller.state_channel import StateChannel
from p4esp.demo.lab import Lab, running_lab
from p4esp.demo.plan import INSIDE, LEFT, OUTSIDE, Change, gateway_section
from p4esp.service.journal import Kind

PRIVATE = 1446
"""What fits a path of 1500 octets under AES-GCM in an IPv4 tunnel (digest 3.7)."""


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    async with running_lab(PROGRAM) as running, asyncio.timeout(20):
        await running.tunnel_up()
        running.outer = []  # type: ignore[attr-defined]
        running.wire.on_wire = lambda frame: running.outer.append(frame) or frame  # type: ignore[attr-defined]
        yield running


def host_packet(lab: Lab, size: int, flags: str = "DF", ttl: int = 64) -> IP:
    left, right = lab.left.plan, lab.right.plan
    head = IP(src=str(left.host), dst=str(right.host), flags=flags, ttl=ttl, id=9) / UDP(dport=9)
    return IP(bytes(head / Raw(bytes(i & 255 for i in range(size - 28)))))


def send(lab: Lab, packet: IP) -> None:
    plan = lab.left.plan
    frame = Ethernet(plan.mac(INSIDE), plan.host_mac, ETHERTYPE_IPV4, bytes(packet))
    lab.left.host.send(frame.build())
    lab.wire.deliver()


async def received(site, count: int = 1) -> list[IP]:
    """The next IP packets at a site's host."""
    frames: list[bytes] = []
    while len(frames) < count:
        frames += site.host.receive()
        await asyncio.sleep(0.005)
    return [IP(Ethernet.parse(frame).payload) for frame in frames]


def esp_frames(lab: Lab) -> list[IP]:
    packets = [IP(Ethernet.parse(frame).payload) for frame in lab.outer]  # type: ignore[attr-defined]
    return [packet for packet in packets if packet.proto == 50]


async def sequence(lab: Lab) -> int:
    gateway = lab.gateway(lab.left)
    (live,) = gateway.sas.live.values()
    assert gateway.link is not None
    return await gateway.link.state.read_sequence(live.record.placement.space_out)


def too_big(lab: Lab, mtu: int, *, ahead: int = 0, spi: int = 0) -> bytes:
    """What a router says of the last ESP packet that left the left site."""
    quoted = esp_frames(lab)[-1].copy()
    quoted[ESP].seq += ahead
    quoted[ESP].spi ^= spi
    packet = IP(src="203.0.113.1", dst=quoted.src) / ICMP(type=3, code=4, nexthopmtu=mtu)
    plan = lab.left.plan
    octets = bytes(packet / Raw(bytes(quoted)[:36]))
    return Ethernet(plan.mac(OUTSIDE), lab.right.plan.mac(OUTSIDE), ETHERTYPE_IPV4, octets).build()


async def test_pmt_01_what_fits_goes_and_fills_the_link_exactly(lab: Lab) -> None:
    send(lab, host_packet(lab, PRIVATE))
    (arrived,) = await received(lab.right)
    assert len(arrived) == PRIVATE
    assert [packet.len for packet in esp_frames(lab)] == [1500]


async def test_pmt_01_one_octet_more_with_df_is_told_the_limit_and_takes_no_number(
    lab: Lab,
) -> None:
    before = await sequence(lab)
    sent = host_packet(lab, PRIVATE + 1, ttl=7)
    send(lab, sent)
    (answer,) = await received(lab.left)
    assert (answer.src, answer.dst) == ("10.1.0.1", sent.src)
    assert (answer[ICMP].type, answer[ICMP].code, answer[ICMP].nexthopmtu) == (3, 4, PRIVATE)
    assert bytes(answer[ICMP].payload) == bytes(sent)[:28], "the quote is what the host sent"
    assert await sequence(lab) == before
    assert drops(lab.left)["TOO_BIG"] == 1


async def test_pmt_01_one_octet_more_without_df_arrives_in_pieces_with_one_hop_taken(
    lab: Lab,
) -> None:
    sent = host_packet(lab, PRIVATE + 1, flags="", ttl=7)
    send(lab, sent)
    pieces = await received(lab.right, 2)
    assert {piece.ttl for piece in pieces} == {7 - 2}
    (whole,) = defragment(pieces)
    assert bytes(whole.payload) == bytes(sent.payload)
    assert lab.left.host.receive() == []


async def test_the_interfaces_mtu_is_what_an_sa_starts_with(lab: Lab) -> None:
    section = gateway_section(LEFT, lab.left.address, Change())
    section["interfaces"][1]["mtu"] = 1400
    await lab.stop_controller()
    await restart_controller_with(lab, interfaces=section["interfaces"])
    send(lab, host_packet(lab, 1347))
    (answer,) = await received(lab.left)
    assert answer[ICMP].nexthopmtu == 1346


async def test_pmt_04_a_router_is_believed_and_the_next_long_packet_hears_of_it(lab: Lab) -> None:
    send(lab, host_packet(lab, PRIVATE))
    await received(lab.right)
    lab.left.device.inject(OUTSIDE, too_big(lab, 1400))
    note = await lab.happened(lab.left, Kind.PATH_MTU)
    assert "1400" in note.text
    assert lab.left.host.receive() == [], "nobody is told before he sends too much again"
    send(lab, host_packet(lab, PRIVATE))
    (answer,) = await received(lab.left)
    assert answer[ICMP].nexthopmtu == 1346
    send(lab, host_packet(lab, 1346))
    (arrived,) = await received(lab.right)
    assert len(arrived) == 1346


async def aside(lab: Lab, settings: PathMtuSettings | None = None, clock=lambda: 0.0) -> PathMtu:
    """A judge of routers of our own, beside the gateway's; one packet has been sent."""
    gateway = lab.gateway(lab.left)
    assert gateway.link is not None
    send(lab, host_packet(lab, PRIVATE))
    await received(lab.right)
    parts = (gateway.link.state, settings or PathMtuSettings(), lab.journal, Counter[str]())
    return PathMtu(gateway.sas, *parts, clock=clock)


def path_mtu(lab: Lab) -> int:
    sas = lab.gateway(lab.left).sas
    (live,) = sas.live.values()
    return sas.tuning(live).path_mtu


@pytest.mark.parametrize(
    ("mtu", "lie", "reason"),
    [
        (1400, {"spi": 1}, "no such SA"),
        (1400, {"ahead": 1}, "not sent"),
        (1400, {"ahead": -1}, "not sent"),
        (0, {}, "absurd MTU"),
        (67, {}, "absurd MTU"),
        (1500, {}, "absurd MTU"),
        (9000, {}, "absurd MTU"),
    ],
)
async def test_pmt_05_what_is_not_plausible_changes_nothing_and_is_counted(
    lab: Lab, mtu: int, lie: dict[str, int], reason: str
) -> None:
    judge = await aside(lab)
    await judge.received(Ethernet.parse(too_big(lab, mtu, **lie)))
    assert judge.ignored == {reason: 1}
    assert path_mtu(lab) == 1500


async def test_pmt_05_no_router_gets_below_the_floor(lab: Lab) -> None:
    judge = await aside(lab)
    await judge.received(Ethernet.parse(too_big(lab, 68)))
    assert path_mtu(lab) == 576


async def test_pmt_05_an_mtu_that_is_not_less_than_ours_is_ignored(lab: Lab) -> None:
    judge = await aside(lab)
    for mtu in (1300, 1400):
        await judge.received(Ethernet.parse(too_big(lab, mtu)))
    assert (path_mtu(lab), judge.ignored) == (1300, {"not less": 1})


async def test_pmt_05_of_a_burst_few_messages_cost_the_switch_a_question(lab: Lab) -> None:
    judge = await aside(lab)
    forged = Ethernet.parse(too_big(lab, 1400, ahead=1))
    asked = lab.left.device.counter_array("outcomes").read(4).packets
    for _ in range(1000):
        await judge.received(forged)
    assert judge.ignored == {"not sent": 20, "too many": 980}
    assert lab.left.device.counter_array("outcomes").read(4).packets == asked + 20


async def test_pmt_05_a_burst_from_outside_is_metered_by_the_pipeline(lab: Lab) -> None:
    await aside(lab)
    forged = too_big(lab, 1400, ahead=1)
    for _ in range(10_000):
        lab.left.device.inject(OUTSIDE, forged)
    assert drops(lab.left)["PUNT_LIMITED"] > 9_000
    assert path_mtu(lab) == 1500


async def test_pmt_07_after_its_age_the_links_mtu_is_tried_again(lab: Lab) -> None:
    now = [0.0]
    judge = await aside(lab, clock=lambda: now[0])
    await judge.received(Ethernet.parse(too_big(lab, 1400)))
    now[0] = 599.0
    await judge.expire()
    assert path_mtu(lab) == 1400
    now[0] = 600.0
    await judge.expire()
    assert path_mtu(lab) == 1500
    send(lab, host_packet(lab, PRIVATE))
    (arrived,) = await received(lab.right)
    assert len(arrived) == PRIVATE


ELSEWHERE = IPv4Address("192.0.2.200")


async def move(lab: Lab) -> None:
    """The peer is elsewhere all of a sudden."""
    gateway = lab.gateway(lab.left)
    (live,) = gateway.sas.live.values()
    assert gateway.link is not None
    there = replace(live.record.child, remote=ELSEWHERE)
    await gateway.link.installer.readdress(live, there)


async def test_what_a_router_said_of_the_path_before_says_nothing_of_the_next_one(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = await aside(lab)
    read_sequence = StateChannel.read_sequence

    async def read_and_move(state: StateChannel, space: int) -> int:
        last = await read_sequence(state, space)
        await move(lab)
        return last

    monkeypatch.setattr(StateChannel, "read_sequence", read_and_move)
    await judge.received(Ethernet.parse(too_big(lab, 1400)))
    assert path_mtu(lab) == 1500
    assert judge.ignored == {"no such SA": 1}
    assert all(entry.kind is not Kind.PATH_MTU for entry in lab.journal.entries)


async def test_an_sa_that_moves_while_its_path_mtu_ages_has_that_of_its_new_link(lab: Lab) -> None:
    now = [0.0]
    judge = await aside(lab, clock=lambda: now[0])
    await judge.received(Ethernet.parse(too_big(lab, 1400)))
    installer = lab.gateway(lab.left).link.installer
    mtu = {ELSEWHERE: 1300}
    installer._numbers = replace(installer._numbers, mtu=lambda remote: mtu.get(remote, 1500))
    now[0] = 600.0
    await asyncio.gather(move(lab), judge.expire())
    assert path_mtu(lab) == 1300


async def test_rfc4301_6_1_1_the_operator_may_have_no_router_believed(lab: Lab) -> None:
    judge = await aside(lab, PathMtuSettings(accept_icmp=False))
    judge.take(Ethernet.parse(too_big(lab, 1400)))
    assert judge.ignored == {"not accepted": 1}


async def test_a_restarted_engine_or_controller_leaves_the_sa_its_traffic(lab: Lab) -> None:
    judge = await aside(lab)
    await judge.received(Ethernet.parse(too_big(lab, 1400)))
    lab.left.engine.restart()
    await lab.happened(lab.left, Kind.KEYS_RESTORED)
    assert path_mtu(lab) == 1400, "the way is as it was"
    await lab.stop_controller()
    lab.start_controller()
    await lab.happened(lab.left, Kind.READY)
    send(lab, host_packet(lab, PRIVATE))
    (arrived,) = await received(lab.right)
    assert len(arrived) == PRIVATE, "what the controller before had learned is forgotten"
