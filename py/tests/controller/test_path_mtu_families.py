"""Path MTU with either family outside and inside (digest 3.7, 6.3)."""

import asyncio
from dataclasses import replace

import pytest
from family_lab import FamilyLab, Shape, datagram, ip_of, outer, running_family_lab, send
from scapy.layers.inet import ICMP
from scapy.layers.inet6 import ICMPv6PacketTooBig, IPv6
from scapy.packet import Packet, Raw

from p4esp.controller.packets import ETHERTYPE_IPV6, Ethernet
from p4esp.demo.plan import OUTSIDE
from p4esp.demo.site import Site
from p4esp.service.journal import Kind

LIMITS = {(4, False): 1446, (6, False): 1426, (4, True): 1438, (6, True): 1418}
"""Octets of the largest inner packet under AES-GCM at 1500 outside, by family and UDP."""


def of_size(lab: FamilyLab, version: int, size: int) -> Packet:
    packet = datagram(lab.left, lab.right, version, bytes(size - 28 - (20 if version == 6 else 0)))
    if version == 4:
        packet.flags = "DF"
        packet.chksum = None
    assert len(packet) == size
    return packet


async def next_packet(lab: FamilyLab, site: Site) -> Packet:
    while not (frames := site.host.receive()):
        lab.wire.deliver()
        await asyncio.sleep(0.005)
    return ip_of(frames[0])


def told(answer: Packet) -> tuple[str, int]:
    """Who tells which MTU."""
    if ICMP in answer:
        assert (answer[ICMP].type, answer[ICMP].code) == (3, 4)
        return answer.src, answer[ICMP].nexthopmtu
    assert answer[ICMPv6PacketTooBig].code == 0
    return answer.src, answer[ICMPv6PacketTooBig].mtu


INSIDE_ADDRESS = {4: "10.1.0.1", 6: "2001:db8:1::1"}


@pytest.mark.parametrize("encapsulate", [False, True])
@pytest.mark.parametrize("outside", [4, 6])
@pytest.mark.parametrize("inside", [4, 6])
async def test_pmt_02_and_03_what_fits_goes_and_one_octet_more_is_told_the_limit(
    outside: int, inside: int, encapsulate: bool
) -> None:
    shape = Shape(outside, (inside,), encapsulate=encapsulate)
    async with running_family_lab(shape) as lab, asyncio.timeout(20):
        await lab.tunnel_up()
        limit = LIMITS[outside, encapsulate]
        send(lab.left, of_size(lab, inside, limit))
        assert len(await next_packet(lab, lab.right)) == limit
        assert 1496 <= len(lab.esp_on_wire()[-1]) <= 1500
        sent = of_size(lab, inside, limit + 1)
        send(lab.left, sent)
        answer = await next_packet(lab, lab.left)
        assert told(answer) == (INSIDE_ADDRESS[inside], limit)
        rebuilt = answer.copy()
        layer = ICMP if inside == 4 else ICMPv6PacketTooBig
        quoted = bytes(answer[layer].payload)
        assert bytes(sent).startswith(quoted)
        assert len(quoted) == (28 if inside == 4 else 1280 - 48)
        field = "chksum" if inside == 4 else "cksum"
        setattr(rebuilt[layer], field, None)
        assert bytes(rebuilt) == bytes(answer), "scapy computes the same checksum"


@pytest.mark.parametrize("outside", [4, 6])
async def test_pmt_06_inner_ipv6_of_1280_octets_is_carried_whatever_the_path(outside: int) -> None:
    async with running_family_lab(Shape(outside, (6,))) as lab, asyncio.timeout(20):
        await lab.tunnel_up()
        live, sas = lab.live(lab.left), lab.gateway(lab.left).sas
        await sas.tune(live, lambda now: replace(now, path_mtu=1280))
        send(lab.left, of_size(lab, 6, 1280))
        assert len(await next_packet(lab, lab.right)) == 1280
        assert len(lab.esp_on_wire()[-1]) > 1280
        send(lab.left, of_size(lab, 6, 1281))
        assert told(await next_packet(lab, lab.left)) == (INSIDE_ADDRESS[6], 1280)


async def test_pmt_04_a_router_of_ipv6_is_believed_too() -> None:
    async with running_family_lab(Shape(6, (6,))) as lab, asyncio.timeout(20):
        await lab.tunnel_up()
        send(lab.left, of_size(lab, 6, 1400))
        await next_packet(lab, lab.right)
        quoted = Raw(bytes(lab.esp_on_wire()[-1])[:1200])
        for mtu in (1279, 1400):
            said = IPv6(src="2001:db8:fe::1", dst=outer(1, 6)) / ICMPv6PacketTooBig(mtu=mtu)
            plan = lab.left.plan
            macs = (plan.mac(OUTSIDE), lab.right.plan.mac(OUTSIDE))
            frame = Ethernet(*macs, ETHERTYPE_IPV6, bytes(said / quoted))
            lab.left.device.inject(OUTSIDE, frame.build())
        note = await lab.happened(lab.left, Kind.PATH_MTU)
        assert note.text.startswith("1400")
        assert lab.gateway(lab.left).icmp_ignored == {"absurd MTU": 1}
        send(lab.left, of_size(lab, 6, 1327))
        assert told(await next_packet(lab, lab.left)) == (INSIDE_ADDRESS[6], 1326)
