"""PSP through pipeline and engine: master keys are rotated while packets flow."""

import struct
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from format_reference import Key, Packet, open_, psp_key, seal
from format_vectors import PSP_MASTERS

from p4esp.controller.numbers import Spread
from p4esp.controller.psp_masters import SECOND, HandedOut, PspMasters
from p4esp.engine import Direction
from p4esp.engine.keyservice import LocalKeys
from p4esp.formats_lab import sas
from p4esp.formats_lab.errors import LabError
from p4esp.formats_lab.gateways import (
    ETHERNET,
    Gateway,
    Pair,
    esp_of,
    site_frame,
    udp_packet,
    with_ttl,
)
from p4esp.formats_lab.sas import LabSa
from p4esp.formats_lab.vectors import digest_sa
from p4esp.ipsec.formats import Option, Parameters
from p4esp.ipsec.sa import Mode
from p4esp.switch.entries import Exact

PROGRAM = Path(__file__).parents[3] / "bmv2-configs" / "esp_gateway.json"
SA = digest_sa("psp")
COOKIE = 0x00C0FFEE12345678
SHAPES = {
    "plain": SA,
    "hidden": replace(SA, parameters=Parameters(align=1, numbered=False)),
    "cookie": replace(
        SA,
        cookie=COOKIE,
        parameters=Parameters(align=1, numbered=False, shown=32, options=(Option.COOKIE,)),
    ),
    "half": replace(
        SA,
        cookie=COOKIE,
        parameters=Parameters(align=1, numbered=False, shown=4, options=(Option.COOKIE,)),
    ),
}


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("mode", [Mode.TUNNEL, Mode.TRANSPORT])
def test_the_reference_reads_what_leaves_and_is_understood(name: str, mode: Mode) -> None:
    sa = replace(SHAPES[name], mode=mode)
    pair, key = Pair(PROGRAM, [sa]), psp_key(PSP_MASTERS, sa.spi)
    cookie = COOKIE.to_bytes(8) if Option.COOKIE in sa.parameters.options else b""
    for number, size in enumerate((52, 53, 54, 55, 577, 1400), 1):
        inner = udp_packet(sa, 0, size)
        payload, next_header = (inner, 4) if mode is Mode.TUNNEL else (inner[20:], 17)
        (frame,) = pair.seal([site_frame(inner)])
        said = Packet(payload, sa.spi, number, next_header=next_header, cookie=cookie)
        expected = seal("psp", key, replace(said, shown=sa.parameters.shown))
        assert esp_of(frame) == expected
        assert open_("psp", key, expected, False, sa.parameters.shown) == (payload, next_header)
        assert [out[ETHERNET:] for out in pair.open([frame])] == [with_ttl(inner, 63)]


def test_a_packet_that_comes_again_is_delivered_again() -> None:
    pair = Pair(PROGRAM, [SA])
    frames = pair.seal([site_frame(udp_packet(SA, 0, 64))] * 3)
    assert len(pair.open([*frames, *frames, frames[1]])) == 7


def test_the_engine_seals_under_each_iv_of_64_bits_once() -> None:
    pair = Pair(PROGRAM, [SA])
    register = pair.sealing.device.register_array("sequence")
    for last in (0, (1 << 32) - 2, (1 << 36) + 5):
        register.cells[SA.number * sas.SUBS] = last
        frames = pair.seal([site_frame(udp_packet(SA, 0, 64))] * 4)
        ivs = [struct.unpack_from("!Q", esp_of(frame), 8)[0] for frame in frames]
        assert ivs == [last + 1, last + 2, last + 3, last + 4]
        assert len(pair.open(frames)) == 4
    register.cells[SA.number * sas.SUBS] = (1 << 36) + 6
    with pytest.raises(LabError, match="NONCE_REFUSED 1"):
        pair.seal([site_frame(udp_packet(SA, 0, 64))])


def test_source_ports_spread_flows_and_keep_each_together() -> None:
    sa = replace(SA, spread=Spread.FLOW)
    pair = Pair(PROGRAM, [sa])
    ports = []
    for _ in range(2):
        frames = pair.seal([site_frame(udp_packet(sa, flow, 64)) for flow in range(64)])
        ports.append([int.from_bytes(frame[34:36]) for frame in frames])
    assert ports[0] == ports[1]
    assert set(ports[0]) <= set(range(49152, 49408))
    assert len(set(ports[0])) > 40


class Rotating:
    """Two gateways; the opening one hands out SPIs and rotates its master keys."""

    def __init__(self) -> None:
        self.sealing = Gateway(PROGRAM, Direction.SEAL, (sas.WIRE_PORT,))
        self.opening = Gateway(PROGRAM, Direction.OPEN, sas.SITE_PORTS)
        self.sealing.write(sas.sealing_base())
        self.opening.write(sas.opening_base())
        self.masters = PspMasters(LocalKeys(self.opening._engine), self.withdraw)
        self.sas: list[LabSa] = []

    async def withdraw(self, spis: Iterable[int]) -> None:
        """Take the SAD entries away."""
        sad = self.opening.device.table("sad")
        for spi in spis:
            sad.delete((Exact(sas.LOCAL_ID), Exact(252), Exact(spi)))

    async def connect(self) -> tuple[LabSa, HandedOut]:
        """A new SA: entries in the receiver, the key in the sender."""
        sender = await self.masters.hand_out()
        sa = replace(SA, number=len(self.sas), spi=sender.spi, key=sender.key)
        sa = replace(sa, salt=sender.spi.to_bytes(4))
        self.sas.append(sa)
        self.opening.write(sas.opening_entries(sa, self.masters.handle))
        self.opening.write(sas.way_in(sa))
        self.sealing.write(sas.sealing_entries(sa, self.sealing.install(sa)))
        return sa, sender

    def send(self, sa: LabSa) -> list[bytes]:
        """What arrives of a packet of an SA."""
        frames = self.sealing.carry(0, [site_frame(udp_packet(sa, 0, 99))])
        assert len(frames) == 1
        return self.opening.carry(sas.WIRE_PORT, frames)


async def test_an_spi_works_until_the_second_rotation_and_is_no_sa_from_then_on() -> None:
    lab = Rotating()
    await lab.masters.start(generation=sas.GENERATION)
    handle = lab.masters.handle
    first, one = await lab.connect()
    assert (one.spi & SECOND, len(lab.send(first))) == (0, 1)
    await lab.masters.rotate()
    second, two = await lab.connect()
    assert (two.spi & SECOND, len(lab.send(second)), len(lab.send(first))) == (SECOND, 1, 1)
    assert await lab.masters.rotate() == {one.spi}
    assert (lab.send(first), lab.opening.drops()) == ([], "NO_SA 1")
    assert len(lab.send(second)) == 1
    third, three = await lab.connect()
    assert three.spi == one.spi, "the same SPI"
    assert three.key != one.key, "of another master key"
    assert (len(lab.send(third)), len(lab.send(second))) == (1, 1)
    assert lab.send(first) == []
    assert lab.opening.drops() == "NO_SA 1, BAD_ICV 1"
    assert await lab.masters.rotate() == {two.spi}
    assert lab.send(second) == []
    assert lab.opening.drops() == "NO_SA 2, BAD_ICV 1"
    assert (len(lab.send(third)), lab.masters.handle) == (1, handle)


async def test_what_a_sender_was_handed_is_what_the_engine_opens_of_each_phase() -> None:
    lab = Rotating()
    await lab.masters.start(generation=sas.GENERATION)
    for rotation in range(4):
        for _ in range(3):
            sa, sender = await lab.connect()
            (frame,) = lab.sealing.carry(0, [site_frame(udp_packet(sa, 0, 99))])
            opened = open_("psp", Key(sender.key, b""), esp_of(frame), False, 24)
            assert opened == (udp_packet(sa, 0, 99), 4)
            assert len(lab.opening.carry(sas.WIRE_PORT, [frame])) == 1
            assert bool(sa.spi & SECOND) == bool(rotation % 2)
        await lab.masters.rotate()
