"""Encrypted ESP ping (digest j.2, J3): what the controller asks and gets; next header 144 on an SA
of any format that has a next header."""

from __future__ import annotations

import dataclasses
import struct
from typing import Any

from harness import esp, frames
from harness import vectors_formats as vec
from harness.format_cases import BadInputTest, flipped
from harness.format_modes import End, FormatModeTest, payload_shown, shapes_of
from harness.formats import LAYOUTS
from harness.gateway import PacketIn, PacketOut, Verdict
from harness.ids import Drop, Format, Mode, Op, Outcome, Punt
from harness.modes import OURS, THEIRS, Shape, packet_of
from harness.tables import Traffic
from harness.topology import PROTECTED, UNPROTECTED
from harness.wire import payload_of

AGGFRAG = 144
VJ = bytes.fromhex(
    "0000100100000001000000000000000144f11cf2d26b7751876c6615da0696f6"
    "13c6d2f3b273ffb0795d400d6e462623"
)
WITHOUT_NEXT_HEADER = (Format.NO_TRAILER, Format.EESP_OPTIMIZED)
NAMES = ("esp", *LAYOUTS)
NO_IP = b"\0\0"
"""Ethertype of a frame that has the content alone."""


def ping(size: int = 56, *, kind: int = 2, back: int | None = None) -> bytes:
    """A request, with the SPI of the way back if there is one."""
    way = b"" if back is None else back.to_bytes(4)
    return struct.pack("!BBHHH", kind, 0x80 * bool(way), size, 0xBEEF, 1) + way + bytes(size)


class SealedEchoTest(FormatModeTest):
    """Pings of the controller, and of the peer."""

    shows_payload = True

    def ask(self, end: End, content: bytes) -> Verdict:
        """Has a ping sealed. In transport mode it has the header of the two hosts."""
        frame = frames.link_header(PROTECTED)[:12] + NO_IP + content
        if end.shape.mode == Mode.TRANSPORT:
            frame = frames.ethernet(PROTECTED, self.between(end.shape, content))
        return self.gw.exchange([PacketOut(Op.ECHO, frame, index=end.speaking.sa.sa)])

    def between(self, shape: Shape, content: bytes) -> bytes:
        """A packet from our host to theirs."""
        ours, theirs = OURS[shape.inner], THEIRS[shape.inner]
        if shape.inner == 6:
            return frames.ipv6(content, AGGFRAG, src=ours, dst=theirs, hlim=64)
        return frames.ipv4(content, src=ours, dst=theirs, proto=AGGFRAG, ttl=64)

    def asked(self, end: End, content: bytes) -> None:
        """Proves: the peer gets the ping."""
        verdict = self.ask(end, content)
        self.assertEqual(dict(verdict.drops), {})
        self.assertEqual(dict(verdict.outcomes), {Outcome.TO_ENGINE: 1, Outcome.FORWARDED: 1})
        (out,) = verdict.outputs
        self.assertEqual(out.port, UNPROTECTED)
        found = end.speaking.peer.open(end.octets_in(out.data))
        self.assertEqual((found.next_header, found.payload), (AGGFRAG, content))
        self.assertEqual((found.seq, found.sub), (1, 0))

    def told(self, end: End, *contents: bytes) -> None:
        """Proves: the controller gets the peer's pings 1, 2, ..., with the SA that they came by."""
        packet = packet_of(end.shape.inner, 60, ours=False)
        sent = [
            end.frame(packet, seq, payload=content, next_header=AGGFRAG)
            for seq, content in enumerate(contents, 1)
        ]
        verdict, count = self.gw.send(UNPROTECTED, *sent), len(sent)
        self.assertEqual((dict(verdict.drops), verdict.outputs), ({}, []))
        expected = {Outcome.TO_ENGINE: count, Outcome.PUNTED: count}
        self.assertEqual(dict(verdict.outcomes), expected)
        self.assertEqual(dict(verdict.punts), {Punt.SEALED_ECHO: count})
        self.assertEqual([self.content(end, told) for told in verdict.packet_ins], [*contents])
        self.assertEqual(self.top_of(end.speaking), count)
        self.refuse(Drop.REPLAY_DUP, UNPROTECTED, *sent)

    def content(self, end: End, told: PacketIn) -> bytes:
        """Of a ping that the controller is told."""
        self.assertEqual((told.op, told.index), (Punt.SEALED_ECHO, end.speaking.sa.sa))
        if end.shape.mode != Mode.TRANSPORT:
            return told.payload[14:]
        protocol, text = payload_of(told.payload[14:])
        self.assertEqual(protocol, AGGFRAG)
        return text


class PingsOfEveryFormatAndMode(SealedEchoTest):
    """Both ways, whatever the SA's selectors say: the least, all remainders, and 512 octets."""

    def runTest(self) -> None:
        for name in NAMES:
            for shape in shapes_of(name):
                entries = self.gw.installed()
                with self.subTest(format=name, shape=str(shape)):
                    self.both_ways(name, shape)
                self.gw.reset(entries)

    def both_ways(self, name: str, shape: Shape) -> None:
        """With the SAs of one shape."""
        end = self.to_peer(name, shape)
        if end.layout.format in WITHOUT_NEXT_HEADER:
            self.assert_refused(self.ask(end, ping()), Drop.NOT_IN_SA)
            self.assertEqual(sum(self.last_of(end.speaking)), 0)
            return
        least = max(0, payload_shown(end.layout) - 8)
        self.asked(end, ping(least))
        end = self.from_peer(name, shape)
        self.told(end, *map(ping, (*range(least, least + 4), 512)))


class PingsAreForNoSelector(SealedEchoTest):
    """The peer must accept them although policy names neither end (J3)."""

    def runTest(self) -> None:
        nobody = Traffic(src="192.0.2.1/32", dst="192.0.2.2/32", protocol=6, dport=(443, 443))
        end = self.from_peer("esp", selectors=nobody)
        self.told(end, ping())
        inner = end.frame(packet_of(4, 60, ours=False), 2)
        self.refuse(Drop.BAD_SELECTOR, UNPROTECTED, inner)


class VectorVJ(SealedEchoTest):
    """VJ: a request with the way back 0x2002 and no data, octet by octet."""

    def runTest(self) -> None:
        content = struct.pack("!BBHHHI", 2, 0x80, 0, 0xBEEF, 1, 0x2002)
        keys: dict[str, Any] = {"keys": lambda _: esp.Key(vec.SECRET, vec.SALT), "spi": vec.SPI}
        end = self.to_peer("esp", **keys)
        (out,) = self.ask(end, content).outputs
        self.assertEqual(end.octets_in(out.data), VJ)
        end = self.from_peer("esp", **keys)
        verdict = self.gw.send(UNPROTECTED, end.around(packet_of(4, 60, ours=False), VJ))
        (told,) = verdict.packet_ins
        self.assertEqual(told.payload[14:], content)


class DamagedPings(SealedEchoTest, BadInputTest):
    """Not one octet can be changed: BAD_ICV or no SA, and the controller hears nothing."""

    def runTest(self) -> None:
        end = self.from_peer("esp")
        octets = end.octets(packet_of(4, 60, ours=False), 1, payload=ping(8), next_header=AGGFRAG)
        self.forged(end, *(flipped(octets, place) for place in range(8, len(octets))))
        for place in range(4):
            verdict = self.gw.send(
                UNPROTECTED, end.around(packet_of(4, 60, ours=False), flipped(octets, place))
            )
            self.assert_refused(verdict, Drop.NO_SA)


class PingThatIsNone(SealedEchoTest):
    """BAD_PACKET_OUT: an index that would be cut short, an IP packet that is no ping, or that ends
    before its frame says."""

    def runTest(self) -> None:
        end = self.to_peer("esp", Shape(Mode.TRANSPORT))
        sa = end.speaking.sa.sa
        good = frames.ethernet(PROTECTED, self.between(end.shape, ping()))
        other = frames.ethernet(PROTECTED, packet_of(4, 60, ours=True))
        for index, frame in ((sa | 1 << 16, good), (sa, other), (sa, good[:-1]), (sa, good[:13])):
            verdict = self.gw.exchange([PacketOut(Op.ECHO, frame, index=index)])
            self.assert_refused(verdict, Drop.BAD_PACKET_OUT)
        self.assertEqual(sum(self.last_of(end.speaking)), 0)


class PingThatIsAPacketInATunnel(SealedEchoTest):
    """BAD_PACKET_OUT: where the SA has a header of its own, the content has none in front."""

    def runTest(self) -> None:
        for shape in (Shape(), Shape(Mode.BEET_V4)):
            entries = self.gw.installed()
            end = self.to_peer("esp", shape)
            frame = frames.ethernet(PROTECTED, self.between(shape, ping()))
            message = PacketOut(Op.ECHO, frame, index=end.speaking.sa.sa)
            self.assert_refused(self.gw.exchange([message]), Drop.BAD_PACKET_OUT)
            self.assertEqual(sum(self.last_of(end.speaking)), 0)
            self.gw.reset(entries)


class PingBetweenOtherHosts(SealedEchoTest):
    """In transport mode a ping is between the hosts of its SA: NOT_IN_SA."""

    def runTest(self) -> None:
        end = self.to_peer("esp", Shape(Mode.TRANSPORT))
        far = dataclasses.replace(end.shape, inner=6)
        for shape in (far, end.shape):
            packet = self.between(shape, ping())
            if shape is end.shape:
                packet = frames.ipv4(ping(), src="192.0.2.1", dst=THEIRS[4], proto=AGGFRAG, ttl=64)
            frame = frames.ethernet(PROTECTED, packet)
            message = PacketOut(Op.ECHO, frame, index=end.speaking.sa.sa)
            self.assert_refused(self.gw.exchange([message]), Drop.NOT_IN_SA)
        self.assertEqual(sum(self.last_of(end.speaking)), 0)


class OurHostsPingNobodyUnderThisProtocol(SealedEchoTest):
    """BAD_NH: what a host sends under protocol 144, the peer would take for a ping of ours."""

    def runTest(self) -> None:
        end = self.to_peer("esp", Shape(Mode.TRANSPORT))
        packet = self.between(end.shape, ping())
        self.refuse(Drop.BAD_NH, PROTECTED, frames.ethernet(PROTECTED, packet))
        self.assertEqual(sum(self.last_of(end.speaking)), 0)
