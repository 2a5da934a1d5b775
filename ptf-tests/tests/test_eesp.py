"""EESP (draft-ietf-ipsecme-eesp-04), optimized and full (digest g.13)."""

from __future__ import annotations

import dataclasses
import itertools
import struct
from typing import Any

from harness import frames
from harness.engine import Descriptor
from harness.format_cases import BadInputTest, RoundTripTest, flipped
from harness.format_modes import End, FormatModeTest
from harness.formats import LAYOUTS, PAD_N4, Packet, Peer
from harness.frames import fragment6, options6
from harness.ids import Drop, Format, Mode, Op
from harness.modes import Shape, packet_of
from harness.sa import NEVER, Layout
from harness.topology import PROTECTED, UNPROTECTED
from harness.tunnels import NAT_T

OPTIMIZED, FULL = "eesp-optimized", "eesp-full"
BOTH = (OPTIMIZED, FULL)
FILLINGS = [
    *(bytes(4), PAD_N4, b"\1\1\0\0", b"\0\1\1\0"),
    *(b"\0\0\1\0", b"\0\1\0\0", b"\1\0\0\0", b"\1\0\1\0"),
]
"""Each way in which Pad1 and PadN fill 4 octets."""
PAD_N8 = bytes([1, 6]) + bytes(6)
V4, V6 = Shape(), Shape(outer=6, inner=6)
TRANSPORT, TRANSPORT6 = Shape(Mode.TRANSPORT), Shape(Mode.TRANSPORT, outer=6, inner=6)
BEET, BEET6 = Shape(Mode.BEET_V4), Shape(Mode.BEET_V6, outer=6, inner=6)
PACKET = packet_of(4, 60, ours=False)
IV = 0x1122334455667788
OPTIONS_LEN = 1
EESP = 253
NO_NEXT_HEADER = 59
LENGTHS = (*range(1, 41), 1400, 1500)
"""Of a payload that is all encrypted."""


def full(**fields: Any) -> Layout:
    """The full format, showing nothing unless told to."""
    return Layout(Format.EESP_FULL, **fields)


def offset(head_len: int, shown: int, more: int = 0) -> bytes:
    """A crypt offset option of 4 octets."""
    return bytes([2, 2]) + struct.pack("!H", head_len // 4 << 10 | shown << 2 | more)


class EespTest(BadInputTest):
    """Peers that do not keep to what was agreed."""

    def with_options(self, end: End, seq: int, options: bytes, shown: int = 0) -> bytes:
        """An authentic full packet with explicit IV and these options."""
        key = end.speaking.peer.keys(0)
        head = struct.pack("!BBHI", 0x80, len(options), 0, end.speaking.sa.spi)
        head += options + seq.to_bytes(8) + seq.to_bytes(8)
        whole = Packet(seq, PACKET).information() + PACKET
        aad = head + whole[:shown]
        return aad + key.aead().encrypt(key.salt + seq.to_bytes(8), whole[shown:], aad)

    def arrives(self, end: End, *octets: bytes) -> None:
        """Proves: each of the packets is delivered."""
        verdict = self.gw.send(UNPROTECTED, *(end.around(PACKET, each) for each in octets))
        self.assertEqual(dict(verdict.drops), {})
        self.assertEqual(verdict.outputs, [end.arrived(PACKET)] * len(octets))


class EveryLengthOptimized(RoundTripTest):
    """Issue 6: payloads of 0 to 70 octets and up to 1500, IPv4 and IPv6, both ways."""

    def runTest(self) -> None:
        self.every_length(OPTIMIZED)


class EveryLengthFull(RoundTripTest):
    """The same with a payload information header, and headers shown."""

    def runTest(self) -> None:
        self.every_length(FULL)


class EveryTunnelOptimized(RoundTripTest):
    """g.9: tunnel mode of all families."""

    def runTest(self) -> None:
        self.every_shape(OPTIMIZED)


class EveryShapeFull(RoundTripTest):
    """g.9: tunnel, transport and BEET of all families, with the ports shown."""

    def runTest(self) -> None:
        self.every_shape(FULL)


class FullWithNothingShown(RoundTripTest):
    """g.2: the payload information header is encrypted; IPv4 without options, IPv6 with a PadN;
    explicit IV and none; sessions with keys of their own."""

    def runTest(self) -> None:
        shapes = (V4, V6, TRANSPORT, TRANSPORT6, BEET, BEET6)
        for shape, kind in itertools.product(shapes, (self.explicit, self.implicit)):
            entries = self.gw.installed()
            with self.subTest(shape=str(shape), kind=kind.__name__):
                options_len = 4 if shape.inner == 6 else 0
                layout = full(last_sub=3, key_step=True, options_len=options_len)
                head = 40 if shape.inner == 6 else 20
                keys, sizes = kind(OPTIMIZED), [head + n for n in LENGTHS]
                end = self.from_peer(FULL, shape, keys=keys, layout=layout)
                self.deliver(end, [packet_of(shape.inner, n, ours=False) for n in sizes])
                end = self.to_peer(FULL, shape, keys=kind(OPTIMIZED), layout=layout)
                self.emit(end, [packet_of(shape.inner, n, ours=True) for n in sizes])
            self.gw.reset(entries)


class PadNInFrontOfIpv6(FormatModeTest):
    """g.13 12: transport mode over IPv6 has a PadN of 4 octets, so that layer 4 is at a multiple of
    8, octet by octet; with a crypt offset option there is none; both together are 8 octets."""

    shows_payload = True

    def runTest(self) -> None:
        cases = (
            (4, 0, self.implicit, "80040000", "01020000", 24),
            (4, 0, self.explicit, "80040000", "01020000", 32),
            (4, 12, self.explicit, "80040000", "02021c30", 32),
            (8, 12, self.explicit, "80080000", "0202203001020000", 36),
        )
        for options_len, shown, kind, first, options, start in cases:
            entries = self.gw.installed()
            with self.subTest(options=options, kind=kind.__name__):
                layout = full(options_len=options_len, shown=shown)
                end = self.to_peer(FULL, TRANSPORT6, keys=kind(FULL), layout=layout)
                packet = packet_of(6, 99, ours=True)
                out = self.forward(PROTECTED, frames.ethernet(PROTECTED, packet))
                octets = end.octets_in(out.data)
                spi = end.speaking.sa.spi.to_bytes(4)
                expected = bytes.fromhex(first) + spi + bytes.fromhex(options) + bytes(7) + b"\1"
                self.assertEqual(octets[: len(expected)].hex(), expected.hex())
                self.assertEqual(len(octets), start + 59 + 1 + 16)
                self.emit(end, [packet])
                back = self.from_peer(FULL, TRANSPORT6, keys=kind(FULL), layout=layout)
                self.deliver(back, [packet_of(6, 99, ours=False)])
            self.gw.reset(entries)


class FirstOctet(EespTest):
    """g.13 2: 0x00 (no EESP), 0x88 (version 1), 0x81 (a reserved bit) and each other but 0x80:
    BAD_VERSION, before any cipher."""

    def runTest(self) -> None:
        for name in BOTH:
            with self.subTest(format=name):
                end = self.from_peer(name)
                octets = end.octets(PACKET, 1)
                wrong = [first for first in range(256) if first != 0x80]
                self.ignored(Drop.BAD_VERSION, end, *(bytes([n]) + octets[1:] for n in wrong))
                self.still_good(end)


class LengthOfTheCryptOffsetOption(EespTest):
    """g.13 3: data length 2, as the TLV rule has it; the 4 of the draft's example, and any other:
    BAD_OPTION."""

    def runTest(self) -> None:
        end = self.from_peer(FULL)
        self.arrives(end, self.with_options(end, 1, offset(28, 32), 32))
        octets = end.octets(PACKET, 2)
        self.ignored(
            Drop.BAD_OPTION, end, *(octets[:9] + bytes([n]) + octets[10:] for n in (0, 1, 4))
        )
        self.still_good(end)


class OptionsInAnyOrder(EespTest):
    """g.2: padding of Pad1 and PadN in each way to fill 4 octets or 8, in front of the crypt offset
    and behind it."""

    def runTest(self) -> None:
        end = self.from_peer(FULL)
        padded = [*FILLINGS, *map(bytes.__add__, FILLINGS, reversed(FILLINGS)), PAD_N8]
        good = [(options, 0) for options in padded]
        good += [(filling + offset(32, 16), 16) for filling in FILLINGS]
        good += [(offset(32, 16) + filling, 16) for filling in FILLINGS]
        for seq, (options, shown) in enumerate(good, 1):
            self.arrives(end, self.with_options(end, seq, options, shown))
        octets = self.with_options(end, 90, *good[-1])
        self.forged(end, *(flipped(octets, place) for place in range(20, 28)))


class OptionsOfOtherTypes(EespTest):
    """g.2: unassigned and private types: BAD_OPTION, in each place; so are two crypt offsets, and
    padding that ends before it says."""

    def runTest(self) -> None:
        for name in BOTH:
            with self.subTest(format=name):
                end = self.from_peer(name)
                types = [3, 4, 128, 223, 224, 255]
                wrong = [bytes([n, 2, 0, 0]) for n in types]
                wrong += [PAD_N4 + option for option in wrong]
                wrong += [offset(32, 0) * 2, PAD_N4 + b"\1\5\0\0", b"\0\1\2\0", b"\1\1\0\1"]
                wrong += [b"\0\2\2\0", b"\1\5" + bytes(6), b"\1\0\2\2", b"\0\0\0\3"]
                octets = [self.with_options(end, 1, options) for options in wrong]
                self.ignored(Drop.BAD_OPTION, end, *octets)
                self.still_good(end)


class OptionLengths(EespTest):
    """g.13 4: an option length beyond the packet, and each but 0, 4 and 8: BAD_OPTION; one that
    fits into the octets that are looked at, but not with the rest: BAD_LENGTH."""

    def runTest(self) -> None:
        for name, shape in itertools.product(BOTH, (V4, V6)):
            with self.subTest(format=name, shape=str(shape)):
                end = self.from_peer(name, shape)
                packet = packet_of(shape.inner, 90, ours=False)
                octets = end.octets(packet, 1)
                wrong = [n for n in range(256) if n not in (0, 4, 8)]
                sent = [octets[:OPTIONS_LEN] + bytes([n]) + octets[2:] for n in wrong]
                around = [end.around(packet, each) for each in sent]
                verdict = self.without_a_trace(Drop.BAD_OPTION, end.speaking, *around)
                self.assertEqual(verdict.requests, [])
                self.deliver(end, [packet])
        end = self.from_peer(FULL)
        short = self.with_options(end, 1, PAD_N4 * 2)
        self.ignored(Drop.RUNT, end, *(short[:size] for size in range(24)))
        self.ignored(Drop.BAD_LENGTH, end, *(short[:size] for size in range(24, 52)))


class DataOfPadN(EespTest):
    """g.13 5: what a PadN holds is not looked at, but it is authenticated."""

    def runTest(self) -> None:
        end = self.from_peer(FULL)
        octets = self.with_options(end, 1, b"\1\2\xff\1")
        self.arrives(end, octets)
        fresh = self.with_options(end, 2, b"\1\2\xff\1")
        self.forged(end, *(flipped(fresh, place) for place in (10, 11)))
        behind = self.with_options(end, 3, offset(32, 32) + b"\1\2\7\7", 32)
        self.forged(end, flipped(behind, 15))
        self.arrives(end, fresh, behind)


class SessionsAboveTheNegotiated(EespTest):
    """g.13 6: session M is accepted, M + 1 and 65535 are BAD_SUB before any cipher; where there are
    no sub-SAs each but 0."""

    def runTest(self) -> None:
        for name, shape in itertools.product(BOTH, (V4, V6)):
            with self.subTest(format=name, shape=str(shape)):
                end, packet = self.from_peer(name, shape), packet_of(shape.inner, 90, ours=False)
                last = end.layout.last_sub
                octets = end.octets(packet, 1, last)
                for sub in (last + 1, last + 256, 0xFFFF):
                    frame = end.around(packet, octets[:2] + sub.to_bytes(2) + octets[4:])
                    verdict = self.without_a_trace(Drop.BAD_SUB, end.speaking, frame)
                    self.assertEqual(verdict.requests, [])
                self.deliver(end, [packet] * (last + 1))


class ReplayOnSessions(EespTest):
    """g.13 17: a replay in session 5 is dropped; the same number in session 6 is not one.  The
    packet of one session is none of another: BAD_ICV."""

    def runTest(self) -> None:
        layouts = (
            (OPTIMIZED, Layout(Format.EESP_OPTIMIZED, last_sub=7, key_step=True)),
            (FULL, full(last_sub=7, key_step=True)),
        )
        for name, layout in layouts:
            with self.subTest(format=name):
                end = self.from_peer(name, keys=self.keys(OPTIMIZED, 0x700), layout=layout)
                self.arrives(end, end.octets(PACKET, 9, 5))
                replay = end.frame(PACKET, 9, 5)
                self.without_a_trace(Drop.REPLAY_DUP, end.speaking, replay)
                self.arrives(end, end.octets(PACKET, 9, 6))
                self.without_a_trace(Drop.REPLAY_DUP, end.speaking, replay)
                octets = end.octets(PACKET, 10, 5)
                self.forged(end, octets[:3] + b"\7" + octets[4:])
                self.assertEqual(self.tops_of(end.speaking), [0, 0, 0, 0, 0, 9, 9, 0])


class WithoutNumbers(EespTest):
    """g.13 7: no sequence number is on the wire, the IV is the one of the packet; nothing is
    remembered, so that a packet is accepted twice; over all lengths, modes and sessions."""

    def runTest(self) -> None:
        optimized = Layout(Format.EESP_OPTIMIZED, no_seq=True, last_sub=3, key_step=True)
        shown = full(no_seq=True, shown=32, options_len=4)
        cases = ((optimized, V4), (optimized, V6), (full(no_seq=True), TRANSPORT), (shown, V4))
        for bare, shape in cases:
            entries = self.gw.installed()
            layout = dataclasses.replace(bare, iv_base=IV)
            with self.subTest(format=layout.format.name, shape=str(shape)):
                keys, head = self.explicit(OPTIMIZED), 40 if shape.inner == 6 else 28
                sizes = [head + n for n in LENGTHS]
                end = self.from_peer(OPTIMIZED, shape, keys=keys, layout=layout, window=0)
                for _ in range(2):
                    self.deliver(end, [packet_of(shape.inner, n, ours=False) for n in sizes])
                self.assertEqual(sum(self.tops_of(end.speaking)), 0)
                keys = self.explicit(OPTIMIZED)
                end = self.to_peer(OPTIMIZED, shape, keys=keys, layout=layout)
                found = self.emit(end, [packet_of(shape.inner, n, ours=True) for n in sizes])
                per_sub = {sub: [p.seq for p in found if p.sub == sub] for sub in range(4)}
                for numbers in per_sub.values():
                    self.assertEqual(numbers, list(range(1, len(numbers) + 1)))
            self.gw.reset(entries)


class NumbersThatAreNotSent(EespTest):
    """g.3: without a number on the wire, the IV has all 64 bits of the count, over the turn of its
    low half; the engine, which would refuse a long number here, is given that half."""

    def runTest(self) -> None:
        layout = Layout(Format.EESP_OPTIMIZED, no_seq=True, iv_base=IV)
        end = self.to_peer(FULL, layout=layout, seq_hard=NEVER)
        self.gw.control(Op.ADVANCE_SEQ, end.speaking.sa.space, (1 << 32) - 2)
        frame = frames.ethernet(PROTECTED, packet_of(4, 60, ours=True))
        verdict = self.gw.send(PROTECTED, *[frame] * 3)
        found = [end.received(out.data)[0].seq for out in verdict.outputs]
        self.assertEqual(found, [(1 << 32) - 1, 1 << 32, (1 << 32) + 1])
        numbers = [Descriptor.of(request).seq for request in verdict.requests]
        self.assertEqual(numbers, [(1 << 32) - 1, 0, 1])


class IvThatTurns(EespTest):
    """g.3: the explicit IV is the number plus a base, modulo 2^64."""

    def runTest(self) -> None:
        layout = Layout(Format.EESP_OPTIMIZED, iv_base=NEVER - 1)
        end = self.to_peer(FULL, layout=layout)
        ours = frames.ethernet(PROTECTED, packet_of(4, 60, ours=True))
        outputs = self.gw.send(PROTECTED, ours, ours, ours).outputs
        ivs = [int.from_bytes(end.octets_in(out.data)[16:24]) for out in outputs]
        self.assertEqual(ivs, [NEVER, 0, 1])
        found = [end.received(out.data)[0].seq for out in outputs]
        self.assertEqual(found, [1, 2, 3])


class OffsetsUpToTheAnnounced(EespTest):
    """g.13 9: with 8 words announced each packet shows what its option says, from the information
    alone to 8 words, or nothing; 9 and 63 are BAD_OFFSET before any cipher."""

    def runTest(self) -> None:
        end = self.from_peer(FULL)
        shows = range(4, 36, 4)
        self.arrives(
            end,
            *(self.with_options(end, seq, offset(28, n), n) for seq, n in enumerate(shows, 1)),
            *(self.with_options(end, 20 + n, options) for n, options in enumerate((b"", PAD_N4))),
            self.with_options(end, 30, offset(28, 0)),
            self.with_options(end, 31, offset(32, 16) + PAD_N4, 16),
        )
        more = [self.with_options(end, 40, offset(28, n), n) for n in (36, 40)]
        more.append(self.with_options(end, 40, offset(28, 252), 60))
        self.ignored(Drop.BAD_OFFSET, end, *more)
        self.still_good(end)


class OffsetWithoutAnnouncement(EespTest):
    """g.13 10: BAD_OFFSET where none was announced; optimized packets have none: BAD_OPTION."""

    def runTest(self) -> None:
        end = self.from_peer(FULL, layout=full())
        wrong = [self.with_options(end, 1, offset(28, n), n) for n in (4, 8, 32)]
        self.ignored(Drop.BAD_OFFSET, end, *wrong)
        self.arrives(end, self.with_options(end, 2, b""))
        end = self.from_peer(OPTIMIZED)
        wrong = [self.with_options(end, 1, offset(20, n), n) for n in (0, 4, 32)]
        self.ignored(Drop.BAD_OPTION, end, *wrong)
        self.still_good(end)


class PayloadOffsetMustFit(EespTest):
    """g.6 6: the place that the option gives for the payload is where it is: else BAD_OPTION; the
    4 reserved bits are ignored, and authenticated."""

    def runTest(self) -> None:
        end = self.from_peer(FULL)
        for places in ([n for n in range(0, 256, 4) if n != 28],):
            wrong = [self.with_options(end, 1, offset(n, 32), 32) for n in places]
            self.ignored(Drop.BAD_OPTION, end, *wrong)
        self.arrives(end, self.with_options(end, 1, offset(28, 32, 0xF), 32))
        octets = self.with_options(end, 2, offset(28, 32, 0xF), 32)
        self.forged(end, *(flipped(octets, 11, 1 << bit) for bit in range(4)))


class PaddingOfOptimizedPackets(EespTest):
    """g.13 11: packets of 36, 37, 38, 39 octets have padding of 0, 3, 2, 1, both ways; up to 255
    octets of zeros are accepted, and anything else in them is BAD_PAD."""

    def runTest(self) -> None:
        out, end = self.to_peer(OPTIMIZED), self.from_peer(OPTIMIZED)
        for size, pad in ((36, 0), (37, 3), (38, 2), (39, 1)):
            frame = frames.ethernet(PROTECTED, packet_of(4, size, ours=True))
            octets = out.octets_in(self.forward(PROTECTED, frame).data)
            self.assertEqual(len(octets), 16 + size + pad + 16)
            theirs = packet_of(4, size, ours=False)
            self.assertEqual(len(end.octets(theirs, size)), len(octets))
            self.deliver(end, [theirs], first=size)
        for seq, size in enumerate((4, 8, 128, 252), 100):
            self.arrives(end, end.octets(PACKET, seq, pad=bytes(size)))
        pads = (b"\0\0\0\1", b"\1\0\0\0", bytes(251) + b"\1")
        sent = [end.frame(PACKET, 200 + n, pad=pad) for n, pad in enumerate(pads)]
        self.refuse(Drop.BAD_PAD, UNPROTECTED, *sent)


class NoNextHeader(EespTest):
    """g.13 13: next header 59 is dropped behind a right ICV, shown or not; its number is gone."""

    def runTest(self) -> None:
        for shape, layout in ((V4, LAYOUTS[FULL]), (V4, full()), (TRANSPORT, full())):
            with self.subTest(shape=str(shape), shown=layout.shown):
                end = self.from_peer(FULL, shape, layout=layout)
                frame = end.frame(PACKET, 3, next_header=NO_NEXT_HEADER)
                verdict = self.refuse(Drop.DUMMY, UNPROTECTED, frame)
                self.assertEqual(len(verdict.requests), 1)
                self.assertEqual(self.top_of(end.speaking), 3)


class FragmentsOfEesp(EespTest):
    """g.13 14: first or later, IPv4 and IPv6, tunnel and transport: OUTER_FRAGMENT."""

    def runTest(self) -> None:
        for name in BOTH:
            with self.subTest(format=name):
                end, end6 = self.from_peer(name), self.from_peer(name, V6)
                octets = end.octets(PACKET, 1)
                sent = [
                    frames.outer(octets, proto=EESP, flags=flags, frag=place)
                    for flags, place in (("MF", 0), ("MF", 5), (0, 5))
                ]
                self.fragments(end, *sent)
                octets = end6.octets(packet_of(6, 90, ours=False), 1)
                sent = [
                    frames.outer6(octets, proto=EESP, chain=(fragment6(place, more=more),))
                    for place, more in ((0, True), (5, True), (5, False), (0, False))
                ]
                self.fragments(end6, *sent)

    def fragments(self, end: End, *packets: bytes) -> None:
        """Proves: refused."""
        sent = [frames.ethernet(UNPROTECTED, packet) for packet in packets]
        verdict = self.without_a_trace(Drop.OUTER_FRAGMENT, end.speaking, *sent)
        self.assertEqual(verdict.requests, [])


class NumbersOfEesp(EespTest):
    """g.13 16: the first number is 1, 0 is SEQ_ZERO; all 64 bits are there, and may jump; the
    receiver's range ends at 2^37 (SEQ_RANGE)."""

    def runTest(self) -> None:
        for name in BOTH:
            with self.subTest(format=name):
                entries = self.gw.installed()
                end, out = self.from_peer(name), self.to_peer(name, seq_hard=NEVER)
                self.ignored(Drop.SEQ_ZERO, end, end.octets(PACKET, 0))
                for seq in (1, 1 << 32, (5 << 32) + 3, (1 << 37) - 1):
                    self.arrives(end, end.octets(PACKET, seq))
                    again = end.frame(PACKET, seq)
                    self.without_a_trace(Drop.REPLAY_DUP, end.speaking, again)
                far = [end.octets(PACKET, seq) for seq in (1 << 37, 1 << 48, NEVER)]
                self.ignored(Drop.SEQ_RANGE, end, *far)
                (found,) = self.emit(out, [packet_of(4, 60, ours=True)])
                self.assertEqual(found.seq, 1)
                for sub in range(out.layout.last_sub + 1):
                    space = out.speaking.sa.space + sub
                    self.gw.control(Op.ADVANCE_SEQ, space, (1 << 40) - 1)
                (found,) = self.emit(out, [packet_of(4, 60, ours=True)])
                self.assertEqual(found.seq, 1 << 40)
                self.gw.reset(entries)


class KnownUnderItsProtocolAlone(EespTest):
    """d.8 7 in spirit: an SPI of EESP in ESP, or in UDP, and the other way round: NO_SA."""

    def runTest(self) -> None:
        for shape in (V4, V6):
            eesp, esp = self.from_peer(FULL, shape), self.from_peer("esp", shape)
            packet = packet_of(shape.inner, 90, ours=False)
            octets = eesp.speaking.sa.spi.to_bytes(4) + b"\0\0\0\1" + bytes(100)
            frame = esp.around(packet, octets)
            self.without_a_trace(Drop.NO_SA, eesp.speaking, frame)
            other = Peer(eesp.layout, esp.speaking.sa.spi, eesp.speaking.peer.keys)
            frame = eesp.around(packet, other.seal(Packet(1, packet)))
            self.without_a_trace(Drop.NO_SA, esp.speaking, frame)
            in_udp = self.from_peer("esp", dataclasses.replace(shape, udp=NAT_T))
            frame = in_udp.around(packet, eesp.octets(packet, 1))
            self.without_a_trace(Drop.NO_SA, eesp.speaking, frame)


class BehindExtensionHeaders(FormatModeTest):
    """g.9: behind the packet's own hop-by-hop options in transport mode, both ways; in tunnel mode
    behind the peer's."""

    shows_payload = True

    def runTest(self) -> None:
        chain = (options6(0),)
        inward, outward = self.from_peer(FULL, TRANSPORT6), self.to_peer(FULL, TRANSPORT6)
        self.deliver(inward, [frames.inner6(chain=chain)])
        self.emit(outward, [frames.outgoing6(chain=chain)])
        chains = ((options6(0),), (options6(60),), (options6(0), options6(60, 1)))
        for name, options in itertools.product(BOTH, chains):
            with self.subTest(format=name, chain=str(options)):
                end, packet = self.from_peer(name, V6), packet_of(6, 99, ours=False)
                outer = frames.outer6(end.octets(packet, 1), proto=EESP, chain=options)
                verdict = self.gw.send(UNPROTECTED, frames.ethernet(UNPROTECTED, outer))
                self.assertEqual(dict(verdict.drops), {})
                self.assertEqual(verdict.outputs, [end.arrived(packet)])
