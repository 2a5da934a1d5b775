"""BEET's data plane takes an SA from any source: here a test plays HIP (RFC 7402), which makes its
keys itself and never speaks IKE.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from ipaddress import ip_address

import pytest
from family_lab import FamilyLab, Shape, datagram, host, ip_of, outer, section, send
from scapy.layers.inet import UDP

from p4esp.controller.config import ControllerConfig, parse_config
from p4esp.controller.sa_installer import LiveSa, SaInstaller
from p4esp.demo.plan import OUTSIDE, Change
from p4esp.demo.site import Site
from p4esp.ipsec.algorithms import AES256_GCM
from p4esp.ipsec.identity import Identity
from p4esp.ipsec.sa import ChildSaParams, DirectionKeys, Keymat, Mode
from p4esp.ipsec.selectors import TrafficSelector
from p4esp.service.journal import Kind


@dataclass(frozen=True)
class Hip:
    """What a HIP base exchange ends with: host identity tags, locators, and two keys."""

    inner: int
    outer: int
    peer: str = "hip"
    """Of these SAs: nothing in the configuration has that name."""

    def sa(self, site: Site, spis: dict[str, int], keys: dict[str, DirectionKeys]) -> ChildSaParams:
        """The pair at one end; `keys` are those with which a site sends."""
        us, them = site.plan, site.plan.peer
        return ChildSaParams(
            peer=self.peer,
            name="association",
            spi_in=spis[us.name],
            spi_out=spis[them],
            suite=AES256_GCM,
            esn=False,
            mode=Mode.BEET,
            keymat=Keymat(inbound=keys[them], outbound=keys[us.name]),
            local_ts=self._only(us.number),
            remote_ts=self._only(us.peer_number),
            local=ip_address(outer(us.number, self.outer)),
            remote=ip_address(outer(us.peer_number, self.outer)),
            encapsulation=None,
            initiator=us.name == "left",
            local_id=Identity.parse(f"{us.name}.example"),
            remote_id=Identity.parse(f"{them}.example"),
        )

    def _only(self, number: int) -> tuple[TrafficSelector]:
        address = ip_address(host(number, self.inner))
        return (TrafficSelector(address, address),)


class HipLab(FamilyLab):
    """Two gateways whose configured child in BEET mode nobody starts."""

    def __init__(self) -> None:
        super().__init__(Shape(mode="beet"), Change(starts=()))

    def config(self) -> ControllerConfig:
        """Without IKE nothing has made the gateways known to each other."""
        sections = {}
        for site in self.sites:
            found = section(site.plan, site.address, self.shape, self.change)
            mac = bytes((2, 0, 0, 0, site.plan.peer_number, OUTSIDE)).hex(":")
            there = [outer(site.plan.peer_number, version) for version in (4, 6)]
            found["neighbours"] += [{"address": one, "mac": mac} for one in there]
            sections[site.plan.name] = found
        return parse_config({"gateways": sections}, "lab")

    def installer(self, site: Site) -> SaInstaller:
        """Of a site's switch."""
        link = self.gateway(site).link
        assert link is not None
        return link.installer

    async def installed(self, hip: Hip) -> dict[str, LiveSa]:
        """The SA pair of both ends, by site."""
        keys = {site.plan.name: DirectionKeys(os.urandom(32), os.urandom(4)) for site in self.sites}
        spis = {s.plan.name: self.gateway(s)._placements.spis.allocate() for s in self.sites}
        return {
            site.plan.name: await self._install(site, hip.sa(site, spis, keys))
            for site in self.sites
        }

    async def _install(self, site: Site, child: ChildSaParams) -> LiveSa:
        policy = self.gateway(site).sas.policy_ids.of("to-peer")
        return await self.installer(site).install(site.plan.name, child, policy)

    async def crosses(self, source: Site, target: Site, version: int) -> bool:
        """Whether a packet arrives as the host has sent it, but for the hop."""
        packet = datagram(source, target, version, bytes(range(50)))
        target.host.receive()
        send(source, packet)
        await asyncio.sleep(0)
        self.wire.deliver()
        arrived = [ip_of(frame) for frame in target.host.receive()]
        return [(one.src, one.dst, bytes(one[UDP])) for one in arrived] == [
            (packet.src, packet.dst, bytes(packet[UDP]))
        ]

    async def both_ways(self, version: int) -> bool:
        """Whether packets of that family cross."""
        forth = await self.crosses(self.left, self.right, version)
        return await self.crosses(self.right, self.left, version) and forth


@asynccontextmanager
async def hip_lab(inner: int = 4) -> AsyncIterator[HipLab]:
    """A lab whose gateways are ready. The policies are for inner addresses of one family."""
    lab = HipLab()
    lab.shape = Shape(inner=(inner,), mode="beet")
    await lab.start()
    try:
        async with asyncio.timeout(30):
            for site in lab.sites:
                await lab.happened(site, Kind.READY)
            yield lab
    finally:
        await lab.stop()


@pytest.mark.parametrize(("inside", "outside"), [(4, 4), (6, 4), (4, 6), (6, 6)])
async def test_keys_of_another_protocol_carry_packets_in_beet_mode(
    inside: int, outside: int
) -> None:
    """HIP's tags are IPv6, those of its legacy API IPv4; locators are of either family."""
    async with hip_lab(inside) as lab:
        await lab.installed(Hip(inside, outside))
        assert await lab.both_ways(inside)
        assert {(p.src, p.dst) for p in lab.esp_on_wire()} == {
            (outer(1, outside), outer(2, outside)),
            (outer(2, outside), outer(1, outside)),
        }
        assert not any(UDP in packet for packet in lab._packets())  # no IKE
        assert not lab.gateway(lab.left).ike.endpoint.ike_sas


async def test_such_an_sa_moves_to_other_locators_and_its_hosts_see_nothing_of_it() -> None:
    """RFC 8046: from IPv4 to IPv6. SPIs, keys and numbers stay."""
    async with hip_lab() as lab:
        pairs = await lab.installed(Hip(4, 4))
        assert await lab.both_ways(4)
        for site in lab.sites:
            live = pairs[site.plan.name]
            ours, theirs = (
                ip_address(outer(n, 6)) for n in (site.plan.number, 3 - site.plan.number)
            )
            moved = replace(live.record.child, local=ours, remote=theirs)
            await lab.installer(site).readdress(live, moved)
        assert await lab.both_ways(4)
        assert {packet.src for packet in lab.esp_on_wire()[-2:]} == {outer(1, 6), outer(2, 6)}


async def test_ike_makes_no_sa_with_its_inner_pair() -> None:
    """Design section 10: a pair is one owner's, whichever protocol that speaks."""
    async with hip_lab() as lab:
        pairs = await lab.installed(Hip(4, 4))
        for site in lab.sites:
            live = pairs[site.plan.name]
            lab.gateway(site).sas.live[live.record.child.spi_in] = live
        lab.gateway(lab.left).connections.bring_up("right", "net")
        reason = "BEET between 10.2.0.10 and 10.1.0.10 is child hip/association's"
        await lab.happened(lab.right, Kind.SA_FAILED, reason)
        assert await lab.both_ways(4)


async def test_it_leaves_nothing_behind_when_it_is_removed() -> None:
    async with hip_lab() as lab:
        pairs = await lab.installed(Hip(4, 4))
        for site in lab.sites:
            await lab.installer(site).remove(pairs[site.plan.name])
            assert lab.store.sas(site.plan.name) == []
        assert not await lab.crosses(lab.left, lab.right, 4)
