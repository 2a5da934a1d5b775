"""What comes out of a tunnel: next header, inner packet, ECN, TTL (cases TUN, FRG)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from harness import esp, frames
from harness import vectors as vec
from harness.ecn import ECN_MATRIX
from harness.ids import Drop, Punt
from harness.sa import TUNNELLED
from harness.tables import Traffic
from harness.testcase import GatewayTest
from harness.topology import (
    GATEWAY_INSIDE,
    HOST_VLAN,
    PROTECTED,
    PROTECTED_VLAN,
    REMOTE,
    SITE_VLAN,
    UNPROTECTED,
    UNPROTECTED_VLAN,
)
from harness.tunnels import NAT_T


class DecapTest(GatewayTest):
    """Fixture SA-G with the SPI of the vectors."""

    def setUp(self) -> None:
        super().setUp()
        self.tunnel = self.inbound(spi=vec.SPI)
        self.last = 0x1000

    def sealed(self, plaintext: bytes, **outer: Any) -> bytes:
        """A frame under the next number; ``plaintext`` ends in its trailer."""
        self.last += 1
        octets = self.tunnel.esp_by_hand(self.last, plaintext)
        return frames.ethernet(UNPROTECTED, frames.outer(octets, **outer))

    def carrying(self, packet: bytes, next_header: int = 4, **outer: Any) -> bytes:
        """The same with an ordinary trailer."""
        return self.sealed(esp.with_trailer(packet, next_header), **outer)

    def refuse_vector(self, reason: Drop, sealed: bytes, punt: Punt | None = None) -> None:
        """A vector of the digest is refused, and its number is used up."""
        frame = frames.ethernet(UNPROTECTED, frames.outer(sealed))
        self.refuse(reason, UNPROTECTED, frame, punt=punt)
        self.assertEqual(self.tunnel.top(), int.from_bytes(sealed[4:8]))


class Tun02VersionDoesNotFit(DecapTest):
    """TUN-02: N4, and next header 4 with a version 6 nibble."""

    def runTest(self) -> None:
        self.refuse_vector(Drop.BAD_INNER, vec.N4)
        six = b"\x65" + frames.inner()[1:]
        self.refuse(Drop.BAD_INNER, UNPROTECTED, self.carrying(six))


class Tun03NextHeaderDoesNotFit(DecapTest):
    """TUN-03: N5; next header 94, 0, 60, 255, and whatever else is not IPv4."""

    def runTest(self) -> None:
        self.refuse_vector(Drop.BAD_NH, vec.N5)
        for next_header in (94, 0, 60, 255, 6, 17, 50):
            frame = self.carrying(frames.inner(), next_header)
            self.refuse(Drop.BAD_NH, UNPROTECTED, frame)


class Tun04InnerLengthLies(DecapTest):
    """TUN-04: N6; inner packets shorter than their header."""

    def runTest(self) -> None:
        self.refuse_vector(Drop.BAD_INNER, vec.N6)
        for size in (1, 10, 19):
            self.refuse(Drop.BAD_INNER, UNPROTECTED, self.carrying(frames.inner()[:size]))
        short = frames.ipv4(b"", src="10.1.1.1", dst="10.2.2.2", proto=17, len=12)
        self.refuse(Drop.BAD_INNER, UNPROTECTED, self.carrying(short))


class Tun05InnerHeaderWrong(DecapTest):
    """TUN-05: N8; a wrong inner checksum."""

    def runTest(self) -> None:
        self.refuse_vector(Drop.BAD_INNER, vec.N8)
        packet = frames.inner()
        wrong = packet[:10] + bytes([packet[10] ^ 0x10]) + packet[11:]
        self.refuse(Drop.BAD_INNER, UNPROTECTED, self.carrying(wrong))


class Tun05OptionsCutOff(DecapTest):
    """An inner header that claims more options than there are octets."""

    def runTest(self) -> None:
        for ihl in (6, 10, 15):
            packet = frames.ipv4(b"", src="10.1.1.1", dst="10.2.2.2", proto=17, ihl=ihl)
            self.refuse(Drop.BAD_INNER, UNPROTECTED, self.carrying(packet))


class Tun06OutsideTheSelectors(DecapTest):
    """TUN-06: N9; inner destination outside."""

    def runTest(self) -> None:
        self.refuse_vector(Drop.BAD_SELECTOR, vec.N9)
        astray = frames.inner(dst="10.2.9.9")
        self.refuse(Drop.BAD_SELECTOR, UNPROTECTED, self.carrying(astray))


class Tun08InnerTimeToLive(DecapTest):
    """TUN-08: N7 when it would be forwarded; 2 is forwarded as 1; 0 is dropped too."""

    def runTest(self) -> None:
        self.refuse_vector(Drop.TTL, vec.N7, punt=Punt.TTL)
        dead = self.carrying(frames.inner(ttl=0))
        verdict = self.refuse(Drop.TTL, UNPROTECTED, dead, punt=Punt.TTL)
        self.assertEqual(verdict.packet_ins[0].payload[14:], frames.inner(ttl=0))
        self.accept(self.tunnel, self.last + 1, frames.inner(ttl=2))


class Tun08InnerPacketForUs(GatewayTest):
    """TUN-08: with TTL 1, to the box itself: delivered to the controller, not counted a drop."""

    def runTest(self) -> None:
        tunnel = self.inbound()
        packet = frames.inner(dst=GATEWAY_INSIDE, ttl=1)
        verdict = self.gw.send(UNPROTECTED, tunnel.frame(1, packet))
        self.assertEqual(verdict.drops.total(), 0)
        (received,) = verdict.packet_ins
        self.assertEqual((received.op, received.index), (Punt.LOCAL, tunnel.sa.sa))
        self.assertEqual(received.payload[14:], packet)


class Tun09OuterTimeToLiveArrives(DecapTest):
    """TUN-09: an outer TTL of 1 does not matter at the tunnel's end."""

    def runTest(self) -> None:
        self.accept_esp(self.carrying(frames.inner(), ttl=1), frames.inner())


class Tun11InnerCodePointStays(DecapTest):
    """TUN-11: an outer DSCP of 10 leaves the inner 46 alone."""

    def runTest(self) -> None:
        packet = frames.inner(tos=46 << 2)
        self.accept_esp(self.carrying(packet, tos=10 << 2), packet)


class Tun12CongestionMatrix(DecapTest):
    """TUN-12: all 16 combinations; the checksum fits and the DSCP stays."""

    def runTest(self) -> None:
        for (inner, outer), result in ECN_MATRIX.items():
            with self.subTest(inner=inner, outer=outer):
                packet = frames.inner(tos=46 << 2 | inner)
                frame = self.carrying(packet, tos=outer)
                if result is None:
                    self.refuse(Drop.ECN_DROP, UNPROTECTED, frame)
                    continue
                out = self.forward(UNPROTECTED, frame)
                expected = frames.rewritten(packet, ecn=result)
                self.assertEqual(out.data, frames.delivered(PROTECTED, expected))


class Tun14OptionsInside(DecapTest):
    """TUN-14 inbound: IHL 6 to 15 inside."""

    def runTest(self) -> None:
        for words in range(1, 11):
            packet = frames.inner(size=100, options=bytes([1] * (4 * words - 1)) + b"\0")
            with self.subTest(ihl=5 + words):
                self.accept_esp(self.carrying(packet), packet)


class Tun16OptionsOutside(DecapTest):
    """TUN-16: ESP is found behind outer options of every length, in UDP as well."""

    def runTest(self) -> None:
        for words in range(1, 11):
            options = bytes([1] * (4 * words - 1)) + b"\0"
            for udp in (None, NAT_T):
                with self.subTest(ihl=5 + words, udp=udp):
                    frame = self.carrying(frames.inner(), options=options, udp=udp)
                    self.accept_esp(frame, frames.inner())


class Tun16OptionsInsideAndOutside(DecapTest):
    """Both headers at their longest."""

    def runTest(self) -> None:
        options = bytes([1] * 39) + b"\0"
        packet = frames.inner(size=120, options=options)
        self.accept_esp(self.carrying(packet, options=options, udp=NAT_T), packet)


class VlanOnBothSides(GatewayTest):
    """802.1Q on the way in and on the way out."""

    def runTest(self) -> None:
        tunnel = self.inbound(selectors=Traffic(src=REMOTE, dst=SITE_VLAN))
        packet = frames.inner(dst=HOST_VLAN)
        for seq, port in enumerate((UNPROTECTED, UNPROTECTED_VLAN), start=1):
            out = self.forward(port, tunnel.frame(seq, packet, port=port))
            expected = frames.delivered(PROTECTED_VLAN, frames.rewritten(packet))
            self.assertEqual((out.port, out.data), (PROTECTED_VLAN, expected))


class VlanTagIsTakenOff(GatewayTest):
    """From a tagged unprotected port to an untagged protected one."""

    def runTest(self) -> None:
        tunnel = self.inbound()
        frame = tunnel.frame(1, frames.inner(), port=UNPROTECTED_VLAN)
        self.accept_esp(frame, frames.inner(), port=UNPROTECTED_VLAN)


class Frg01OuterFragments(DecapTest):
    """FRG-01, FRG-02: no outer fragment is looked into, whatever its first octets are."""

    def runTest(self) -> None:
        for fields in ({"flags": "MF"}, {"frag": 5, "flags": 0}, {"frag": 185, "flags": "MF"}):
            self.refuse(Drop.OUTER_FRAGMENT, UNPROTECTED, self.carrying(frames.inner(), **fields))
        whole = frames.outer(vec.D1, udp=NAT_T)[20:]
        piece = frames.outer(whole, proto=17, frag=1, flags=0)
        self.refuse(Drop.OUTER_FRAGMENT, UNPROTECTED, frames.ethernet(UNPROTECTED, piece))
        self.assertEqual(self.tunnel.top(), 0)


class Frg05InnerFragmentsAnyPort(DecapTest):
    """FRG-05: an SA for all ports carries fragments inward."""

    def runTest(self) -> None:
        for fields in ({"flags": "MF"}, {"frag": 185}, {"flags": "MF", "frag": 185}):
            packet = frames.inner(size=100, **fields)
            self.accept_esp(self.carrying(packet), packet)


class Frg06InnerFragmentPortSelector(GatewayTest):
    """FRG-06: an SA for one port refuses a later fragment, and carries the first."""

    def runTest(self) -> None:
        ports = Traffic(src=TUNNELLED.src, dst=TUNNELLED.dst, protocol=17, dport=(5001, 5001))
        tunnel = self.inbound(selectors=ports)
        self.accept(tunnel, 1, frames.inner(size=100, flags="MF"))
        later = tunnel.frame(2, frames.inner(size=100, frag=185))
        self.refuse(Drop.BAD_SELECTOR, UNPROTECTED, later)


class Frg06RangeThatHoldsZero(GatewayTest):
    """A later fragment has no port zero: a range from zero on does not let it in."""

    def runTest(self) -> None:
        low = (0, 9000)
        for traffic in (replace(TUNNELLED, sport=low), replace(TUNNELLED, dport=low)):
            tunnel = self.inbound(selectors=traffic)
            self.accept(tunnel, 1, frames.inner(size=100, flags="MF"))
            later = tunnel.frame(2, frames.inner(size=100, frag=185))
            self.refuse(Drop.BAD_SELECTOR, UNPROTECTED, later)
