"""Tunnels of every pair of families, there and back (cases TUN-01, ICV-16)."""

from __future__ import annotations

import random
from typing import Any

from harness import frames, tables
from harness.esp import own_key
from harness.families import FAMILIES, IP_LEN, LEAST, FamilyTest, incoming, outgoing, sealed_len
from harness.gateway import Frame
from harness.ids import Op
from harness.sa import NEVER
from harness.tables import Traffic
from harness.topology import PROTECTED, REMOTE, REMOTE6, SITE, SITE6, UNPROTECTED
from harness.tunnels import NAT_T, InboundTunnel, OutboundTunnel, parsed

NUMBER = 1001  # of a key that no SA of another test has


class LoopTest(FamilyTest):
    """Two SAs that share a key: what one seals, the other opens."""

    def loop(self, outer: int, inner: int, **fields: Any) -> tuple[OutboundTunnel, InboundTunnel]:
        """Packets of the remote site are sealed, come back and are delivered to ours."""
        key = own_key(NUMBER + 10 * outer + inner)
        inbound = self.inbound(outer=outer, inner=inner, key=key)
        outbound = self.outbound(outer=outer, key=key, spi=inbound.sa.spi, **fields)
        src, dst = (REMOTE6, SITE6) if inner == 6 else (REMOTE, SITE)
        rule = tables.spd(Traffic(src=src, dst=dst), "protect", policy=inner)
        self.gw.insert(rule, tables.sa_select(inner, dst, outbound.sa.sa))
        return outbound, inbound

    def goes_round(
        self, tunnels: tuple[OutboundTunnel, InboundTunnel], packet: bytes, **outer: Any
    ) -> None:
        """Proves that two gateways in a row change nothing but two hops."""
        outbound, inbound = tunnels
        wire = self.seal(outbound, packet)
        skip = IP_LEN[wire[0] >> 4] + (8 if outbound.sa.udp else 0)
        back = inbound.around(wire[skip:], udp=outbound.sa.udp, **outer)
        out = self.forward(UNPROTECTED, frames.ethernet(UNPROTECTED, back))
        expected = frames.delivered(PROTECTED, frames.rewritten(packet, ttl_less=2))
        self.assertEqual(out, Frame(PROTECTED, expected))


class Tun01RoundTripOfEverySize(LoopTest):
    """TUN-01: from the smallest packet to the largest that fits 1500 octets, all residues."""

    SIZES = (*range(20, 29), 47, 48, 49, 50, 51, 127, 128, 511, 512, 1279, 1280, 1401, 1406)

    def runTest(self) -> None:
        for outer, inner in FAMILIES:
            tunnels = self.loop(outer, inner)
            for size in (*self.SIZES, 1425, 1426, *((1445, 1446) if outer == 4 else ())):
                with self.subTest(outer=outer, inner=inner, size=size):
                    if size >= IP_LEN[inner]:
                        self.goes_round(tunnels, any_size(inner, size))
            self.gw.reset(self.session.base)


def any_size(version: int, size: int) -> bytes:
    """A packet of the remote site, of a header alone if there is room for no more."""
    if size >= LEAST[version]:
        return incoming(version, size)
    if version == 4:
        return frames.ipv4(bytes(size - 20), src="10.1.1.1", dst="10.2.2.2", proto=47, ttl=9)
    return frames.ipv6(bytes(size - 40), 47, src="2001:db8:1::1", dst="2001:db8:2::2", hlim=9)


class Tun01RoundTripInUdp(LoopTest):
    """TUN-01 in UDP 4500, with one octet more each time."""

    def runTest(self) -> None:
        for outer, inner in FAMILIES:
            tunnels = self.loop(outer, inner, udp=NAT_T)
            for size in (LEAST[inner], 100, 101, 102, 103, 1281, 1418):
                with self.subTest(outer=outer, inner=inner, size=size):
                    self.goes_round(tunnels, incoming(inner, size))
            self.gw.reset(self.session.base)


class Tun01RoundTripWithEsn(LoopTest):
    """TUN-01 with extended sequence numbers across the change of the high half."""

    def runTest(self) -> None:
        for outer, inner in FAMILIES:
            key = own_key(NUMBER + 100 + 10 * outer + inner)
            outbound = self.protected_outbound(
                outer=outer, inner=inner, esn=True, seq_hard=NEVER, key=key
            )
            outbound.advance((1 << 32) - 2)
            for high in (0, 1):
                wire = self.seal(outbound, outgoing(inner))
                opened = outbound.open(wire, seq_high=high)
                self.assertEqual(opened, frames.rewritten(outgoing(inner)))
            inbound = self.inbound(outer=outer, inner=inner, esn=True)
            for seq in (1 << 31, (1 << 32) - 1, 1 << 32, (1 << 32) + 1):
                self.accept(inbound, seq)
            self.gw.reset(self.session.base)


class Tun01BothFamiliesInOneSa(FamilyTest):
    """RFC 4301 4.4.2: one SA may carry IPv4 and IPv6, by rules of both kinds."""

    def runTest(self) -> None:
        for outer in (4, 6):
            tunnel = self.protected_outbound(outer=outer)
            rule = tables.spd(Traffic(src=SITE6, dst=REMOTE6), "protect", policy=1)
            self.gw.insert(rule, tables.sa_select(1, REMOTE6, tunnel.sa.sa))
            inbound = self.inbound(outer=outer, multi=True)
            pairs = (Traffic(src=REMOTE, dst=SITE), Traffic(src=REMOTE6, dst=SITE6))
            self.gw.insert(*(tables.in_policy(inbound.sa.sa, pair) for pair in pairs))
            for seq, inner in enumerate((4, 6, 4, 6), start=1):
                self.send_and_open(tunnel, outgoing(inner))
                self.accept(inbound, seq, incoming(inner))
            self.assertEqual(tunnel.last(), 4)
            self.gw.reset(self.session.base)


class Icv16EverySizeEveryFamily(FamilyTest):
    """ICV-16: minimum padding, right lengths, and scapy opens it."""

    def runTest(self) -> None:
        for outer, inner in FAMILIES:
            tunnel = self.protected_outbound(outer=outer, inner=inner)
            for size in (*range(LEAST[inner], LEAST[inner] + 5), 1400, 1426):
                with self.subTest(outer=outer, inner=inner, size=size):
                    packet = self.send_and_open(tunnel, outgoing(inner, size))
                    length = packet.plen if outer == 6 else packet.len - 20
                    self.assertEqual(length, sealed_len(size))
            self.gw.reset(self.session.base)


class EthernetPaddingIsNotSealed(FamilyTest):
    """A short packet in a padded frame goes out without the padding, odd amounts included."""

    def runTest(self) -> None:
        for outer, inner in FAMILIES:
            tunnel = self.protected_outbound(outer=outer, inner=inner)
            packet = outgoing(inner, LEAST[inner])
            for count in (1, 2, 3, 18):
                frame = frames.ethernet(PROTECTED, packet, pad=b"\xee" * count)
                wire = self.forward(PROTECTED, frame).data[14:]
                self.assertEqual(tunnel.open(wire), frames.rewritten(packet))
                self.assertEqual(len(wire), IP_LEN[outer] + sealed_len(len(packet)))
            self.gw.reset(self.session.base)


class LargestFrames(FamilyTest):
    """Jumbo frames pass both ways, nothing is cut."""

    def runTest(self) -> None:
        for outer, inner in FAMILIES:
            outbound = self.protected_outbound(outer=outer, inner=inner)
            inbound = self.inbound(outer=outer, inner=inner)
            for seq, size in enumerate((1500, 4001, 8900), start=1):
                self.send_and_open(outbound, outgoing(inner, size))
                self.accept(inbound, seq, incoming(inner, size))
            self.gw.reset(self.session.base)


class RandomPacketsRoundTrip(FamilyTest):
    """Random sizes and header fields: scapy gets back what went in."""

    def runTest(self) -> None:
        rng = random.Random(8200)
        for outer in (4, 6):
            tunnel = self.protected_outbound(outer=outer, inner=6)
            for _ in range(40):
                fields = {"tc": rng.randrange(256), "fl": rng.randrange(1 << 20)}
                packet = outgoing(6, rng.randrange(48, 1400), hlim=rng.randrange(2, 256), **fields)
                wire = parsed(self.seal(tunnel, packet))
                self.assertEqual(tunnel.open(bytes(wire)), frames.rewritten(packet))
            self.assertEqual(self.gw.read(Op.READ_SEQ, tunnel.sa.space), 40)
            self.gw.reset(self.session.base)
