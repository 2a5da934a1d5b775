"""Two gateways with addresses of both families: every combination, with scapy as the judge."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from family_lab import (
    FamilyLab,
    Shape,
    datagram,
    fewer_hops,
    host,
    ip_of,
    outer,
    running_family_lab,
    send,
)
from lab_helpers import all_tables, drops, sa_tables
from scapy.layers.inet import UDP
from scapy.layers.inet6 import ICMPv6EchoReply, ICMPv6EchoRequest, ICMPv6TimeExceeded, IPv6
from scapy.packet import Packet

from p4esp.controller import tables
from p4esp.controller.entries import Entry, deletes, inserts
from p4esp.controller.numbers import SaEvent
from p4esp.controller.sa_events import SaEvents
from p4esp.controller.sa_installer import LiveSa
from p4esp.demo.plan import Change
from p4esp.demo.site import Site
from p4esp.service.journal import Kind

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")

COMBINATIONS = [(4, 4), (4, 6), (6, 4), (6, 6)]


async def crosses(lab: FamilyLab, source: Site, target: Site, version: int) -> bool:
    """Whether a packet from host to host arrives as it was sent, two hops older."""
    packet = datagram(source, target, version, bytes(range(100)))
    target.host.receive()
    send(source, packet)
    await asyncio.sleep(0)
    lab.wire.deliver()
    arrived = [bytes(ip_of(frame)) for frame in target.host.receive()]
    return arrived == [fewer_hops(packet, 2)]


@pytest.mark.parametrize(("outside", "inside"), COMBINATIONS)
async def test_a_tunnel_of_either_family_carries_either(outside: int, inside: int) -> None:
    shape = Shape(outside, (inside,))
    async with running_family_lab(shape) as lab, asyncio.timeout(20):
        await lab.tunnel_up()
        for source, target in (lab.sites, lab.sites[::-1]):
            assert await crosses(lab, source, target, inside)
        sent = datagram(lab.left, lab.right, inside, bytes(range(100)))
        assert lab.opened(lab.left) == [fewer_hops(sent, 1)]
        (packet,) = [p for p in lab.esp_on_wire() if p.src == outer(1, outside)]
        assert (packet.version, packet.dst) == (outside, outer(2, outside))


@pytest.mark.parametrize("outside", [4, 6])
async def test_one_sa_carries_both_families(outside: int) -> None:
    async with running_family_lab(Shape(outside, (4, 6))) as lab, asyncio.timeout(20):
        await lab.tunnel_up()
        for inside in (4, 6):
            assert await crosses(lab, lab.left, lab.right, inside)
            assert await crosses(lab, lab.right, lab.left, inside)
        entries = await sa_tables(lab, lab.left)
        assert not any(entry.table.startswith("in_policy") for entry in entries)


@pytest.mark.parametrize(("outside", "inside"), COMBINATIONS)
async def test_esp_in_udp_carries_either_family_over_either(outside: int, inside: int) -> None:
    shape = Shape(outside, (inside,), encapsulate=True)
    async with running_family_lab(shape) as lab, asyncio.timeout(20):
        await lab.tunnel_up()
        assert await crosses(lab, lab.left, lab.right, inside)
        (packet,) = [p for p in lab.esp_on_wire() if p.src == outer(1, outside)]
        assert packet[UDP].dport == lab.live(lab.left).record.child.encapsulation.remote_port
        assert packet[UDP].chksum == (0 if outside == 4 else checksum_of(packet))
        sent = datagram(lab.left, lab.right, inside, bytes(range(100)))
        assert lab.opened(lab.left) == [fewer_hops(sent, 1)]


OUTER_FIELDS = [({}, 46, None), ({"dscp": 10}, 10, None), ({"dscp": 0}, 0, None)]
OUTER_DF = [({"df": "copy"}, 46, None), ({"df": "set"}, 46, True), ({"df": "clear"}, 46, False)]


@pytest.mark.parametrize("inside", [4, 6])
@pytest.mark.parametrize(("settings", "dscp", "df"), [*OUTER_FIELDS, *OUTER_DF])
async def test_df_and_dscp_on_the_wire_are_what_the_operator_wants(
    settings: dict[str, Any], dscp: int, df: bool | None, inside: int
) -> None:
    """RFC 4301 5.1.2, 8.1; `df` None: that of the packet, which IPv6 has none of."""
    change = Change(sa={"grace": 0.0} | settings)
    async with running_family_lab(Shape(4, (inside,)), change) as lab, asyncio.timeout(20):
        await lab.tunnel_up()
        for own_df in (False, True):
            lab.seen.clear()
            send(lab.left, marked(datagram(lab.left, lab.right, inside), own_df))
            lab.wire.deliver()
            (packet,) = lab.esp_on_wire()
            kept = own_df or inside == 6
            assert bool(packet.flags.DF) == (kept if df is None else df)
            assert packet.tos >> 2 == dscp


def marked(packet: Packet, df: bool) -> Packet:
    """A packet with DSCP 46, and with DF where there is one."""
    if isinstance(packet, IPv6):
        packet.tc = 46 << 2
        return packet
    packet.tos, packet.flags = 46 << 2, "DF" if df else 0
    del packet.chksum
    return packet


def checksum_of(packet: Packet) -> int:
    """The UDP checksum that scapy computes (RFC 8200 8.1)."""
    copy = packet.copy()
    del copy[UDP].chksum
    return type(packet)(bytes(copy))[UDP].chksum


@pytest.mark.parametrize("version", [4, 6])
async def test_transport_mode_between_hosts_behind_both_gateways(version: int) -> None:
    """RFC 4301 4.1: the packets keep their header; the gateways are a bump in the wire."""
    async with running_family_lab(Shape(version, mode="transport")) as lab, asyncio.timeout(20):
        await lab.tunnel_up()
        for source, target in (lab.sites, lab.sites[::-1]):
            assert await crosses(lab, source, target, version)
        (packet,) = [p for p in lab.esp_on_wire() if p.src == host(1, version)]
        assert packet.dst == host(2, version)
        sent = datagram(lab.left, lab.right, version, bytes(range(100)))
        assert lab.opened(lab.left) == [fewer_hops(sent, 1)]


@pytest.mark.parametrize("version", [4, 6])
async def test_what_no_sa_is_for_goes_on_to_a_host_whose_ipsec_is_ours(version: int) -> None:
    """Only IKE and ESP are the gateway's; other clear packets go by policy."""
    async with running_family_lab(Shape(version, mode="transport")) as lab, asyncio.timeout(20):
        await lab.tunnel_up()
        assert drops(lab.right).get("CLEAR_IN", 0) == 0
        packet = datagram(lab.left, lab.right, version)
        frame = clear_outside(lab, packet)
        lab.right.device.inject(1, frame)
        assert drops(lab.right)["CLEAR_IN"] == 1, "policy wants it protected"
        assert lab.right.host.receive() == []


def clear_outside(lab: FamilyLab, packet) -> bytes:
    """A clear packet as it would reach the right gateway from outside."""
    left, right = lab.left.plan, lab.right.plan
    kind = b"\x86\xdd" if packet.version == 6 else b"\x08\x00"
    return right.mac(1) + left.mac(1) + kind + bytes(packet)


@pytest.mark.parametrize(("outside", "mode"), [(6, "tunnel"), (4, "transport"), (6, "transport")])
async def test_a_restarted_controller_keeps_the_sas_it_finds(outside: int, mode: str) -> None:
    shape = Shape(outside, (4, 6) if mode == "tunnel" else (outside,), mode)
    async with running_family_lab(shape) as lab, asyncio.timeout(20):
        await lab.tunnel_up()
        before = await kept_tables(lab)
        assert {"neighbour_v6", "route_v6", "local_v6"} <= {entry.table for entry in before}
        await lab.stop_controller()
        lab.change = Change(starts=())
        lab.start_controller()
        for site in lab.sites:
            await lab.happened(site, Kind.RECONCILED, "1 SAs stay")
            await lab.happened(site, Kind.READY)
        assert await kept_tables(lab) == before
        for inside in shape.inner:
            assert await crosses(lab, lab.left, lab.right, inside)


async def kept_tables(lab: FamilyLab) -> set[Entry]:
    """All that outlives a controller in the left switch: IKE SAs do not."""
    return {entry for entry in await all_tables(lab, lab.left) if entry.table != "ike_sa"}


@pytest.mark.parametrize("table", ["tunnel_v6", "pair_v6"])
async def test_an_sa_that_lacks_an_ipv6_entry_is_discarded_and_made_again(table: str) -> None:
    async with running_family_lab(Shape(6, (6,))) as lab, asyncio.timeout(20):
        await lab.tunnel_up()
        link = lab.gateway(lab.left).link
        assert link is not None
        (lost,) = await link.session.read(table)
        await link.writer.write(deletes([lost]))
        await lab.stop_controller()
        lab.start_controller()
        await lab.happened(lab.left, Kind.RECONCILED, "0 SAs stay")
        await lab.tunnel_up()
        assert await crosses(lab, lab.left, lab.right, 6)
        assert len(await sa_tables(lab, lab.left)) == 6


async def test_a_rekey_over_ipv6_leaves_only_the_new_sa() -> None:
    async with running_family_lab(Shape(6, (6,))) as lab, asyncio.timeout(20):
        await lab.tunnel_up()
        (old,) = lab.gateway(lab.left).sas.live
        lab.gateway(lab.left).rekey_child(old)
        removed = [asyncio.create_task(lab.happened(site, Kind.SA_REMOVED)) for site in lab.sites]
        while not all(task.done() for task in removed):
            assert await crosses(lab, lab.left, lab.right, 6)
            await asyncio.sleep(0.005)
        assert lab.live(lab.left).record.child.spi_in != old
        assert len(await sa_tables(lab, lab.left)) == 6


async def answers(lab: FamilyLab, packet: Packet) -> list[Packet]:
    """What the left host hears when it sends a packet."""
    send(lab.left, packet)
    async with asyncio.timeout(5):
        while not (frames := lab.left.host.receive()):
            await asyncio.sleep(0.005)
    return [ip_of(frame) for frame in frames]


async def test_icmpv6_is_answered_in_clear_only_to_our_own_links() -> None:
    async with running_family_lab(Shape(6, (6,))) as lab, asyncio.timeout(20):
        await lab.tunnel_up()
        packet = datagram(lab.left, lab.right, 6)
        packet.hlim = 1
        (told,) = await answers(lab, packet)
        assert (told.src, told.dst) == ("2001:db8:1::1", host(1, 6))
        assert bytes(told[ICMPv6TimeExceeded].payload)[:40] == bytes(packet)[:40]
        packet.hlim = 2  # runs out behind the tunnel: an answer would leave outside it
        send(lab.left, packet)
        lab.wire.deliver()
        await asyncio.sleep(0.05)
        assert drops(lab.right)["TTL"] == 1
        assert lab.left.host.receive() == []


async def test_an_echo_request_to_the_gateway_is_answered_over_ipv6() -> None:
    async with running_family_lab(Shape(6, (6,))) as lab, asyncio.timeout(20):
        await lab.tunnel_up()
        request = IPv6(src=host(1, 6), dst="2001:db8:1::1") / ICMPv6EchoRequest(id=3, data=b"ping")
        (answer,) = await answers(lab, request)
        assert (answer.dst, answer[ICMPv6EchoReply].id) == (host(1, 6), 3)


async def test_a_peer_that_moved_leaves_the_sas_where_they_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The event names an inbound SA; what follows from it is not this controller's business."""
    heard: list[tuple[LiveSa, Mapping[str, int]]] = []
    monkeypatch.setattr(
        SaEvents, "_peer_moved", lambda _, live, digest: heard.append((live, digest))
    )
    async with running_family_lab(Shape(6, (6,), encapsulate=True)) as lab, asyncio.timeout(20):
        await lab.tunnel_up()
        link, live = lab.gateway(lab.right).link, lab.live(lab.right)
        assert link is not None
        elsewhere = tables.peer(live.record.placement.sa_in, live.record.child.remote, 9)
        await link.writer.write(inserts([elsewhere]))
        before = await sa_tables(lab, lab.right)
        assert await crosses(lab, lab.left, lab.right, 6)
        while not heard:
            await asyncio.sleep(0.005)
        ((moved, digest),) = heard
        assert moved is live
        assert digest["peer_high"] << 64 | digest["peer_low"] == int(live.record.child.remote)
        assert digest["peer_port"] == 4500
        assert await sa_tables(lab, lab.right) == before
        assert not [e for e in lab.journal.entries if e.kind in (Kind.LIMIT, Kind.SA_DOWN)]


@pytest.mark.parametrize("off", [{"generation": 1}, {"sa": 1}])
async def test_an_event_of_an_sa_that_is_gone_is_nobodys(
    off: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[int] = []
    monkeypatch.setattr(SaEvents, "_peer_moved", lambda *_: heard.append(SaEvent.PEER_MOVED))
    monkeypatch.setattr(SaEvents, "_act", lambda _, __, kind, ___: heard.append(kind))
    async with running_family_lab(Shape()) as lab, asyncio.timeout(20):
        await lab.tunnel_up()
        left = lab.gateway(lab.left)
        parts = (left.sas, left.ike, left.connections, lab.journal)
        events = SaEvents(left.link.session, *parts, acquire=left.shares.acquire)
        place = lab.live(lab.left).record.placement
        for kind, index, generation in (
            (SaEvent.PEER_MOVED, place.sa_in, place.generation_in),
            (SaEvent.SOFT_LIMIT, place.sa_out, place.generation_out),
        ):
            known = {"kind": kind, "sa": index, "generation": generation, "seq": 5}
            heard.clear()
            await events._deal_with(known)
            assert heard == [kind]
            other = {name: value + off.get(name, 0) for name, value in known.items()}
            await events._deal_with(other)
            assert heard == [kind]
