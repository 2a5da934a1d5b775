"""BEET while outer addresses change: a NAT's mappings, and MOBIKE (design section 10). The inner
addresses stay, and with them whatever the hosts have going.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_address
from typing import Any

import pytest
from family_lab import FamilyLab, Shape, host, ip_of, outer, section, send
from nat_lab import NatLab, from_elsewhere, running_nat_lab
from scapy.layers.inet import IP, TCP
from scapy.packet import Packet, Raw

from p4esp.controller.config import ControllerConfig, parse_config
from p4esp.controller.sa_installer import LiveSa
from p4esp.demo.plan import OUTSIDE, Change
from p4esp.demo.site import Site
from p4esp.ike.errors import CommandError
from p4esp.ike.path import UdpAddress
from p4esp.ipsec.sa import Mode
from p4esp.service.journal import Kind


class Flow:
    """A TCP connection between the hosts of two sites: what each sends has the next octets."""

    def __init__(self, lab: Any, here: Site, there: Site) -> None:
        self._lab, self._sites = lab, (here, there)
        self._ports = {here: 40_000, there: 80}
        self._sent = {here: 1000, there: 5000}

    async def passes(self, source: Site) -> bool:
        """Whether a segment arrives as it was sent, but for the TTL; and nothing else does."""
        (target,) = [site for site in self._sites if site is not source]
        segment = self._segment(source, target)
        target.host.receive()
        send(source, segment)
        await asyncio.sleep(0)
        self._lab.wire.deliver()
        arrived = [ip_of(frame) for frame in target.host.receive()]
        return [bytes(one[TCP]) for one in arrived if _ends(one) == _ends(segment)] == [
            bytes(segment[TCP])
        ] and len(arrived) == 1

    def _segment(self, source: Site, target: Site) -> Packet:
        data = f"from {source.plan.name} at {self._sent[source]}".encode()
        ends = {"src": host(source.plan.number, 4), "dst": host(target.plan.number, 4)}
        ports = {"sport": self._ports[source], "dport": self._ports[target]}
        numbers = {"seq": self._sent[source], "ack": self._sent[target]}
        self._sent[source] += len(data)
        return IP(bytes(IP(**ends) / TCP(**ports, **numbers, flags="PA") / Raw(data)))

    async def lives(self) -> bool:
        """Whether it goes on both ways."""
        here, there = self._sites
        return await self.passes(there) and await self.passes(here)


def _ends(packet: Packet) -> tuple[str, str]:
    return packet.src, packet.dst


# Behind NATs


def server_sa(lab: NatLab, peer: str) -> LiveSa:
    (live,) = lab.gateway(lab.left).sas.live.of_child(peer, "net")
    return live


def seen(lab: NatLab, peer: str) -> str:
    """Where the server's SA with a peer sends to."""
    child = server_sa(lab, peer).record.child
    assert child.encapsulation is not None
    return f"{child.remote}:{child.encapsulation.remote_port}"


async def test_two_clients_with_one_private_address_are_told_apart_by_their_inner_ones() -> None:
    async with running_nat_lab() as lab:
        clients = {site.plan.name: lab.live(site) for site in (lab.right, lab.third)}
        for name, live in clients.items():
            child = live.record.child
            assert (child.mode, str(child.local)) == (Mode.BEET, "10.9.0.2")
            assert server_sa(lab, name).record.child.mode is Mode.BEET
        for site in (lab.right, lab.third):
            assert await Flow(lab, lab.left, site).lives()
        assert seen(lab, "right") == "203.0.113.2:44500"
        assert seen(lab, "third") == "203.0.113.3:44500"


@pytest.mark.parametrize("address", ["203.0.113.2", "203.0.113.9"], ids=["port", "address"])
async def test_a_new_mapping_is_followed_from_the_first_packet_and_a_connection_lives_on(
    address: str,
) -> None:
    async with running_nat_lab() as lab:
        flows = [Flow(lab, lab.left, site) for site in (lab.right, lab.third)]
        assert [await flow.lives() for flow in flows] == [True, True]
        lab.nats[0].shift, lab.nats[0].address = 50_000, address
        assert not await flows[0].passes(lab.left)  # nobody has told the server
        assert await flows[0].passes(lab.right)
        await lab.happened(lab.left, Kind.SA_MOVED, "right/net")
        assert seen(lab, "right") == f"{address}:54500"
        assert [await flow.lives() for flow in flows] == [True, True]
        assert seen(lab, "third") == "203.0.113.3:44500"


async def test_an_old_packet_from_elsewhere_moves_nothing() -> None:
    """Authentic, and not newer than the window's top: one that was held back on the way."""
    async with running_nat_lab() as lab:
        nat, flow = lab.nats[0], Flow(lab, lab.left, lab.right)
        nat.holding = True
        assert not await flow.passes(lab.right)
        nat.holding, held = False, nat.sent[-1]
        assert await flow.lives()
        lab.left.host.receive()
        lab.left.device.inject(OUTSIDE, from_elsewhere(held, 60_000))
        assert len(lab.left.host.receive()) == 1  # it is within the window
        assert await flow.lives()
        assert seen(lab, "right") == "203.0.113.2:44500"


async def test_with_mobike_no_packet_moves_an_sa() -> None:
    """The client says itself where it is (RFC 4555 3.8)."""
    async with running_nat_lab(mobike=True) as lab:
        flow = Flow(lab, lab.left, lab.right)
        assert await flow.lives()
        live = server_sa(lab, "right")
        assert not [entry for entry in live.entries.all if entry.table == "peer"]
        lab.nats[0].shift = 50_000
        assert await flow.passes(lab.right)
        assert not await flow.passes(lab.left)
        assert seen(lab, "right") == "203.0.113.2:44500"
        elsewhere = UdpAddress(ip_address("203.0.113.2"), 54_500)
        with pytest.raises(CommandError, match="until it says otherwise"):
            lab.gateway(lab.left).ike.command(
                lambda ike, now: ike.peer_moved(live.record.child.spi_in, elsewhere, now)
            )


# MOBIKE


AWAY = "198.51.100.{}"


class MobileGateways(FamilyLab):
    """Both ends have a second address; left may move to its own."""

    def config(self) -> ControllerConfig:
        sections = {}
        for site in self.sites:
            found = section(site.plan, site.address, self.shape, self.change)
            found["peers"][0]["mobike"] = True
            found["interfaces"][1]["addresses"].append(f"{AWAY.format(site.plan.number)}/24")
            sections[site.plan.name] = found
        return parse_config({"gateways": sections}, "lab")

    def move(self, number: int) -> None:
        """Left goes to another address of its own, the peer stays where it is."""
        ike = self.gateway(self.left).ike
        (info,) = ike.endpoint.ike_sas
        path = info.path.between(ip_address(AWAY.format(number)), info.path.remote.host)
        ike.command(lambda endpoint, now: endpoint.update_addresses(info.spi, path, now))


@asynccontextmanager
async def mobile_gateways(mode: str) -> AsyncIterator[MobileGateways]:
    lab = MobileGateways(Shape(mode=mode), Change())
    await lab.start()
    try:
        async with asyncio.timeout(30):
            await lab.tunnel_up()
            yield lab
    finally:
        await lab.stop()


async def test_a_connection_survives_a_move_by_mobike() -> None:
    """The outer addresses change (UPDATE_SA_ADDRESSES), the inner ones do not; a rekey at the new
    place keeps the mode.
    """
    async with mobile_gateways("beet") as lab:
        flow = Flow(lab, lab.left, lab.right)
        assert await flow.lives()
        lab.move(1)
        for site in lab.sites:
            await lab.happened(site, Kind.SA_MOVED)
        assert await flow.lives()
        assert {packet.src for packet in lab.esp_on_wire()[-2:]} == {AWAY.format(1), outer(2, 4)}
        old = lab.live(lab.left).record.child
        assert (old.mode, str(old.local)) == (Mode.BEET, AWAY.format(1))
        lab.gateway(lab.left).rekey_child(old.spi_in)
        await lab.happened(lab.left, Kind.SA_REMOVED)
        await lab.happened(lab.right, Kind.SA_REMOVED)
        assert await flow.lives()
        new = lab.live(lab.right).record.child
        assert (new.mode, str(new.remote)) == (Mode.BEET, AWAY.format(1))
