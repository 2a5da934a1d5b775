"""What comes out of a tunnel in every pair of families (cases TUN, FRM-09, FRM-11, FRG-05)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness import esp, frames, tables
from harness.ecn import ECN_MATRIX
from harness.engine import Descriptor, frame_with
from harness.families import FAMILIES, INNER6, FamilyTest, incoming, outgoing
from harness.ids import CRYPTO_PORT, Drop, Punt
from harness.tables import Traffic
from harness.topology import (
    GATEWAY6_INSIDE,
    GATEWAY_INSIDE,
    PROTECTED,
    UNPROTECTED,
    UNPROTECTED_VLAN,
)
from harness.tunnels import NAT_T, InboundTunnel

HOP_BY_HOP, ROUTING, DESTINATION = 0, 43, 60
LENGTH_AT = 4  # of the payload length in an IPv6 header


def with_plen(packet: bytes, length: int) -> bytes:
    """An IPv6 packet whose payload length lies."""
    return packet[:LENGTH_AT] + length.to_bytes(2) + packet[LENGTH_AT + 2 :]


class Tun02VersionDoesNotFit(FamilyTest):
    """TUN-02: next header 41 around IPv4, 4 around IPv6, 41 around version 5 and 7."""

    def runTest(self) -> None:
        for outer, inner in FAMILIES:
            tunnel = self.inbound(outer=outer, inner=inner)
            four, six = incoming(4), incoming(6)
            odd = [bytes([nibble << 4]) + six[1:] for nibble in (0, 5, 7, 15)]
            for packet, number in ((four, 41), (six, 4), *((packet, 41) for packet in odd)):
                frame = self.carrying(tunnel, packet, number)
                self.refuse(Drop.BAD_INNER, UNPROTECTED, frame)
            self.assertEqual(tunnel.top(), self.last)


class Tun03NextHeaderDoesNotFit(FamilyTest):
    """TUN-03: extension headers and protocols of transport mode are no tunnel packet."""

    def runTest(self) -> None:
        for outer, inner in FAMILIES:
            tunnel = self.inbound(outer=outer, inner=inner)
            for number in (0, 43, 44, 60, 94, 255, 6, 17, 50, 58):
                frame = self.carrying(tunnel, incoming(inner), number)
                self.refuse(Drop.BAD_NH, UNPROTECTED, frame)


class Tun04InnerLengthLies(FamilyTest):
    """TUN-04: a payload length larger than what is there; less than an IPv6 header."""

    def runTest(self) -> None:
        packet = incoming(6)
        for outer, inner in INNER6:
            tunnel = self.inbound(outer=outer, inner=inner)
            for length in (61, 62, 100, 0xFFD7, 0xFFFF):
                frame = self.carrying(tunnel, with_plen(packet, length))
                self.refuse(Drop.BAD_INNER, UNPROTECTED, frame)
            for size in (1, 7, 8, 20, 39):
                frame = self.carrying(tunnel, packet[:size])
                self.refuse(Drop.BAD_INNER, UNPROTECTED, frame)


class Tun04ChainEndsBehindThePacket(FamilyTest):
    """TUN-04: an extension header that is longer than the packet, or longer than all there is."""

    def runTest(self) -> None:
        for outer, inner in INNER6:
            tunnel = self.inbound(outer=outer, inner=inner)
            for number in (HOP_BY_HOP, ROUTING, DESTINATION):
                for units in (1, 2, 30, 31, 32, 255):
                    body = bytes([17, units]) + bytes(14)
                    frame = self.carrying(tunnel, self.packet(number, body))
                    reason = Drop.NONE if units == 1 else Drop.BAD_INNER
                    self.found(reason, frame)

    def packet(self, number: int, body: bytes) -> bytes:
        """Eight octets that would be UDP are behind sixteen that are extension header."""
        fields: dict[str, Any] = {"src": "2001:db8:1::1", "dst": "2001:db8:2::2", "hlim": 9}
        return frames.ipv6(body + bytes(8), number, **fields)

    def found(self, reason: Drop, frame: bytes) -> None:
        """Forwarded, or dropped for this reason."""
        if reason == Drop.NONE:
            self.forward(UNPROTECTED, frame)
        else:
            self.refuse(reason, UNPROTECTED, frame)


class Tun04TheSwitchLooksForItself(FamilyTest):
    """An answer whose inner packet is not what the engine says: next header, length, version."""

    honest_engine = False

    def runTest(self) -> None:
        cases: tuple[tuple[int, Callable[[bytes], bytes]], ...] = (
            (4, lambda reply: frame_with(reply, next_header=41)),
            (6, lambda reply: frame_with(reply, next_header=4)),
            (6, lambda reply: inner_changed(reply, LENGTH_AT + 1, 1)),
            (6, lambda reply: inner_changed(reply, 0, 0x10)),
        )
        for outer in (4, 6):
            for inner, damage in cases:
                tunnel = self.inbound(outer=outer, inner=inner)
                with self.gw.held_requests() as held:
                    self.gw.send(UNPROTECTED, tunnel.frame(1, incoming(inner)))
                (reply,) = self.gw.engine.answer(held[0])
                verdict = self.gw.send(CRYPTO_PORT, damage(reply))
                self.assert_refused(verdict, Drop.BAD_INNER)


def inner_changed(reply: bytes, offset: int, bits: int) -> bytes:
    """An answer with an octet of the inner packet changed."""
    place = 46 + Descriptor.of(reply).ct_off + offset
    return reply[:place] + bytes([reply[place] ^ bits]) + reply[place + 1 :]


class Frm09TfcPaddingIsCut(FamilyTest):
    """FRM-09: octets behind the inner IPv6 packet are TFC padding: cut off by its own length."""

    def runTest(self) -> None:
        for outer, inner in FAMILIES:
            tunnel = self.inbound(outer=outer, inner=inner)
            packet = incoming(inner)
            for count in (1, 2, 3, 31, 900):
                plaintext = esp.with_trailer(packet + b"\xee" * count, 4 if inner == 4 else 41)
                self.accept_esp(self.sealed(tunnel, plaintext), packet)


class Frm11Dummies(FamilyTest):
    """FRM-11: next header 59 over either family: dropped as what it is, a copy as a replay."""

    def runTest(self) -> None:
        for outer in (4, 6):
            tunnel = self.inbound(outer=outer, inner=6)
            frame = self.carrying(tunnel, bytes(18), 59)
            self.refuse(Drop.DUMMY, UNPROTECTED, frame)
            self.assertEqual(tunnel.top(), self.last)
            self.refuse(Drop.REPLAY_DUP, UNPROTECTED, frame)


class Tun08InnerHopLimit(FamilyTest):
    """TUN-08: 2 is forwarded as 1; 1 and 0 go to the controller as they are."""

    def runTest(self) -> None:
        for outer, inner in INNER6:
            tunnel = self.inbound(outer=outer, inner=inner)
            alive = incoming(6, hlim=2)
            self.accept_esp(self.carrying(tunnel, alive), alive)
            for hops in (1, 0):
                packet = incoming(6, hlim=hops)
                frame = self.carrying(tunnel, packet)
                verdict = self.refuse(Drop.TTL, UNPROTECTED, frame, punt=Punt.TTL)
                self.assertEqual(verdict.packet_ins[0].payload[12:], b"\x86\xdd" + packet)


class Tun08InnerPacketForUs(FamilyTest):
    """TUN-08: with one hop, to the box itself: delivered to the controller with its SA."""

    def runTest(self) -> None:
        for outer, inner in FAMILIES:
            tunnel = self.inbound(outer=outer, inner=inner)
            if inner == 4:
                packet = incoming(4, dst=GATEWAY_INSIDE, ttl=1)
            else:
                packet = incoming(6, dst=GATEWAY6_INSIDE, hlim=1)
            verdict = self.gw.send(UNPROTECTED, tunnel.frame(1, packet))
            self.assertEqual(verdict.drops.total(), 0)
            (received,) = verdict.packet_ins
            self.assertEqual((received.op, received.index), (Punt.LOCAL, tunnel.sa.sa))
            self.assertEqual(received.payload[14:], packet)


class Tun09OuterHopLimitArrives(FamilyTest):
    """TUN-09: an outer hop limit of 1 or 0 does not matter at the tunnel's end."""

    def runTest(self) -> None:
        for inner in (4, 6):
            tunnel = self.inbound(outer=6, inner=inner)
            for hops in (1, 0):
                frame = self.carrying(tunnel, incoming(inner), hlim=hops)
                self.accept_esp(frame, incoming(inner))


class Tun11InnerCodePointStays(FamilyTest):
    """TUN-11: an outer DSCP of 10 leaves the inner 46 alone, across families."""

    def runTest(self) -> None:
        for outer, inner in FAMILIES:
            tunnel = self.inbound(outer=outer, inner=inner)
            packet = incoming(inner, **{"tos" if inner == 4 else "tc": 46 << 2})
            frame = self.carrying(tunnel, packet, **{"tos" if outer == 4 else "tc": 10 << 2})
            self.accept_esp(frame, packet)


class Tun12CongestionMatrix(FamilyTest):
    """TUN-12: all 16 combinations in all four pairs of families; everything else stays."""

    def runTest(self) -> None:
        for families in FAMILIES:
            tunnel = self.inbound(outer=families[0], inner=families[1])
            for marks, result in ECN_MATRIX.items():
                with self.subTest(families=families, inner_outer=marks):
                    self.check(tunnel, families, marks, result)

    def check(
        self,
        tunnel: InboundTunnel,
        families: tuple[int, int],
        marks: tuple[int, int],
        result: int | None,
    ) -> None:
        names = {4: "tos", 6: "tc"}
        packet = incoming(families[1], **{names[families[1]]: 46 << 2 | marks[0]})
        frame = self.carrying(tunnel, packet, **{names[families[0]]: marks[1]})
        if result is None:
            self.refuse(Drop.ECN_DROP, UNPROTECTED, frame)
            return
        expected = frames.rewritten(packet, ecn=result)
        out = self.forward(UNPROTECTED, frame)
        self.assertEqual(out.data, frames.delivered(PROTECTED, expected))


class Tun18FlowLabelStays(FamilyTest):
    """TUN-18: the outer label is of no use to the inner packet, whose own stays."""

    def runTest(self) -> None:
        tunnel = self.inbound(outer=6, inner=6)
        for label in (0, 1, 0x80001, 0xFFFFF):
            packet = incoming(6, fl=label)
            self.accept_esp(self.carrying(tunnel, packet, fl=0x12345), packet)


class VlanOnTheWayIn(FamilyTest):
    """A tagged tunnel packet leaves untagged, in UDP as well, with the right ethertype."""

    def runTest(self) -> None:
        for outer, inner in FAMILIES:
            tunnel = self.inbound(outer=outer, inner=inner)
            for seq, udp in enumerate((None, NAT_T), start=1):
                frame = tunnel.frame(seq, incoming(inner), port=UNPROTECTED_VLAN, udp=udp)
                self.accept_esp(frame, incoming(inner), port=UNPROTECTED_VLAN)


class HairpinIsRefused(FamilyTest):
    """A packet that comes out of a tunnel never leaves by an unprotected port."""

    def runTest(self) -> None:
        for outer, inner in FAMILIES:
            tunnel = self.inbound(outer=outer, inner=inner, multi=True)
            everything = Traffic(src="::/0" if inner == 6 else "0.0.0.0/0")
            self.gw.insert(tables.in_policy(tunnel.sa.sa, everything))
            self.bypass(everything)
            frame = self.carrying(tunnel, outgoing(inner))
            self.refuse(Drop.HAIRPIN, UNPROTECTED, frame)
            self.gw.reset(self.session.base)
