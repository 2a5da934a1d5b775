"""A peer behind a NAT gets another mapping; its SAs follow an authentic packet (UDP-08)."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

import pytest
from controller_samples import CHILD
from lab_helpers import PROGRAM, passes
from scapy.layers.inet import IP, UDP
from scapy.packet import Raw

from p4esp.controller.config import parse_config
from p4esp.controller.numbers import SaEvent
from p4esp.controller.packets import ETHERTYPE_IPV4, Ethernet
from p4esp.controller.peer_moves import seen_at
from p4esp.controller.sa_events import SaEvents
from p4esp.controller.sa_installer import LiveSa
from p4esp.demo.lab import Lab, running_lab
from p4esp.demo.plan import OUTSIDE, Change, gateway_section
from p4esp.service.journal import Kind

PEER = "192.0.2.2"


class Nat:
    """In front of the right site: shows it under another source port, and keeps what it sent."""

    def __init__(self) -> None:
        self.port = 40000
        self.sent: list[bytes] = []

    def __call__(self, frame: bytes) -> bytes | None:
        parsed = Ethernet.parse(frame)
        packet = IP(parsed.payload) if parsed.ether_type == ETHERTYPE_IPV4 else None
        if packet is None or UDP not in packet:
            return frame
        datagram = packet[UDP]
        if packet.src == PEER and datagram.sport == 4500:
            datagram.sport = self.port
        elif packet.dst == PEER and datagram.dport != 500:
            if datagram.dport != self.port:
                return None
            datagram.dport = 4500
        datagram.chksum = 0
        out = replace(parsed, payload=bytes(packet)).build()
        if packet.src == PEER:
            self.sent.append(out)
        return out


@pytest.fixture
def nat() -> Nat:
    return Nat()


@pytest.fixture
async def lab(nat: Nat) -> AsyncIterator[Lab]:
    """The right site says that it is behind a NAT, and it is."""
    running = Lab(PROGRAM, Change(starts=("right",)))
    running.config = lambda: config(running)  # type: ignore[method-assign]
    await running.start()
    running.wire.on_wire = nat
    try:
        async with asyncio.timeout(20):
            await running.tunnel_up()
            yield running
    finally:
        await running.stop()


def config(lab: Lab):
    changes = {"left": Change(starts=()), "right": Change(starts=("right",), encapsulate=True)}
    sections = {
        site.plan.name: gateway_section(site.plan, site.address, changes[site.plan.name])
        for site in lab.sites
    }
    return parse_config({"gateways": sections}, "lab")


def live(lab: Lab) -> LiveSa:
    (one,) = lab.gateway(lab.left).sas.live.values()
    return one


def ike_port(lab: Lab) -> int:
    (info,) = lab.gateway(lab.left).ike.endpoint.ike_sas
    return info.path.remote.port


def expected(lab: Lab) -> tuple[int, int]:
    """Where the switch and the SA's outbound entry think the peer is."""
    (entry,) = [e for e in live(lab).entries.inbound if e.table == "peer"]
    return entry.arg("port"), live(lab).entries.outbound.arg("udp_dport")


async def test_udp_08_a_new_mapping_is_followed_by_ike_and_child_sa(lab: Lab, nat: Nat) -> None:
    assert await passes(lab, lab.right, lab.left)
    assert expected(lab) == (40000, 40000)
    nat.port = 41000
    assert not await passes(lab, lab.left, lab.right)
    assert await passes(lab, lab.right, lab.left)
    note = await lab.happened(lab.left, Kind.SA_MOVED)
    assert "192.0.2.2:41000" in note.text
    assert (expected(lab), ike_port(lab)) == ((41000, 41000), 41000)
    assert await passes(lab, lab.left, lab.right)
    (kept,) = lab.store.sas("left")
    assert kept == live(lab).record


async def quiet(lab: Lab) -> None:
    """Time for an event that must not be: one round of packet and digest."""
    assert await passes(lab, lab.right, lab.left)
    for _ in range(20):
        await asyncio.sleep(0.005)


def from_port(frame: bytes, port: int, *, damaged: bool = False) -> bytes:
    parsed = Ethernet.parse(frame)
    packet = IP(parsed.payload)
    packet[UDP].sport = port
    if damaged:
        load = bytearray(bytes(packet[UDP].payload))
        load[4:8] = (int.from_bytes(load[4:8], "big") + 5).to_bytes(4, "big")
        packet[UDP].remove_payload()
        packet = packet / Raw(bytes(load))
    return replace(parsed, payload=bytes(packet)).build()


@pytest.mark.parametrize("damaged", [False, True], ids=["replayed", "forged"])
async def test_udp_08_nobody_follows_a_replay_or_a_forgery(
    lab: Lab, nat: Nat, damaged: bool
) -> None:
    assert await passes(lab, lab.right, lab.left)
    lab.left.device.inject(OUTSIDE, from_port(nat.sent[-1], 42000, damaged=damaged))
    await quiet(lab)
    assert (expected(lab), ike_port(lab)) == ((40000, 40000), 40000)


async def test_a_restarted_controller_keeps_an_sa_that_has_followed(lab: Lab, nat: Nat) -> None:
    nat.port = 41000
    assert await passes(lab, lab.right, lab.left)
    await lab.happened(lab.left, Kind.SA_MOVED)
    await lab.stop_controller()
    lab.start_controller()
    await lab.happened(lab.left, Kind.RECONCILED, "1 SAs stay")


def digest(of: LiveSa, **changed: int) -> dict[str, int]:
    place = of.record.placement
    event = {
        "kind": SaEvent.PEER_MOVED,
        "sa": place.sa_in,
        "generation": place.generation_in,
        "seq": 9,
        "peer_high": 0,
        "peer_low": int(IPv4Address(PEER)),
        "peer_port": 43000,
    }
    return event | changed


def events(lab: Lab) -> SaEvents:
    gateway = lab.gateway(lab.left)
    assert gateway.link is not None
    parts = (gateway.sas, gateway.ike, gateway.connections, lab.journal)
    acquire = gateway.shares.acquire
    return SaEvents(gateway.link.session, *parts, acquire=acquire, clock=lambda: 0.0)


@pytest.mark.parametrize(
    ("changed", "port"),
    [
        ({}, 43000),
        ({"generation": 250}, 40000),
        ({"sa": 60000}, 40000),
        ({"peer_port": 0}, 40000),
        ({"peer_low": int(IPv4Address("224.0.0.1"))}, 40000),
        ({"peer_low": 0}, 40000),
    ],
)
async def test_only_a_digest_of_the_live_generation_and_of_a_hosts_address_counts(
    lab: Lab, changed: dict[str, int], port: int
) -> None:
    handler = events(lab)
    await handler._deal_with(digest(live(lab), **changed))
    assert ike_port(lab) == port


async def test_of_many_moves_in_a_row_few_count(lab: Lab) -> None:
    handler = events(lab)
    for port in range(50000, 50100):
        await handler._deal_with(digest(live(lab), peer_port=port))
    assert ike_port(lab) == 50004


async def test_who_is_behind_the_nat_has_no_peer_to_watch(lab: Lab) -> None:
    (sa,) = lab.gateway(lab.right).sas.live.values()
    assert not [entry for entry in sa.entries.all if entry.table == "peer"]


async def test_an_sa_without_udp_has_no_peer_to_watch() -> None:
    async with running_lab(PROGRAM) as running, asyncio.timeout(20):
        await running.tunnel_up()
        assert not [entry for entry in live(running).entries.all if entry.table == "peer"]


def test_an_address_of_ipv6_is_read_from_both_halves() -> None:
    child = replace(CHILD, local=IPv6Address("2001:db8::1"))
    seen = seen_at(child, {"peer_high": 0x20010DB8 << 32, "peer_low": 7, "peer_port": 9})
    assert str(seen) == "[2001:db8::7]:9"
