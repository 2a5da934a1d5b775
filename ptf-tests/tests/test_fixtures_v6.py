"""IPv6 inside and outside tunnels, byte for byte the same on every target.

A scenario as in ``test_fixtures``, with a fixture of its own; its SAs have indices of their own.
"""

from __future__ import annotations

import struct
from typing import Any

from harness import frames, tables
from harness.families import FAMILIES, datagram6, incoming, outgoing
from harness.gateway import PacketOut
from harness.ids import Df, Op
from harness.recorded import RecordedTest
from harness.tables import Traffic
from harness.topology import (
    GATEWAY6,
    HOST6,
    PEER6,
    PROTECTED,
    REMOTE,
    REMOTE6,
    SITE,
    SITE6,
    UNPROTECTED,
)
from harness.tunnels import NAT_T, InboundTunnel

FIRST_INDEX = 64_500
ICMPV6 = 58
WHOLE_CHAIN = (
    frames.options6(0, 1),
    frames.options6(60),
    frames.routing6(),
    frames.fragment6(0),
    frames.options6(60, 2),
)


class RecordedFamilies(RecordedTest):
    """Both directions in all pairs of families, chains, discovery, IKE, routes, cut packets."""

    name = "families"

    def runTest(self) -> None:
        self.index = FIRST_INDEX
        self.record()

    def scenario(self) -> None:
        for outer, inner in FAMILIES:
            self.outward(outer, inner)
            self.inward(self.fixed_inbound(outer=outer, inner=inner), outer, inner)
        self.for_the_controller()
        self.clear()

    def outward(self, outer: int, inner: int) -> None:
        """Sizes, marks, hops and what does not fit."""
        kinds: tuple[dict[str, Any], ...] = (
            {"df": Df.COPY, "inner_mtu": 200},
            {"udp": NAT_T, "dscp": 10, "ttl": 17},
        )
        src, dst = (SITE6, REMOTE6) if inner == 6 else (SITE, REMOTE)
        hops = "hlim" if inner == 6 else "ttl"
        for fields in kinds:
            label = {"flow_label": 0xABCDE} if outer == 6 else {}
            tunnel = self.fixed_outbound(outer=outer, **fields, **label)
            policy = tunnel.sa.sa
            rule = tables.spd(Traffic(src=src, dst=dst), "protect", policy=policy, priority=policy)
            self.gw.insert(rule, tables.sa_select(policy, dst, tunnel.sa.sa))
            for size in (48, 49, 50, 51, 200, 201):
                self.leaves(outgoing(inner, size, **{"tc" if inner == 6 else "tos": size & 0xFF}))
            for left in (2, 1, 0):
                self.leaves(outgoing(inner, **{hops: left}))
            if inner == 6:
                self.leaves(outgoing(6, 180, chain=WHOLE_CHAIN))

    def leaves(self, packet: bytes) -> None:
        """A packet of our site."""
        self.gw.send(PROTECTED, frames.ethernet(PROTECTED, packet, pad=bytes(3)))

    def arrives(self, packet: bytes) -> None:
        """A packet from outside."""
        self.gw.send(UNPROTECTED, frames.ethernet(UNPROTECTED, packet))

    def inward(self, tunnel: InboundTunnel, outer: int, inner: int) -> None:
        """All marks, wrappings, headers in front and defects."""
        inside, outside = ("tc" if v == 6 else "tos" for v in (inner, outer))
        for seq in range(1, 17):
            packet = incoming(inner, **{inside: (seq - 1) // 4})
            self.arrives(tunnel.around(tunnel.esp(seq, packet), **{outside: (seq - 1) % 4}))
        sealed = [tunnel.esp(seq, incoming(inner)) for seq in range(17, 25)]
        self.arrives(tunnel.around(sealed[0], udp=NAT_T))
        self.arrives(tunnel.around(sealed[0]))
        self.arrives(tunnel.around(tunnel.esp(30, incoming(10 - inner))))
        if inner == 6:
            self.arrives(tunnel.around(tunnel.esp(31, incoming(6, 180, chain=WHOLE_CHAIN))))
        if outer == 6:
            self.behind_headers(sealed[1:])

    def behind_headers(self, sealed: list[bytes]) -> None:
        """Headers in front of ESP, fragments, and headers that are too long."""
        hop, options = frames.options6(0), frames.options6(60, 3)
        for octets, chain in zip(
            sealed,
            ([hop], [options], [hop, frames.routing6(), options], [frames.fragment6(0)]),
            strict=False,
        ):
            self.arrives(frames.outer6(octets, chain=chain))
            self.arrives(frames.outer6(octets, chain=chain, udp=NAT_T))
        self.arrives(frames.outer6(sealed[4], chain=[frames.options6(60, 24)]))
        self.arrives(frames.outer6(sealed[4], plen=len(sealed[4]) + 4))

    def for_the_controller(self) -> None:
        """IKE, keepalives, discovery, "too big", echo."""
        self.gw.insert(tables.ike_sa(5))
        for spi_i, spi_r in ((1, 0), (1, 5), (1, 6)):
            ike = struct.pack("!QQBBBBII", spi_i, spi_r, 33, 0x20, 34, 8, 0, 28)
            self.arrives(datagram6(ike, dport=500))
            self.arrives(datagram6(bytes(4) + ike))
        for payload in (b"\xff", b"", b"\xff\xff"):
            self.arrives(datagram6(payload))
        for kind in (2, 128, 133, 135, 137, 138):
            for hops in (255, 254):
                message = bytes([kind, 0]) + bytes(22)
                self.arrives(frames.ipv6(message, ICMPV6, src=PEER6, dst=GATEWAY6, hlim=hops))

    def clear(self) -> None:
        """Bypassed packets, the controller's own, and one packet at every length."""
        self.gw.insert(tables.spd(Traffic(src="::/0"), "bypass", priority=1))
        for dst in (PEER6, HOST6, "2001:db8:2::77", "2001:db8:ffff::1"):
            packet = outgoing(6, dst=dst, chain=[frames.options6(60)])
            self.leaves(packet)
            self.gw.exchange([PacketOut(Op.ROUTE, frames.ethernet(PROTECTED, packet))])
            injected = frames.ethernet(UNPROTECTED, packet)
            self.gw.exchange([PacketOut(Op.INJECT, injected, port=UNPROTECTED)])
        whole = frames.ethernet(PROTECTED, outgoing(6, 180, dst=PEER6, chain=WHOLE_CHAIN))
        for size in range(1, len(whole)):
            self.gw.send(PROTECTED, whole[:size])
