"""SAs of every mode, family, transform and wrapping, with a peer for each: the base of the tests of
transport mode, BEET and WESP.

Transport mode SAs are between two hosts, of which ours is proxied (bump in the wire).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from harness import beet, esp, frames, tables, transforms, wire
from harness.esp import Key
from harness.ids import Mode, Wrap
from harness.tables import Traffic
from harness.testcase import GatewayTest
from harness.topology import (
    GATEWAY,
    GATEWAY6,
    HOST,
    HOST6,
    LOCAL_ID,
    PEER,
    PEER6,
    REMOTE_HOST,
    REMOTE_HOST6,
    UNPROTECTED,
)
from harness.transforms import ScapyPeer
from harness.tunnels import InboundTunnel, OutboundTunnel
from harness.vectors import KEY

OURS = {4: HOST, 6: HOST6}
THEIRS = {4: REMOTE_HOST, 6: REMOTE_HOST6}
GATEWAYS = {4: GATEWAY, 6: GATEWAY6}
PEERS = {4: PEER, 6: PEER6}
PROXY_ID = {4: 17, 6: 18}
"""Local ids of our two hosts, where they are proxied."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What the packets of an SA look like; ``outer`` and ``inner`` are IP versions."""

    mode: Mode = Mode.TUNNEL
    outer: int = 4
    inner: int = 4
    wrap: Wrap = Wrap.NONE
    udp: tuple[int, int] | None = None

    def __str__(self) -> str:
        wrapping = f" {self.wrap.name}" if self.wrap else ""
        return f"{self.mode.name} v{self.inner} in v{self.outer}{wrapping}{' UDP' * bool(self.udp)}"


TRANSPORT = Shape(Mode.TRANSPORT)
TRANSPORT6 = Shape(Mode.TRANSPORT, outer=6, inner=6)
BEET = Shape(Mode.BEET_V4)
BEET6 = Shape(Mode.BEET_V6, outer=6, inner=6)
FAMILIES = ((4, 4), (4, 6), (6, 4), (6, 6))


def shapes(**fields: Any) -> list[Shape]:
    """All modes with all families that they take."""
    tunnels = [Shape(Mode.TUNNEL, outer, inner) for outer, inner in FAMILIES]
    beets = [
        Shape(Mode.BEET_V4 if inner == 4 else Mode.BEET_V6, outer, inner)
        for outer, inner in FAMILIES
    ]
    every = [*tunnels, TRANSPORT, TRANSPORT6, *beets]
    return [dataclasses.replace(shape, **fields) for shape in every]


@dataclass(frozen=True, slots=True)
class Peer:
    """The far end of one SA.  ``outside`` and ``inside``: source and destination."""

    shape: Shape
    key: Key
    spi: int
    outside: tuple[str, str]
    inside: tuple[str, str]
    esn: bool = False

    def plain(self, packet: bytes, seq: int) -> bytes:
        """The ESP packet around ``packet``, without UDP and WESP."""
        if self.shape.mode == Mode.TUNNEL:
            return self._scapy(self.outside).seal(packet, seq)
        if self.shape.mode == Mode.TRANSPORT:
            return self._scapy().seal(packet, seq)
        # By hand: scapy would put extension headers of the inner packet in front of ESP.
        next_header, payload = beet.payload_of(packet)
        return self.by_hand(packet, seq, payload, next_header)

    def by_hand(self, packet: bytes, seq: int, payload: bytes, next_header: int) -> bytes:
        """The packet around a payload of the test's own; ``packet`` has the header fields."""
        return self.around(packet, self.sealed(seq, payload, next_header))

    def sealed(self, seq: int, payload: bytes, next_header: int) -> bytes:
        """ESP alone."""
        text = esp.with_trailer(payload, next_header, esp.padding(len(payload), self.key.align))
        return esp.protect(self.key, self.spi, seq, text, esn=self.esn)

    def around(self, packet: bytes, sealed: bytes) -> bytes:
        """The ESP packet of this mode around ESP octets, for the header fields of ``packet``."""
        if self.shape.mode == Mode.TUNNEL:
            build = frames.outer6 if self.shape.outer == 6 else frames.outer
            src, dst = self.outside
            return build(sealed, src=src, dst=dst)
        if self.shape.mode == Mode.TRANSPORT:
            return wire.carrying(packet, wire.ESP, sealed)
        head = beet.header(packet, *self.outside)
        return wire.carrying(head, wire.ESP, sealed)

    def wrapped(self, plain: bytes, next_header: int, *, udp: tuple[int, int] | None) -> bytes:
        """An ESP packet as the SA wraps it."""
        header = b""
        if self.shape.wrap:
            visible = self.shape.wrap == Wrap.VISIBLE
            padded = self.shape.outer == 6 and udp is None
            header = wire.wesp_header(self.key, next_header, visible=visible, padded=padded)
        return wire.wrapped(plain, wesp=header, udp=udp)

    def send(self, packet: bytes, seq: int) -> bytes:
        """``packet`` on its way to us."""
        plain = self.plain(packet, seq)
        return self.wrapped(plain, self.next_header(packet, plain), udp=self.shape.udp)

    def receive(self, packet: bytes, *, seq_high: int = 0) -> bytes:
        """What the peer makes of a packet of ours; wrong wrapping is an AssertionError."""
        taken = wire.unwrapped(packet)
        assert bool(taken.udp) == bool(self.shape.udp), taken
        tunnel = self.outside if self.shape.mode == Mode.TUNNEL else None
        opened = self._scapy(tunnel).open(taken.packet, seq_high=seq_high)
        if self.shape.mode in (Mode.BEET_V4, Mode.BEET_V6):
            opened = beet.inside(opened, self.shape.inner, *self.inside)
        self._check_wesp(taken, self.next_header(opened, taken.packet))
        return opened

    def _check_wesp(self, taken: wire.Unwrapped, next_header: int) -> None:
        expected = b""
        if self.shape.wrap:
            visible = self.shape.wrap == Wrap.VISIBLE
            padded = self.shape.outer == 6 and self.shape.udp is None
            expected = wire.wesp_header(self.key, next_header, visible=visible, padded=padded)
        assert taken.wesp == expected, f"{taken.wesp.hex()} instead of {expected.hex()}"

    def next_header(self, packet: bytes, plain: bytes) -> int:
        """What the trailer names; ``plain`` is the ESP packet around ``packet``."""
        if self.shape.mode == Mode.TUNNEL:
            return 41 if self.shape.inner == 6 else 4
        if self.shape.mode == Mode.TRANSPORT:
            # Where the ESP packet names ESP, the packet names what is inside.
            return packet[wire.protocol_at(plain)[0]]
        return beet.payload_of(packet)[0]

    def arrived(self, packet: bytes) -> bytes:
        """What ``packet`` looks like at the far end of the path."""
        if self.shape.mode in (Mode.TUNNEL, Mode.TRANSPORT):
            return packet
        outside = beet.outside(packet, *self.outside)
        return beet.inside(outside, self.shape.inner, *self.inside)

    def _scapy(self, tunnel: tuple[str, str] | None = None) -> ScapyPeer:
        return ScapyPeer(self.spi, self.key, self.esn, tunnel)


class ModeTest(GatewayTest):
    """Builds SAs by their shape.  Our two hosts are proxied, so that ESP for them is ours."""

    def setUp(self) -> None:
        super().setUp()
        self.gw.insert(
            *(tables.local(OURS[version], PROXY_ID[version], proxied=True) for version in OURS)
        )

    def receiving(
        self, shape: Shape, *, key: Key = KEY, **fields: Any
    ) -> tuple[InboundTunnel, Peer]:
        """An inbound SA between the hosts of the vectors, and the peer that sends to it."""
        inside = THEIRS[shape.inner], OURS[shape.inner]
        outside = PEERS[shape.outer], GATEWAYS[shape.outer]
        local_id = LOCAL_ID[outside[1]]
        if shape.mode == Mode.TRANSPORT:
            outside, local_id = inside, PROXY_ID[shape.inner]
        length = 128 if shape.inner == 6 else 32
        pair = Traffic(src=f"{inside[0]}/{length}", dst=f"{inside[1]}/{length}")
        defaults = {"selectors": pair, "local_id": local_id, "mode": shape.mode}
        tunnel = self.inbound(key=key, wrap=shape.wrap, **{**defaults, **fields})
        return tunnel, Peer(shape, key, tunnel.sa.spi, outside, inside, tunnel.sa.esn)

    def sending(
        self, shape: Shape, *, key: Key | None = None, **fields: Any
    ) -> tuple[OutboundTunnel, Peer]:
        """An outbound SA for the same hosts the other way round, and the peer that receives."""
        inside = OURS[shape.inner], THEIRS[shape.inner]
        outside = GATEWAYS[shape.outer], PEERS[shape.outer]
        if shape.mode == Mode.TRANSPORT:
            outside = inside
        tunnel = self.protected_outbound(
            inner=shape.inner,
            key=key,
            src=outside[0],
            dst=outside[1],
            mode=shape.mode,
            wrap=shape.wrap,
            udp=shape.udp,
            **fields,
        )
        return tunnel, Peer(shape, tunnel.key, tunnel.sa.spi, outside, inside, tunnel.sa.esn)

    def accept_from(self, peer: Peer, seq: int, packet: bytes) -> None:
        """Proves: ``packet`` from the peer is delivered as it must be."""
        frame = frames.ethernet(UNPROTECTED, peer.send(packet, seq))
        self.accept_esp(frame, peer.arrived(packet))

    def send_to(self, tunnel: OutboundTunnel, peer: Peer, packet: bytes) -> bytes:
        """Proves: the peer receives ``packet`` with one hop less; what was on the wire."""
        out = self.seal(tunnel, packet)
        self.assertEqual(peer.receive(out), peer.arrived(frames.rewritten(packet)))
        self.assertEqual(wire.resized(out), out)  # lengths and checksum
        return out


def key_of(transform: str, number: int) -> Key:
    """A key of its own for each number."""
    return transforms.TRANSFORMS[transform](number)


def packet_of(version: int, size: int, *, ours: bool) -> bytes:
    """A packet of ``size`` octets between the two hosts; UDP if there is room for it."""
    src, dst = (OURS, THEIRS) if ours else (THEIRS, OURS)
    if size >= (28, 48)[version == 6]:
        build = frames.inner6 if version == 6 else frames.inner
        return build(src=src[version], dst=dst[version], size=size)
    if version == 6:
        return frames.ipv6(b"\xee" * (size - 40), 253, src=src[6], dst=dst[6], hlim=64)
    return frames.ipv4(b"\xee" * (size - 20), src=src[4], dst=dst[4], id=7, ttl=64, proto=253)
