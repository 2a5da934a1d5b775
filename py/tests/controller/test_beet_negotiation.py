"""BEET mode agreed on by two gateways, and its traffic (RFC 7402 appendix B)."""

import asyncio
from dataclasses import replace
from ipaddress import ip_address

import pytest
from controller_samples import CHILD
from family_lab import (
    FamilyLab,
    Shape,
    datagram,
    host,
    ip_of,
    outer,
    running_family_lab,
    section,
    send,
)
from scapy.layers.inet import UDP
from scapy.packet import Packet

from p4esp.controller.beet_pairs import BeetPairs
from p4esp.controller.config import ControllerConfig, parse_config
from p4esp.demo.plan import Change
from p4esp.demo.site import Site
from p4esp.ike.state import IntendedSa
from p4esp.ipsec.identity import Identity
from p4esp.ipsec.sa import ChildSaParams, Mode
from p4esp.ipsec.selectors import TrafficSelector
from p4esp.service.journal import Kind

COMBINATIONS = [(4, 4), (4, 6), (6, 4), (6, 6)]
HEADER = {4: 20, 6: 40}


async def arrived(lab: FamilyLab, source: Site, target: Site, version: int) -> list[Packet]:
    """What a host gets of a packet from the other one, as scapy reads it."""
    target.host.receive()
    send(source, datagram(source, target, version, bytes(range(100))))
    await asyncio.sleep(0)
    lab.wire.deliver()
    return [ip_of(frame) for frame in target.host.receive()]


@pytest.mark.parametrize("udp", [False, True])
@pytest.mark.parametrize(("outside", "inside"), COMBINATIONS)
async def test_beet_is_negotiated_and_carries_traffic_20_octets_shorter_than_a_tunnel(
    outside: int, inside: int, udp: bool
) -> None:
    """40 with IPv6 inside; between the same ends, through a NAT as well."""
    sizes = {}
    for mode in ("tunnel", "beet"):
        shape = Shape(outside, (inside,), mode, encapsulate=udp)
        async with running_family_lab(shape) as lab, asyncio.timeout(20):
            await lab.tunnel_up()
            for source, target in (lab.sites, lab.sites[::-1]):
                (packet,) = await arrived(lab, source, target, inside)
                ends = [host(site.plan.number, inside) for site in (source, target)]
                assert [packet.src, packet.dst] == ends
                assert bytes(packet[UDP].payload) == bytes(range(100))
            assert lab.live(lab.left).record.child.mode == mode
            sizes[mode] = len(bytes(sealed(lab, outside)))
    assert sizes["tunnel"] - sizes["beet"] == HEADER[inside]


def sealed(lab: FamilyLab, version: int) -> Packet:
    """The one packet on the wire from the left gateway, which the outer addresses show."""
    (packet,) = [p for p in lab.esp_on_wire() if p.src == outer(1, version)]
    assert packet.dst == outer(2, version)
    return packet


class OneWants(FamilyLab):
    """The left site wants the shape's mode, but a tunnel will do; the right one wants a tunnel."""

    def config(self) -> ControllerConfig:
        left, right = (
            section(site.plan, site.address, self.shape, self.change) for site in self.sites
        )
        left["peers"][0]["children"][0]["mode_required"] = False
        right["peers"][0]["children"][0]["mode"] = "tunnel"
        return parse_config({"gateways": {"left": left, "right": right}}, "lab")


@pytest.mark.parametrize(
    ("mode", "starts"), [("beet", "left"), ("beet", "right"), ("transport", "left")]
)
async def test_where_a_mode_is_declined_and_a_tunnel_will_do_it_carries_traffic(
    mode: str, starts: str
) -> None:
    lab = OneWants(Shape(mode=mode), Change(starts=(starts,)))
    await lab.start()
    try:
        async with asyncio.timeout(20):
            await lab.tunnel_up()
            assert [lab.live(site).record.child.mode for site in lab.sites] == [Mode.TUNNEL] * 2
            for source, target in (lab.sites, lab.sites[::-1]):
                (packet,) = await arrived(lab, source, target, 4)
                assert bytes(packet[UDP].payload) == bytes(range(100))
            assert {len(bytes(p)) for p in lab.esp_on_wire()} == {20 + 8 + 8 + 128 + 4 + 16}
            await lab.stop_controller()
            lab.start_controller()
            await lab.happened(lab.left, Kind.RECONCILED, "1 SAs stay")
    finally:
        await lab.stop()


def address(number: int) -> tuple[TrafficSelector]:
    found = ip_address(host(number, 4))
    return (TrafficSelector(found, found),)


BEET = replace(CHILD, mode=Mode.BEET, local_ts=address(1), remote_ts=address(2))


def wanted(child: ChildSaParams) -> IntendedSa:
    ends = child.local_ts, child.remote_ts
    return IntendedSa(child.peer, child.remote_id, child.name, child.mode, *ends)


def test_an_inner_pair_belongs_to_one_child_of_one_peer() -> None:
    """Design section 10. A successor has the pair of its predecessor, and tunnels may have it."""
    live = [replace(BEET, mode=Mode.TUNNEL, name="tunnel")]
    pairs = BeetPairs(lambda: live)
    for other in (BEET, replace(BEET, peer="other")):
        assert pairs.objection(wanted(other)) is None
    live.append(BEET)
    theirs = "child right/net's with right.example"
    for other in (
        replace(BEET, peer="other"),
        replace(BEET, name="again"),
        replace(BEET, remote_id=Identity.parse("mallory.example")),
    ):
        reason = pairs.objection(wanted(other))
        assert reason == f"BEET between 10.1.0.10 and 10.2.0.10 is {theirs}"
        for fine in (replace(other, remote_ts=address(3)), replace(other, mode=Mode.TUNNEL)):
            assert pairs.objection(wanted(fine)) is None
    assert pairs.objection(wanted(BEET)) is None


class TwoChildren(FamilyLab):
    """A second child has the addresses of the first."""

    def config(self) -> ControllerConfig:
        sections = {
            site.plan.name: section(site.plan, site.address, self.shape, self.change)
            for site in self.sites
        }
        for gateway in sections.values():
            (peer,), (rule,) = gateway["peers"], gateway["policies"]
            peer["children"].append(peer["children"][0] | {"name": "again", "start": False})
            again = {"name": "again", "child": f"{peer['name']}/again", "priority": 1}
            gateway["policies"].append(rule | again)
        return parse_config({"gateways": sections}, "lab")


async def test_a_gateway_makes_no_second_child_with_the_inner_pair() -> None:
    """Design section 10: the responder takes it for the first one's, the initiator does not."""
    lab = TwoChildren(Shape(mode="beet"), Change())
    await lab.start()
    try:
        async with asyncio.timeout(20):
            await lab.tunnel_up()
            lab.gateway(lab.left).connections.bring_up("right", "again")
            reason = "again: BEET between 10.1.0.10 and 10.2.0.10 is child right/net's with right"
            await lab.happened(lab.left, Kind.SA_FAILED, reason)
        assert len(lab.gateway(lab.left).sas.live) == 1
    finally:
        await lab.stop()
