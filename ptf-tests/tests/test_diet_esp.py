"""Diet-ESP (draft-ietf-ipsecme-diet-esp-07): what is sent is what the bits of the draft say, and
the packet that comes out is the one that went in (digest i.11)."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

from harness import diet, frames, tables
from harness import vectors_formats as vec
from harness.diet import TEMPLATES
from harness.diet_test import HOPS, LENGTHS, DietTest, packet_of
from harness.esp import ImplicitIvKey
from harness.frames import options6
from harness.gateway import PacketOut
from harness.ids import Drop, Op, Punt
from harness.topology import (
    HOST,
    HOST6,
    PROTECTED,
    PROTECTED_VLAN,
    REMOTE_HOST,
    REMOTE_HOST6,
    UNPROTECTED,
    UNPROTECTED_VLAN,
)
from harness.tunnels import OutboundTunnel

VI = bytes.fromhex("010116751cf22dc63414c22a015f5b48068cda0632754b79e327cddbf341")
ENDS: dict[str, Any] = {"src": vec.SOURCE, "dst": vec.DESTINATION, "spi": vec.SPI}
KEY = ImplicitIvKey(vec.SECRET, vec.SALT)


class SendsVI(DietTest):
    """i.11 1: the gateway sends VI: 30 octets for the packet of V0."""

    def runTest(self) -> None:
        speaking = self.sending("udp-v4", key=KEY, **ENDS)
        packet = frames.rewritten(vec.INNER, ttl_less=-1)
        (octets,) = self.emit(speaking, packet)
        self.assertEqual(octets.hex(), VI.hex())


class TakesVI(DietTest):
    """i.11 1 and 7: VI is accepted, and its UDP checksum is a real one behind us."""

    def runTest(self) -> None:
        self.gw.insert(
            tables.route_on_link(vec.DESTINATIONS),
            tables.neighbour(vec.DESTINATION, PROTECTED, "02:00:00:00:02:00"),
        )
        speaking = self.receiving("udp-v4", key=KEY, **ENDS)
        out = self.forward(UNPROTECTED, speaking.around(VI))
        self.assertEqual(out, speaking.arrived(vec.INNER, seq=vec.SEQ))
        self.assertNotEqual(out.data[14 + 26 : 14 + 28], b"\0\0")
        self.assertEqual(self.top(speaking), vec.SEQ)


class EveryLength(DietTest):
    """Issue 6: payloads of 0 to 70 octets and up to 1500, for every template, both ways."""

    def runTest(self) -> None:
        for name in TEMPLATES:
            entries = self.gw.installed()
            with self.subTest(template=name, way="in"):
                speaking = self.receiving(name)
                self.deliver(speaking, *(packet_of(speaking.context, n) for n in LENGTHS))
            with self.subTest(template=name, way="out"):
                speaking = self.sending(name)
                self.emit(speaking, *(packet_of(speaking.context, n) for n in LENGTHS))
            self.gw.reset(entries)


class OverIpv6(DietTest):
    """i.8: the outer header is of either family, whatever is inside."""

    def runTest(self) -> None:
        for name in TEMPLATES:
            entries = self.gw.installed()
            with self.subTest(template=name):
                speaking = self.receiving(name, outer=6)
                self.deliver(speaking, *(packet_of(speaking.context, n) for n in (0, 1, 8, 99)))
                speaking = self.sending(name, outer=6)
                self.emit(speaking, *(packet_of(speaking.context, n) for n in (0, 1, 8, 99)))
            self.gw.reset(entries)


class BehindExtensionHeaders(DietTest):
    """RFC 8200 4.1: a peer's packet may have options in front of ESP, in both families."""

    def runTest(self) -> None:
        for outer, more in ((6, {"chain": (options6(60),)}), (4, {"options": b"\1" * 8})):
            with self.subTest(outer=outer):
                speaking = self.receiving("udp-v4", outer=outer)
                self.deliver(speaking, packet_of(speaking.context, 20), **more)


class EveryWidth(DietTest):
    """i.3: 8, 16, 24 or 32 bits of SPI and of number, in any combination."""

    def runTest(self) -> None:
        for spi_octets, sn_octets in itertools.product(range(1, 5), repeat=2):
            entries = self.gw.installed()
            widths = {"spi_octets": spi_octets, "sn_octets": sn_octets}
            with self.subTest(**widths):
                speaking = self.receiving("tcp-v4", **widths)
                packets = [packet_of(speaking.context, n) for n in (0, 1, 100)]
                self.deliver(speaking, *packets, first=1)
                self.deliver(speaking, *packets, first=70)
                speaking = self.sending("tcp-v4", **widths)
                assert isinstance(speaking.tunnel, OutboundTunnel)
                speaking.tunnel.advance(0x01020304)
                packets = [packet_of(speaking.context, n) for n in (0, 1, 100)]
                self.emit(speaking, *packets, first=0x01020305)
            self.gw.reset(entries)


class LossThatTheWidthBears(DietTest):
    """i.11 3: with 8 bits of the number and a window of 64, 120 lost packets are no matter."""

    def runTest(self) -> None:
        speaking = self.receiving("udp-v4", window=64)
        packet = packet_of(speaking.context, 30)
        for seq in (1, 122, 243, 244, 436, 628):
            self.deliver(speaking, packet, first=seq)
            self.assertEqual(self.top(speaking), seq)


class LossThatTheWidthDoesNotBear(DietTest):
    """i.11 3: after 250 lost packets the number is guessed wrong: BAD_ICV, counted for the SA;
    nothing moves."""

    def runTest(self) -> None:
        speaking = self.receiving("udp-v4", window=64)
        packet = packet_of(speaking.context, 30)
        self.deliver(speaking, packet, first=100)
        late = [speaking.frame(seq, packet) for seq in (100 - 64 + 257, 351, 352, 400)]
        self.refused(Drop.BAD_ICV, speaking, *late)
        self.deliver(speaking, packet, first=100 - 64 + 256)


class ChecksumOfAllOnes(DietTest):
    """RFC 768: a UDP checksum that comes to 0 is sent as FFFF."""

    def runTest(self) -> None:
        for name in ("udp-v4", "udp-v6"):
            with self.subTest(template=name):
                speaking = self.receiving(name)
                start = packet_of(speaking.context, 2)
                at = len(start) - 4
                whole = diet.arrived(speaking.context.template, start, hops=HOPS, seq=1)
                sums = int.from_bytes(whole[at : at + 2]) + int.from_bytes(start[-2:])
                word = (sums - 1) % 0xFFFF + 1
                packet = start[:-2] + word.to_bytes(2)
                expected = speaking.arrived(packet, seq=1)
                self.assertEqual(expected.data[14 + at : 14 + at + 2], b"\xff\xff")
                self.deliver(speaking, packet)


class Remarked(DietTest):
    """i.11 8: DSCP and ECN travel in the residue, so that the outer header does not change them;
    but for congestion (RFC 6040 4.2). Hops are those of the outer header."""

    def runTest(self) -> None:
        for name in TEMPLATES:
            entries = self.gw.installed()
            with self.subTest(template=name):
                speaking = self.receiving(name)
                packet = packet_of(speaking.context, 40)
                frame = speaking.frame(1, packet, tos=0x28 | 1, ttl=17)
                out = self.forward(UNPROTECTED, frame)
                self.assertEqual(out, speaking.arrived(packet, seq=1, hops=16))
                congested = speaking.frame(2, packet, tos=3)
                template = speaking.context.template
                head = bytearray(packet[:2])
                head[1] |= 3 if template.version == 4 else 0x30
                marked = bytes(head) + packet[2:]
                out = self.forward(UNPROTECTED, congested)
                self.assertEqual(out, speaking.arrived(marked, seq=2))
                self.refuse(Drop.TTL, UNPROTECTED, speaking.frame(3, packet, ttl=1), punt=Punt.TTL)
            self.gw.reset(entries)


class KeptTrailer(DietTest):
    """i.11 9 and 10: with an alignment of 32 bits, padding, pad length and next header travel."""

    def runTest(self) -> None:
        for name in TEMPLATES:
            entries = self.gw.installed()
            with self.subTest(template=name):
                speaking = self.receiving(name, trailer=True)
                sizes = (*range(9), 100, 1400)
                self.deliver(speaking, *(packet_of(speaking.context, n) for n in sizes))
                speaking = self.sending(name, trailer=True)
                self.emit(speaking, *(packet_of(speaking.context, n) for n in sizes))
            self.gw.reset(entries)


class TrailerOfOctets(DietTest):
    """i.11 10: a trailer that is kept with an alignment of 8 bits has no padding."""

    def runTest(self) -> None:
        speaking = self.receiving("udp-v4", trailer=True, align=1)
        packet = packet_of(speaking.context, 5)
        text = speaking.context.compress(packet) + b"\0\4"
        out = self.forward(UNPROTECTED, speaking.text_frame(1, text))
        self.assertEqual(out, speaking.arrived(packet, seq=1))


class Fragments(DietTest):
    """i.11 11: without layer 4, fragments keep identification, flags and offset; in IPv6 their
    header is payload. A flow has none: BAD_TEMPLATE."""

    def runTest(self) -> None:
        entries = self.gw.installed()
        for name in ("host-v4", "site-v4"):
            with self.subTest(template=name):
                for flags, offset in ((1, 0), (1, 100), (0, 185), (4, 0), (0, 0)):
                    fields = {"flags": flags, "frag": offset, "id": 0xABCD}
                    receiving, sending = self.receiving(name), self.sending(name)
                    self.deliver(receiving, packet_of(receiving.context, 64, **fields))
                    self.emit(sending, packet_of(sending.context, 64, **fields))
                    self.gw.reset(entries)
        chain = (frames.fragment6(3),)
        for name in ("host-v6", "site-v6"):
            with self.subTest(template=name):
                receiving, sending = self.receiving(name), self.sending(name)
                for speaking, check in ((receiving, self.deliver), (sending, self.emit)):
                    ends = {"src": speaking.context.src, "dst": speaking.context.dst}
                    check(speaking, frames.ipv6(bytes(64), 17, chain=chain, hlim=64, **ends))
                self.gw.reset(entries)


class AnyHostOfTheSite(DietTest):
    """i.4: of a prefix the low bits are sent."""

    def runTest(self) -> None:
        for name, hosts in (
            ("site-v4", [(HOST, REMOTE_HOST), ("10.2.2.255", "10.1.1.0")]),
            ("site-v6", [(HOST6, REMOTE_HOST6), ("2001:db8:2:0:f::1", "2001:db8:1::ffff:0:0:1")]),
        ):
            speaking = self.sending(name)
            for seq, (src, dst) in enumerate(hosts, 1):
                with self.subTest(template=name, src=src, dst=dst):
                    packet = packet_of(replace(speaking.context, src=src, dst=dst), 30)
                    self.emit(speaking, packet, first=seq)
            receiving = self.receiving(name)
            known = replace(receiving.context, src=hosts[1][1])
            self.deliver(receiving, packet_of(known, 30))


class FlowsOnPortsOfOurs(DietTest):
    """A flow of hosts behind us on the ports of IKE and of ESP in UDP is a flow like any other."""

    def runTest(self) -> None:
        for name in ("udp-v4", "udp-v6"):
            for port in (500, 4500):
                with self.subTest(template=name, port=port):
                    ports = {"sport": port, "dport": port}
                    receiving, sending = self.receiving(name, **ports), self.sending(name, **ports)
                    self.deliver(receiving, *(packet_of(receiving.context, n) for n in (1, 4, 60)))
                    self.emit(sending, *(packet_of(sending.context, n) for n in (1, 4, 60)))
                    self.gw.reset(self.session.base)


class ComesInByTheController(DietTest):
    """A packet that the controller gives back to us (OUT_INJECT) is cut as well, and one that
    comes in by a VLAN."""

    def runTest(self) -> None:
        speaking = self.receiving("tcp-v4")
        packet = packet_of(speaking.context, 30)
        frame = speaking.frame(1, packet)
        verdict = self.gw.exchange([PacketOut(Op.INJECT, frame, port=UNPROTECTED)])
        self.assertEqual(verdict.outputs, [speaking.arrived(packet, seq=1)])
        tagged = frames.ethernet(UNPROTECTED_VLAN, frame[14:])
        self.assertEqual(
            self.gw.send(
                UNPROTECTED_VLAN, tagged.replace(frame[14:], speaking.frame(2, packet)[14:])
            ).outputs,
            [speaking.arrived(packet, seq=2)],
        )
        sending = self.sending("tcp-v6")
        packet = packet_of(sending.context, 30)
        stimulus = PacketOut(Op.INJECT, frames.ethernet(PROTECTED, packet), port=PROTECTED)
        (out,) = self.gw.exchange([stimulus]).outputs
        octets = self.octets_of(sending, packet, out)
        self.assertEqual(sending.context.open(sending.key, 1, octets), sending.context.text(packet))
        (out,) = self.gw.send(PROTECTED_VLAN, frames.ethernet(PROTECTED_VLAN, packet)).outputs
        octets = self.octets_of(sending, packet, out)
        self.assertEqual(sending.context.open(sending.key, 2, octets), sending.context.text(packet))
