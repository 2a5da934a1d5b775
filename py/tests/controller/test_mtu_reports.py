"""Two gateways that tell each other how long packets arrive whole (digest 9.7), end to end."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from ipaddress import IPv6Address
from typing import Any

import pytest
from format_lab import EXPLICIT, FormatLab, running_format_lab
from lab_helpers import drops
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment
from scapy.packet import Raw

from p4esp.controller.packets import ETHERTYPE_IPV4, ETHERTYPE_IPV6, Ethernet, PacketError
from p4esp.controller.path_mtu import PathMtu, _lowered
from p4esp.controller.path_mtu_settings import PathMtuSettings
from p4esp.controller.quoted import Fragment, first_fragment
from p4esp.controller.sa_tuning import Tuning
from p4esp.demo.plan import INSIDE, OUTSIDE, Change
from p4esp.demo.site import Site
from p4esp.ike.events import PathMtuTold
from p4esp.ipsec.selectors import TrafficSelector
from p4esp.service.journal import Kind

WISH: dict[str, Any] = {"peer": {"extensions": {"mtu_detection": True}}}
OVERHEAD = 20 + 8 + 8 + 16
"""Outer header, ESP header, IV, ICV."""


@asynccontextmanager
async def running(
    left: dict[str, Any] = WISH, right: dict[str, Any] | None = None, **change: Any
) -> AsyncIterator[FormatLab]:
    """A lab whose tunnel is up, over plain ESP."""
    async with running_format_lab(left, right, esp=EXPLICIT, **change) as lab:
        await lab.tunnel_up()
        yield lab


def path_mtu(lab: FormatLab, site: Site) -> int:
    return lab.gateway(site).sas.tuning(lab.live(site)).path_mtu


def inner_mtu(lab: FormatLab, site: Site) -> int:
    """What the switch has: octets of the largest packet that is sealed."""
    return lab.live(site).entries.outbound.arg("inner_mtu")


def fragment(lab: FormatLab, size: int, **changed: Any) -> bytes:
    """A first fragment of ESP of the left gateway, `size` octets long, at the port of the right."""
    child = lab.live(lab.right).record.child
    spi = changed.pop("spi", child.spi_in).to_bytes(4, "big")
    fields = {"src": str(child.remote), "dst": str(child.local), "proto": 50, "flags": "MF"}
    packet = IP(**fields | changed) / Raw(spi + bytes(size - 24))
    ends = lab.right.plan.mac(OUTSIDE), lab.left.plan.mac(OUTSIDE)
    return Ethernet(*ends, ETHERTYPE_IPV4, bytes(packet)).build()


def show(lab: FormatLab, *frames: bytes) -> None:
    """The frames arrive at the right gateway from outside."""
    for frame in frames:
        lab.right.device.inject_burst(OUTSIDE, [frame])


def host_packet(lab: FormatLab, size: int) -> bytes:
    left, right = lab.left.plan, lab.right.plan
    head = IP(src=str(left.host), dst=str(right.host), flags="DF", id=9) / UDP(dport=9)
    packet = bytes(head / Raw(bytes(size - 28)))
    return Ethernet(left.mac(INSIDE), left.host_mac, ETHERTYPE_IPV4, packet).build()


# Outside: fragments


async def test_fragments_are_reported_and_the_inner_host_hears_of_it() -> None:
    async with running() as lab:
        assert path_mtu(lab, lab.left) == 1500
        show(lab, fragment(lab, 1300))
        await lab.happened(lab.right, Kind.PATH_MTU, "1300 outside, told peer left")
        await lab.happened(lab.left, Kind.PATH_MTU, "1300 outside, says peer right")
        assert (path_mtu(lab, lab.left), path_mtu(lab, lab.right)) == (1300, 1500)
        most = inner_mtu(lab, lab.left)
        assert most == (1300 - OVERHEAD) // 4 * 4 - 2
        assert drops(lab.right)["OUTER_FRAGMENT"] == 1
        said = await heard_by_host(lab, most + 1)
        assert (said[ICMP].type, said[ICMP].code, said[ICMP].nexthopmtu) == (3, 4, most)


async def heard_by_host(lab: FormatLab, size: int) -> IP:
    """The ICMP message to the left host for a packet of that size with DF."""
    lab.left.host.receive()
    lab.left.host.send(host_packet(lab, size))
    lab.wire.deliver()
    while not (frames := lab.left.host.receive()):
        await asyncio.sleep(0.005)
    return IP(Ethernet.parse(frames[0]).payload)


async def test_two_reports_within_ten_seconds_are_one() -> None:
    async with running() as lab:
        show(lab, fragment(lab, 1300))
        await lab.happened(lab.left, Kind.PATH_MTU, "1300 outside")
        show(lab, fragment(lab, 1200))
        ignored = lab.gateway(lab.right).icmp_ignored
        while not ignored["not told"]:
            await lab.gateway(lab.right).sas.settled()
            await asyncio.sleep(0.005)
        assert path_mtu(lab, lab.left) == 1300


OTHERS: tuple[dict[str, Any], ...] = (
    {"spi": 0xDEADBEEF},
    {"src": "192.0.2.77"},
    {"proto": 17},
    {"flags": "MF", "frag": 5},
    {"flags": 0},
)
"""Of an unknown SPI, from elsewhere, not of ESP, a later one, and a whole packet."""


async def test_what_is_no_first_fragment_of_an_sa_is_not_reported() -> None:
    """The last three the pipeline does not even show."""
    async with running() as lab:
        show(lab, *(fragment(lab, 1300, **changed) for changed in OTHERS), fragment(lab, 1400))
        await lab.happened(lab.left, Kind.PATH_MTU, "1400 outside")
        assert lab.gateway(lab.right).icmp_ignored == Counter({"fragment of no SA": 2})


@pytest.mark.parametrize("wishes", [({}, WISH), (WISH, {})], ids=["left", "right"])
async def test_where_it_is_not_negotiated_nothing_is_sent(
    wishes: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    async with running(*wishes) as lab:
        before = len(lab.journal.entries)
        show(lab, fragment(lab, 1300))
        reports = lab.gateway(lab.right)._mtu_reports()
        reports.fragment(Ethernet.parse(fragment(lab, 1300)))
        assert reports.ignored["not told"] >= 1
        kinds = [entry.kind for entry in lab.journal.entries[before:]]
        assert Kind.PATH_MTU not in kinds
        assert path_mtu(lab, lab.left) == 1500
        assert drops(lab.right)["OUTER_FRAGMENT"] == 1


# What a peer says is believed as far as it is less, and above the floor


async def told(
    lab: FormatLab, mtu: int, *, inside: bool = False, clock: list[float] | None = None
) -> PathMtu:
    """The left gateway's view after its peer has said something."""
    gateway, now = lab.gateway(lab.left), clock or [0.0]
    assert gateway.link is not None
    settings = PathMtuSettings(age=600.0)
    parts = (gateway.sas, gateway.link.state, settings, lab.journal, Counter[str]())
    learned = PathMtu(*parts, clock=lambda: now[0])
    await learned.told(PathMtuTold(lab.live(lab.left).record.child, mtu, inside))
    return learned


async def test_a_value_below_the_floor_is_clamped_to_it() -> None:
    async with running() as lab:
        child = lab.live(lab.left).record.child
        for mtu in (0, 68, 575):
            assert _lowered(PathMtuTold(child, mtu, inside=False))(Tuning(1500)).path_mtu == 576
        await told(lab, 0)
        assert path_mtu(lab, lab.left) == 576


async def test_nothing_is_ever_raised() -> None:
    async with running() as lab:
        for mtu, then in (
            (1500, 1500),
            (9000, 1500),
            (0xFFFFFFFF, 1500),
            (1300, 1300),
            (1400, 1300),
        ):
            learned = await told(lab, mtu)
            assert path_mtu(lab, lab.left) == then
            assert learned.ignored == ({} if mtu == then == 1300 else {"not less": 1})


async def test_after_ten_minutes_the_links_mtu_is_tried_again() -> None:
    async with running() as lab:
        clock = [0.0]
        learned = await told(lab, 1300, clock=clock)
        await learned.told(PathMtuTold(lab.live(lab.left).record.child, 1000, inside=True))
        assert inner_mtu(lab, lab.left) == 1000
        for clock[0], expected in ((599.0, 1300), (600.0, 1500)):
            await learned.expire()
            assert path_mtu(lab, lab.left) == expected
        assert inner_mtu(lab, lab.left) == (1500 - OVERHEAD) // 4 * 4 - 2


async def test_a_link_behind_the_peer_that_is_told_again_is_not_forgotten_and_the_path_is() -> None:
    """What the peer repeats every five minutes must not be tried again in between."""
    async with running() as lab:
        clock = [0.0]
        learned = await told(lab, 1300, clock=clock)
        inside = PathMtuTold(lab.live(lab.left).record.child, 1000, inside=True)
        for clock[0], outside in ((0.0, 1300), (300.0, 1300), (600.0, 1500), (700.0, 1500)):
            if clock[0] < 700.0:
                await learned.told(inside)
            await learned.expire()
            assert (path_mtu(lab, lab.left), inner_mtu(lab, lab.left)) == (outside, 1000)
        clock[0] = 1200.0
        await learned.expire()
        assert inner_mtu(lab, lab.left) > 1000


async def test_of_an_sa_that_is_gone_nothing_is_learned() -> None:
    async with running() as lab:
        learned = await told(lab, 1300)
        gone = lab.live(lab.left).record.child
        lab.gateway(lab.left).sas.live.pop(gone.spi_in)
        await learned.told(PathMtuTold(gone, 1000, inside=False))
        assert learned.ignored == {"no such SA": 1}


# Inside: links behind the peer


async def test_a_narrow_link_behind_the_peer_is_told_and_the_inner_host_hears_of_it() -> None:
    class Narrow(FormatLab):
        def _section(self, site: Site) -> tuple[str, dict[str, Any]]:
            name, section = super()._section(site)
            section["interfaces"][INSIDE]["mtu"] = 1300 if site is self.right else 1500
            return name, section

    lab = Narrow(WISH, WISH, Change(esp=EXPLICIT))
    await lab.start()
    try:
        await lab.tunnel_up()
        await lab.happened(lab.right, Kind.PATH_MTU, "1300 inside, told peer left")
        await lab.happened(lab.left, Kind.PATH_MTU, "1300 inside, says peer right")
        assert (path_mtu(lab, lab.left), inner_mtu(lab, lab.left)) == (1500, 1300)
        assert inner_mtu(lab, lab.right) > 1300
        said = await heard_by_host(lab, 1301)
        assert (said[ICMP].type, said[ICMP].code, said[ICMP].nexthopmtu) == (3, 4, 1300)
    finally:
        await lab.stop()


async def test_the_floor_of_ipv6_is_1280() -> None:
    async with running() as lab:
        child = lab.live(lab.left).record.child
        end = IPv6Address("2001:db8::1")
        outer = replace(child, local=end, remote=end)
        inner = replace(child, remote_ts=(TrafficSelector(end, end),))
        assert _lowered(PathMtuTold(outer, 600, inside=False))(Tuning(1500)).path_mtu == 1280
        assert _lowered(PathMtuTold(inner, 600, inside=True))(Tuning(1500)).inner_most == 1280


# Reading fragments


def six(*headers: Any, **fields: Any) -> Ethernet:
    packet = IPv6(src="2001:db8::1", dst="2001:db8::2", **fields)
    for header in headers:
        packet /= header
    return Ethernet(bytes(6), bytes(6), ETHERTYPE_IPV6, bytes(packet))


def test_a_first_fragment_over_ipv6_shows_its_length_and_spi() -> None:
    spi = (0x1234).to_bytes(4, "big")
    found = first_fragment(six(IPv6ExtHdrFragment(m=1, nh=50), Raw(spi + bytes(1000))))
    assert isinstance(found, Fragment)
    assert (found.length, found.spi, found.ports) == (40 + 8 + 1004, 0x1234, None)


def test_a_first_fragment_in_udp_shows_its_ports() -> None:
    packet = IP(src="192.0.2.1", dst="192.0.2.2", flags="MF") / UDP(sport=4500, dport=4500)
    frame = Ethernet(bytes(6), bytes(6), ETHERTYPE_IPV4, bytes(packet / Raw(b"\0\0\x12\x34" * 9)))
    found = first_fragment(frame)
    assert (found.length, found.spi, found.ports) == (20 + 8 + 36, 0x1234, (4500, 4500))


@pytest.mark.parametrize("size", range(4))
def test_a_fragment_that_shows_no_spi_is_typed_as_such(size: int) -> None:
    with pytest.raises(PacketError):
        first_fragment(six(IPv6ExtHdrFragment(m=1, nh=50), Raw(bytes(size))))
    with pytest.raises(PacketError):
        first_fragment(six(IPv6ExtHdrFragment(m=1, nh=17), Raw(bytes(8 + size))))
