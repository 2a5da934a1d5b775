"""Packet formats beside RFC 4303, both ways: every length, mode, family and wrapping, judged by a
peer that was written from the layouts alone (harness.formats)."""

from __future__ import annotations

import dataclasses
import itertools

from harness import frames, wire
from harness.engine import Descriptor
from harness.engine_formats import FLAG_FILL
from harness.format_cases import RoundTripTest, named
from harness.format_modes import (
    EESP,
    HEADER_LEN,
    TUNNEL_ONLY,
    End,
    FormatModeTest,
    least_of,
)
from harness.format_test import Speaking
from harness.formats import IMPLICIT, LAYOUTS
from harness.gateway import PacketOut
from harness.ids import Drop, Format, Mode, Op, Outcome, Punt
from harness.modes import FAMILIES, Shape, packet_of
from harness.sa import NEVER, Layout
from harness.topology import PROTECTED, UNPROTECTED

TURN = 1 << 32
TFC_LEN = 300
NO_NEXT_HEADER = 59
WITHOUT_TEXT = {Format.TRAILER_SHOWN: Drop.BAD_LENGTH, Format.HEADER_IN_TRAILER: Drop.RUNT}
"""Where nothing is encrypted but payload and padding, one of them must be there."""
ONLY_NUMBER_AS_IV = (Format.HEADER_IN_TRAILER,)
WITHOUT_ESN = (Format.SUBSPACES, Format.HEADER_IN_TRAILER, Format.WESP_V2, *EESP)
WITHOUT_NEXT_HEADER = (Format.NO_TRAILER, Format.EESP_OPTIMIZED)


class EveryLengthInSubspaces(RoundTripTest):
    """b.11 1: packets under every id; payloads of 0 to 1500 octets (issue 5)."""

    def runTest(self) -> None:
        self.every_length("subspaces")


class EveryLengthInSubChildSas(RoundTripTest):
    """a.12 1, layout A1 with a key per sub."""

    def runTest(self) -> None:
        self.every_length("sub-child")


class EveryLengthInSpiBlocks(RoundTripTest):
    """a.12 1, layout A2."""

    def runTest(self) -> None:
        self.every_length("spi-block")


class EveryLengthWithTrailerInHeader(RoundTripTest):
    """c.11 3 (C1): all remainders modulo 4, padding 0, 3, 2, 1 octets and removed."""

    def runTest(self) -> None:
        self.every_length("trailer-in-header")


class EveryLengthWithTrailerInClear(RoundTripTest):
    """c.11 3 (C2)."""

    def runTest(self) -> None:
        self.every_length("trailer-in-clear")


class EveryLengthWithoutTrailer(RoundTripTest):
    """c.11 3 (C3): the inner packet's own length ends it."""

    def runTest(self) -> None:
        self.every_length("no-trailer")


class EveryLengthWithHeaderInTrailer(RoundTripTest):
    """d.8 2: the SPI is found at L - 28 for every L."""

    def runTest(self) -> None:
        self.every_length("header-in-trailer")


class EveryLengthWithCryptOffset(RoundTripTest):
    """e.9 4 and 8 (E1): from a payload that is all shown on; IPv6 shows 44 octets."""

    def runTest(self) -> None:
        self.every_length("crypt-offset")


class EveryLengthWithCryptOffsetShown(RoundTripTest):
    """e.9 4 and 8 (E2): the same with the trailer information in clear."""

    def runTest(self) -> None:
        self.every_length("crypt-offset-shown")


class EveryShapeOfSequenceSpaces(RoundTripTest):
    """a.9, b.9: all modes, for the payload part is that of ESP; and in UDP."""

    def runTest(self) -> None:
        for name in ("subspaces", "sub-child", "spi-block"):
            self.every_shape(name)


class EveryShapeOfTrailerInHeader(RoundTripTest):
    """c.8, c.11 2: tunnel, transport and BEET, for the next header is there; and in UDP."""

    def runTest(self) -> None:
        self.every_shape("trailer-in-header")


class EveryShapeOfTrailerInClear(RoundTripTest):
    """c.8, c.11 2: the same with the information in clear."""

    def runTest(self) -> None:
        self.every_shape("trailer-in-clear")


class EveryTunnelWithoutTailOrHead(RoundTripTest):
    """c.8, d.5: no trailer, and the header in it: tunnel mode of all families."""

    def runTest(self) -> None:
        for name in ("no-trailer", "header-in-trailer"):
            self.every_shape(name)


class EveryShapeOfCryptOffset(RoundTripTest):
    """e.9 1 and 8: the ports are shown in every mode; and in UDP."""

    def runTest(self) -> None:
        for name in ("crypt-offset", "crypt-offset-shown"):
            self.every_shape(name)


class TheOtherIv(RoundTripTest):
    """b.5: an explicit IV where the number could be one, and none where one is usual."""

    def runTest(self) -> None:
        for name, layout in LAYOUTS.items():
            if layout.format in ONLY_NUMBER_AS_IV:
                continue
            modes = (Mode.TUNNEL,) if layout.format in TUNNEL_ONLY else tuple(Mode)
            kind = self.explicit if name in IMPLICIT else self.implicit
            for shape in (Shape(Mode.TUNNEL), Shape(Mode.TRANSPORT), Shape(Mode.BEET_V4)):
                if shape.mode not in modes:
                    continue
                entries = self.gw.installed()
                with self.subTest(format=name, shape=str(shape)):
                    end = self.from_peer(name, shape, keys=kind(name))
                    lengths = range(100, 120)
                    self.deliver(end, named(shape, lengths, end.layout, ours=False))
                    end = self.to_peer(name, shape, keys=kind(name))
                    self.emit(end, named(shape, lengths, end.layout, ours=True))
                self.gw.reset(entries)


class FourOctetsShown(RoundTripTest):
    """e.5: an offset of 1 word shows the ports of transport mode; with an implicit IV, the AAD has
    12 octets then, as that of a subspace."""

    def runTest(self) -> None:
        shape = Shape(Mode.TRANSPORT)
        for name in ("crypt-offset", "crypt-offset-shown"):
            for kind in (self.implicit, self.explicit):
                entries = self.gw.installed()
                with self.subTest(format=name, kind=kind.__name__):
                    layout = Layout(LAYOUTS[name].format, shown=4)
                    end = self.from_peer(name, shape, keys=kind(name), layout=layout)
                    self.deliver(end, named(shape, range(4, 24), layout, ours=False))
                    end = self.to_peer(name, shape, keys=kind(name), layout=layout)
                    self.emit(end, named(shape, range(4, 24), layout, ours=True))
                self.gw.reset(entries)


class TheMostThatIsShown(RoundTripTest):
    """e.3: 45 words are shown where headers may have 255 octets; of 55 the packet is refused."""

    def runTest(self) -> None:
        for shown, fits in ((180, True), (220, False)):
            layout = Layout(Format.CRYPT_OFFSET, shown=shown)
            entries = self.gw.installed()
            inward, outward = (
                self.from_peer("crypt-offset", layout=layout),
                self.to_peer("crypt-offset", layout=layout),
            )
            theirs, ours = packet_of(4, 400, ours=False), packet_of(4, 400, ours=True)
            if fits:
                self.deliver(inward, [theirs])
                self.emit(outward, [ours])
            else:
                frame = inward.frame(theirs, 1)
                self.without_a_trace(Drop.LONG_HEADERS, inward.speaking, frame)
                self.refuse(Drop.LONG_HEADERS, PROTECTED, frames.ethernet(PROTECTED, ours))
                self.assertEqual(self.last_of(outward.speaking), [0])
            self.gw.reset(entries)


class ExtendedNumbers(RoundTripTest):
    """c.3, e.4: with ESN the AAD has the whole number in place of its low half, in front of
    whatever else is authenticated; over the turn of the low half, both ways."""

    def runTest(self) -> None:
        for name, layout in LAYOUTS.items():
            if layout.format in WITHOUT_ESN:
                continue
            for kind in (self.explicit, self.implicit):
                entries = self.gw.installed()
                with self.subTest(format=name, kind=kind.__name__):
                    self.inwards(self.from_peer(name, keys=kind(name), esn=True))
                    self.outwards(self.to_peer(name, keys=kind(name), esn=True, seq_hard=TURN + 9))
                self.gw.reset(entries)

    def inwards(self, end: End) -> None:
        """The receiver infers the high half."""
        packet = packet_of(4, 99, ours=False)
        for seq in (TURN >> 1, TURN - 20, TURN - 1, TURN, TURN + 7, TURN - 2):
            frame = self.high(end, seq >> 32).frame(packet, seq)
            verdict = self.gw.send(UNPROTECTED, frame)
            self.assertEqual((dict(verdict.drops), len(verdict.outputs)), ({}, 1))
            self.refuse(Drop.REPLAY_DUP, UNPROTECTED, frame)
        self.assertEqual(self.top_of(end.speaking), TURN + 7)
        wrong = self.high(end, 0).frame(packet, TURN + 8)
        self.without_a_trace(Drop.BAD_ICV, end.speaking, wrong)

    def outwards(self, end: End) -> None:
        """The sender counts on."""
        subs = range(end.layout.last_sub + 1)
        for sub in subs:
            self.gw.control(Op.ADVANCE_SEQ, end.speaking.sa.space + sub, TURN - 3)
        for seq in (TURN - 2, TURN - 1, TURN, TURN + 1):
            (found,) = self.emit(self.high(end, seq >> 32), [packet_of(4, 99, ours=True)])
            self.assertEqual(found.seq, seq)

    def high(self, end: End, half: int) -> End:
        """The peer that knows the high half."""
        peer = dataclasses.replace(end.speaking.peer, high=half)
        return dataclasses.replace(end, speaking=Speaking(end.speaking.tunnel, peer))


class NumbersOf64Bits(RoundTripTest):
    """d.2: with the header in the trailer the number is there in full, so no inference: it may
    jump; the receiver's range ends at 2^37 (SEQ_RANGE)."""

    def runTest(self) -> None:
        end, packet = self.from_peer("header-in-trailer"), packet_of(4, 99, ours=False)
        for seq in (1, TURN, 5 * TURN + 3, (1 << 37) - 1):
            self.deliver(end, [packet], first=seq)
            self.refuse(Drop.REPLAY_DUP, UNPROTECTED, end.frame(packet, seq))
        far = [end.frame(packet, seq) for seq in (1 << 37, 1 << 48, (1 << 64) - 1)]
        self.without_a_trace(Drop.SEQ_RANGE, end.speaking, *far)
        self.without_a_trace(Drop.SEQ_ZERO, end.speaking, end.frame(packet, 0))
        out = self.to_peer("header-in-trailer", seq_hard=NEVER)
        self.gw.control(Op.ADVANCE_SEQ, out.speaking.sa.space, (1 << 40) - 1)
        self.assertEqual(self.emit(out, [packet_of(4, 99, ours=True)])[0].seq, 1 << 40)


class TheTrailersProtocolInside(RoundTripTest):
    """d.2: packets of IP protocol 254 that pass through are no ESP: of any length, in plain ESP and
    in every format."""

    def runTest(self) -> None:
        for name, version in itertools.product(("esp", *LAYOUTS), (4, 6)):
            shape = Shape(inner=version)
            entries = self.gw.installed()
            with self.subTest(format=name, version=version):
                inward, outward = self.from_peer(name, shape), self.to_peer(name, shape)
                least = least_of(shape, inward.layout)
                sizes = [max(n, least) for n in (0, 1, 31, 32, 33, 36, 64, 65, 1400)]
                self.deliver(inward, [self.packet(version, n, ours=False) for n in sizes])
                self.emit(outward, [self.packet(version, n, ours=True) for n in sizes])
            self.gw.reset(entries)

    def packet(self, version: int, size: int, *, ours: bool) -> bytes:
        """With so many octets behind the header."""
        whole = packet_of(version, HEADER_LEN[version] + size, ours=ours)
        return wire.carrying(whole, 254, whole[HEADER_LEN[version] :])


class TheLongestWithHeaderInTrailer(FormatModeTest):
    """d.7: a switch has to take up the whole packet, so there is a most: 8,188 octets of payload,
    of more TOO_BIG; what is longer on the wire is not looked through: RUNT."""

    def runTest(self) -> None:
        for shape in (Shape(), Shape(outer=6, inner=6)):
            entries = self.gw.installed()
            with self.subTest(shape=str(shape)):
                name, most = "header-in-trailer", 8188
                inward, outward = self.from_peer(name, shape), self.to_peer(name, shape)
                self.deliver(inward, [packet_of(shape.inner, most, ours=False)])
                self.emit(outward, [packet_of(shape.inner, most, ours=True)])
                longer = frames.ethernet(PROTECTED, packet_of(shape.inner, most + 1, ours=True))
                self.refuse(Drop.TOO_BIG, PROTECTED, longer, punt=Punt.TOO_BIG)
                self.assertEqual(self.last_of(outward.speaking), [1])
                longer = inward.frame(packet_of(shape.inner, most + 8, ours=False), 2)
                self.without_a_trace(Drop.RUNT, inward.speaking, longer)
            self.gw.reset(entries)


class OptionsInFrontOfFormats(RoundTripTest):
    """RFC 791: options of the outer IPv4 header stand in front of any format, and are taken off."""

    def runTest(self) -> None:
        packet = packet_of(4, 99, ours=False)
        for name, size in itertools.product(LAYOUTS, (4, 40)):
            with self.subTest(format=name, options=size):
                end = self.from_peer(name)
                protocol = end.layout.protocol
                outer = frames.outer(end.octets(packet, 1), proto=protocol, options=b"\1" * size)
                verdict = self.gw.send(UNPROTECTED, frames.ethernet(UNPROTECTED, outer))
                self.assertEqual(verdict.outputs, [end.arrived(packet)])


class LengthsHidden(FormatModeTest):
    """c.11 7: TFC padding behind the payload in every format: all packets are of one length on the
    wire.  Without a trailer only a receiver that expects it takes it, which ours does not; EESP has
    none (g.1)."""

    shows_payload = True

    def runTest(self) -> None:
        names = [name for name, layout in LAYOUTS.items() if layout.format not in EESP]
        for name, (outer, inner) in itertools.product(names, FAMILIES):
            entries = self.gw.installed()
            with self.subTest(format=name, outer=outer, inner=inner):
                self.hidden(name, Shape(outer=outer, inner=inner))
            self.gw.reset(entries)

    def hidden(self, name: str, shape: Shape) -> None:
        """Both ways."""
        end, back = self.to_peer(name, shape, tfc_len=TFC_LEN), self.from_peer(name, shape)
        head, sizes = HEADER_LEN[shape.inner], set()
        for n in (9, 10, 11, 12, 100, TFC_LEN - head):
            packet = packet_of(shape.inner, head + n, ours=True)
            verdict = self.gw.send(PROTECTED, frames.ethernet(PROTECTED, packet))
            (request,), (out,) = verdict.requests, verdict.outputs
            self.assertEqual(bool(Descriptor.of(request).flags & FLAG_FILL), n + head < TFC_LEN)
            sizes.add(len(out.data))
            if end.layout.format == Format.NO_TRAILER:
                continue
            found, _ = end.received(out.data)
            expected = frames.rewritten(packet)
            self.assertEqual(found.payload, expected.ljust(TFC_LEN, b"\0"))
        self.assertEqual(len(sizes), 1)
        packet = packet_of(shape.inner, head + 60, ours=False)
        frame = back.frame(packet, 1, payload=packet + bytes(61))
        if end.layout.format == Format.NO_TRAILER:
            self.refuse(Drop.BAD_INNER, UNPROTECTED, frame)
        else:
            self.assertEqual(self.gw.send(UNPROTECTED, frame).outputs, [back.arrived(packet)])


class OctetsThatAreNotThereAreNotShown(FormatModeTest):
    """e.4: TFC padding comes from the engine, so the sender cannot show it: BAD_OFFSET, although
    the padded payload is long enough."""

    shows_payload = True

    def runTest(self) -> None:
        for name in ("crypt-offset", "crypt-offset-shown"):
            for inner, size in ((4, 20), (4, 27), (6, 40), (6, 43)):
                entries = self.gw.installed()
                with self.subTest(format=name, inner=inner, size=size):
                    end = self.to_peer(name, Shape(inner=inner), tfc_len=TFC_LEN)
                    packet = packet_of(inner, size, ours=True)
                    self.refuse(Drop.BAD_OFFSET, PROTECTED, frames.ethernet(PROTECTED, packet))
                    self.assertEqual(self.last_of(end.speaking), [0])
                self.gw.reset(entries)


class DummiesInEveryFormat(FormatModeTest):
    """c.11 10, RFC 4303 2.6: next header 59 is sent, and dropped behind a right ICV, with payload
    or none; without a trailer nothing tells a dummy from a packet, so none is sent."""

    shows_payload = True

    def runTest(self) -> None:
        for name in LAYOUTS:
            entries = self.gw.installed()
            with self.subTest(format=name):
                self.received(name)
                self.sent(name)
            self.gw.reset(entries)

    def received(self, name: str) -> None:
        """Authentic, so their numbers are used up."""
        if LAYOUTS[name].format in WITHOUT_NEXT_HEADER:
            return
        end = self.from_peer(name)
        packet = packet_of(4, 60, ours=False)
        self.refuse(Drop.DUMMY, UNPROTECTED, end.frame(packet, 1, next_header=NO_NEXT_HEADER))
        self.assertEqual(self.top_of(end.speaking), 1)
        if not end.layout.shown:
            empty = end.frame(packet, 2, next_header=NO_NEXT_HEADER, payload=b"")
            reason = WITHOUT_TEXT.get(end.layout.format, Drop.DUMMY)
            self.refuse(reason, UNPROTECTED, empty)
            self.assertEqual(self.top_of(end.speaking), 2 if reason == Drop.DUMMY else 1)

    def sent(self, name: str) -> None:
        """By the controller."""
        end = self.to_peer(name)
        content = b"\x45" + bytes(99)
        header = frames.ethernet(PROTECTED, b"\x45")[:14]
        message = PacketOut(Op.DUMMY, header + content, index=end.speaking.sa.sa)
        verdict = self.gw.exchange([message])
        if end.layout.format in WITHOUT_NEXT_HEADER:
            self.assert_refused(verdict, Drop.NOT_IN_SA)
            self.assertEqual(sum(self.last_of(end.speaking)), 0)
            return
        self.assertEqual(verdict.outcomes[Outcome.FORWARDED], 1)
        found = end.speaking.peer.open(end.octets_in(verdict.outputs[0].data))
        self.assertEqual((found.next_header, found.payload), (NO_NEXT_HEADER, content))
        self.assertEqual((found.seq, found.sub), (1, 0))
