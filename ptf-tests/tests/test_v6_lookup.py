"""IPv6 tunnel packets before any key is used: lengths, SA lookup, headers in front of ESP and
fragments (cases FRM, SAL, TUN-16, TUN-17, FRG)."""

from __future__ import annotations

from typing import Any

from harness import esp, frames, tables
from harness import vectors as vec
from harness.engine import Descriptor
from harness.families import FamilyTest, datagram6
from harness.frames import Extension
from harness.ids import Drop, Punt, Role
from harness.tables import Traffic
from harness.topology import GATEWAY6, HOST6, PEER6, PROTECTED, UNPROTECTED
from harness.tunnels import NAT_T, InboundTunnel

GATEWAY6_2 = "2001:db8:51::3"
SECOND_LOCAL_ID = 77
MINIMUM = 36  # SPI, sequence number, IV, one block, ICV
HOP_BY_HOP, ROUTING, DESTINATION, MOBILITY = 0, 43, 60, 135


def carrying(sealed: bytes, **outer: Any) -> bytes:
    """The frame around ESP octets."""
    return frames.ethernet(UNPROTECTED, frames.outer6(sealed, **outer))


class FixtureTest(FamilyTest):
    """Fixture SA-G over IPv6 with the SPI of the vectors, so that D1 and its kin fit."""

    def setUp(self) -> None:
        super().setUp()
        self.tunnel = self.inbound(outer=6, spi=vec.SPI)


class VectorsOverIpv6(FixtureTest):
    """D1, D11 and D16: what is inside ESP knows nothing of what is outside."""

    def runTest(self) -> None:
        for sealed in (vec.D1, vec.D16):
            self.accept_esp(carrying(sealed), vec.INNER)
        self.refuse(Drop.REPLAY_DUP, UNPROTECTED, carrying(vec.D11))
        for defect, reason in ((vec.N1, Drop.BAD_PAD), (vec.N2, Drop.BAD_PADLEN)):
            self.refuse(reason, UNPROTECTED, carrying(defect))
        for defect, reason in ((vec.N4, Drop.BAD_INNER), (vec.N9, Drop.BAD_SELECTOR)):
            self.refuse(reason, UNPROTECTED, carrying(defect))


class Frm01FewerThanEightOctets(FixtureTest):
    """FRM-01: 0, 1 and 7 octets of ESP, with and without Ethernet padding."""

    def runTest(self) -> None:
        for size in (0, 1, 7):
            for pad in (b"", bytes(46)):
                packet = frames.outer6(vec.D1[:size])
                self.refuse(Drop.RUNT, UNPROTECTED, frames.ethernet(UNPROTECTED, packet, pad=pad))


class Frm02LengthsThatReachTheEngine(FixtureTest):
    """FRM-02, FRM-03: below the minimum and between blocks there is no crypto call."""

    def runTest(self) -> None:
        for size in range(8, MINIMUM + 12):
            whole = size >= MINIMUM and size % 4 == 0
            verdict = self.gw.send(UNPROTECTED, carrying(vec.D1[:size]))
            self.assert_refused(verdict, Drop.BAD_ICV if whole else esp.shorter(size))
            self.assertEqual(len(verdict.requests), whole)
        self.assertEqual(self.tunnel.top(), 0)


class Frm12EthernetPadding(FixtureTest):
    """FRM-12: octets behind the IPv6 packet change nothing."""

    def runTest(self) -> None:
        for size in (1, 2, 7, 26):
            packet = frames.outer6(self.tunnel.esp(size, vec.INNER))
            self.accept_esp(frames.ethernet(UNPROTECTED, packet, pad=b"\xee" * size), vec.INNER)


class Frm13PayloadLengthLies(FixtureTest):
    """FRM-13: four octets less, more than there are, and what a jumbogram has (RFC 2675)."""

    def runTest(self) -> None:
        real = len(vec.D1)
        self.refuse(Drop.BAD_ICV, UNPROTECTED, carrying(vec.D1, plen=real - 4))
        for length in (real + 1, real + 4, 0xFFD7, 0xFFD8, 0xFFFF):
            self.refuse(Drop.BAD_OUTER, UNPROTECTED, carrying(vec.D1, plen=length))
        self.refuse(Drop.RUNT, UNPROTECTED, carrying(vec.D1, plen=0))
        jumbo = Extension(HOP_BY_HOP, b"\0\xc2\x04" + real.to_bytes(4))
        self.refuse(Drop.BAD_OUTER, UNPROTECTED, carrying(vec.D1, plen=0, chain=[jumbo]))
        self.assertEqual(self.tunnel.top(), 0)


class Frm14VersionDoesNotFit(FixtureTest):
    """FRM-14: another version under the ethertype of IPv6, and IPv6 under that of IPv4."""

    def runTest(self) -> None:
        good = carrying(vec.D1)
        for nibble in (0, 4, 5, 7, 15):
            wrong = good[:14] + bytes([nibble << 4]) + good[15:]
            self.refuse(Drop.BAD_OUTER, UNPROTECTED, wrong)
        self.refuse(Drop.BAD_OUTER, UNPROTECTED, good[:12] + b"\x08\x00" + good[14:])


class Sal01UnknownSpi(FixtureTest):
    """SAL-01, SAL-02: an SPI that nobody has, and the reserved ones."""

    def runTest(self) -> None:
        for spi, reason in ((0xC0FFEE02, Drop.NO_SA), (0, Drop.BAD_SPI), (255, Drop.BAD_SPI)):
            self.refuse(reason, UNPROTECTED, carrying(spi.to_bytes(4) + vec.D1[4:]))


class Sal03OtherLocalAddress(FixtureTest):
    """SAL-03: the SA belongs to the address it was made for, of one family and one host."""

    def runTest(self) -> None:
        self.gw.insert(tables.local(GATEWAY6_2, SECOND_LOCAL_ID))
        self.refuse(Drop.NO_SA, UNPROTECTED, carrying(vec.D1, dst=GATEWAY6_2))
        over_v4 = frames.ethernet(UNPROTECTED, frames.outer(vec.D1))
        self.refuse(Drop.NO_SA, UNPROTECTED, over_v4)
        sa = self.tunnel.sa
        self.gw.insert(tables.sad(SECOND_LOCAL_ID, vec.SPI, sa.sa, sa.generation))
        self.accept_esp(carrying(vec.D1, dst=GATEWAY6_2), vec.INNER)


class Sal04SourceIsNotInTheKey(FixtureTest):
    """SAL-04: the peer may have moved."""

    def runTest(self) -> None:
        self.accept_esp(carrying(vec.D1, src="2001:db8:bad::9"), vec.INNER)


class Sal06EspForSomebodyElse(FixtureTest):
    """SAL-06: ordinary traffic: forwarded untouched if policy says so, else discarded."""

    def runTest(self) -> None:
        transit = frames.outer6(vec.D1, dst=HOST6)
        frame = frames.ethernet(UNPROTECTED, transit)
        self.refuse(Drop.POLICY_DISCARD, UNPROTECTED, frame)
        self.bypass(Traffic(dst=f"{HOST6}/128", protocol=frames.ESP))
        out = self.forward(UNPROTECTED, frame)
        self.assertEqual(out.data, frames.delivered(PROTECTED, frames.rewritten(transit)))
        self.assertEqual(self.gw.traffic("sa_in_traffic", self.tunnel.sa.sa), (0, 0))


class EspFromTheProtectedSide(FixtureTest):
    """ESP for us from inside is not a tunnel packet: no SA is asked."""

    def runTest(self) -> None:
        frame = frames.ethernet(PROTECTED, frames.outer6(vec.D1))
        self.assertEqual(self.punted(Punt.LOCAL, PROTECTED, frame).payload, frame)
        self.assertEqual(self.tunnel.top(), 0)


class Tun17HeadersInFrontOfEsp(FamilyTest):
    """TUN-17: hop-by-hop, destination options and a routing header in front of ESP, in the order
    of RFC 8200 4.1, are taken off with the outer header; in UDP as well."""

    def runTest(self) -> None:
        hop, routing = frames.options6(HOP_BY_HOP, 1), frames.routing6()
        early, late = frames.options6(DESTINATION), frames.options6(DESTINATION, 3)
        chains = ([hop], [routing], [late], [hop, late], [hop, routing], [early, routing])
        for inner in (4, 6):
            tunnel = self.inbound(outer=6, inner=inner)
            for chain in (*chains, [routing, late], [hop, early, routing, late]):
                for udp in (None, NAT_T):
                    with self.subTest(inner=inner, chain=[x.number for x in chain], udp=udp):
                        self.passes(tunnel, chain, udp)

    def passes(
        self, tunnel: InboundTunnel, chain: list[Extension], udp: tuple[int, int] | None
    ) -> None:
        """The next number arrives behind ``chain``."""
        self.last += 1
        packet = frames.inner6() if tunnel.sa.selectors.v6 else frames.inner()
        frame = tunnel.frame(self.last, packet, chain=chain, udp=udp)
        self.accept_esp(frame, packet)


class Tun17EcnBehindHeaders(FamilyTest):
    """TUN-17: the outer mark is merged although other headers stand between it and ESP."""

    def runTest(self) -> None:
        tunnel = self.inbound(outer=6, inner=6)
        packet = frames.inner6(tc=2)
        frame = self.carrying(tunnel, packet, tc=3, chain=[frames.options6(HOP_BY_HOP)])
        expected = frames.delivered(PROTECTED, frames.rewritten(packet, ecn=3))
        self.assertEqual(self.forward(UNPROTECTED, frame).data, expected)


class Tun17LongestHeaders(FixtureTest):
    """TUN-17: the text begins at most 255 octets behind the outer header's start: one step more
    is refused before the engine is asked."""

    def runTest(self) -> None:
        for units, udp, fits in ((23, None, True), (24, None, False), (22, NAT_T, True)):
            chain = [frames.options6(DESTINATION, units)]
            frame = carrying(self.tunnel.esp(units, vec.INNER), chain=chain, udp=udp)
            if fits:
                self.accept_esp(frame, vec.INNER)
            else:
                self.refuse(Drop.LONG_HEADERS, UNPROTECTED, frame)
        for units in (25, 30, 31):
            frame = carrying(vec.D1, chain=[frames.options6(DESTINATION, units)])
            verdict = self.refuse(Drop.LONG_HEADERS, UNPROTECTED, frame)
            self.assertEqual(verdict.requests, [])


class Tun17SegmentsLeft(FixtureTest):
    """TUN-17, RFC 8200 4.4: a packet whose way does not end here is no tunnel packet of ours, and
    none for us at all; behind a proxied address it is the host's."""

    def runTest(self) -> None:
        self.bypass(Traffic(dst=f"{GATEWAY6}/128"), Role.UNPROTECTED)
        hop = frames.options6(HOP_BY_HOP)
        for left in (1, 2, 255):
            for kind in (0, 2, 4):
                routing = Extension(ROUTING, bytes([2, kind, left]) + bytes(20))
                for chain in ([routing], [hop, routing]):
                    for udp in (None, NAT_T):
                        frame = carrying(vec.D1, chain=chain, udp=udp)
                        self.refuse(Drop.BAD_OUTER, UNPROTECTED, frame)
        self.accept_esp(carrying(vec.D1, chain=[hop, frames.routing6()]), vec.INNER)

    def tearDown(self) -> None:
        self.assertEqual(self.tunnel.top(), vec.SEQ)
        super().tearDown()


class Tun17SegmentsLeftOfAProxiedHost(FixtureTest):
    """The same for a host behind us: ordinary traffic, though its ESP would be ours."""

    def runTest(self) -> None:
        routing = Extension(ROUTING, bytes([2, 4, 1]) + bytes(20))
        packet = frames.outer6(vec.D1, chain=[routing], dst=HOST6)
        self.gw.insert(tables.local(HOST6, SECOND_LOCAL_ID, proxied=True))
        sa = self.tunnel.sa
        self.gw.insert(tables.sad(SECOND_LOCAL_ID, vec.SPI, sa.sa, sa.generation))
        self.bypass(Traffic(dst=f"{HOST6}/128"))
        out = self.forward(UNPROTECTED, frames.ethernet(UNPROTECTED, packet))
        self.assertEqual(out.data, frames.delivered(PROTECTED, frames.rewritten(packet)))
        self.accept_esp(carrying(vec.D1, chain=[frames.routing6()], dst=HOST6), vec.INNER)


class Tun17LongerThanIsLookedThrough(FixtureTest):
    """TUN-17: an extension header of more than 256 octets is not looked through."""

    def runTest(self) -> None:
        for number in (HOP_BY_HOP, DESTINATION):
            for units in (32, 33, 128, 255):
                header = Extension(number, bytes([units]) + bytes(6 + 8 * units))
                frame = carrying(vec.D1, chain=[header])
                self.refuse(Drop.MALFORMED, UNPROTECTED, frame)


class Tun17OrderOfRfc8200(FixtureTest):
    """TUN-17: what is behind headers out of order is not known, so it goes nowhere. Behind a header
    that RFC 4301 4.4.1.1 does not skip, policy decides; neither is ever ESP."""

    def runTest(self) -> None:
        hop, options = frames.options6(HOP_BY_HOP), frames.options6(DESTINATION)
        chains = (
            [options, hop],
            [options, options],
            [frames.routing6(), hop],
        )
        last = carrying(vec.D1, chain=[frames.options6(MOBILITY)])
        self.refuse(Drop.POLICY_DISCARD, UNPROTECTED, last)
        self.bypass(Traffic(dst=f"{GATEWAY6}/128"), Role.UNPROTECTED)
        for chain in chains:
            self.refuse(Drop.MALFORMED, UNPROTECTED, carrying(vec.D1, chain=chain))
        self.assertEqual(self.punted(Punt.LOCAL, UNPROTECTED, last).payload, last)


class Tun17RequestPointsBehindTheHeaders(FixtureTest):
    """TUN-17: the offsets of the request are those behind the chain, and the packet is whole."""

    def runTest(self) -> None:
        packet = frames.outer6(vec.D1, chain=[frames.options6(HOP_BY_HOP, 1)])
        verdict = self.gw.send(UNPROTECTED, frames.ethernet(UNPROTECTED, packet))
        (request,) = verdict.requests
        descriptor = Descriptor.of(request)
        self.assertEqual((descriptor.aad_off, descriptor.ct_off), (40 + 16, 40 + 16 + 16))
        self.assertEqual(request[46:], packet)


class Frg01OuterFragments(FixtureTest):
    """FRG-01, FRG-02: no outer fragment is looked into, whatever its first octets are."""

    def runTest(self) -> None:
        for offset, more in ((0, True), (5, False), (185, True), (0x1FFF, False)):
            fragment = frames.fragment6(offset, more=more)
            self.refuse(Drop.OUTER_FRAGMENT, UNPROTECTED, carrying(vec.D1, chain=[fragment]))
            in_udp = carrying(vec.D1, chain=[fragment], udp=NAT_T)
            self.refuse(Drop.OUTER_FRAGMENT, UNPROTECTED, in_udp)
            chain = [frames.options6(HOP_BY_HOP), frames.routing6(), fragment]
            self.refuse(Drop.OUTER_FRAGMENT, UNPROTECTED, carrying(vec.D1, chain=chain))
        self.assertEqual(self.tunnel.top(), 0)


class Frg02TinyFragments(FixtureTest):
    """FRG-02: fragments with hardly anything in them, and IKE in fragments."""

    def runTest(self) -> None:
        for size in (0, 1, 3, 4, 7):
            for offset in (0, 1):
                fragment = [frames.fragment6(offset, more=not offset)]
                packet = frames.ipv6(
                    vec.D1[:size], frames.ESP, chain=fragment, src=PEER6, dst=GATEWAY6
                )
                frame = frames.ethernet(UNPROTECTED, packet)
                self.refuse(Drop.OUTER_FRAGMENT, UNPROTECTED, frame)
        ike = datagram6(bytes(32), chain=[frames.fragment6(0)])
        self.refuse(Drop.OUTER_FRAGMENT, UNPROTECTED, frames.ethernet(UNPROTECTED, ike))


class Frg03AtomicFragment(FixtureTest):
    """FRG-03: a fragment header that fragments nothing could be taken off (RFC 8200 4.5): this
    pipeline does not, and counts it with the fragments."""

    def runTest(self) -> None:
        atomic = frames.fragment6(0, more=False)
        self.refuse(Drop.OUTER_FRAGMENT, UNPROTECTED, carrying(vec.D1, chain=[atomic]))
        self.accept_esp(carrying(vec.D1), vec.INNER)


class Frg01FragmentsForOthers(FixtureTest):
    """A fragment that only passes by is ordinary traffic, a cut one included."""

    def runTest(self) -> None:
        self.bypass(Traffic(dst=f"{HOST6}/128"))
        for offset in (0, 9):
            for size in (4, 16):
                chain = [frames.fragment6(offset)]
                packet = datagram6(bytes(size), chain=chain, dst=HOST6, length=900)
                out = self.forward(UNPROTECTED, frames.ethernet(UNPROTECTED, packet))
                expected = frames.delivered(PROTECTED, frames.rewritten(packet))
                self.assertEqual(out.data, expected)
