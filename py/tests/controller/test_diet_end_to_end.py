"""Diet-ESP from IKE to the wire and back: two gateways, real traffic (digest 9.9)."""

import asyncio
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from diet_lab import DIET, LEFT_PORT, RIGHT_PORT, DietLab, frame_of, running_diet_lab
from format_lab import flow_frame
from lab_helpers import drops

from p4esp.controller.packets import Ethernet, Ipv4
from p4esp.demo.site import Site
from p4esp.ipsec.key_line import key_lines
from p4esp.ipsec.sa import Layout
from p4esp.service.journal import Kind

LENGTHS = (0, 1, 2, 3, 8, 200, 1400)
OUTER, INNER = 20, 28
"""Octets of an IPv4 header; of one with UDP behind it."""


def inner_of(frame: bytes) -> tuple[object, ...]:
    """An IP packet but for what routers change."""
    packet = Ipv4.parse(Ethernet.parse(frame).payload)
    return packet.src, packet.dst, packet.protocol, packet.payload


async def exchange(lab: DietLab, source: Site, lengths: tuple[int, ...] = LENGTHS) -> list[int]:
    """Packets arrive as they were sent, and in order; how many octets each was on the wire, without
    its inner packet.
    """
    target, before = lab.other(source), len(lab.sent_by(source))
    target.host.receive()
    payloads = [(bytes(range(256)) * 6)[:length] for length in lengths]
    frames = [frame_of(lab, source, payload) for payload in payloads]
    for frame in frames:
        source.host.send(frame)
        await asyncio.sleep(0)
        lab.wire.deliver()
    assert [inner_of(frame) for frame in target.host.receive()] == [inner_of(f) for f in frames]
    sent = lab.sent_by(source)[before:]
    return [OUTER + len(d) - len(p) - INNER for d, p in zip(sent, payloads, strict=True)]


@pytest.mark.parametrize(
    ("widths", "spi", "number"), [({}, 1, 2), ({"spi_bits": 24, "sn_bits": 8}, 3, 1)]
)
async def test_a_flow_is_smaller_on_the_wire_and_arrives_identical(
    widths: dict[str, int], spi: int, number: int
) -> None:
    """The residue of 4 octets stands for 28 of inner headers; there is no trailer."""
    async with running_diet_lab(DIET | widths) as lab, asyncio.timeout(30):
        await lab.tunnel_up()
        before = list(map(drops, lab.sites))
        for source in lab.sites:
            more = OUTER + spi + number + 4 + 16 - INNER
            assert await exchange(lab, source) == [more] * len(LENGTHS)
            child = lab.live(source).record.child
            first = lab.sent_by(source)[0]
            assert first[:spi] == child.spi_out.to_bytes(4, "big")[-spi:]
            assert first[spi : spi + number] == (1).to_bytes(number, "big")
            assert opened(lab, source, 1) == bytes.fromhex("50000000")
        assert list(map(drops, lab.sites)) == before


def opened(lab: DietLab, source: Site, number: int) -> bytes:
    """The text of a packet with that number, by the standard's rules for nonce and AAD."""
    child, data = lab.live(source).record.child, lab.sent_by(source)[number - 1]
    keys, head = child.keymat.outbound, child.layout.spi_octets + child.layout.sn_octets
    nonce = keys.salt + bytes(4) + number.to_bytes(4, "big")
    aad = child.spi_out.to_bytes(4, "big") + number.to_bytes(4, "big")
    return AESGCM(keys.key).decrypt(nonce, data[head:], aad)


async def test_a_flow_costs_much_less_than_in_plain_esp() -> None:
    costs = {}
    for name, keys in {"esp": {}, "diet-esp": DIET | {"sn_bits": 8}}.items():
        async with running_diet_lab(keys) as lab, asyncio.timeout(30):
            await lab.tunnel_up()
            costs[name] = (await exchange(lab, lab.left, (10,)))[0]
    assert costs == {"esp": 46, "diet-esp": 14}


async def test_the_largest_packet_fills_the_link_exactly() -> None:
    """What is left out is more room for what is inside."""
    async with running_diet_lab(DIET) as lab, asyncio.timeout(30):
        await lab.tunnel_up()
        most = lab.live(lab.left).entries.outbound.arg("inner_mtu")
        more = (await exchange(lab, lab.left, (most - INNER,)))[0]
        assert (most, more) == (1485, 15)


async def test_traffic_of_two_sites_is_compressed_with_what_is_left_of_addresses() -> None:
    async with running_diet_lab(DIET | {"esp_trailer": True}, flow=False) as lab:
        await lab.tunnel_up()
        assert lab.layout(lab.left) == "diet-esp, octets of SPI 1, of number 2"
        frame = flow_frame(lab.left, lab.right, 777, b"hello!")
        lab.left.host.send(frame)
        lab.wire.deliver()
        assert [inner_of(f) for f in lab.right.host.receive()] == [inner_of(frame)]
        (sent,) = lab.sent_by(lab.left)
        assert len(sent) == 3 + (9 + 8 + 6 + 3 + 2) + 16


async def test_without_the_peers_consent_traffic_is_plain_esp() -> None:
    keys = DIET | {"format_required": False}
    async with running_diet_lab(keys, {}) as lab:
        await lab.tunnel_up()
        for source in lab.sites:
            await exchange(lab, source)
            assert lab.layout(source) == "esp"


async def test_where_compression_is_required_there_is_no_sa_instead() -> None:
    async with running_diet_lab(DIET, {}) as lab:
        await lab.happened(lab.left, Kind.SA_FAILED, "format diet-esp is required")
        assert all(not lab.gateway(site).sas.live for site in lab.sites)


async def test_the_widths_are_the_wider_ones_of_both_ends() -> None:
    left = DIET | {"sn_bits": 8}
    async with running_diet_lab(left, DIET | {"spi_bits": 16, "esp_trailer": True}) as lab:
        await lab.tunnel_up()
        same = Layout("diet-esp", spi_octets=2, sn_octets=2, trailer=True)
        assert [lab.live(site).record.child.layout for site in lab.sites] == [same, same]
        await exchange(lab, lab.left)


async def test_rekeys_under_traffic_lose_nothing_and_leave_one_peer_in_the_tables() -> None:
    async with running_diet_lab(DIET, sa={"grace": 0.2, "window": 64}) as lab:
        await lab.tunnel_up()
        seen = set()
        for site in (*lab.sites, lab.left):
            (old,) = lab.gateway(site).sas.negotiated
            removed = lab.happened(site, Kind.SA_REMOVED, f"{old:08x}")
            lab.gateway(site).rekey_child(old)
            waiting = asyncio.create_task(removed)
            while not waiting.done():
                await exchange(lab, lab.left, (4,))
                await exchange(lab, lab.right, (4,))
                await asyncio.sleep(0.02)
            await waiting
            seen.add(old & 0xFF)
        assert len(seen) >= 2
        for site in lab.sites:
            await lab.gateway(site).sas.settled()
            peers = lab.gateway(site)._placements.diet.entries(lambda _: 1)
            assert len(peers) == 1
        await exchange(lab, lab.left)


async def test_a_restarted_controller_keeps_the_sa_and_who_compresses() -> None:
    async with running_diet_lab(DIET) as lab:
        await lab.tunnel_up()
        before = [lab.live(site).record for site in lab.sites]
        await lab.stop_controller()
        lab.change.starts = ()
        lab.start_controller()
        for site in lab.sites:
            await lab.happened(site, Kind.RECONCILED, "1 SAs stay")
        assert [lab.live(site).record for site in lab.sites] == before
        await exchange(lab, lab.left)
        assert lab.gateway(lab.left)._placements.spis._apart.keys() == {before[0].child.spi_in}


async def test_a_peer_whose_last_sa_is_gone_is_read_like_any_other() -> None:
    async with running_diet_lab(DIET) as lab:
        await lab.tunnel_up()
        for site in lab.sites:
            assert len(await peer_entries(lab, site)) == 1
        (spi,) = lab.gateway(lab.left).sas.negotiated
        lab.gateway(lab.left).delete_child(spi)
        await lab.happened(lab.right, Kind.SA_REMOVED)
        await lab.gateway(lab.right).sas.settled()
        assert await peer_entries(lab, lab.right) == []


async def peer_entries(lab: DietLab, site: Site) -> list[Any]:
    """Who compresses, as a switch has it."""
    link = lab.gateway(site).link
    assert link is not None
    return await link.session.read("diet_peer_v4", "diet_peer_v6")


async def test_loss_of_200_packets_is_survived_with_16_bits_of_the_number() -> None:
    """Digest 9.9: with 8 bits a window of 64 tells no more than 192 lost packets, then a number is
    taken for one that was there.
    """
    taken = {}
    for bits in (8, 16):
        async with running_diet_lab(DIET | {"sn_bits": bits}) as lab:
            await lab.tunnel_up()
            await exchange(lab, lab.left, (1,) * 64)
            hear, lab.wire.on_wire = lab.wire.on_wire, lambda _: None
            for _ in range(200):
                lab.left.host.send(frame_of(lab, lab.left, b"lost"))
            lab.wire.on_wire = hear
            lab.right.host.receive()
            lab.left.host.send(frame_of(lab, lab.left, b"x"))
            lab.wire.deliver()
            taken[bits] = len(lab.right.host.receive())
            assert drops(lab.right).get("REPLAY_DUP", 0) == 1 - taken[bits]
    assert taken == {8: 0, 16: 1}


async def test_the_key_file_says_what_the_dissector_must_know() -> None:
    async with running_diet_lab(DIET) as lab:
        await lab.tunnel_up()
        inbound, outbound = map(str, key_lines(lab.live(lab.left).record.child))
    words = "template=udp-v4 spi_octets=1 sn_octets=2 inner_source="
    assert words + "10.2.0.10 inner_destination=10.1.0.10" in inbound
    ports = f"inner_source_port={LEFT_PORT} inner_destination_port={RIGHT_PORT}"
    assert words in outbound
    assert ports in outbound
