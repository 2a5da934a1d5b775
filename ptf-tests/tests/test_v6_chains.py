"""Policy and selectors look through IPv6 extension headers (cases TUN-06, TUN-15, FRG-05..07)."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any

from harness import frames, tables
from harness.families import FamilyTest, incoming
from harness.frames import Extension
from harness.ids import Drop
from harness.sa import TUNNELLED6
from harness.tables import Traffic
from harness.topology import (
    HOST6,
    PROTECTED,
    REMOTE6,
    REMOTE_HOST6,
    SITE6,
    UNPROTECTED,
)
from harness.tunnels import InboundTunnel

HOP_BY_HOP, ROUTING, DESTINATION, MOBILITY = 0, 43, 60, 135
TCP, UDP, ICMPV6, SCTP, GRE = 6, 17, 58, 132, 47

HOP = frames.options6(HOP_BY_HOP, 1)
OPTIONS = frames.options6(DESTINATION, 2)
ROUTE = frames.routing6()
CHAINS: tuple[tuple[Extension, ...], ...] = (
    (),
    (HOP,),
    (ROUTE,),
    (OPTIONS,),
    (HOP, OPTIONS),
    (HOP, ROUTE),
    (OPTIONS, ROUTE),
    (ROUTE, OPTIONS),
    (HOP, OPTIONS, ROUTE, OPTIONS),
    (frames.fragment6(0),),
    (HOP, OPTIONS, ROUTE, frames.fragment6(0), OPTIONS),
    (frames.fragment6(0, more=False),),
)
"""In the order of RFC 8200 4.1; each shows the start of layer 4."""


def ports(sport: int, dport: int) -> bytes:
    """The first 24 octets of whatever has ports."""
    return struct.pack("!HHHH", sport, dport, 24, 0) + bytes(16)


def packet(payload: bytes, protocol: int, chain: Iterable[Extension] = (), **ip: Any) -> bytes:
    """A packet from the remote site."""
    fields = {"src": REMOTE_HOST6, "dst": HOST6, "hlim": 64, **ip}
    return frames.ipv6(payload, protocol, chain=tuple(chain), **fields)


def icmp(kind: int, code: int) -> bytes:
    """An ICMPv6 message from the remote site."""
    return packet(bytes([kind, code]) + bytes(6), ICMPV6)


class Selector6Test(FamilyTest):
    """Packets that fit and packets that don't, through one SA, under IPv4 and IPv6."""

    def check(
        self, traffic: Traffic, fits: Iterable[bytes], does_not: Iterable[bytes] = ()
    ) -> None:
        """With the one pair in the SA's entry, and with the same pair in in_policy_v6."""
        for outer in (4, 6):
            single = self.inbound(outer=outer, selectors=traffic)
            several = self.inbound(outer=outer, selectors=traffic, multi=True)
            self.gw.insert(tables.in_policy(several.sa.sa, traffic))
            for tunnel in (single, several):
                self.through(tunnel, fits, does_not)

    def through(
        self, tunnel: InboundTunnel, fits: Iterable[bytes], does_not: Iterable[bytes]
    ) -> None:
        """All of them under fresh numbers."""
        for octets in fits:
            with self.subTest(fits=octets.hex(), multi=tunnel.sa.multi):
                self.accept_esp(self.carrying(tunnel, octets), octets)
        for octets in does_not:
            with self.subTest(refused=octets.hex(), multi=tunnel.sa.multi):
                frame = self.carrying(tunnel, octets)
                self.refuse(Drop.BAD_SELECTOR, UNPROTECTED, frame)


class Tun06Addresses(Selector6Test):
    """TUN-06: source and destination at the edges of prefixes on both sides of bit 64."""

    def runTest(self) -> None:
        for length, inside, outside in (
            (33, "2001:db8:7fff:ffff::1", "2001:db8:8000::"),
            (63, "2001:db8:0:1:ffff::1", "2001:db8:0:2::"),
            (64, "2001:db8::ffff:ffff:ffff:ffff", "2001:db8:0:1::"),
            (65, "2001:db8::7fff:ffff:ffff:ffff", "2001:db8::8000:0:0:0"),
            (127, "2001:db8::1", "2001:db8::2"),
            (128, "2001:db8::", "2001:db8::1"),
        ):
            traffic = Traffic(src=f"2001:db8::/{length}", dst=f"{HOST6}/128")
            fits = packet(ports(1, 2), UDP, src=inside)
            astray = packet(ports(1, 2), UDP, src=inside, dst="2001:db8:2::3")
            self.check(traffic, [fits], [packet(ports(1, 2), UDP, src=outside), astray])


class Tun06Protocol(Selector6Test):
    """TUN-06: any protocol, or one alone, behind whatever chain."""

    def runTest(self) -> None:
        payload = ports(1, 2)
        kinds = [packet(payload, number) for number in (TCP, UDP, ICMPV6, SCTP, GRE, 89)]
        self.check(TUNNELLED6, kinds)
        only_tcp = Traffic(src=REMOTE6, dst=SITE6, protocol=TCP)
        fits = [packet(payload, TCP, chain) for chain in CHAINS]
        self.check(only_tcp, fits, [packet(payload, UDP, chain) for chain in CHAINS])


class Tun15PortsBehindTheChain(Selector6Test):
    """TUN-15: port ranges, both ends included, are looked up behind the chain."""

    def runTest(self) -> None:
        traffic = Traffic(src=REMOTE6, dst=SITE6, protocol=UDP, sport=(1000, 2000), dport=(53, 53))
        pairs = ((1000, 53), (2000, 53))
        wrong = ((999, 53), (2001, 53), (1500, 52), (1500, 54))
        for chain in CHAINS:
            fits = [packet(ports(*pair), UDP, chain) for pair in pairs]
            does_not = [packet(ports(*pair), UDP, chain) for pair in wrong]
            self.check(traffic, fits, does_not)
            self.gw.reset(self.session.base)


class Tun15OtherProtocolsWithPorts(Selector6Test):
    """TUN-15: TCP and SCTP have ports where UDP has them."""

    def runTest(self) -> None:
        for protocol in (TCP, SCTP):
            traffic = Traffic(src=REMOTE6, dst=SITE6, protocol=protocol, dport=(2905, 2905))
            fits, wrong = ports(1, 2905), ports(1, 2906)
            self.check(
                traffic,
                [packet(fits, protocol, chain) for chain in CHAINS],
                [packet(wrong, protocol, chain) for chain in CHAINS],
            )


class Tun15IcmpTypeAndCode(Selector6Test):
    """RFC 4301 4.4.1.1: type and code of ICMPv6 in the place of the ports."""

    def runTest(self) -> None:
        echo = (128 << 8, 128 << 8 | 0xFF)
        traffic = Traffic(src=REMOTE6, dst=SITE6, protocol=ICMPV6, sport=echo, dport=echo)
        self.check(traffic, [icmp(128, 0), icmp(128, 9)], [icmp(129, 0), icmp(127, 255)])


class Tun15ChainOutOfOrder(Selector6Test):
    """TUN-15: what comes out of order ends the chain: its number is the protocol."""

    def runTest(self) -> None:
        payload = ports(1, 2)
        odd = {
            HOP_BY_HOP: packet(payload, UDP, (OPTIONS, HOP)),
            DESTINATION: packet(payload, UDP, (OPTIONS, OPTIONS)),
            MOBILITY: packet(payload, UDP, (frames.options6(MOBILITY),)),
        }
        self.check(TUNNELLED6, odd.values())
        only_udp = Traffic(src=REMOTE6, dst=SITE6, protocol=UDP)
        self.check(only_udp, [], odd.values())
        mobility = Traffic(src=REMOTE6, dst=SITE6, protocol=MOBILITY)
        self.check(mobility, [odd[MOBILITY]], [odd[DESTINATION], packet(payload, UDP)])


class Tun15LongestChain(Selector6Test):
    """TUN-15: 256 octets of one header are looked through, and are carried; more are not."""

    def runTest(self) -> None:
        tunnel = self.inbound(inner=6)
        for number in (HOP_BY_HOP, ROUTING, DESTINATION):
            whole = packet(ports(1, 2), UDP, (self.header(number, 31),))
            self.accept_esp(self.carrying(tunnel, whole), whole)
            longer = packet(ports(1, 2), UDP, (self.header(number, 32),))
            self.refuse(Drop.BAD_INNER, UNPROTECTED, self.carrying(tunnel, longer))

    def header(self, number: int, units: int) -> Extension:
        """Of 8 * (units + 1) octets."""
        return Extension(number, bytes([units]) + bytes(6 + 8 * units))


class OtherFamilyThanSelected(FamilyTest):
    """A pair of one family lets no packet of the other in, whatever its addresses are."""

    def runTest(self) -> None:
        for outer in (4, 6):
            for inner, other in ((4, 6), (6, 4)):
                wide = Traffic(src="0.0.0.0/0") if inner == 4 else Traffic(src="::/0")
                for traffic in (None, wide):
                    fields: dict[str, Any] = {"selectors": traffic} if traffic else {}
                    tunnel = self.inbound(outer=outer, inner=inner, **fields)
                    frame = self.carrying(tunnel, incoming(other))
                    self.refuse(Drop.BAD_SELECTOR, UNPROTECTED, frame)


class Frg05InnerFragmentsAnyPort(Selector6Test):
    """FRG-05: an SA for all ports carries first, middle and last fragments."""

    def runTest(self) -> None:
        whole = [
            packet(ports(5000, 5001), UDP, (HOP, frames.fragment6(offset, more=more)))
            for offset, more in ((0, True), (185, True), (370, False))
        ]
        self.check(TUNNELLED6, whole)


class Frg06InnerFragmentPortSelector(Selector6Test):
    """FRG-06, FRG-07: an SA for one port carries the first fragment and refuses later ones,
    though octets of theirs look like the port, and a range from zero does not help."""

    def runTest(self) -> None:
        first = packet(ports(5000, 5001), UDP, (frames.fragment6(0),))
        later = [
            packet(ports(5000, 5001), UDP, (frames.fragment6(offset, more=more),))
            for offset, more in ((1, True), (185, False))
        ]
        for low in ((5001, 5001), (0, 9000)):
            self.single(Traffic(src=REMOTE6, dst=SITE6, protocol=UDP, dport=low), first, later)
        known = Traffic(src=REMOTE6, dst=SITE6, protocol=UDP, l4_known=1)
        several = self.inbound(inner=6, multi=True)
        self.gw.insert(tables.in_policy(several.sa.sa, known))
        self.through(several, [first], later)

    def single(self, traffic: Traffic, first: bytes, later: list[bytes]) -> None:
        """The pair stands in the SA's entry."""
        for outer in (4, 6):
            self.through(self.inbound(outer=outer, selectors=traffic), [first], later)


class Frg07TinyFirstFragment(Selector6Test):
    """FRG-07, RFC 7112: a first fragment that ends before the ports has none: it is refused."""

    def runTest(self) -> None:
        tunnel = self.inbound(inner=6)
        for size in (0, 1, 3):
            tiny = packet(ports(1, 2)[:size], UDP, (frames.fragment6(0),))
            self.refuse(Drop.BAD_INNER, UNPROTECTED, self.carrying(tunnel, tiny))
        chain_cut = packet(b"", DESTINATION, (frames.fragment6(0),))
        self.refuse(Drop.BAD_INNER, UNPROTECTED, self.carrying(tunnel, chain_cut))


class PolicyLooksThroughTheChain(FamilyTest):
    """The SPD sees the same protocol and ports as the selectors do, on the way out."""

    def runTest(self) -> None:
        dns = Traffic(src=SITE6, dst=REMOTE6, protocol=UDP, dport=(53, 53), l4_known=1)
        self.bypass(dns)
        site = {"src": HOST6, "dst": REMOTE_HOST6}
        for chain in CHAINS:
            wanted = packet(ports(7, 53), UDP, chain, **site)
            out = self.forward(PROTECTED, frames.ethernet(PROTECTED, wanted))
            expected = frames.delivered(UNPROTECTED, frames.rewritten(wanted))
            self.assertEqual(out.data, expected)
            for payload, number in ((ports(7, 54), UDP), (ports(7, 53), TCP)):
                frame = frames.ethernet(PROTECTED, packet(payload, number, chain, **site))
                self.refuse(Drop.POLICY_DISCARD, PROTECTED, frame)


class PolicyOfLaterFragments(FamilyTest):
    """RFC 4301 7: a later fragment has no ports; only l4_known tells it from port zero."""

    def runTest(self) -> None:
        site = {"src": HOST6, "dst": REMOTE_HOST6}
        later = packet(ports(7, 53), UDP, (HOP, frames.fragment6(9)), **site)
        frame = frames.ethernet(PROTECTED, later)
        known = Traffic(src=SITE6, dst=REMOTE6, protocol=UDP, sport=(0, 100), l4_known=1)
        self.bypass(known)
        self.refuse(Drop.POLICY_DISCARD, PROTECTED, frame)
        self.bypass(Traffic(src=SITE6, dst=REMOTE6, protocol=UDP, l4_known=0))
        out = self.forward(PROTECTED, frame)
        self.assertEqual(out.data, frames.delivered(UNPROTECTED, frames.rewritten(later)))
