"""SAs of PSP in every mode and family, under one pair of master keys: the base of its tests."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

from harness import psp
from harness.format_cases import BadInputTest
from harness.format_modes import HEADER_LEN, TUNNEL, End
from harness.formats import Packet
from harness.ids import Drop, Format, Mode
from harness.modes import FAMILIES, Shape, packet_of
from harness.psp import Masters, PspPacket
from harness.sa import InboundSa, Layout
from harness.topology import UNPROTECTED

NAME = "psp"
TRANSPORT, TRANSPORT6 = Shape(Mode.TRANSPORT), Shape(Mode.TRANSPORT, outer=6, inner=6)
SHAPES = [*(Shape(Mode.TUNNEL, outer, inner) for outer, inner in FAMILIES), TRANSPORT, TRANSPORT6]
COOKIE = 0x00C0_FFEE_1234_5678
SPIS = itertools.count(0x3000_0000)
SECOND = 0x8000_0000
"""The bit of an SPI that chooses the second master key."""
PACKET = packet_of(4, 60, ours=False)


def layout(shown: int = 0, cookie: int | None = None, version: int = 0) -> Layout:
    """What an SA shows, the cookie counted."""
    return Layout(Format.PSP, shown=shown, cookie=cookie, version=version)


def usual_offset(shape: Shape) -> int:
    """Digest h.2: up to the ports of a tunnelled packet, or those of layer 4."""
    return HEADER_LEN[shape.inner] + 4 if shape.mode == Mode.TUNNEL else 4


def layouts(shape: Shape) -> list[Layout]:
    """Nothing shown and the usual, with a cookie and without; a cookie that is shown alone."""
    usual = usual_offset(shape)
    return [
        layout(),
        layout(usual),
        layout(0, COOKIE),
        layout(psp.COOKIE_LEN, COOKIE),
        layout(psp.COOKIE_LEN + usual, COOKIE),
    ]


def least_of(shape: Shape, known: Layout) -> int:
    """Octets behind the inner IP header that a packet must have to be shown as agreed."""
    counted = known.shown - (0 if known.cookie is None else psp.COOKIE_LEN)
    return max(0, counted - (HEADER_LEN[shape.inner] if shape.mode == Mode.TUNNEL else 0))


class PspTest(BadInputTest):
    """The engine has one pair of master keys for all SAs that receive; a sender has its own key."""

    masters = tuple(bytes([n]) * 32 for n in (0x17, 0x71))

    def receiver(self, shape: Shape = TUNNEL, known: Layout | None = None, **fields: Any) -> End:
        """An inbound SA, without a window unless told otherwise."""
        known = known or layout()
        spi = fields.pop("spi", None) or next(SPIS)
        key = psp.key_of(self.masters, spi, known.version)
        said = {"layout": known, "spi": spi, "window": 0, **fields}
        end = self.from_peer(NAME, shape, keys=lambda _: key, **said)
        self.gw.engine.keys[end.speaking.sa.handle] = Masters.of(self.masters, known.version)
        return end

    def sender(self, shape: Shape = TUNNEL, known: Layout | None = None, **fields: Any) -> End:
        """An outbound SA."""
        known = known or layout()
        spi = next(SPIS)
        key = psp.key_of(self.masters, spi, known.version)
        return self.to_peer(NAME, shape, keys=lambda _: key, layout=known, spi=spi, **fields)

    def said(self, end: End, iv: int = 1, packet: bytes = PACKET, **fields: Any) -> bytes:
        """A PSP packet as the SA has it but for ``fields``, authentic, in UDP."""
        next_header, payload = end.payload_of(packet)
        known = end.layout
        right: dict[str, Any] = {
            "next_header": next_header,
            "units": known.shown // 4,
            "cookie": known.cookie,
            "version": known.version,
        }
        made = PspPacket(end.speaking.sa.spi, iv, payload, **{**right, **fields})
        key = end.speaking.peer.keys(0)
        return psp.in_udp(made.sealed(key))

    def delivered(self, end: End, *octets: bytes, packet: bytes = PACKET) -> None:
        """Proves: each of the datagrams is opened and delivered."""
        verdict = self.gw.send(UNPROTECTED, *(end.around(packet, each) for each in octets))
        self.assertEqual(dict(verdict.drops), {})
        self.assertEqual(verdict.outputs, [end.arrived(packet)] * len(octets))

    def refused_here(self, reason: Drop, end: End, *octets: bytes, packet: bytes = PACKET) -> None:
        """Proves: the pipeline itself refuses, and asks no engine."""
        verdict = self.refuse(reason, UNPROTECTED, *(end.around(packet, each) for each in octets))
        self.assertEqual(verdict.requests, [])

    def refused_behind(self, reason: Drop, end: End, *octets: bytes) -> None:
        """Proves: refused once the engine has seen it."""
        verdict = self.refuse(reason, UNPROTECTED, *(end.around(PACKET, each) for each in octets))
        self.assertEqual(len(verdict.requests), len(octets))

    def inbound_of(self, end: End) -> InboundSa:
        """What the switch holds."""
        assert isinstance(end.speaking.sa, InboundSa)
        return end.speaking.sa

    def twin(self, end: End, **fields: Any) -> InboundSa:
        """Another SA of the same pair of master keys, with an SPI of its own."""
        return dataclasses.replace(self.inbound_of(end), **fields)


def numbered(packets: list[Packet]) -> list[int]:
    """Their IVs."""
    return [packet.seq for packet in packets]
