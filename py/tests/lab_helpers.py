"""What end-to-end tests share: packets through a lab, and what its switches hold."""

import asyncio
from pathlib import Path
from typing import Any

from p4esp.controller.config import parse_config
from p4esp.controller.entries import Entry
from p4esp.controller.numbers import Drop, Outcome, Role
from p4esp.controller.packets import ETHERTYPE_IPV4, Ethernet, Ipv4, Udp
from p4esp.controller.program import Program
from p4esp.controller.reconcile import BASE_TABLES, NEIGHBOUR_TABLES, SA_TABLES, SPD_TABLES
from p4esp.demo.lab import Lab
from p4esp.demo.plan import INSIDE, OUTSIDE, Change, gateway_section
from p4esp.demo.site import Site
from p4esp.service.journal import Kind

CONFIGS = Path(__file__).parents[2] / "bmv2-configs"
PROGRAM = Program(CONFIGS / "esp_gateway.p4info.txtpb", CONFIGS / "esp_gateway.json")
SWITCH_ROLES = {
    INSIDE: Role.PROTECTED,
    OUTSIDE: Role.UNPROTECTED,
    509: Role.CRYPTO,
    510: Role.CPU,
}


def host_frame(source: Site, target: Site, payload: bytes = b"hello", ttl: int = 64) -> bytes:
    """A UDP packet from the host of one site to that of the other."""
    packet = Udp(1234, 4321, payload).over(source.plan.host, target.plan.host)
    packet = Ipv4(packet.src, packet.dst, packet.protocol, packet.payload, ttl=ttl)
    plan = source.plan
    return Ethernet(plan.mac(INSIDE), plan.host_mac, ETHERTYPE_IPV4, packet.build()).build()


def delivered(frames: list[bytes]) -> list[bytes]:
    """The UDP payloads of frames."""
    return [Udp.parse(Ipv4.parse(Ethernet.parse(frame).payload)).payload for frame in frames]


async def passes(lab: Lab, source: Site, target: Site, payload: bytes = b"hello") -> bool:
    """Whether a packet from host to host arrives, and nothing else does."""
    target.host.receive()
    source.host.send(host_frame(source, target, payload))
    await asyncio.sleep(0)
    lab.wire.deliver()
    return delivered(target.host.receive()) == [payload]


async def passes_soon(lab: Lab, source: Site, target: Site, seconds: float = 5) -> None:
    """Wait until packets arrive."""
    async with asyncio.timeout(seconds):
        while not await passes(lab, source, target):
            await asyncio.sleep(0.01)


def drops(site: Site) -> dict[str, int]:
    """Drop counters that are not zero."""
    counters = site.device.counter_array("drops")
    return {reason.name: n for reason in Drop if (n := counters.read(reason).packets)}


def outcomes(site: Site) -> dict[str, int]:
    """Outcome counters."""
    counters = site.device.counter_array("outcomes")
    return {outcome.name: counters.read(outcome).packets for outcome in Outcome}


async def sa_tables(lab: Lab, site: Site) -> set[Entry]:
    """The SA entries of a switch, as P4Runtime reads them."""
    link = lab.gateway(site).link
    assert link is not None
    return set(await link.session.read(*SA_TABLES))


async def all_tables(lab: Lab, site: Site) -> set[Entry]:
    """All entries of a switch that the controller writes."""
    link = lab.gateway(site).link
    assert link is not None
    more = (*NEIGHBOUR_TABLES, *SPD_TABLES, "crypto_port", "boot_id", "ike_sa")
    return set(await link.session.read(*SA_TABLES, *BASE_TABLES, *more))


async def restart_controller_with(lab: Lab, **section: Any) -> None:
    """Start a controller whose configuration of the left site differs."""
    sections = {
        site.plan.name: gateway_section(site.plan, site.address, Change(starts=()))
        for site in lab.sites
    }
    sections["left"] |= section
    lab.config = lambda: parse_config({"gateways": sections}, "lab")  # type: ignore[method-assign]
    lab.start_controller()
    await lab.happened(lab.left, Kind.READY)
