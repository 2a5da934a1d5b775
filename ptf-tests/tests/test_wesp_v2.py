"""WESPv2 (draft-klassert-ipsecme-wespv2-01): what its header says must be so, and is authenticated
(digest f.11)."""

from __future__ import annotations

import dataclasses
import itertools

from harness import frames, wire
from harness.engine import Descriptor, frame_with
from harness.format_cases import (
    BadInputTest,
    HostileEngineTest,
    RoundTripTest,
    flipped,
    flipped_answer,
    shapes_for,
)
from harness.format_modes import End, FormatModeTest
from harness.formats import LAYOUTS, Packet
from harness.frames import options6
from harness.ids import CRYPTO_PORT, Drop, Format, Mode, Wrap
from harness.modes import Shape, packet_of
from harness.sa import Layout
from harness.topology import PROTECTED, UNPROTECTED
from harness.tunnels import NAT_T

NAME = "wesp-v2"
NEXT_HEADER, HEADER_LEN, OFFSET, FLAGS = range(4)
VERSIONS = (0x00, 0x80, 0xC0)
V4, V6, IN_UDP = Shape(), Shape(outer=6, inner=6), Shape(udp=NAT_T)
IN_UDP6 = Shape(outer=6, inner=6, udp=NAT_T)
TRANSPORT, TRANSPORT6 = Shape(Mode.TRANSPORT), Shape(Mode.TRANSPORT, outer=6, inner=6)
SEVERAL = (V4, V6, IN_UDP, IN_UDP6, TRANSPORT, TRANSPORT6)
NOTHING_SHOWN = Layout(Format.WESP_V2)
NO_NEXT_HEADER = 59
MOST = 252
"""Octets that an offset of 6 bits can name."""


def changed(octets: bytes, place: int, value: int) -> bytes:
    """One octet of the header set."""
    return octets[:place] + bytes([value]) + octets[place + 1 :]


class EveryLengthOfWespV2(RoundTripTest):
    """Issue 6: payloads of 0 to 70 octets and up to 1500, IPv4 and IPv6, both ways."""

    def runTest(self) -> None:
        self.every_length(NAME)


class EveryShapeOfWespV2(RoundTripTest):
    """f.8: tunnel, transport and BEET in all families; in UDP behind a marker."""

    def runTest(self) -> None:
        self.every_shape(NAME)


class EverythingEncrypted(RoundTripTest):
    """f.3: an offset of 0 shows nothing, and the next header is 59 then; explicit IV or none."""

    def runTest(self) -> None:
        for shape, kind in itertools.product(SEVERAL, (self.explicit, self.implicit)):
            if shape.outer == 6 and kind == self.implicit:
                continue  # 20 octets are no multiple of 8
            entries = self.gw.installed()
            with self.subTest(shape=str(shape), kind=kind.__name__):
                padded = 4 * (shape.outer == 6 and not shape.udp)
                layout = dataclasses.replace(NOTHING_SHOWN, options_len=padded)
                least = 1 if shape.mode == Mode.TRANSPORT else 0
                sizes = [20 * (shape.inner // 2 - 1) + n for n in (*range(least, 41), 1400)]
                end = self.from_peer(NAME, shape, keys=kind(NAME), layout=layout)
                self.deliver(end, [packet_of(shape.inner, n, ours=False) for n in sizes])
                end = self.to_peer(NAME, shape, keys=kind(NAME), layout=layout)
                found = self.emit(end, [packet_of(shape.inner, n, ours=True) for n in sizes])
                self.assertEqual([packet.seq for packet in found], list(range(1, len(sizes) + 1)))
            self.gw.reset(entries)


class PadNOverIpv6Alone(FormatModeTest):
    """f.11 8: over IPv6 a PadN of 4 octets makes 24 of the header; in UDP and over IPv4 there is
    none."""

    shows_payload = True

    def runTest(self) -> None:
        for shape, head in (
            (V4, "04141c40"),
            (Shape(outer=6), "04181c4401020000"),
            (V6, "29182c4401020000"),
            (Shape(outer=6, udp=NAT_T), "04141c40"),
            (TRANSPORT6, "1118084401020000"),
            (TRANSPORT, "11140840"),
        ):
            entries = self.gw.installed()
            with self.subTest(shape=str(shape)):
                end = self.to_peer(NAME, shape)
                packet = packet_of(shape.inner, 99, ours=True)
                out = self.forward(PROTECTED, frames.ethernet(PROTECTED, packet))
                octets = end.octets_in(out.data)
                expected = bytes.fromhex(head) + end.speaking.sa.spi.to_bytes(4) + b"\0\0\0\1"
                self.assertEqual(octets[: len(expected)].hex(), expected.hex())
            self.gw.reset(entries)


class NextHeaderOfTheTrailer(BadInputTest):
    """f.11 5: a next header that is not the trailer's, in an authentic packet: ENCAP_MISMATCH
    behind the engine; its number is used up."""

    def runTest(self) -> None:
        for shape in (V4, IN_UDP, TRANSPORT):
            with self.subTest(shape=str(shape)):
                end = self.from_peer(NAME, shape)
                packet = packet_of(4, 60, ours=False)
                right, payload = end.payload_of(packet)
                for seq, wrong in enumerate((0, 41, 59, 6), 1):
                    octets = self.lying(end, seq, payload, right, wrong)
                    frame = end.around(packet, octets)
                    self.refuse(Drop.ENCAP_MISMATCH, UNPROTECTED, frame)
                    self.assertEqual(self.top_of(end.speaking), seq)
                self.deliver(end, [packet], first=9)

    def lying(self, end: End, seq: int, payload: bytes, right: int, wrong: int) -> bytes:
        """A packet whose header says ``wrong`` and its trailer ``right``."""
        key, shown = end.speaking.peer.keys(0), end.layout.shown
        head = bytes([wrong, 20, shown, 0x40]) + end.speaking.peer.header(seq)
        head += seq.to_bytes(8) + payload[:shown]
        pad = bytes(range(1, -(len(payload) + 2) % 4 + 1))
        text = payload[shown:] + pad + bytes([len(pad), right])
        return head + key.aead().encrypt(key.salt + seq.to_bytes(8), text, head)


class NextHeaderWithNothingShown(BadInputTest):
    """f.3: with an offset of 0 it is 59 (version 01 of the draft), not 0 (version 00), and not what
    the trailer says: ENCAP_MISMATCH before any cipher."""

    def runTest(self) -> None:
        end = self.from_peer(NAME, layout=NOTHING_SHOWN)
        octets = end.octets(packet_of(4, 60, ours=False), 1)
        self.assertEqual(octets[NEXT_HEADER], NO_NEXT_HEADER)
        self.ignored(
            Drop.ENCAP_MISMATCH, end, *(changed(octets, NEXT_HEADER, n) for n in (0, 4, 41, 255))
        )
        self.still_good(end)


class HeaderLengthOfTheSa(BadInputTest):
    """f.11 6: 16 where the SA has 20, and every other length: ENCAP_MISMATCH; nothing is opened."""

    def runTest(self) -> None:
        for shape in (V4, IN_UDP):
            with self.subTest(shape=str(shape)):
                end = self.from_peer(NAME, shape)
                octets = end.octets(packet_of(4, 60, ours=False), 1)
                wrong = [changed(octets, HEADER_LEN, n) for n in range(256) if n != 20]
                self.ignored(Drop.ENCAP_MISMATCH, end, *wrong)
                self.still_good(end)


class HeaderLengthOverIpv6(BadInputTest):
    """f.3: over IPv6 it is a multiple of 8: 20 and 28 are ENCAP_MISMATCH although they are what the
    packet has; in UDP 20 is right."""

    def runTest(self) -> None:
        bare = Layout(Format.WESP_V2, shown=LAYOUTS[NAME].shown)
        packet = packet_of(6, 90, ours=False)
        end = self.from_peer(NAME, V6, layout=bare)
        frame = end.frame(packet, 1)
        self.assertEqual(end.octets(packet, 1)[HEADER_LEN], 20)
        verdict = self.without_a_trace(Drop.ENCAP_MISMATCH, end.speaking, frame)
        self.assertEqual(verdict.requests, [])
        end = self.from_peer(NAME, V6)
        octets = changed(end.octets(packet, 1), HEADER_LEN, 28)
        self.without_a_trace(Drop.ENCAP_MISMATCH, end.speaking, end.around(packet, octets))
        self.deliver(end, [packet])
        self.deliver(self.from_peer(NAME, IN_UDP6), [packet])


class VersionsOfWesp(BadInputTest):
    """f.11 7: versions 0, 2 and 3 on an SA of version 1: ENCAP_MISMATCH; WESPv1 and no WESP at all
    likewise."""

    def runTest(self) -> None:
        packet = packet_of(4, 60, ours=False)
        for shape in (V4, IN_UDP):
            with self.subTest(shape=str(shape)):
                end = self.from_peer(NAME, shape)
                octets = end.octets(packet, 1)
                self.ignored(
                    Drop.ENCAP_MISMATCH, end, *(changed(octets, FLAGS, flags) for flags in VERSIONS)
                )
                self.ignored(Drop.ENCAP_MISMATCH, end, b"\0\0\0\x20" + octets[4:])
                bare = end.far.around(packet, octets[4:])
                bare = wire.wrapped(bare, udp=shape.udp) if shape.udp else bare
                frame = frames.ethernet(UNPROTECTED, bare)
                self.without_a_trace(Drop.ENCAP_MISMATCH, end.speaking, frame)
                self.still_good(end)


class VersionOneOnOtherSas(BadInputTest):
    """f.11 7 the other way round: version 1 on an SA of WESPv1, or of none: ENCAP_MISMATCH."""

    def runTest(self) -> None:
        packet = packet_of(4, 60, ours=False)
        donor = self.from_peer(NAME)
        octets = donor.octets(packet, 1)
        for wrap in (Wrap.NONE, Wrap.ENCRYPTED, Wrap.VISIBLE):
            with self.subTest(wrap=wrap.name):
                end = self.from_peer("esp", wrap=wrap)
                spi = end.speaking.sa.spi.to_bytes(4)
                frame = donor.around(packet, octets[:4] + spi + octets[8:])
                verdict = self.without_a_trace(Drop.ENCAP_MISMATCH, end.speaking, frame)
                self.assertEqual(verdict.requests, [])


class OffsetOfTheSa(BadInputTest):
    """f.3: an offset that is not the agreed one, more or less: ENCAP_MISMATCH."""

    def runTest(self) -> None:
        end = self.from_peer(NAME)
        octets = end.octets(packet_of(4, 60, ours=False), 1)
        wrong = [changed(octets, OFFSET, n) for n in range(0, 256, 4) if n != octets[OFFSET]]
        self.ignored(Drop.ENCAP_MISMATCH, end, *wrong)
        self.still_good(end)


class OptionLengths(BadInputTest):
    """f.11 9: 63 and every other length of options but 0 and 4: ENCAP_MISMATCH, be the header
    length fitting or not; 4 where there are none makes an SPI of the number: BAD_SPI."""

    def runTest(self) -> None:
        for shape in (V4, IN_UDP):
            with self.subTest(shape=str(shape)):
                end = self.from_peer(NAME, shape)
                octets = end.octets(packet_of(4, 60, ours=False), 1)
                odd = [n for n in range(1, 64) if n != 4]
                wrong = [changed(octets, FLAGS, 0x40 | n) for n in odd]
                self.ignored(Drop.ENCAP_MISMATCH, end, *wrong)
                fitting = [
                    changed(each, HEADER_LEN, 20 + n & 0xFC)
                    for each, n in zip(wrong, odd, strict=True)
                ]
                self.ignored(Drop.ENCAP_MISMATCH, end, *fitting)
                self.ignored(Drop.BAD_SPI, end, changed(octets, FLAGS, 0x44))
                self.still_good(end)


class EveryOctetInFrontIsAuthenticated(BadInputTest):
    """f.11 10: a flipped option octet, a reserved bit of the offset, number, IV and what is shown:
    BAD_ICV, and no register changes."""

    def runTest(self) -> None:
        packet = packet_of(6, 99, ours=False)
        end = self.from_peer(NAME, V6)
        octets = end.octets(packet, 5)
        places = [*range(4, 8), *range(12, 24 + end.layout.shown)]
        wrong = [flipped(octets, place, 0x04) for place in places]
        wrong += [flipped(octets, OFFSET, mask) for mask in (1, 2)]
        wrong.append(changed(octets, NEXT_HEADER, 4))
        self.assertEqual(octets[4:8], b"\1\2\0\0")
        self.without_a_trace(
            Drop.BAD_ICV, end.speaking, *(end.around(packet, each) for each in wrong)
        )
        self.deliver(end, [packet], first=5)


class ReservedBitsAreIgnored(BadInputTest):
    """f.3: reserved bits of an authentic packet mean nothing; neither does what a PadN holds."""

    def runTest(self) -> None:
        packet = packet_of(4, 60, ours=False)
        end = self.from_peer(NAME)
        key, shown = end.speaking.peer.keys(0), end.layout.shown
        for seq, (offset, options) in enumerate(((3, b""), (0, b"\1\2\3\4"), (2, b"\1\2\0\0")), 1):
            head = bytes([4, 20 + len(options), shown | offset, 0x40 | len(options)]) + options
            head += end.speaking.peer.header(seq) + seq.to_bytes(8) + packet[:shown]
            text = packet[shown:] + b"\1\2\2\4"
            octets = head + key.aead().encrypt(key.salt + seq.to_bytes(8), text, head)
            verdict = self.gw.send(UNPROTECTED, end.around(packet, octets))
            self.assertEqual((dict(verdict.drops), verdict.outputs), ({}, [end.arrived(packet)]))


class OtherOptionsThanPadN(BadInputTest):
    """f.3: an SA has no other option than a PadN of 4 octets: ENCAP_MISMATCH behind the engine, as
    the option is authentic; its number is used up."""

    def runTest(self) -> None:
        packet = packet_of(6, 99, ours=False)
        wrong = (b"\0\0\0\0", b"\1\1\0\0", b"\1\3\0\0", b"\2\2\0\0", b"\x05\2\0\1")
        for shape in (V6, TRANSPORT6):
            with self.subTest(shape=str(shape)):
                end = self.from_peer(NAME, shape)
                next_header, payload = end.payload_of(packet)
                key, shown = end.speaking.peer.keys(0), end.layout.shown
                for seq, option in enumerate(wrong, 1):
                    head = bytes([next_header, 24, shown, 0x44]) + option
                    head += end.speaking.peer.header(seq) + seq.to_bytes(8) + payload[:shown]
                    text = Packet(seq, payload, next_header).with_trailer()[shown:]
                    octets = head + key.aead().encrypt(key.salt + seq.to_bytes(8), text, head)
                    frame = end.around(packet, octets)
                    self.refuse(Drop.ENCAP_MISMATCH, UNPROTECTED, frame)
                    self.assertEqual(self.top_of(end.speaking), seq)
                self.deliver(end, [packet], first=9)


class ShorterThanWespV2Shows(BadInputTest):
    """f.3: an offset beyond the packet: BAD_OFFSET inbound before any cipher, and outbound before a
    number is taken."""

    def runTest(self) -> None:
        end = self.from_peer(NAME)
        octets = end.octets(packet_of(4, 200, ours=False), 1)
        least = 20 + end.layout.shown + 2 + 16
        self.ignored(Drop.BAD_OFFSET, end, *(octets[:size] for size in range(16, least)))
        self.ignored(Drop.RUNT, end, *(octets[:size] for size in range(8, 12)))
        self.ignored(Drop.BAD_LENGTH, end, octets[: least + 1])
        self.forged(end, octets[: least + 2])
        out = self.to_peer(NAME)
        short = [packet_of(4, size, ours=True) for size in range(20, out.layout.shown)]
        sent = [frames.ethernet(PROTECTED, packet) for packet in short]
        self.refuse(Drop.BAD_OFFSET, PROTECTED, *sent)
        self.assertEqual(self.last_of(out.speaking), [0])
        self.emit(out, [packet_of(4, out.layout.shown, ours=True)])


class AllThatAnOffsetCanName(BadInputTest):
    """f.3: 180 octets are shown; 252 do not fit the headers that a request may have:
    LONG_HEADERS."""

    def runTest(self) -> None:
        for shown in (4, 180, MOST):
            entries = self.gw.installed()
            layout = Layout(Format.WESP_V2, shown=shown)
            end, out = self.from_peer(NAME, layout=layout), self.to_peer(NAME, layout=layout)
            theirs, ours = packet_of(4, 400, ours=False), packet_of(4, 400, ours=True)
            if shown == MOST:
                frame = end.frame(theirs, 1)
                self.without_a_trace(Drop.LONG_HEADERS, end.speaking, frame)
                self.refuse(Drop.LONG_HEADERS, PROTECTED, frames.ethernet(PROTECTED, ours))
            else:
                self.deliver(end, [theirs])
                self.emit(out, [ours])
            self.gw.reset(entries)


class BehindExtensionHeaders(FormatModeTest):
    """RFC 4303 3.1.1: in transport mode behind hop-by-hop options, which are the packet's own, both
    ways; in tunnel mode behind the peer's."""

    shows_payload = True

    def runTest(self) -> None:
        chain = (options6(0),)
        inward, outward = self.from_peer(NAME, TRANSPORT6), self.to_peer(NAME, TRANSPORT6)
        self.deliver(inward, [frames.inner6(chain=chain)])
        self.emit(outward, [frames.outgoing6(chain=chain)])
        for options in ((options6(0),), (options6(60),), (options6(0), options6(60, 1))):
            with self.subTest(chain=str(options)):
                end, packet = self.from_peer(NAME, V6), packet_of(6, 99, ours=False)
                octets = end.octets(packet, 1)
                outer = frames.outer6(octets, proto=wire.WESP, chain=options)
                verdict = self.gw.send(UNPROTECTED, frames.ethernet(UNPROTECTED, outer))
                self.assertEqual(dict(verdict.drops), {})
                self.assertEqual(verdict.outputs, [end.arrived(packet)])


class EngineThatChangesTheHeader(HostileEngineTest):
    """FORGED_CX: an answer that is laid out otherwise than its header says; the window stands still
    until the right one comes."""

    def runTest(self) -> None:
        for shape in shapes_for(NAME):
            with self.subTest(shape=str(shape)):
                end, request = self.open_request(NAME, shape)
                reply, at = self.answered(request), Descriptor.of(request).aad_off
                right = Descriptor.of(reply)
                layout = [flipped_answer(reply, at + FLAGS, 0x04)]
                layout += [frame_with(reply, ct_off=right.ct_off + n) for n in (-4, 4, 8)]
                layout += [frame_with(reply, aad_len=right.aad_len ^ 4)]
                before = self.state_of(end.speaking)
                for answer in layout:
                    self.refuse(Drop.FORGED_CX, CRYPTO_PORT, answer)
                self.assertEqual(self.state_of(end.speaking), before)
                self.arrives(end, reply)


class EngineThatChangesTheNextHeader(HostileEngineTest):
    """ENCAP_MISMATCH: what the descriptor says is not what the header announced."""

    honest_engine = False

    def runTest(self) -> None:
        for shape in shapes_for(NAME):
            with self.subTest(shape=str(shape)):
                _, request = self.open_request(NAME, shape)
                reply, at = self.answered(request), Descriptor.of(request).aad_off
                answer = flipped_answer(reply, at + NEXT_HEADER, 0x01)
                self.refuse(Drop.ENCAP_MISMATCH, CRYPTO_PORT, answer)
