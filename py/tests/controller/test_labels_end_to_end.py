"""Security labels from IKE to the wire and back (RFC 9478): two gateways, behind each hosts of two
labels, and hosts without.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from family_lab import FamilyLab, Shape, ip_of, section, send
from lab_helpers import all_tables
from lab_helpers import drops as all_drops
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.ipsec import ESP
from scapy.packet import Packet

from p4esp.controller.config import ControllerConfig, parse_config
from p4esp.controller.link import _examine_sas
from p4esp.demo.plan import Change
from p4esp.demo.site import Site
from p4esp.service.journal import Kind

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")

SECRET, PUBLIC, NONE = "system_u:object_r:secret_t:s0", "system_u:object_r:public_t:s0", ""
HOSTS = {SECRET: 0x10, PUBLIC: 0x20, NONE: 0x30}
"""The last part of the addresses of the hosts of each label."""
NAMES = {SECRET: "secret", PUBLIC: "public", NONE: "plain"}
BOTH, ALL = (SECRET, PUBLIC), (SECRET, PUBLIC, NONE)
FAMILIES = (4, 6)


def address(number: int, version: int, label: str) -> str:
    """The host of a label behind a gateway."""
    last = HOSTS[label]
    return f"10.{number}.0.{last}" if version == 4 else f"2001:db8:{number:x}::{last:x}"


class LabelLab(FamilyLab):
    """A child and a rule for each label, with equal selectors."""

    def __init__(self, left: tuple[str, ...], right: tuple[str, ...], start: bool) -> None:
        super().__init__(Shape(4, FAMILIES), Change())
        self.labels = {"left": left, "right": right}
        self.start_all = start
        self.hosts = BOTH

    def config(self) -> ControllerConfig:
        sections = {site.plan.name: self._section(site) for site in self.sites}
        return parse_config({"gateways": sections}, "lab")

    def _section(self, site: Site) -> dict[str, Any]:
        plan, labels = site.plan, self.labels[site.plan.name]
        whole = section(plan, site.address, self.shape, self.change)
        (peer,), (rule,) = whole["peers"], whole["policies"]
        (child,) = peer["children"]
        start = {"start": self.start_all and plan.name == "left"}
        own = [{"name": NAMES[label], "labels": [label] if label else []} for label in labels]
        peer["children"] = [child | start | keys for keys in own]
        whole["policies"] = [
            rule
            | {"name": NAMES[label], "child": f"{plan.peer}/{NAMES[label]}"}
            | ({"label": label} if label else {})
            for label in labels
        ]
        whole["labels"] = [
            {"label": label, "port": 0, "hosts": [address(plan.number, v, label) for v in FAMILIES]}
            for label in self.hosts
        ]
        mac = plan.host_mac.hex(":")
        places = [address(plan.number, v, label) for v in FAMILIES for label in HOSTS]
        whole["neighbours"] = [{"address": place, "mac": mac} for place in places]
        return whole

    async def up(self, *labels: str) -> None:
        """Wait until both gateways have an SA of each label."""
        for site in self.sites:
            for label in labels:
                await self.happened(site, Kind.SA_UP, f"/{NAMES[label]} ")

    def spis(self, site: Site) -> dict[str, int]:
        """The outbound SPI of each label."""
        children = self.gateway(site).sas.live.children()
        return {child.share.label.decode(): child.spi_out for child in children}


@asynccontextmanager
async def running(
    left: tuple[str, ...] = BOTH, right: tuple[str, ...] | None = None, *, start: bool = True
) -> AsyncIterator[LabelLab]:
    lab = LabelLab(left, left if right is None else right, start)
    await lab.start()
    try:
        async with asyncio.timeout(20):
            yield lab
    finally:
        await lab.stop()


def packet(source: Site, target: Site, version: int, ends: tuple[str, str]) -> Packet:
    """From the host of one label to that of another."""
    src = address(source.plan.number, version, ends[0])
    dst = address(target.plan.number, version, ends[1])
    kind = IPv6 if version == 6 else IP
    return kind(bytes(kind(src=src, dst=dst) / UDP(sport=1234, dport=4321) / b"hello"))


async def sent(
    lab: LabelLab, source: Site, target: Site, version: int, ends: tuple[str, str]
) -> tuple[list[int], bool]:
    """The SPIs under which a packet went out, and whether it arrived."""
    lab.seen.clear()
    target.host.receive()
    wanted = packet(source, target, version, ends)
    send(source, wanted)
    await asyncio.sleep(0)
    lab.wire.deliver()
    arrived = [bytes(ip_of(frame)[UDP]) for frame in target.host.receive()]
    return [p[ESP].spi for p in lab.esp_on_wire()], arrived == [bytes(wanted[UDP])]


def drops(site: Site) -> dict[str, int]:
    """But for those of IKE, which waits for a neighbour to be found."""
    return {name: n for name, n in all_drops(site).items() if name != "NO_NEIGHBOUR"}


async def test_each_label_has_its_own_sa_and_reaches_hosts_of_that_label() -> None:
    async with running() as lab:
        await lab.up(*BOTH)
        for source, target in (lab.sites, lab.sites[::-1]):
            spis = lab.spis(source)
            assert len(set(spis.values())) == 2
            selectors = {str(c.local_ts) for c in lab.gateway(source).sas.live.children()}
            assert len(selectors) == 1
            for version in FAMILIES:
                for label in BOTH:
                    found = await sent(lab, source, target, version, (label, label))
                    assert found == ([spis[label]], True)


async def test_what_has_no_label_uses_no_sa_of_a_label() -> None:
    async with running() as lab:
        await lab.up(*BOTH)
        for version in FAMILIES:
            assert await sent(lab, lab.left, lab.right, version, (NONE, NONE)) == ([], False)
        assert drops(lab.left) == {"POLICY_DISCARD": 2}


async def test_beside_labels_a_rule_without_one_is_for_what_has_none() -> None:
    async with running(ALL) as lab:
        await lab.up(*ALL)
        for version in FAMILIES:
            for label in ALL:
                found = await sent(lab, lab.left, lab.right, version, (label, label))
                assert found == ([lab.spis(lab.left)[label]], True)
        await lab_refuses_other_labels(lab)


async def lab_refuses_other_labels(lab: LabelLab) -> None:
    """The receiving gateway lets nothing pass between hosts of different labels."""
    before = drops(lab.right).get("BAD_LABEL", 0)
    pairs = [(one, other) for one in ALL for other in ALL if one != other]
    for version in FAMILIES:
        for ends in pairs:
            spis, arrived = await sent(lab, lab.left, lab.right, version, ends)
            assert (spis, arrived) == ([lab.spis(lab.left)[ends[0]]], False)
    assert drops(lab.right)["BAD_LABEL"] == before + 2 * len(pairs)


async def test_a_label_whose_rule_has_no_sa_makes_one_and_waits_for_it() -> None:
    async with running(start=False) as lab:
        for site in lab.sites:
            await lab.happened(site, Kind.READY)
        assert await sent(lab, lab.left, lab.right, 4, (PUBLIC, PUBLIC)) == ([], False)
        await lab.up(PUBLIC)
        assert drops(lab.left) == {"ACQUIRE": 1}
        assert list(lab.spis(lab.left)) == [PUBLIC]
        found = await sent(lab, lab.left, lab.right, 4, (PUBLIC, PUBLIC))
        assert found == ([lab.spis(lab.left)[PUBLIC]], True)
        assert await sent(lab, lab.left, lab.right, 4, (SECRET, SECRET)) == ([], False)


async def test_a_label_that_the_peer_does_not_know_goes_nowhere() -> None:
    async with running(BOTH, (SECRET,)) as lab:
        await lab.up(SECRET)
        await lab.happened(lab.left, Kind.SA_FAILED, "TS_UNACCEPTABLE")
        assert await sent(lab, lab.left, lab.right, 4, (PUBLIC, PUBLIC)) == ([], False)
        found = await sent(lab, lab.left, lab.right, 4, (SECRET, SECRET))
        assert found == ([lab.spis(lab.left)[SECRET]], True)


async def test_the_successor_of_a_rekeyed_sa_has_its_label_at_both_gateways() -> None:
    async with running() as lab:
        await lab.up(*BOTH)
        old = {site.plan.name: lab.spis(site)[SECRET] for site in lab.sites}
        children = lab.gateway(lab.left).sas.live.children()
        (spi,) = [c.spi_in for c in children if c.share.label == SECRET.encode()]
        lab.gateway(lab.left).rekey_child(spi)
        for site in lab.sites:
            await lab.happened(site, Kind.SA_REMOVED)
            assert lab.spis(site)[SECRET] != old[site.plan.name]
        for source, target in (lab.sites, lab.sites[::-1]):
            for label in BOTH:
                found = await sent(lab, source, target, 6, (label, label))
                assert found == ([lab.spis(source)[label]], True)


async def test_over_a_restart_sas_keep_their_labels_and_labels_their_numbers() -> None:
    async with running(ALL) as lab:
        await lab.up(*ALL)
        before = {site.plan.name: await all_tables(lab, site) for site in lab.sites}
        spis = lab.spis(lab.left)
        await lab.stop_controller()
        lab.labels = {"left": ALL[::-1], "right": ALL[::-1]}
        lab.start_all = False
        lab.start_controller()
        for site in lab.sites:
            await lab.happened(site, Kind.READY)
            after = await all_tables(lab, site)
            assert _without_order(after) == _without_order(before[site.plan.name])
        assert lab.spis(lab.left) == spis
        for label in ALL:
            assert (await sent(lab, lab.left, lab.right, 4, (label, label)))[1]
        await lab_refuses_other_labels(lab)


def _without_order(entries: set[Any]) -> set[Any]:
    """Rules have another order, and IKE SAs are gone."""
    return {entry for entry in entries if not entry.table.startswith(("spd", "ike_sa"))}


async def test_an_sa_whose_label_is_no_longer_wanted_ends_with_the_restart() -> None:
    async with running() as lab:
        await lab.up(*BOTH)
        await lab.stop_controller()
        lab.labels = {"left": (SECRET, NONE), "right": (SECRET, NONE)}
        lab.start_all = False
        lab.start_controller()
        for site in lab.sites:
            await lab.happened(site, Kind.READY)
        assert list(lab.spis(lab.left)) == [SECRET]
        assert await sent(lab, lab.left, lab.right, 4, (PUBLIC, PUBLIC)) == ([], False)
        assert drops(lab.left)["POLICY_DISCARD"] == 1


async def test_no_packet_meets_the_rules_before_with_a_label_of_now(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Between labels and rules of a new configuration lies all that a take-over does with SAs."""
    async with running(ALL) as lab:
        await lab.up(*ALL)
        await lab.stop_controller()
        lab.hosts, lab.start_all = (PUBLIC,), False
        found = []

        async def examine(link: Any, known: Any) -> Any:
            found.append(await sent(lab, lab.left, lab.right, 4, (SECRET, NONE)))
            return await _examine_sas(link, known)

        monkeypatch.setattr("p4esp.controller.link._examine_sas", examine)
        lab.start_controller()
        for site in lab.sites:
            await lab.happened(site, Kind.READY)
        assert found == [([], False)] * 2
        assert (await sent(lab, lab.left, lab.right, 4, (SECRET, NONE)))[1]


async def test_clear_packets_from_outside_are_not_let_in_where_a_labels_rule_protects() -> None:
    """RFC 4301 5.2: they have no label, and still are what the rule wants protected."""
    async with running() as lab:
        await lab.up(*BOTH)
        clear = packet(lab.left, lab.right, 4, (SECRET, SECRET))
        frame = lab.right.plan.mac(1) + bytes(6) + b"\x08\x00" + bytes(clear)
        lab.right.device.process(1, frame)
        assert drops(lab.right) == {"CLEAR_IN": 1}
