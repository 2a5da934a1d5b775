"""The outer header over IPv6, and around IPv6 (RFC 4301 5.1.2; cases TUN, UDP-09)."""

from __future__ import annotations

import struct

from scapy.layers.inet import UDP
from scapy.layers.inet6 import IPv6

from harness import esp, frames
from harness.engine import Descriptor
from harness.esp import own_key
from harness.families import (
    FAMILIES,
    INNER6,
    IP_LEN,
    NEXT_HEADER,
    FamilyTest,
    outgoing,
    sealed_len,
)
from harness.frames import Extension
from harness.ids import Df, Drop, Mode, Punt
from harness.topology import GATEWAY, GATEWAY6, PEER, PEER6, PROTECTED
from harness.tunnels import NAT_T

HOP_BY_HOP, ROUTING, DESTINATION = 0, 43, 60
FIRST_KEY = 2001


def with_traffic_class(version: int, octet: int, size: int = 100) -> bytes:
    """An outgoing packet with this DSCP and ECN."""
    name = "tos" if version == 4 else "tc"
    return outgoing(version, size, **{name: octet})


def traffic_class(packet: bytes) -> int:
    """DSCP and ECN of a packet."""
    return packet[1] if packet[0] >> 4 == 4 else int.from_bytes(packet[:2]) >> 4 & 0xFF


class OuterHeaderWhole(FamilyTest):
    """TUN-01, TUN-09: every field, plain and in UDP, of all four combinations."""

    def runTest(self) -> None:
        for outer, inner in FAMILIES:
            for udp in (None, NAT_T, (4500, 40000)):
                with self.subTest(outer=outer, inner=inner, udp=udp):
                    self.check(outer, inner, udp)
                self.gw.reset(self.session.base)

    def check(self, outer: int, inner: int, udp: tuple[int, int] | None) -> None:
        tunnel = self.protected_outbound(outer=outer, inner=inner, udp=udp, df=Df.SET)
        packet = with_traffic_class(inner, 0xB9, 101)
        wire = self.seal(tunnel, packet)
        sealed = wire[IP_LEN[outer] + (8 if udp else 0) :]
        self.assertEqual(len(sealed), sealed_len(101))
        if outer == 4:
            expected = frames.outer(sealed, udp=udp, src=GATEWAY, dst=PEER, tos=0xB9, id=0)
        else:
            expected = frames.outer6(sealed, udp=udp, src=GATEWAY6, dst=PEER6, tc=0xB9)
            expected = with_checksum(expected) if udp else expected
        self.assertEqual(wire, expected)
        self.assertEqual(tunnel.open(wire), frames.rewritten(packet))


def with_checksum(packet: bytes) -> bytes:
    """What scapy says the checksum of UDP over IPv6 is."""
    made = IPv6(packet)
    del made[UDP].chksum
    return bytes(made)


class Tun07InnerHopLimit(FamilyTest):
    """TUN-07: 2 is sent as 1; 1 and 0 go to the controller, and no number is consumed."""

    def runTest(self) -> None:
        for outer, inner in INNER6:
            tunnel = self.protected_outbound(outer=outer, inner=inner)
            self.send_and_open(tunnel, outgoing(6, hlim=2))
            for hops in (1, 0):
                frame = frames.ethernet(PROTECTED, outgoing(6, hlim=hops))
                verdict = self.refuse(Drop.TTL, PROTECTED, frame, punt=Punt.TTL)
                (packet,) = verdict.packet_ins
                self.assertEqual((packet.op, packet.status), (Punt.TTL, Drop.TTL))
                self.assertEqual((packet.port, packet.payload), (PROTECTED, frame))
            self.assertEqual(tunnel.last(), 1)
            self.gw.reset(self.session.base)


class Tun09OuterHopLimit(FamilyTest):
    """TUN-09: a constant of the SA, whatever the inner packet has."""

    def runTest(self) -> None:
        for inner in (4, 6):
            tunnel = self.protected_outbound(outer=6, inner=inner, ttl=33)
            name = "ttl" if inner == 4 else "hlim"
            for hops in (2, 64, 255):
                outer = self.send_and_open(tunnel, outgoing(inner, **{name: hops}))
                self.assertEqual(outer.hlim, 33)
            self.gw.reset(self.session.base)


class Tun10DontFragmentAroundIpv6(FamilyTest):
    """TUN-10: IPv6 in IPv4 counts as DF, and the SA may still set or clear; the ID fits."""

    def runTest(self) -> None:
        for mode, wanted in ((Df.COPY, "DF"), (Df.SET, "DF"), (Df.CLEAR, "")):
            tunnel = self.protected_outbound(inner=6, df=mode)
            for number in (1, 2):
                outer = self.send_and_open(tunnel, outgoing(6))
                self.assertEqual((str(outer.flags), outer.frag), (wanted, 0))
                self.assertEqual(outer.id, 0 if wanted else number)
            self.gw.reset(self.session.base)


class Tun10DontFragmentIsNotIpv6s(FamilyTest):
    """TUN-10: over IPv6 there is no such bit: the header is the same in every mode."""

    def runTest(self) -> None:
        for mode in Df:
            tunnel = self.protected_outbound(outer=6, df=mode)
            for flags in ("", "DF"):
                wire = self.seal(tunnel, outgoing(4, flags=flags))
                expected = frames.outer6(wire[40:], src=GATEWAY6, dst=PEER6)
                self.assertEqual(wire, expected)
            self.gw.reset(self.session.base)


class Tun11CodePoint(FamilyTest):
    """TUN-11: inner DSCP 46 is copied into another family, or mapped to the SA's value."""

    def runTest(self) -> None:
        for outer, inner in FAMILIES:
            for fixed in (None, 0, 10):
                tunnel = self.protected_outbound(outer=outer, inner=inner, dscp=fixed)
                packet = with_traffic_class(inner, 46 << 2)
                found = traffic_class(bytes(self.send_and_open(tunnel, packet)))
                self.assertEqual(found, (46 if fixed is None else fixed) << 2)
                self.gw.reset(self.session.base)


class Tun13CongestionBits(FamilyTest):
    """TUN-13: ECN is copied (RFC 6040 4.1, normal mode), also beside a fixed DSCP."""

    def runTest(self) -> None:
        for outer, inner in FAMILIES:
            for fixed in (None, 10):
                tunnel = self.protected_outbound(outer=outer, inner=inner, dscp=fixed)
                for ecn in range(4):
                    packet = with_traffic_class(inner, 46 << 2 | ecn)
                    found = traffic_class(bytes(self.send_and_open(tunnel, packet)))
                    self.assertEqual(found, (46 if fixed is None else fixed) << 2 | ecn)
                self.gw.reset(self.session.base)


class Tun14OptionsUnderIpv6(FamilyTest):
    """TUN-14: IPv4 options travel inside; outside there is a bare IPv6 header."""

    def runTest(self) -> None:
        tunnel = self.protected_outbound(outer=6)
        for words in range(1, 11):
            options = bytes([1] * (4 * words - 1)) + b"\0"
            outer = self.send_and_open(tunnel, outgoing(4, options=options))
            self.assertEqual(outer.nh, frames.ESP)


class Tun15ExtensionHeadersOutbound(FamilyTest):
    """TUN-15: whatever chain the inner packet has travels inside, none is copied outside."""

    def runTest(self) -> None:
        for outer, inner in INNER6:
            tunnel = self.protected_outbound(outer=outer, inner=inner)
            for chain in frames_with_chains():
                packet = outgoing(6, 400, chain=chain)
                with self.subTest(outer=outer, chain=[item.number for item in chain]):
                    found = self.send_and_open(tunnel, packet)
                    number = found.nh if outer == 6 else found.proto
                    self.assertEqual(number, frames.ESP)
            self.gw.reset(self.session.base)


def frames_with_chains() -> list[tuple[Extension, ...]]:
    """The chains that RFC 8200 4.1 knows, one extension header after the other."""
    hop, routing = frames.options6(HOP_BY_HOP, 1), frames.routing6()
    early, late = frames.options6(DESTINATION), frames.options6(DESTINATION, 2)
    fragment = frames.fragment6(0, more=True)
    return [
        (hop,),
        (late,),
        (routing,),
        (fragment,),
        (hop, late),
        (early, routing),
        (hop, early, routing, fragment, late),
    ]


class Tun18FlowLabel(FamilyTest):
    """TUN-18: the label is a constant of the SA, whatever label the inner packet has."""

    def runTest(self) -> None:
        for inner in (4, 6):
            for label in (0, 1, 0x80001, 0xFFFFF):
                tunnel = self.protected_outbound(outer=6, inner=inner, flow_label=label)
                fields = {"fl": 0x54321} if inner == 6 else {}
                outer = self.send_and_open(tunnel, outgoing(inner, **fields))
                self.assertEqual((outer.fl, outer.tc, outer.version), (label, 0, 6))
                self.gw.reset(self.session.base)


class Udp09ChecksumOverIpv6(FamilyTest):
    """UDP-09: over IPv6 there is a checksum and scapy finds it right, for odd lengths as well."""

    def runTest(self) -> None:
        for inner in (4, 6):
            tunnel = self.protected_outbound(outer=6, inner=inner, udp=NAT_T)
            for size in range(60, 68):
                wire = self.seal(tunnel, outgoing(inner, size))
                self.assertEqual(with_checksum(wire), wire)
                self.assertNotEqual(wire[46:48], b"\0\0")
            self.gw.reset(self.session.base)


class Udp09ChecksumZeroIsSentAsOnes(FamilyTest):
    """UDP-09: a sum that comes out as zero is sent as FFFF (RFC 8200 8.1)."""

    def runTest(self) -> None:
        packet, spi = outgoing(6), 0x3000_0001
        key = own_key(FIRST_KEY)
        plaintext = esp.with_trailer(frames.rewritten(packet), NEXT_HEADER[6])
        sealed = esp.protect(key, spi, 1, plaintext)
        sport = self.port_for_zero(sealed)
        tunnel = self.protected_outbound(outer=6, inner=6, udp=(sport, 4500), spi=spi, key=key)
        wire = self.seal(tunnel, packet)
        head = struct.pack("!HHHH", sport, 4500, 8 + len(sealed), 0xFFFF)
        self.assertEqual(wire[40:], head + sealed)

    def port_for_zero(self, sealed: bytes) -> int:
        """The source port with which the checksum is zero: what it is for port 0 adds up."""
        made = with_checksum(frames.outer6(sealed, udp=(0, 4500), src=GATEWAY6, dst=PEER6))
        return int.from_bytes(made[46:48])


class Udp09TheEngineIsToldWhere(FamilyTest):
    """The request names the place of the UDP header over IPv6, and nothing anywhere else."""

    def runTest(self) -> None:
        for outer, inner in FAMILIES:
            for udp in (None, NAT_T):
                self.protected_outbound(outer=outer, inner=inner, udp=udp)
                verdict = self.gw.send(PROTECTED, frames.ethernet(PROTECTED, outgoing(inner)))
                (request,) = verdict.requests
                descriptor = Descriptor.of(request)
                place = 40 if outer == 6 and udp else 0
                head = IP_LEN[outer] + (8 if udp else 0)
                told = (descriptor.pad_len, descriptor.aad_off, descriptor.ct_off)
                self.assertEqual(told, (place, head, head + 16))
                self.assertEqual(descriptor.next_header, NEXT_HEADER[inner])
                self.assertEqual(descriptor.flags >> 4 & 3, Mode.TUNNEL)
                self.gw.reset(self.session.base)
