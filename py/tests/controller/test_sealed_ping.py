"""Encrypted ESP pings: asked by one controller, sealed and opened by engines, answered by the other
controller on an SA with the peer and on no other."""

import asyncio
import struct
from dataclasses import replace
from ipaddress import IPv4Address, ip_address
from typing import Any

import pytest
from controller_samples import record
from family_lab import FamilyLab, Shape, outer, running_family_lab, scapy_sa, section
from format_lab import EXPLICIT, keys_of, running_format_lab
from hypothesis import given
from hypothesis import strategies as st
from lab_helpers import drops
from scapy.layers.ipsec import ESP

from p4esp.controller.commands import ControllerCommands
from p4esp.controller.config import ControllerConfig, parse_config
from p4esp.controller.link import PUNT_RATES
from p4esp.controller.live_sas import LiveSas
from p4esp.controller.numbers import Punt
from p4esp.controller.outstanding import Echo
from p4esp.controller.packets import Ethernet, PacketError
from p4esp.controller.sa_installer import LiveSa
from p4esp.controller.sealed_ping import (
    REPLY,
    REQUEST,
    SealedEcho,
    SealedPings,
    check_way,
    sa_for,
)
from p4esp.demo.plan import Change
from p4esp.demo.site import Site
from p4esp.ike.errors import CommandError
from p4esp.ipsec.identity import Identity
from p4esp.ipsec.sa import Layout
from p4esp.service.event_hub import EventHub
from p4esp.service.journal import Kind

WAIT, SHORT = "5000", "50"
PING = SealedEcho(REQUEST, Echo(0xBEEF, 7, b"ping"))
SHAPES = [
    Shape(),
    Shape(outer=6, inner=(6,)),
    Shape(encapsulate=True),
    Shape(mode="transport"),
    Shape(outer=6, mode="transport"),
    Shape(mode="beet"),
    Shape(outer=6, inner=(4,), mode="beet"),
]


def commands_of(lab: Any) -> ControllerCommands:
    """What an operator can tell the controller."""
    return ControllerCommands(lab.controller.gateways, EventHub())


async def ping(lab: Any, *, wait: str = WAIT, **more: str) -> Any:
    """The left gateway pings the right one inside their SA."""
    child = lab.live(lab.left).record.child
    facts = {"number": "7", "size": "4", "wait": wait} | more
    return await commands_of(lab).sealed_ping("left", str(child.remote), **facts)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
async def test_a_reply_comes_back_in_every_mode(shape: Shape) -> None:
    async with running_family_lab(shape) as lab, asyncio.timeout(30):
        await lab.tunnel_up()
        done = await ping(lab)
        assert done["ms"] > 0
        assert done["spi"] == f"{lab.live(lab.left).record.child.spi_out:08x}"
        assert lab.gateway(lab.right)._sealed_pings.answered == 1
        assert not drops(lab.right)


class Telling(FamilyLab):
    """Both gateways are willing to announce that they answer; `who` does."""

    def __init__(self, *who: str) -> None:
        super().__init__(Shape(), Change())
        self.who = who

    def config(self) -> ControllerConfig:
        sections = {}
        for site in self.sites:
            found = section(site.plan, site.address, self.shape, self.change)
            wish = {"encrypted_ping": site.plan.name in self.who}
            found["peers"][0]["extensions"] = wish
            sections[site.plan.name] = found | {"experimental": True}
        return parse_config({"gateways": sections}, "lab")


@pytest.mark.parametrize(
    ("who", "announced"), [(("left", "right"), True), (("left",), False), (("right",), False)]
)
async def test_a_ping_tells_whether_its_peer_has_announced_to_answer(
    who: tuple[str, ...], announced: bool
) -> None:
    """It is answered all the same."""
    lab = Telling(*who)
    await lab.start()
    try:
        async with asyncio.timeout(30):
            await lab.tunnel_up()
            done = await ping(lab)
            assert (done["announced"], done["ms"] > 0) == (announced, True)
            (ike,) = lab.gateway(lab.left).connections.established.values()
            lab.gateway(lab.left).ike.command(lambda end, now: end.rekey_ike(ike.spi, now))
            await lab.happened(lab.left, Kind.IKE_REKEYED)
            assert (await ping(lab))["announced"] is announced
    finally:
        await lab.stop()


async def test_scapy_finds_the_layout_of_the_digest_under_next_header_144() -> None:
    async with running_family_lab(Shape(mode="transport")) as lab, asyncio.timeout(30):
        await lab.tunnel_up()
        await ping(lab)
        request, reply = (content(lab, site) for site in lab.sites)
        assert request[:4] == bytes.fromhex("02000004")
        assert (request[6:8], len(request)) == (b"\0\7", 12)
        assert reply == b"\3" + request[1:]


def content(lab: FamilyLab, site: Site) -> bytes:
    """What scapy finds in the only ESP packet of a site, in transport mode."""
    judge = scapy_sa(lab.live(site))
    ours = str(lab.live(site).record.child.local)
    (packet,) = [packet for packet in lab.esp_on_wire() if packet.src == ours and ESP in packet]
    opened = judge.decrypt(packet)
    assert opened.proto == 144
    return bytes(opened.payload)


NEXT_HEADER = [
    *("subspaces", "sub-child", "spi-block", "trailer-in-clear"),
    *("crypt-offset", "wesp", "wesp-v2", "eesp-full"),
]


@pytest.mark.parametrize("name", NEXT_HEADER)
async def test_a_reply_comes_back_in_formats_with_a_next_header(name: str) -> None:
    """Long enough for what is shown."""
    async with running_format_lab(keys_of(name), esp=EXPLICIT) as lab:
        await lab.tunnel_up()
        assert (await ping(lab, size="56"))["ms"] > 0


@pytest.mark.parametrize("name", ["no-trailer", "eesp-optimized"])
async def test_a_format_without_next_header_is_refused_by_name(name: str) -> None:
    async with running_format_lab(keys_of(name), esp=EXPLICIT) as lab:
        await lab.tunnel_up()
        with pytest.raises(CommandError, match=f"in format {name}, which has no next header"):
            await ping(lab)


async def test_what_is_longer_by_tfc_padding_is_answered_all_the_same() -> None:
    change = Change(sa={"tfc": 400})
    async with running_family_lab(Shape(), change) as lab, asyncio.timeout(30):
        await lab.tunnel_up()
        assert (await ping(lab))["ms"] > 0
        assert {len(packet) for packet in lab.esp_on_wire()} == {20 + 8 + 8 + 404 + 16}


async def test_a_replayed_request_is_answered_once() -> None:
    async with running_family_lab(Shape()) as lab, asyncio.timeout(30):
        await lab.tunnel_up()
        lab.seen.clear()
        await ping(lab)
        request = lab.seen[0]
        lab.right.device.inject(1, request)
        assert (await ping(lab))["ms"] > 0
        assert drops(lab.right) == {"REPLAY_DUP": 1}
        assert lab.gateway(lab.right)._sealed_pings.answered == 2


async def test_a_peer_that_does_not_answer_is_waited_for_no_longer_than_asked() -> None:
    async with running_family_lab(Shape()) as lab, asyncio.timeout(30):
        await lab.tunnel_up()
        lab.wire.on_wire = lambda _: None
        done = await ping(lab, wait=SHORT)
        assert done["ms"] is None
        assert len(lab.gateway(lab.left)._sealed_pings.outstanding) == 0


async def test_the_command_names_what_it_accepts() -> None:
    async with running_family_lab(Shape()) as lab, asyncio.timeout(30):
        await lab.tunnel_up()
        spi = f"{lab.live(lab.left).record.child.spi_out:08x}"
        for more, why in (
            ({"size": "513"}, r"size '513'; accepted: 0\.\.512"),
            ({"spi": "c0ffee"}, f"no SA 00c0ffee with 192.0.2.2; accepted: {spi}"),
            ({"back": "c0ffee"}, f"no SA 00c0ffee with 192.0.2.2; accepted: {spi}"),
            ({"spi": "no"}, "spi 'no'; accepted: an SPI of up to 8 hexadecimal digits"),
            ({"number": "-1"}, r"number '-1'; accepted: 0\.\.65535"),
        ):
            with pytest.raises(CommandError, match=why):
                await ping(lab, **more)
        with pytest.raises(CommandError, match=r"no SA is up with 192\.0\.2\.9; accepted"):
            await commands_of(lab).sealed_ping("left", outer(9, 4), number="1")
        with pytest.raises(CommandError, match="'nobody'; accepted: an IP address"):
            await commands_of(lab).sealed_ping("left", "nobody", number="1")
        assert (await ping(lab, spi=spi.upper(), back=spi))["ms"] > 0


def test_requests_are_metered_like_every_class_of_punts() -> None:
    assert set(PUNT_RATES) == set(Punt) - {Punt.NONE}


# Which SA a reply takes


def sa(number: int, peer: str, **more: Any) -> LiveSa:
    """An SA of a peer, whose SPIs and indexes go by its number."""
    base, nothing = record(number), None
    remote = {"right": IPv4Address("192.0.2.2"), "third": IPv4Address("192.0.2.3")}[peer]
    child = replace(base.child, peer=peer, remote=remote, **more)
    return LiveSa(replace(base, child=child), *(nothing, nothing))  # type: ignore[arg-type]


SAS = LiveSas()
BOB = Identity.parse("bob.example")
INNER_ALONE = Layout(format="no-trailer")
for one in (
    sa(0, "right"),
    sa(1, "right"),
    sa(2, "third"),
    sa(3, "right", remote_id=BOB),
    sa(4, "right", layout=INNER_ALONE),
):
    SAS[one.record.child.spi_in] = one


async def answer(text: bytes, *, by: int = 0) -> list[tuple[int, bytes]]:
    """What is sent when a ping came by an SA: its index, and the content."""
    sent: list[tuple[int, bytes]] = []

    async def send(index: int, frame: bytes) -> None:
        sent.append((index, Ethernet.parse(frame).payload))

    frame = Ethernet(bytes(6), bytes(6), 0, text)
    await SealedPings(lambda: 0.0, bytes).received(send, SAS, record(by).placement.sa_in, frame)
    return sent


@pytest.mark.parametrize(
    ("back", "by"),
    [(None, 0), (0, 0), (1, 1), (2, 0), (3, 0), (4, 0), (99, 0)],
    ids=[
        *("not asked", "the same", "another of the peer", "of another peer"),
        *("of another of its section", "without next header", "of nobody"),
    ],
)
async def test_a_reply_takes_an_sa_of_the_peer_and_of_nobody_else(
    back: int | None, by: int
) -> None:
    way = None if back is None else record(back).child.spi_out
    ((index, text),) = await answer(replace(PING, back=way).build())
    assert index == record(by).placement.sa_out
    assert text == SealedEcho(REPLY, PING.echo).build()


async def test_a_reply_that_no_sa_of_the_peer_can_carry_is_not_sent() -> None:
    with pytest.raises(PacketError, match="no SA with its peer can carry"):
        await answer(PING.build(), by=4)


@pytest.mark.parametrize("other", [2, 3], ids=["peer", "identity of the section"])
async def test_a_reply_of_another_peer_is_not_ours(other: int) -> None:
    pings = SealedPings(lambda: 1.0, bytes)
    asked: list[bytes] = []

    async def send(_: int, frame: bytes) -> None:
        asked.append(frame)
        reply = SealedEcho(REPLY, SealedEcho.parse(Ethernet.parse(frame).payload).echo).build()
        back = Ethernet(bytes(6), bytes(6), 0, reply)
        await pings.received(send, SAS, record(other).placement.sa_in, back)
        assert pings.outstanding.ignored == 1
        await pings.received(send, SAS, record(1).placement.sa_in, back)

    assert await pings.ping(send, sa(0, "right"), 1, 8, seconds=5) == 0
    assert len(asked) == 1


def test_the_newest_sa_of_a_peer_is_asked_on() -> None:
    right = ip_address("192.0.2.2")
    assert sa_for(SAS, right, None).record.child.spi_in == record(4).child.spi_in
    assert sa_for(SAS, right, record(0).child.spi_out).record.child.spi_in == record(0).child.spi_in
    with pytest.raises(CommandError, match=r"no SA 22222224 with 192\.0\.2\.2; accepted: 22"):
        sa_for(SAS, right, record(2).child.spi_out)


def test_a_way_without_next_header_is_refused_out_and_back() -> None:
    plain, optimized = sa(0, "right"), sa(5, "right", layout=Layout(format="eesp-optimized"))
    full_out = sa(6, "right", layout=Layout(format="eesp-optimized", format_out="eesp-full"))
    check_way(plain, plain)
    check_way(full_out, plain)
    for out, back in ((optimized, plain), (plain, optimized), (full_out, full_out)):
        with pytest.raises(CommandError, match="in format eesp-optimized, which has no next head"):
            check_way(out, back)


# What comes from a peer


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"", "0 octets"),
        (b"\2\0\0\0\0\0\0", "7 octets"),
        (struct.pack("!BBHHH", 0, 0, 0, 1, 1), "sub-type 0 "),
        (struct.pack("!BBHHH", 4, 0, 0, 1, 1), "sub-type 4 "),
        (struct.pack("!BBHHH", 2, 0, 1, 1, 1), "data length 1 "),
        (struct.pack("!BBHHH", 2, 0, 513, 1, 1) + bytes(513), "data length 513 "),
        (struct.pack("!BBHHH", 2, 0x80, 0, 1, 1) + bytes(3), "ends before the SPI"),
        (struct.pack("!BBHHH", 2, 0x80, 1, 1, 1) + bytes(4), "data length 1 "),
    ],
)
async def test_what_is_no_ping_is_not_answered(text: bytes, why: str) -> None:
    with pytest.raises(PacketError, match=why):
        await answer(text)


async def test_a_reply_is_never_answered() -> None:
    assert await answer(SealedEcho(REPLY, PING.echo).build()) == []


async def test_a_ping_on_an_sa_that_is_gone_is_not_answered() -> None:
    with pytest.raises(PacketError, match="which is gone"):
        await answer(PING.build(), by=9)


octets = st.binary(max_size=600)


@given(octets)
def test_octets_of_a_peer_are_a_ping_or_a_packet_error(text: bytes) -> None:
    try:
        ping = SealedEcho.parse(text)
    except PacketError:
        return
    assert text.startswith(replace(ping, kind=text[0]).build()[:1])
    assert SealedEcho.parse(ping.build()) == ping


@given(
    st.sampled_from((REQUEST, REPLY)),
    st.integers(0, 0xFFFF),
    st.integers(0, 0xFFFF),
    st.binary(max_size=512),
    st.none() | st.integers(0, 0xFFFFFFFF),
    octets,
)
def test_a_ping_is_what_was_sent_whatever_is_behind_it(  # noqa: PLR0917
    kind: int, identifier: int, number: int, data: bytes, back: int | None, padding: bytes
) -> None:
    ping = SealedEcho(kind, Echo(identifier, number, data), back)
    assert SealedEcho.parse(ping.build() + padding) == ping
