"""What is wrong with a packet of a format has a name of its own, and nothing that is not authentic
leaves a trace (issue 5, "Bad input").  A number is used up by an authentic packet alone."""

from __future__ import annotations

import itertools
import struct

from harness import frames, tables, wire
from harness.format_cases import PACKET, BadInputTest, flipped
from harness.format_modes import shapes_of
from harness.formats import LAYOUTS, TAIL_LEN
from harness.frames import fragment6
from harness.ids import Drop, Format, Mode
from harness.modes import Shape, packet_of
from harness.topology import PROTECTED, UNPROTECTED
from harness.tunnels import NAT_T

HEADER = {4: 20, 6: 40}
ICV = 16
FEWEST = 12
"""Octets that the parser wants of ESP."""
CLEAR_INFORMATION = ("trailer-in-clear", "crypt-offset-shown", "header-in-trailer")
INFORMATION = ("trailer-in-header", *CLEAR_INFORMATION)
RFC_TRAILER = ("subspaces", "sub-child", "spi-block", "crypt-offset")
OFFSETS = {"crypt-offset": 62, "crypt-offset-shown": 64}
"""The fewest octets from SPI to ICV with 28 of them in clear: SPI, number, IV, (TIH), ICV, (2)."""
REASONS = {
    Format.WESP_V2: {Drop.ENCAP_MISMATCH},
    Format.EESP_OPTIMIZED: {Drop.BAD_VERSION, Drop.BAD_OPTION},
    Format.EESP_FULL: {Drop.BAD_VERSION, Drop.BAD_OPTION, Drop.BAD_OFFSET},
}
"""What else an octet that is wrong may be called."""


class SubsAboveTheNegotiated(BadInputTest):
    """a.12 4, b.11 2: the last sub is accepted, the next one and 65535 are BAD_SUB before any
    register and any cipher; in UDP as well."""

    def runTest(self) -> None:
        shapes = (Shape(), Shape(outer=6, inner=6), Shape(Mode.TRANSPORT), Shape(udp=NAT_T))
        for name, shape in itertools.product(("subspaces", "sub-child"), shapes):
            with self.subTest(format=name, shape=str(shape)):
                end = self.from_peer(name, shape)
                packet = packet_of(shape.inner, 90, ours=False)
                self.deliver(end, [packet] * 4)
                good = end.octets(packet, 2, 3)
                for sub in (4, 5, 0x0103, 0xFFFF):
                    octets = good[:4] + sub.to_bytes(2) + good[6:]
                    verdict = self.without_a_trace(
                        Drop.BAD_SUB, end.speaking, end.around(packet, octets)
                    )
                    self.assertEqual(verdict.requests, [])


class SubsOfABlockAboveTheNegotiated(BadInputTest):
    """a.12 4: an SPI that leads to a sub which its SA does not have: BAD_SUB."""

    def runTest(self) -> None:
        end = self.from_peer("spi-block")
        sa = end.speaking.sa
        self.gw.insert(tables.sad(1, sa.spi + 4, sa.sa, sa.generation, sub=4))
        octets = end.octets(PACKET, 1, 3)
        self.ignored(Drop.BAD_SUB, end, (sa.spi + 4).to_bytes(4) + octets[4:])
        self.still_good(end)


class ShorterThanTheOffset(BadInputTest):
    """e.9 5 and 6: a packet that has fewer octets than its SA shows is BAD_OFFSET; with as many,
    all of it is shown and it is opened."""

    def runTest(self) -> None:
        for (name, least), udp in itertools.product(OFFSETS.items(), (None, NAT_T)):
            with self.subTest(format=name, udp=udp):
                end = self.from_peer(name, Shape(udp=udp))
                octets = end.octets(packet_of(4, 200, ours=False), 1)
                short = [octets[:size] for size in range(FEWEST, least)]
                self.ignored(Drop.BAD_OFFSET, end, *short)
                self.ignored(Drop.RUNT, end, octets[: FEWEST - 1])
                aligned = -(-least // 4) * 4
                self.ignored(Drop.BAD_LENGTH, end, octets[: aligned + 1], octets[: aligned + 3])
                self.forged(end, octets[:aligned])
                self.still_good(end)


class ShorterThanTheOffsetOutbound(BadInputTest):
    """e.4: the sender must not show more than there is: BAD_OFFSET, and no number is taken."""

    def runTest(self) -> None:
        for name, mode in itertools.product(OFFSETS, (Mode.TUNNEL, Mode.TRANSPORT, Mode.BEET_V4)):
            entries = self.gw.installed()
            with self.subTest(format=name, mode=mode.name):
                end = self.to_peer(name, Shape(mode))
                least = end.layout.shown + (0 if mode == Mode.TUNNEL else 20)
                short = [packet_of(4, size, ours=True) for size in range(20, least)]
                sent = [frames.ethernet(PROTECTED, packet) for packet in short]
                verdict = self.refuse(Drop.BAD_OFFSET, PROTECTED, *sent)
                self.assertEqual(verdict.requests, [])
                self.assertEqual(self.last_of(end.speaking), [0])
                self.emit(end, [packet_of(4, least, ours=True)])
            self.gw.reset(entries)


class AllOfThePayloadShown(BadInputTest):
    """e.9 4: CO * 4 = payload length: only trailer or padding is encrypted, if anything."""

    def runTest(self) -> None:
        for name in OFFSETS:
            with self.subTest(format=name):
                end = self.from_peer(name)
                self.deliver(end, [packet_of(4, 28, ours=False)])
                (found,) = self.emit(self.to_peer(name), [packet_of(4, 28, ours=True)])
                self.assertEqual(len(found.payload), end.layout.shown)
                self.gw.reset(self.session.base)


class ReservedBitsOfTheInformation(BadInputTest):
    """c.11 4: a first nibble or reserved bits that are not 0, in an authentic packet: BAD_PAD from
    the engine, whether the information is in clear or not."""

    def runTest(self) -> None:
        for name in INFORMATION:
            with self.subTest(format=name):
                end = self.from_peer(name)
                high = [1 << bit for bit in range(16)]
                octets = [
                    end.octets(PACKET, seq, tih=struct.pack("!HBB", bits, 4, 0))
                    for seq, bits in enumerate(high, 1)
                ]
                self.used_up(Drop.BAD_PAD, end, *octets)
                self.still_good(end)


class PadLengthBeyondThePayload(BadInputTest):
    """c.11 5: pad length 255, or one more than there is, on a short payload: BAD_PADLEN, and no
    length runs under."""

    def runTest(self) -> None:
        for name in (*INFORMATION, *RFC_TRAILER):
            with self.subTest(format=name):
                end = self.from_peer(name)
                text = len(PACKET) - end.layout.shown
                octets = [
                    end.octets(PACKET, seq, pad_len=pad_len)
                    for seq, pad_len in enumerate((255, 200, text + 3), 1)
                ]
                self.used_up(Drop.BAD_PADLEN, end, *octets)
                self.still_good(end)


class PaddingIsWhatItMustBe(BadInputTest):
    """c.2: zeros behind the trailer information, 1, 2, 3 in front of an RFC 4303 trailer; each
    other is BAD_PAD, at any place."""

    def runTest(self) -> None:
        for name in (*INFORMATION, "no-trailer", *RFC_TRAILER):
            with self.subTest(format=name):
                end = self.from_peer(name)
                zeros = name not in RFC_TRAILER
                size, right = (57, bytes(3)) if zeros else (59, b"\1\2\3")
                packet = packet_of(4, size, ours=False)
                self.deliver(end, [packet])
                octets = [
                    end.octets(packet, 20 + place, pad=flipped(right, place, 0x40))
                    for place in range(3)
                ]
                sent = [end.around(packet, each) for each in octets]
                self.refuse(Drop.BAD_PAD, UNPROTECTED, *sent)


class MorePaddingThanNeeded(BadInputTest):
    """docs/crypto-port.md: up to 255 octets of padding are legal where a pad length counts them."""

    def runTest(self) -> None:
        for name in (*INFORMATION, *RFC_TRAILER):
            with self.subTest(format=name):
                end = self.from_peer(name)
                for seq, more in enumerate((4, 8, 128, 252), 1):
                    pad = bytes(more) if name in INFORMATION else bytes(range(1, more + 3))
                    frame = end.frame(PACKET, seq, pad=pad)
                    verdict = self.gw.send(UNPROTECTED, frame)
                    self.assertEqual(dict(verdict.drops), {})
                    self.assertEqual(verdict.outputs, [end.arrived(PACKET)])


class WithoutATrailerThePacketMustFit(BadInputTest):
    """c.11 6 and 7, first nibble rule (c.2): a length beyond the text, 4 octets or more behind it,
    a version that is neither 4 nor 6, a trailer information header in its place: BAD_INNER."""

    def runTest(self) -> None:
        end = self.from_peer("no-trailer")
        longer = wire.resized(PACKET + b"\0")[:-1]
        wrong = [
            *(
                longer,
                wire.resized(PACKET + bytes(1000))[:60],
                PACKET[:2] + b"\xff\xff" + PACKET[4:],
            ),
            *(PACKET + bytes(4), PACKET + bytes(8), PACKET + bytes(400)),
            *(bytes([version << 4 | 5]) + PACKET[1:] for version in (0, 1, 5, 7, 15)),
            *(b"\0\0\4\0" + PACKET, b"\x60" + PACKET[1:], PACKET[:16], b"\x45\0\0\x08", PACKET[:4]),
            PACKET[:2] + b"\0\x10" + PACKET[4:],
        ]
        octets = [end.octets(PACKET, seq, payload=text) for seq, text in enumerate(wrong, 1)]
        self.used_up(Drop.BAD_INNER, end, *octets)
        self.still_good(end)


class AnotherInnerVersionThanTheInformationSays(BadInputTest):
    """c.5: next header 41 of an IPv4 packet: BAD_INNER; a next header that a tunnel does not have:
    BAD_NH."""

    def runTest(self) -> None:
        for name in LAYOUTS:
            if name in ("no-trailer", "eesp-optimized"):
                continue
            with self.subTest(format=name):
                end = self.from_peer(name)
                octets = [end.octets(PACKET, 1, next_header=41)]
                self.used_up(Drop.BAD_INNER, end, *octets)
                sent = [
                    end.frame(PACKET, seq, next_header=nh) for seq, nh in ((2, 6), (3, 17), (4, 0))
                ]
                self.refuse(Drop.BAD_NH, UNPROTECTED, *sent)


class FewerThan33OctetsOfTail(BadInputTest):
    """d.8 3: 0 to 32 octets have no room for one of payload: RUNT; with 33 to 35 nothing fits:
    BAD_LENGTH."""

    def runTest(self) -> None:
        for shape in (Shape(), Shape(outer=6, inner=6)):
            with self.subTest(shape=str(shape)):
                end = self.from_peer("header-in-trailer", shape)
                octets = end.octets(packet_of(shape.inner, 100, ours=False), 1)
                self.ignored(Drop.RUNT, end, *(octets[len(octets) - n :] for n in range(33)))
                self.ignored(Drop.BAD_LENGTH, end, *(octets[-n:] for n in (33, 34, 35, 37, 39, 41)))
                self.forged(end, octets[-36:], octets[-40:])


class TruncatedByOneOctet(BadInputTest):
    """d.8 4: what is cut off at the end moves the SPI, which is another then; what is cut off in
    front is missing from the text.  In the other formats the length does not fit."""

    def runTest(self) -> None:
        for name in LAYOUTS:
            with self.subTest(format=name):
                end = self.from_peer(name)
                octets = end.octets(PACKET, 1)
                tail = name == "header-in-trailer"
                self.ignored(Drop.NO_SA if tail else Drop.BAD_LENGTH, end, octets[:-1])
                if tail:
                    self.ignored(Drop.BAD_LENGTH, end, octets[1:], octets[:5] + octets[6:])
                    self.forged(end, octets[4:])
                else:
                    self.forged(end, octets[:-4])


class EveryBitOfClearInformation(BadInputTest):
    """c.11 8, d.8 5: the trailer information in clear is authenticated, each bit of it: BAD_ICV."""

    def runTest(self) -> None:
        for name in CLEAR_INFORMATION:
            with self.subTest(format=name):
                end = self.from_peer(name)
                octets = end.octets(PACKET, 1)
                at = len(octets) - TAIL_LEN - ICV if name == "header-in-trailer" else 16
                self.assertEqual(octets[at : at + 4], b"\0\0\4\0")
                places = itertools.product(range(at, at + 4), range(8))
                self.forged(end, *(flipped(octets, at, 1 << bit) for at, bit in places))
                self.still_good(end)


class EveryOctetShown(BadInputTest):
    """e.9 2 and 10: IV and the payload in clear are authenticated, ports and addresses that a NAT
    would rewrite: BAD_ICV."""

    def runTest(self) -> None:
        for name in OFFSETS:
            with self.subTest(format=name):
                end = self.from_peer(name)
                octets = end.octets(PACKET, 1)
                at = 16 if name == "crypt-offset" else 20
                self.assertEqual(octets[at : at + 28], PACKET[:28])
                self.forged(end, *(flipped(octets, place, 0x10) for place in range(8, at + 28)))
                self.still_good(end)


class EveryOctetOfEveryFormat(BadInputTest):
    """Whatever octet of a packet is changed: it does not get through, and no register changes."""

    def runTest(self) -> None:
        for name in LAYOUTS:
            with self.subTest(format=name):
                end = self.from_peer(name)
                octets = end.octets(PACKET, 7)
                before = self.state_of(end.speaking)
                changed = [flipped(octets, place, 0x20) for place in range(len(octets))]
                verdict = self.gw.send(UNPROTECTED, *(end.around(PACKET, each) for each in changed))
                self.assertEqual(sum(verdict.drops.values()), len(octets))
                self.assertEqual(verdict.outputs, [])
                self.assertEqual(self.state_of(end.speaking), before)
                reasons = {Drop.BAD_ICV, Drop.NO_SA, Drop.BAD_SUB, Drop.SEQ_RANGE}
                reasons |= REASONS.get(end.layout.format, set())
                self.assertLessEqual(set(verdict.drops), reasons)
                self.assertEqual(verdict.drops[Drop.NO_SA], 4)
                self.still_good(end)


class SpisOfTheOtherProtocol(BadInputTest):
    """d.8 7 in spirit: an SA is known under its own IP protocol alone: the SPI of plain ESP behind
    protocol 254, and that of a header in the trailer under ESP: NO_SA."""

    def runTest(self) -> None:
        for name, shape in itertools.product(
            ("esp", "subspaces", "trailer-in-header"), (Shape(), Shape(outer=6, inner=6))
        ):
            with self.subTest(format=name, shape=str(shape)):
                plain, tail = (
                    self.from_peer(name, shape),
                    self.from_peer("header-in-trailer", shape),
                )
                packet = packet_of(shape.inner, 100, ours=False)
                in_tail = tail.octets(packet, 1)
                spi = plain.speaking.sa.spi.to_bytes(4)
                octets = in_tail[:-28] + spi + in_tail[-24:]
                verdict = self.without_a_trace(
                    Drop.NO_SA, plain.speaking, tail.around(packet, octets)
                )
                self.assertEqual(verdict.requests, [])
                spi = tail.speaking.sa.spi.to_bytes(4)
                octets = spi + b"\0\0\0\1" + bytes(100)
                self.without_a_trace(Drop.NO_SA, tail.speaking, plain.around(packet, octets))


class FragmentsOfFormats(BadInputTest):
    """d.5, RFC 4303 3.4.1: a fragment of a packet to us is not ESP of any format: OUTER_FRAGMENT,
    first or later, IPv4 or IPv6."""

    def runTest(self) -> None:
        for name in LAYOUTS:
            with self.subTest(format=name):
                end, end6 = self.from_peer(name), self.from_peer(name, Shape(outer=6, inner=4))
                protocol = end.layout.protocol
                octets = end.octets(PACKET, 1)
                sent = [
                    frames.outer(octets, proto=protocol, flags=flags, frag=offset)
                    for flags, offset in (("MF", 0), ("MF", 5), (0, 5))
                ]
                six = end6.octets(PACKET, 1)
                sent6 = [
                    frames.outer6(six, proto=protocol, chain=(fragment6(offset, more=more),))
                    for offset, more in ((0, True), (5, True), (5, False))
                ]
                for speaking, packets in ((end.speaking, sent), (end6.speaking, sent6)):
                    data = [frames.ethernet(UNPROTECTED, packet) for packet in packets]
                    verdict = self.without_a_trace(Drop.OUTER_FRAGMENT, speaking, *data)
                    self.assertEqual(verdict.requests, [])


class NoPayloadInTransport(BadInputTest):
    """docs/crypto-port.md: ESP around nothing is BAD_PADLEN, in every format that has a transport
    mode and shows nothing."""

    def runTest(self) -> None:
        shape = Shape(Mode.TRANSPORT)
        for name, layout in LAYOUTS.items():
            if layout.shown or shape not in shapes_of(name):
                continue
            with self.subTest(format=name):
                end = self.from_peer(name, shape)
                frame = end.frame(packet_of(4, 20, ours=False), 1)
                clear = layout.format == Format.TRAILER_SHOWN
                reason = Drop.BAD_LENGTH if clear else Drop.BAD_PADLEN
                self.refuse(reason, UNPROTECTED, frame)
                self.assertEqual(self.top_of(end.speaking), 0 if clear else 1)
