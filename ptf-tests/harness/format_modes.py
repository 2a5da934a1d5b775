"""SAs of any format in any mode: the base of the tests of formats.

Transport mode SAs are between two hosts, of which ours is proxied (bump in the wire).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness import beet, frames, modes, tables, wire
from harness.esp import ImplicitIvKey, Key
from harness.format_test import HANDLES, FormatTest, Keys, Speaking
from harness.formats import LAYOUTS, Packet
from harness.gateway import Frame
from harness.ids import Format, Mode
from harness.modes import FAMILIES, GATEWAYS, OURS, PEERS, PROXY_ID, THEIRS, Shape
from harness.sa import Layout
from harness.tables import Traffic
from harness.topology import (
    LOCAL_ID,
    PROTECTED,
    REMOTE,
    REMOTE6,
    SITE,
    SITE6,
    UNPROTECTED,
)
from harness.tunnels import NAT_T

TUNNEL_ONLY = (Format.NO_TRAILER, Format.HEADER_IN_TRAILER, Format.EESP_OPTIMIZED)
EESP = (Format.EESP_OPTIMIZED, Format.EESP_FULL)
NOT_IN_UDP = (Format.HEADER_IN_TRAILER, *EESP)
HEADER_LEN = {4: 20, 6: 40}
NETWORKS = {4: (SITE, REMOTE), 6: (SITE6, REMOTE6)}
TUNNEL = Shape()
INFORMATION_LEN = 4
PORTS_SHOWN = 8
"""Octets of layer 4 that an encryption offset shows where no IP header is inside."""


def shapes_of(name: str) -> list[Shape]:
    """All modes, families and wrappings that a format takes."""
    kind = layout_of(name, Shape()).format
    if kind in TUNNEL_ONLY:
        shapes = [Shape(Mode.TUNNEL, outer, inner) for outer, inner in FAMILIES]
    else:
        shapes = modes.shapes()
    if kind in NOT_IN_UDP:
        return shapes
    return [*shapes, *(dataclasses.replace(shape, udp=NAT_T) for shape in shapes)]


def layout_of(name: str, shape: Shape, **fields: Any) -> Layout:
    """What is shown are the ports, wherever they stand.  WESPv2 is padded over IPv6."""
    layout = dataclasses.replace(LAYOUTS.get(name, Layout()), **fields)
    if layout.format == Format.WESP_V2 and shape.outer == 6 and not shape.udp:
        layout = dataclasses.replace(layout, options_len=4)
    if not layout.shown:
        return layout
    shown = HEADER_LEN[shape.inner] + 4 if shape.mode == Mode.TUNNEL else PORTS_SHOWN
    if shape.mode == Mode.TUNNEL and shape.inner == 4:
        shown += 4  # as the vector
    if layout.format == Format.EESP_FULL:
        shown += INFORMATION_LEN
    return dataclasses.replace(layout, shown=shown)


def payload_shown(layout: Layout) -> int:
    """Octets of payload in clear: EESP counts the payload information header, too."""
    return max(0, layout.shown - INFORMATION_LEN * (layout.format == Format.EESP_FULL))


def least_of(shape: Shape, layout: Layout) -> int:
    """Payload octets behind the IP header that a packet must have; ESP without any is none."""
    if shape.mode == Mode.TUNNEL:
        return max(0, payload_shown(layout) - HEADER_LEN[shape.inner])
    return max(1, payload_shown(layout))


@dataclass(frozen=True, slots=True)
class End:
    """One end of an SA in the gateway, and what its packets look like around ESP."""

    speaking: Speaking
    far: modes.Peer

    @property
    def shape(self) -> Shape:
        """Mode, families and wrapping."""
        return self.far.shape

    @property
    def layout(self) -> Layout:
        """The format."""
        return self.speaking.peer.layout

    def payload_of(self, packet: bytes) -> tuple[int, bytes]:
        """Next header and payload of ESP for a packet."""
        if self.shape.mode == Mode.TUNNEL:
            return (41 if packet[0] >> 4 == 6 else 4), packet
        if self.shape.mode == Mode.TRANSPORT:
            return wire.payload_of(packet)
        return beet.payload_of(packet)

    def octets(self, packet: bytes, seq: int, sub: int = 0, **fields: Any) -> bytes:
        """The packet in this format."""
        next_header, payload = self.payload_of(packet)
        fields = {"payload": payload, "next_header": next_header, **fields}
        return self.speaking.peer.seal(Packet(seq, sub=sub, **fields))

    def around(self, packet: bytes, octets: bytes) -> bytes:
        """The frame to us with octets of the format; ``packet`` has the header fields."""
        if self.shape.udp and self.layout.wrap:
            octets = wire.WESP_MARKER + octets
        plain = self.far.around(packet, octets)
        if self.shape.udp:
            plain = wire.wrapped(plain, udp=self.shape.udp)
        elif self.layout.protocol != wire.ESP:
            plain = wire.carrying(plain, self.layout.protocol, octets)
        return frames.ethernet(UNPROTECTED, plain)

    def frame(self, packet: bytes, seq: int, sub: int = 0, **fields: Any) -> bytes:
        """The frame in which the peer sends a packet."""
        return self.around(packet, self.octets(packet, seq, sub, **fields))

    def arrived(self, packet: bytes) -> Frame:
        """What we make of it."""
        inner = frames.rewritten(self.far.arrived(packet))
        return Frame(PROTECTED, frames.delivered(PROTECTED, inner))

    def octets_in(self, data: bytes) -> bytes:
        """What stands behind the outer headers of a frame of ours, which must be as they should."""
        header = frames.link_header(UNPROTECTED, self.shape.outer)
        assert data.startswith(header), data.hex()
        packet = data[len(header) :]
        assert wire.resized(packet) == packet, "a length or a checksum is wrong"
        protocol, octets = wire.payload_of(packet)
        assert protocol == (wire.UDP if self.shape.udp else self.layout.protocol), packet.hex()
        if not self.shape.udp:
            return octets
        marker = wire.WESP_MARKER if self.layout.wrap else b""
        assert octets[8:].startswith(marker), packet.hex()
        return octets[8 + len(marker) :]

    def received(self, data: bytes) -> tuple[Packet, bytes]:
        """What the peer makes of a frame of ours, and the packet that it is in the end."""
        octets = self.octets_in(data)
        found = self.speaking.peer.open(octets)
        if self.shape.mode == Mode.TUNNEL:
            assert found.next_header == (41 if self.shape.inner == 6 else 4)
            return found, found.payload
        whole = wire.carrying(data[14:], found.next_header, found.payload)
        if self.shape.mode == Mode.TRANSPORT:
            return found, whole
        return found, beet.inside(whole, self.shape.inner, *self.far.inside)


class FormatModeTest(FormatTest):
    """Builds SAs by format and shape."""

    def setUp(self) -> None:
        super().setUp()
        self.gw.insert(
            *(tables.local(OURS[version], PROXY_ID[version], proxied=True) for version in OURS)
        )

    def from_peer(self, name: str, shape: Shape = TUNNEL, **fields: Any) -> End:
        """An inbound SA."""
        inside = THEIRS[shape.inner], OURS[shape.inner]
        outside = PEERS[shape.outer], GATEWAYS[shape.outer]
        local_id = LOCAL_ID[outside[1]]
        if shape.mode == Mode.TRANSPORT:
            outside, local_id = inside, PROXY_ID[shape.inner]
        length = 128 if shape.inner == 6 else 32
        pair = Traffic(src=f"{inside[0]}/{length}", dst=f"{inside[1]}/{length}")
        defaults = {"selectors": pair, "local_id": local_id, "mode": shape.mode}
        defaults["layout"] = layout_of(name, shape)
        speaking = self.receiving(name, **{**defaults, **fields})
        return self._end(speaking, shape, outside, inside)

    def to_peer(self, name: str, shape: Shape = TUNNEL, **fields: Any) -> End:
        """An outbound SA."""
        inside = OURS[shape.inner], THEIRS[shape.inner]
        outside = GATEWAYS[shape.outer], PEERS[shape.outer]
        if shape.mode == Mode.TRANSPORT:
            outside = inside
        defaults = {"mode": shape.mode, "src": outside[0], "dst": outside[1], "udp": shape.udp}
        defaults["layout"] = layout_of(name, shape)
        fields = {"networks": NETWORKS[shape.inner], **defaults, **fields}
        return self._end(self.sending(name, **fields), shape, outside, inside)

    def _end(
        self, speaking: Speaking, shape: Shape, outside: tuple[str, str], inside: tuple[str, str]
    ) -> End:
        sa = speaking.sa
        return End(speaking, modes.Peer(shape, speaking.tunnel.key, sa.spi, outside, inside))

    def implicit(self, name: str) -> Keys:
        """Keys of their own whose IV is the number."""
        return self._with_iv(name, ImplicitIvKey)

    def explicit(self, name: str) -> Keys:
        """Keys of their own with an IV in the packet."""
        return self._with_iv(name, Key)

    def _with_iv(self, name: str, kind: type[Key]) -> Keys:
        keys = self.keys(name, next(HANDLES))
        return lambda sub: kind(keys(sub).secret, keys(sub).salt)

    def deliver(self, end: End, packets: Sequence[bytes], *, first: int = 1) -> None:
        """Proves: what the peer sends, on all subs in turn, is delivered."""
        subs = end.layout.last_sub + 1
        sent = [end.frame(packet, first + i // subs, i % subs) for i, packet in enumerate(packets)]
        verdict = self.gw.send(UNPROTECTED, *sent)
        self.assertEqual(dict(verdict.drops), {})
        self.assertEqual(verdict.outputs, [end.arrived(packet) for packet in packets])

    def emit(self, end: End, packets: Sequence[bytes], port: int = PROTECTED) -> list[Packet]:
        """Proves: the peer gets the packets as they are; what ESP said of each."""
        sent = [frames.ethernet(port, packet) for packet in packets]
        verdict = self.gw.send(port, *sent)
        self.assertEqual(dict(verdict.drops), {})
        self.assertEqual(len(verdict.outputs), len(packets))
        found = [end.received(out.data) for out in verdict.outputs]
        expected = [end.far.arrived(frames.rewritten(packet)) for packet in packets]
        self.assertEqual([packet for _, packet in found], expected)
        return [packet for packet, _ in found]
