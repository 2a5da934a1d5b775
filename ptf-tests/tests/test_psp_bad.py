"""PSP packets that are not as they must be: none is delivered, and each has a reason by name
(digest h.11, K.6)."""

from __future__ import annotations

import dataclasses
import itertools
import struct
from typing import Any

from harness import frames, psp, tables, wire
from harness.engine import Descriptor, frame_with
from harness.format_cases import HostileEngineTest, flipped, flipped_answer
from harness.format_modes import End
from harness.frames import fragment6, options6
from harness.ids import CRYPTO_PORT, Drop, Outcome, Punt
from harness.modes import Shape, packet_of
from harness.psp import PspPacket
from harness.psp_test import (
    COOKIE,
    PACKET,
    SHAPES,
    SPIS,
    TRANSPORT,
    TRANSPORT6,
    PspTest,
    layout,
    usual_offset,
)
from harness.topology import GATEWAY_2, PROTECTED, UNPROTECTED

V4, V6 = Shape(), Shape(outer=6, inner=6)
UDP_LEN, BASE_LEN, ICV_LEN = 8, 16, 16
LOOKED_AT = 64
"""Octets behind the outer IP header that have all their bits flipped."""
UNPROVEN = (0, 1, 6, 7)
"""Octets of UDP that nothing authenticates: source port and checksum."""
NO_NEXT_HEADER = 59
AGGFRAG = 144
"""Of a ping inside an SA, which PSP does not have."""


class HeadersThatDoNotAgree(PspTest):
    """h.11 3 to 5: the bit that is always 1, reserved bits, versions, cookie bit and length that
    are not the SA's: BAD_PSP, and no engine is asked."""

    def runTest(self) -> None:
        for cookie, version in itertools.product((None, COOKIE), (0, 1)):
            has = int(cookie is not None)
            end = self.receiver(V4, layout(0, cookie, version))
            wrong: list[dict[str, Any]] = [{"one": 0}, *({"reserved": n} for n in (1, 2, 3))]
            wrong += [{"version": n} for n in range(16) if n != version]
            wrong += [{"ext_len": n} for n in range(256) if n != 1 + has]
            wrong += [{"present": 1 - has}, {"present": 1 - has, "ext_len": 2 - has}]
            octets = [self.said(end, **fields) for fields in wrong]
            self.refused_here(Drop.BAD_PSP, end, *octets)
            other = COOKIE if cookie is None else None
            self.refused_here(Drop.BAD_PSP, end, self.said(end, cookie=other))
            self.delivered(end, self.said(end))


class OffsetAboveTheAgreed(PspTest):
    """A packet says itself what it shows, up to what the SA shows: more is BAD_OFFSET, less is
    right."""

    shows_payload = True

    def runTest(self) -> None:
        packet = packet_of(4, 400, ours=False)
        for most, cookie in itertools.product((0, 8, 24), (None, COOKIE)):
            end = self.receiver(V4, layout(most, cookie))
            right = [self.said(end, packet=packet, units=n) for n in range(most // 4 + 1)]
            self.delivered(end, *right, packet=packet)
            wrong = [self.said(end, packet=packet, units=n) for n in range(most // 4 + 1, 64)]
            self.refused_here(Drop.BAD_OFFSET, end, *wrong, packet=packet)


class ShorterThanItShows(PspTest):
    """An offset that ends behind the packet is BAD_OFFSET; where the packet ends, it is opened."""

    def runTest(self) -> None:
        for shape, cookie in itertools.product((V4, V6, TRANSPORT), (None, COOKIE)):
            end = self.receiver(shape, layout(32, cookie))
            packet = packet_of(shape.inner, 200, ours=False)
            whole = self.said(end, packet=packet)
            around = len(whole) - (len(end.payload_of(packet)[1]) + 8 * (cookie is not None))
            for size in range(around, around + 32):
                cut = resized(whole[:size])
                room = size >= around + 8 * (cookie is not None)
                reason = Drop.BAD_OFFSET if room else Drop.BAD_LENGTH
                self.refused_here(reason, end, cut, packet=packet)
            self.assertEqual(
                self.gw.send(UNPROTECTED, end.around(packet, resized(whole[: around + 32]))).drops,
                {Drop.BAD_ICV: 1},
            )


class CookieOfAnotherNetwork(PspTest):
    """h.2: an authentic packet with another cookie than the SA's, encrypted, in clear or in part,
    is BAD_COOKIE behind the engine; so is one to be dropped; each bit counts."""

    def runTest(self) -> None:
        for units in (0, 1, 2, 8):
            end = self.receiver(V4, layout(4 * units, COOKIE))
            others = [COOKIE ^ 1 << bit for bit in range(64)]
            octets = [self.said(end, n, cookie=other) for n, other in enumerate(others)]
            self.refused_behind(Drop.BAD_COOKIE, end, *octets)
            self.refused_behind(Drop.BAD_COOKIE, end, self.said(end, cookie=0, drop=1))
            self.delivered(end, self.said(end))
        zero = self.receiver(V4, layout(0, 0))
        self.refused_behind(Drop.BAD_COOKIE, zero, self.said(zero, cookie=COOKIE))
        self.delivered(zero, self.said(zero))


class CookieOfAnotherTenant(PspTest):
    """h.5: who has the key of an SPI has no other SA's cookie or addresses for that."""

    def runTest(self) -> None:
        one, two = (self.receiver(V4, layout(8, cookie)) for cookie in (COOKIE, COOKIE + 1))
        self.delivered(one, self.said(one))
        self.delivered(two, self.said(two))
        self.refused_behind(Drop.BAD_COOKIE, one, self.said(one, cookie=COOKIE + 1))


class EveryBitOfTheFirstOctets(PspTest):
    """K.6 1: no packet with a bit flipped in the first 64 octets behind the outer IP header is
    delivered; but for source port and checksum of UDP, which nothing proves and nobody reads: with
    those the inner packet is the same."""

    def runTest(self) -> None:
        for shape in SHAPES:
            known = (layout(), layout(8 + usual_offset(shape), COOKIE))
            for each in known:
                with self.subTest(shape=str(shape), layout=str(each)):
                    self.every_bit(shape, self.receiver(shape, each))

    def every_bit(self, shape: Shape, end: End) -> None:
        """The bits of an octet, one after the other."""
        packet = packet_of(shape.inner, 99, ours=False)
        whole = self.said(end, packet=packet)
        for place in range(LOOKED_AT):
            damaged = [flipped(whole, place, 1 << bit) for bit in range(8)]
            if place in UNPROVEN:
                for octets in damaged:
                    self.delivered(end, octets, packet=packet)
                continue
            frames = (end.around(packet, octets) for octets in damaged)
            verdict = self.gw.send(UNPROTECTED, *frames)
            self.assertEqual(verdict.outputs, [], f"octet {place}")
            self.assertEqual(verdict.outcomes[Outcome.DROPPED], 8)


class EveryOctetOfAPacket(PspTest):
    """h.3: everything behind UDP is authenticated, up to the last octet of the ICV."""

    def runTest(self) -> None:
        for shape in SHAPES:
            end = self.receiver(shape, layout(8 + usual_offset(shape), COOKIE))
            packet = packet_of(shape.inner, 120, ours=False)
            whole = self.said(end, packet=packet)
            sent = [
                end.around(packet, flipped(whole, place, 0x10))
                for place in range(UDP_LEN, len(whole))
            ]
            verdict = self.gw.send(UNPROTECTED, *sent)
            self.assertEqual(verdict.outputs, [])
            self.assertEqual(verdict.outcomes[Outcome.DROPPED], len(sent))


class TruncatedPackets(PspTest):
    """K.6 2 and 3: a packet that ends anywhere else is not delivered; below 40 octets of UDP it is
    a RUNT, without room for its cookie BAD_LENGTH; with nothing between header and ICV it is
    BAD_ICV."""

    def runTest(self) -> None:
        for shape, cookie in itertools.product(SHAPES, (None, COOKIE)):
            with self.subTest(shape=str(shape), cookie=cookie):
                end = self.receiver(shape, layout(0, cookie))
                packet = packet_of(shape.inner, 70, ours=False)
                whole = self.said(end, packet=packet)
                need = 40 + 8 * (cookie is not None)
                for size in range(UDP_LEN, len(whole)):
                    reason = Drop.BAD_ICV if size >= need else Drop.BAD_LENGTH
                    reason = Drop.RUNT if size < 40 else reason
                    cut = end.around(packet, resized(whole[:size]))
                    self.refuse(reason, UNPROTECTED, cut)


class LengthsThatLie(PspTest):
    """K.6 4: a UDP length beyond the IP packet, an IP length beyond the frame: BAD_OUTER; a UDP
    length that says less: what it says counts, and the ICV is not there."""

    def runTest(self) -> None:
        for shape in SHAPES:
            end = self.receiver(shape)
            packet = packet_of(shape.inner, 99, ours=False)
            whole = self.said(end, packet=packet)
            for more in (1, 4, 1000):
                longer = with_length(whole, len(whole) + more)
                self.refused_here(Drop.BAD_OUTER, end, longer, packet=packet)
            for less in (1, 4, 16):
                self.refused_behind_of(end, packet, with_length(whole, len(whole) - less))
            self.refused_here(Drop.RUNT, end, with_length(whole, 39), packet=packet)
            frame = end.around(packet, whole)
            self.refuse(Drop.BAD_OUTER, UNPROTECTED, frame[:-1])
            trailing = end.around(packet, whole + bytes(7))
            verdict = self.gw.send(UNPROTECTED, trailing)
            self.assertEqual(verdict.outputs, [end.arrived(packet)])

    def refused_behind_of(self, end: End, packet: bytes, octets: bytes) -> None:
        """Proves: BAD_ICV."""
        self.refuse(Drop.BAD_ICV, UNPROTECTED, end.around(packet, octets))


class PayloadsThatAreNone(PspTest):
    """An authentic packet whose payload is not what its next header says."""

    def runTest(self) -> None:
        for units in (0, 6):
            end = self.receiver(V4, layout(4 * units))
            for number in (0, 6, 17, 50, AGGFRAG, 255):
                self.refused_behind(Drop.BAD_NH, end, self.said(end, next_header=number))
            self.refused_behind(Drop.DUMMY, end, self.said(end, next_header=NO_NEXT_HEADER))
            self.refused_behind(Drop.BAD_INNER, end, self.said(end, next_header=41))
            for payload in (PACKET + b"\0", PACKET[:-1], b"\x65" + PACKET[1:], PACKET + bytes(4)):
                octets = self.made(end, payload, units)
                self.refused_behind(Drop.BAD_INNER, end, octets)
        end = self.receiver(TRANSPORT)
        for number in (0, 43, 44, 60, 94, AGGFRAG):
            self.refused_behind(Drop.BAD_NH, end, self.said(end, next_header=number))
        self.refused_behind(Drop.DUMMY, end, self.said(end, next_header=NO_NEXT_HEADER))

    def made(self, end: End, payload: bytes, units: int) -> bytes:
        """A packet around octets of the test's own."""
        packet = PspPacket(end.speaking.sa.spi, 1, payload, units=units)
        return psp.in_udp(packet.sealed(end.speaking.peer.keys(0)))


class SpisOfOthers(PspTest):
    """K.6 6: an SPI of PSP in ESP, UDP-encapsulated ESP or EESP is none, and theirs is none in PSP:
    NO_SA; it is none at another address of ours, either.  SPIs below 256 are BAD_SPI."""

    def runTest(self) -> None:
        for shape in (V4, V6):
            packet = packet_of(shape.inner, 90, ours=False)
            end = self.receiver(shape)
            spi = end.speaking.sa.spi
            for name in ("esp", "eesp-full", "eesp-optimized", "header-in-trailer"):
                other = self.from_peer(name, shape)
                foreign = PspPacket(other.speaking.sa.spi, 1, packet)
                octets = psp.in_udp(foreign.sealed(end.speaking.peer.keys(0)))
                self.refused_here(Drop.NO_SA, end, octets, packet=packet)
                moved = dataclasses.replace(other.speaking.peer, spi=spi)
                frame = dataclasses.replace(
                    other, speaking=dataclasses.replace(other.speaking, peer=moved)
                ).frame(packet, 1)
                self.refuse(Drop.NO_SA, UNPROTECTED, frame)
            for number in (0, 1, 255):
                octets = psp.in_udp(PspPacket(number, 1, packet).sealed(end.speaking.peer.keys(0)))
                self.refused_here(Drop.BAD_SPI, end, octets, packet=packet)
        end = self.receiver()
        elsewhere = frames.outer(self.said(end), proto=17, dst=GATEWAY_2)
        self.refuse(Drop.NO_SA, UNPROTECTED, frames.ethernet(UNPROTECTED, elsewhere))
        in_nat_t = psp.in_udp(self.said(end)[8:])
        octets = in_nat_t[:2] + struct.pack("!H", 4500) + in_nat_t[4:]
        verdict = self.gw.send(UNPROTECTED, end.around(PACKET, octets))
        self.assertEqual((verdict.outputs, verdict.requests), ([], []))


class SaOfAnotherFormatUnderPsp(PspTest):
    """An SAD entry that leads PSP to an SA of another format, or ESP to one of PSP, delivers
    nothing."""

    def runTest(self) -> None:
        end = self.receiver()
        sa = self.inbound_of(end)
        esp = self.from_peer("esp", spi=next(SPIS))
        other = esp.speaking.sa
        self.gw.insert(tables.sad(1, other.spi, other.sa, other.generation, protocol=252))
        octets = psp.in_udp(PspPacket(other.spi, 1, PACKET).sealed(esp.speaking.peer.keys(0)))
        verdict = self.gw.send(UNPROTECTED, end.around(PACKET, octets))
        self.assertEqual((verdict.outputs, verdict.outcomes[Outcome.DROPPED]), ([], 1))
        self.gw.insert(tables.sad(1, sa.spi, sa.sa, sa.generation))
        moved = dataclasses.replace(esp.speaking.peer, spi=sa.spi)
        frame = dataclasses.replace(
            esp, speaking=dataclasses.replace(esp.speaking, peer=moved)
        ).frame(PACKET, 1)
        self.refuse(Drop.BAD_PSP, UNPROTECTED, frame)


class WithoutItsTable(PspTest):
    """STALE_SA: an SA whose version and cookie are not installed yet, either way."""

    def runTest(self) -> None:
        end, out = self.receiver(), self.sender()
        octets = self.said(end)
        self.gw.delete(tables.psp_in(end.speaking.sa.sa, spi=0, version=0, with_cookie=0, cookie=0))
        self.refused_here(Drop.STALE_SA, end, octets)
        self.gw.delete(tables.psp_out(out.speaking.sa.sa, version=0, with_cookie=0, cookie=0))
        frame = frames.ethernet(PROTECTED, packet_of(4, 60, ours=True))
        self.refuse(Drop.STALE_SA, PROTECTED, frame)
        self.assertEqual(self.last_of(out.speaking), [0])


class FragmentsOfPsp(PspTest):
    """RFC 4303 3.4.1 in spirit: fragments of the outer packet are OUTER_FRAGMENT."""

    def runTest(self) -> None:
        end, end6 = self.receiver(V4), self.receiver(V6)
        octets = self.said(end)
        sent = [
            frames.outer(octets, proto=17, flags=flags, frag=place)
            for flags, place in (("MF", 0), ("MF", 5), (0, 5))
        ]
        octets = self.said(end6, packet=packet_of(6, 90, ours=False))
        sent += [
            frames.outer6(octets, proto=17, chain=(fragment6(place, more=more),))
            for place, more in ((0, True), (5, True), (5, False), (0, False))
        ]
        verdict = self.refuse(
            *(Drop.OUTER_FRAGMENT, UNPROTECTED),
            *(frames.ethernet(UNPROTECTED, packet) for packet in sent),
        )
        self.assertEqual(verdict.requests, [])


class BehindExtensionHeaders(PspTest):
    """PSP behind IPv6 extension headers: the packet's own in transport mode, both ways, and the
    peer's in tunnel mode."""

    shows_payload = True

    def runTest(self) -> None:
        for known in (layout(), layout(12, COOKIE)):
            entries = self.gw.installed()
            chain = (options6(0),)
            self.deliver(self.receiver(TRANSPORT6, known), [frames.inner6(chain=chain)])
            self.emit(self.sender(TRANSPORT6, known), [frames.outgoing6(chain=chain)])
            for options in ((options6(0),), (options6(60),), (options6(0), options6(60, 1))):
                end, packet = self.receiver(V6, known), packet_of(6, 99, ours=False)
                octets = self.said(end, packet=packet)
                outer = frames.outer6(octets, proto=17, chain=options)
                verdict = self.gw.send(UNPROTECTED, frames.ethernet(UNPROTECTED, outer))
                self.assertEqual(dict(verdict.drops), {})
                self.assertEqual(verdict.outputs, [end.arrived(packet)])
            self.gw.reset(entries)


class FromOurOwnSide(PspTest):
    """PSP to our address from a protected port is none: the controller gets it."""

    def runTest(self) -> None:
        end = self.receiver()
        outer = frames.outer(self.said(end), proto=17)
        self.punted(Punt.LOCAL, PROTECTED, frames.ethernet(PROTECTED, outer))


class PspEngineTest(PspTest, HostileEngineTest):
    """Answers that the test has changed."""

    def held_open(self, end: End) -> bytes:
        """The request for a packet of 91 octets."""
        packet = packet_of(end.shape.inner, 91, ours=False)
        return self.hold(UNPROTECTED, end.around(packet, self.said(end, packet=packet)))


class WhatTheEngineIsAsked(PspEngineTest):
    """docs/crypto-port.md 9: SHOWN alone, aad_len 8, the next header as it stands; a seal request
    asks for no UDP checksum over IPv6."""

    def runTest(self) -> None:
        for shape in SHAPES:
            entries = self.gw.installed()
            known = layout(8, COOKIE)
            end, out = self.receiver(shape, known), self.sender(shape, known)
            outer = 40 if shape.outer == 6 else 20
            mode = shape.mode << 4
            request = Descriptor.of(self.held_open(end))
            self.assertEqual(request.flags, 0x40 | mode)
            places = (request.aad_off, request.aad_len, request.iv_len, request.ct_off)
            self.assertEqual(places, (outer + 8, 8, 8, outer + 8 + 16 + 8))
            self.assertEqual((request.align, request.pad_len), (1, 0))
            next_header, payload = end.payload_of(packet_of(shape.inner, 91, ours=False))
            self.assertEqual(request.next_header, next_header)
            self.assertEqual(request.plain_len, len(payload) + ICV_LEN)
            request = Descriptor.of(self.request_of(out))
            self.assertEqual((request.flags, request.pad_len), (0x40 | mode, 0))
            self.assertEqual((request.ct_off, request.plain_len), (outer + 32, len(payload)))
            self.gw.reset(entries)


class AnswersOfAnotherLayout(PspEngineTest):
    """FORGED_CX: an answer with another next header, offset or cookie bit than was asked for, or
    laid out otherwise."""

    def runTest(self) -> None:
        for shape, cookie in itertools.product(SHAPES, (None, COOKIE)):
            with self.subTest(shape=str(shape), cookie=cookie):
                end = self.receiver(shape, layout(8, cookie))
                request = self.held_open(end)
                reply, at = self.answered(request), Descriptor.of(request).aad_off
                right = Descriptor.of(reply)
                answers = [flipped_answer(reply, at, 1), frame_with(reply, next_header=99)]
                answers += [flipped_answer(reply, at + 2, 1 << bit) for bit in range(6)]
                answers.append(flipped_answer(reply, at + 3, 2))
                answers += [frame_with(reply, ct_off=right.ct_off + n) for n in (-8, -4, 4, 8)]
                answers += [frame_with(reply, aad_len=n) for n in (4, 12, 16)]
                answers += [frame_with(reply, iv_len=n) for n in (0, 16)]
                answers += [frame_with(reply, flags=right.flags ^ n) for n in (0x02, 0x40, 0x80)]
                self.refuse(Drop.FORGED_CX, CRYPTO_PORT, *answers)
                self.arrives(end, reply)


class OnlyTheSpiAndIvThatWereAskedFor(PspEngineTest):
    """CLEAR_OUT: a sealed packet with another SPI, IV, protocol or address; the packet itself."""

    def runTest(self) -> None:
        for shape in SHAPES:
            entries = self.gw.installed()
            with self.subTest(shape=str(shape)):
                out = self.sender(shape)
                request = self.request_of(out)
                reply, at = self.answered(request), Descriptor.of(request).aad_off
                places = (*range(at + 4, at + 8), *range(at + 12, at + 16))
                self.not_ours(*(flipped_answer(reply, place) for place in places))
                outside = (6, 23, 39) if shape.outer == 6 else (9, 15, 19)
                self.not_ours(*(flipped_answer(reply, place) for place in outside))
                clear = packet_of(shape.inner, 91, ours=True)
                start = reply[: len(reply) - len(reply[46:])]
                self.not_ours(start + clear)
                self.leaves(out, reply)
            self.gw.reset(entries)


class NatMappedToPort1000(PspTest):
    """ESP to a peer whose NAT has chosen port 1000 for it is not taken for PSP when the engine's
    answer comes back."""

    def runTest(self) -> None:
        out = self.to_peer("esp", udp=(4500, 1000))
        packet = packet_of(4, 60, ours=True)
        sent = self.forward(PROTECTED, frames.ethernet(PROTECTED, packet))
        datagram = wire.payload_of(sent.data[14:])[1]
        self.assertEqual(datagram[:4], struct.pack("!HH", 4500, 1000))
        found = out.speaking.peer.open(datagram[8:])
        self.assertEqual(found.payload, frames.rewritten(packet))


def resized(datagram: bytes) -> bytes:
    """With the UDP length made to fit."""
    return with_length(datagram, len(datagram))


def with_length(datagram: bytes, length: int) -> bytes:
    """With another UDP length."""
    return datagram[:4] + struct.pack("!H", length) + datagram[6:]
