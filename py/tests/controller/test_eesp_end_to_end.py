"""EESP, WESPv2 and WESP from IKE to the wire and back: what they have beyond other formats."""

import asyncio
from typing import Any

import format_reference
import pytest
from family_lab import Shape, datagram, fewer_hops, ip_of, send
from format_lab import (
    EXPLICIT,
    IMPLICIT,
    FormatLab,
    flow_frame,
    keys_of,
    running_format_family_lab,
    running_format_lab,
)
from lab_helpers import drops, passes
from scapy.layers.inet import ICMP, IP
from scapy.packet import Raw

from p4esp.controller.commands import ControllerCommands
from p4esp.controller.packets import ETHERTYPE_IPV4, Ethernet, Ipv4
from p4esp.demo.plan import OUTSIDE
from p4esp.demo.site import Site
from p4esp.ike.errors import CommandError
from p4esp.service.event_hub import EventHub
from p4esp.service.journal import Kind

OPTIMIZED = keys_of("eesp-optimized")
ONE_KEY = keys_of("eesp-optimized", subs=1)
FULL = keys_of("eesp-full")
NO_NUMBERS = keys_of("eesp-optimized", subs=1, numbered=False)
FLOWS = 24


async def carried(lab: FormatLab, source: Site, target: Site) -> list[bytes]:
    """Packets of many flows arrive; what stood behind the outer header of each."""
    target.host.receive()
    for number in range(FLOWS):
        source.host.send(flow_frame(source, target, 1000 + number, bytes(40 + number % 4)))
    await asyncio.sleep(0)
    lab.wire.deliver()
    assert len(target.host.receive()) == FLOWS
    return lab.sent_by(source)[-FLOWS:]


def way(lab: FormatLab, site: Site) -> str:
    """The format in which a site sends."""
    layout = lab.live(site).record.child.layout
    return layout.format_out or layout.format


# What may be agreed on: both ends' keys, and how each then sends

AGREED: dict[str, tuple[dict[str, Any], dict[str, Any], tuple[str, ...], tuple[str, str]]] = {
    "one key, implicit IV": (ONE_KEY, ONE_KEY, IMPLICIT, ("eesp-optimized",) * 2),
    "one key, explicit IV": (ONE_KEY, ONE_KEY, EXPLICIT, ("eesp-optimized",) * 2),
    "keys by one end alone": (OPTIMIZED, ONE_KEY, IMPLICIT, ("eesp-optimized",) * 2),
    "sub SAs, explicit IV": (OPTIMIZED, OPTIMIZED, EXPLICIT, ("eesp-optimized",) * 2),
    "shown, implicit IV": (FULL, FULL, IMPLICIT, ("eesp-full",) * 2),
    "shown to one end alone": (FULL, OPTIMIZED, EXPLICIT, ("eesp-optimized", "eesp-full")),
    "less shown to one end": (FULL, FULL | {"shown": 8}, EXPLICIT, ("eesp-full",) * 2),
    "no numbers": (NO_NUMBERS, NO_NUMBERS, EXPLICIT, ("eesp-optimized",) * 2),
    "no numbers, sub SAs, shown": (
        *(FULL | {"numbered": False},) * 2,
        EXPLICIT,
        ("eesp-full",) * 2,
    ),
}


@pytest.mark.parametrize(("left", "right", "esp", "formats"), AGREED.values(), ids=AGREED)
async def test_each_direction_is_on_the_wire_as_its_receiver_takes_it(
    left: dict[str, Any], right: dict[str, Any], esp: tuple[str, ...], formats: tuple[str, str]
) -> None:
    """Opened by the reference; nothing is dropped, before a rekey and after it."""
    async with running_format_lab(left, right, esp=esp, sa={"grace": 0.0}) as lab:
        await lab.tunnel_up()
        for _ in range(2):
            for source, target, name in zip(lab.sites, lab.sites[::-1], formats, strict=True):
                assert way(lab, source) == name
                await carried(lab, source, target)
                assert len(lab.opened(source, name)) >= FLOWS
            (old,) = lab.gateway(lab.left).sas.negotiated
            gone = [lab.happened(site, Kind.SA_REMOVED) for site in lab.sites]
            lab.gateway(lab.left).rekey_child(old)
            await asyncio.gather(*gone)
            lab.heard.clear()
        assert all("BAD" not in " ".join(drops(site)) for site in lab.sites)


async def test_nobody_is_shown_more_than_it_takes() -> None:
    """28 and 8 octets of payload behind the 4 of the payload info header."""
    async with running_format_lab(FULL, FULL | {"shown": 8}, esp=EXPLICIT) as lab:
        await lab.tunnel_up()
        shown = [lab.live(site).record.child.layout.shown_out for site in lab.sites]
        assert shown == [12, 12]
        (first, *_) = await carried(lab, lab.left, lab.right)
        assert first[8:10] == b"\2\2"
        assert int.from_bytes(first[10:12], "big") >> 4 & 63 == 3


async def test_a_session_above_what_we_announced_is_dropped() -> None:
    """g.4: as a MUST."""
    async with running_format_lab(OPTIMIZED | {"subs": 4}) as lab:
        await lab.tunnel_up()
        await carried(lab, lab.left, lab.right)
        packet = lab.heard[-1]
        for session, dropped in ((3, 0), (4, 1), (0xFFFF, 2)):
            data = bytearray(packet.payload)
            data[2:4] = session.to_bytes(2, "big")
            lab.right.device.inject(OUTSIDE, outside_frame(lab, bytes(data)))
            await asyncio.sleep(0)
            assert drops(lab.right).get("BAD_SUB", 0) == dropped


def outside_frame(lab: FormatLab, data: bytes) -> bytes:
    """An EESP packet from the left gateway, as it comes to the right one."""
    packet = Ipv4(lab.left.plan.outer, lab.right.plan.outer, 253, data)
    ends = lab.right.plan.mac(OUTSIDE), lab.left.plan.mac(OUTSIDE)
    return Ethernet(*ends, ETHERTYPE_IPV4, packet.build()).build()


async def test_without_numbers_there_is_none_on_the_wire_and_nothing_tells_a_replay() -> None:
    """g.7. The IV is explicit and never repeats."""
    async with running_format_lab(NO_NUMBERS, esp=EXPLICIT) as lab:
        await lab.tunnel_up()
        assert lab.live(lab.right).record.placement.window == 0
        sent = await carried(lab, lab.left, lab.right)
        assert len({data[8:16] for data in sent}) == FLOWS
        child = lab.live(lab.left).record.child
        key = format_reference.Key(child.keymat.outbound.key, child.keymat.outbound.salt)
        for data in sent:
            format_reference.open_("eesp-optimized", key, data, numbered=False)
        lab.right.device.inject(OUTSIDE, outside_frame(lab, sent[0]))
        await asyncio.sleep(0.05)
        assert len(lab.right.host.receive()) == 1


async def test_with_numbers_a_replay_is_told_in_the_window_of_its_sub_sa() -> None:
    """Number 1 of one sub SA is not number 1 of another (g.13 17)."""
    async with running_format_lab(OPTIMIZED) as lab:
        await lab.tunnel_up()
        sent = await carried(lab, lab.left, lab.right)
        ids = {(data[2:4], data[8:16]) for data in sent}
        assert len({number for _, number in ids}) < len(ids) == FLOWS
        for data in sent:
            lab.right.device.inject(OUTSIDE, outside_frame(lab, data))
        await asyncio.sleep(0.05)
        assert lab.right.host.receive() == []
        assert drops(lab.right)["REPLAY_DUP"] == FLOWS


# Policy


async def test_without_experimental_on_both_sides_traffic_is_plain_esp_or_none() -> None:
    wish = OPTIMIZED | {"format_required": False}
    async with running_format_lab(wish, {"experimental": False}) as lab:
        await lab.tunnel_up()
        assert {lab.layout(site) for site in lab.sites} == {"esp"}
        await carried(lab, lab.left, lab.right)
    async with running_format_lab(OPTIMIZED, {"experimental": False}) as lab:
        await lab.happened(lab.left, Kind.SA_FAILED, "format eesp-optimized is required")
        assert all(not lab.gateway(site).sas.live for site in lab.sites)


async def test_behind_a_nat_traffic_is_plain_esp_in_udp_or_there_is_none() -> None:
    """The peer pretends to be behind one; EESP has no UDP encapsulation here."""
    nat = {"experimental": False, "peer": {"force_encapsulation": True}}
    async with running_format_lab(OPTIMIZED | {"format_required": False}, nat) as lab:
        await lab.tunnel_up()
        assert {lab.layout(site) for site in lab.sites} == {"esp"}
        assert await passes(lab, lab.left, lab.right)
    nat["experimental"] = True
    nat |= {"format": "subspaces"}
    async with running_format_lab(OPTIMIZED, nat) as lab:
        await lab.happened(lab.left, Kind.SA_FAILED, "cannot travel in UDP")


# What an operator does


async def test_an_sa_is_deleted_at_both_ends() -> None:
    async with running_format_lab(OPTIMIZED, sa={"grace": 0.0}) as lab:
        await lab.tunnel_up()
        (old,) = lab.gateway(lab.left).sas.live
        gone = [lab.happened(site, Kind.SA_REMOVED) for site in lab.sites]
        ike = lab.gateway(lab.left).ike
        ike.command(lambda endpoint, now: endpoint.delete_child(old, now))
        await asyncio.gather(*gone)
        assert old not in lab.gateway(lab.left).sas.live


async def dummies(lab: FormatLab, site: Site) -> None:
    """A gateway sends some."""
    commands = ControllerCommands({site.plan.name: lab.gateway(site)}, EventHub())
    await commands.dummy(f"{lab.live(site).record.child.spi_out:08x}", count="3")


async def test_a_dummy_is_sent_where_a_next_header_can_say_so() -> None:
    async with running_format_lab(FULL, OPTIMIZED, esp=EXPLICIT) as lab:
        await lab.tunnel_up()
        with pytest.raises(CommandError, match="eesp-optimized, which has no next header"):
            await dummies(lab, lab.left)
        await dummies(lab, lab.right)
        await asyncio.sleep(0.1)
        assert drops(lab.left)["DUMMY"] == 3


@pytest.mark.parametrize("changed", [{"numbered": False}, {"shown": 8}, {"subs": 8}], ids=str)
async def test_an_sa_that_the_configuration_no_longer_agrees_to_ends_at_take_over(
    changed: dict[str, Any],
) -> None:
    async with running_format_lab(FULL, esp=EXPLICIT) as lab:
        await lab.tunnel_up()
        await lab.stop_controller()
        lab.children["left"] = FULL | changed
        lab.change.starts = ()
        lab.start_controller()
        await lab.happened(lab.left, Kind.RECONCILED, "0 SAs stay")
        await lab.happened(lab.right, Kind.RECONCILED, "1 SAs stay")


async def test_one_key_for_want_of_the_peers_derivation_stays_at_take_over() -> None:
    async with running_format_lab(OPTIMIZED, ONE_KEY) as lab:
        await lab.tunnel_up()
        await lab.stop_controller()
        lab.change.starts = ()
        lab.start_controller()
        for site in lab.sites:
            await lab.happened(site, Kind.RECONCILED, "1 SAs stay")


def says_too_big(lab: FormatLab, quoted: bytes) -> bytes:
    """A router outside says that a packet of the left gateway was longer than 1300 octets."""
    packet = IP(src="203.0.113.1", dst=str(lab.left.plan.outer)) / ICMP(
        type=3, code=4, nexthopmtu=1300
    )
    ends = lab.left.plan.mac(OUTSIDE), lab.right.plan.mac(OUTSIDE)
    return Ethernet(*ends, ETHERTYPE_IPV4, bytes(packet / Raw(quoted))).build()


PATH_MTU = {
    "sub SAs": (OPTIMIZED, IMPLICIT, 16),
    "options": (FULL, EXPLICIT, 20),
    "no numbers": (NO_NUMBERS, EXPLICIT, 16),
}


@pytest.mark.parametrize(("keys", "esp", "head"), PATH_MTU.values(), ids=PATH_MTU)
async def test_a_path_mtu_is_believed_when_session_and_number_are_quoted_and_were_sent(
    keys: dict[str, Any], esp: tuple[str, ...], head: int
) -> None:
    """Behind the options; without numbers the IV is the count."""
    async with running_format_lab(keys, esp=esp) as lab:
        await lab.tunnel_up()
        for _ in range(5):
            lab.left.host.send(flow_frame(lab.left, lab.right, 1000, bytes(1350)))
        await asyncio.sleep(0)
        lab.wire.deliver()
        sent = lab.heard[-1].build()[: 20 + head]
        other_sub, later = bytearray(sent), bytearray(sent)
        other_sub[22] ^= 1
        later[-1] += 9
        gateway = lab.gateway(lab.left)
        for quoted, why in (
            (sent[:28], "unreadable"),
            (bytes(other_sub), "not sent"),
            (bytes(later), "not sent"),
        ):
            lab.left.device.inject(OUTSIDE, says_too_big(lab, quoted))
            while sum(gateway.icmp_ignored.values()) == 0:
                await asyncio.sleep(0.005)
            assert gateway.icmp_ignored == {why: 1}
            gateway.icmp_ignored.clear()
        lab.left.device.inject(OUTSIDE, says_too_big(lab, sent))
        await lab.happened(lab.left, Kind.PATH_MTU, "1300, says a router")


# Modes and families, with what aligns the header over IPv6

SHAPES = {
    "transport": Shape(4, (4,), "transport"),
    "transport over IPv6": Shape(6, (6,), "transport"),
    "beet": Shape(4, (4,), "beet"),
    "beet of IPv6 over IPv6": Shape(6, (6,), "beet"),
    "tunnel over IPv6": Shape(6, (6,)),
}
WAYS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "implicit IV": ({"subs": 16}, IMPLICIT),
    "nothing shown": ({"subs": 1}, EXPLICIT),
    "no numbers": ({"subs": 1, "shown": 8, "numbered": False}, EXPLICIT),
}


@pytest.mark.parametrize("what", SHAPES)
@pytest.mark.parametrize("how", WAYS)
async def test_full_packets_are_carried_in_every_mode_and_family(what: str, how: str) -> None:
    given, (keys, (proposal,)) = SHAPES[what], WAYS[how]
    shape = Shape(given.outer, given.inner, given.mode, proposal=proposal)
    wish = {"format": "eesp-full", "format_required": True, **keys}
    async with running_format_family_lab(shape, wish) as lab:
        await lab.tunnel_up()
        for source, target in (lab.sites, lab.sites[::-1]):
            for version in shape.inner:
                packet = datagram(source, target, version, bytes(range(100)))
                target.host.receive()
                send(source, packet)
                await asyncio.sleep(0)
                lab.wire.deliver()
                arrived = [bytes(ip_of(frame)) for frame in target.host.receive()]
                assert arrived == [fewer_hops(packet, 2)]


# WESP


@pytest.mark.parametrize("proposal", ["aes128gmac-noesn", "aes128gcm16-esn"])
async def test_wesp_takes_no_experimental_and_tells_whether_the_payload_is_hidden(
    proposal: str,
) -> None:
    """RFC 5840 2."""
    wish = {"format": "wesp", "format_required": True, "experimental": False}
    async with running_format_lab(wish, esp=(proposal,)) as lab:
        await lab.tunnel_up()
        (first, *_) = await carried(lab, lab.left, lab.right)
        hidden = "gcm" in proposal
        assert first[:4] == (b"\0\0\0\x20" if hidden else b"\4\x14\x10\0")
        assert {packet.protocol for packet in lab.heard} == {141}
        assert lab.layout(lab.left) == "wesp"
