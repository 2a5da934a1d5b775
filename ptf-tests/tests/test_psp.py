"""PSP (google/psp): what is sent, and what is delivered (digest h)."""

from __future__ import annotations

import itertools
import random
import struct
from collections.abc import Iterable

from harness import frames, psp, tables
from harness.format_modes import End
from harness.gateway import PacketOut
from harness.ids import CRYPTO_PORT, Drop, Mode, Op, Outcome
from harness.modes import Shape, packet_of
from harness.psp import KNOWN_KEYS, KNOWN_MASTERS, PspPacket
from harness.psp_test import (
    COOKIE,
    PACKET,
    SECOND,
    SHAPES,
    SPIS,
    TRANSPORT,
    TRANSPORT6,
    PspTest,
    layout,
    layouts,
    least_of,
    numbered,
    usual_offset,
)
from harness.sa import NEVER, InboundSa, Layout
from harness.topology import HOST_VLAN, PROTECTED, UNPROTECTED

LENGTHS = range(1501)
SAMPLES = 24
V4, V6 = Shape(), Shape(outer=6, inner=6)
HEADER = {4: 20, 6: 40}
SOME = (*range(20), 127, 512, 1446, 1500)


class KeysOfAnSpi(PspTest):
    """h.11 1 and 6: the reference derives what google/psp derives; the first bit of the SPI chooses
    the master key, the version the length."""

    def runTest(self) -> None:
        for (spi, version), expected in KNOWN_KEYS.items():
            found = psp.key_of(KNOWN_MASTERS, spi, version)
            self.assertEqual(found.secret.hex(), expected)
            self.assertEqual(found.salt, spi.to_bytes(4))


class PspRoundTrip(PspTest):
    """Proves that packets pass, both ways."""

    shows_payload = True

    def round_trip(self, shape: Shape, known: Layout, lengths: Iterable[int]) -> None:
        """With the SAs of one shape and layout."""
        least, head = least_of(shape, known), HEADER[shape.inner]
        sizes = [head + n for n in lengths if n >= least]
        entries = self.gw.installed()
        with self.subTest(shape=str(shape), layout=str(known)):
            end = self.receiver(shape, known)
            self.deliver(end, [packet_of(shape.inner, size, ours=False) for size in sizes])
            out = self.sender(shape, known)
            found = self.emit(out, [packet_of(shape.inner, size, ours=True) for size in sizes])
            self.assertEqual(numbered(found), list(range(1, len(sizes) + 1)))
        self.gw.reset(entries)


class EveryLength(PspRoundTrip):
    """Payloads of 4 to 1500 octets in tunnel mode with the usual offset, both ways."""

    shape = V4
    shown = True
    lengths: Iterable[int] = LENGTHS

    def runTest(self) -> None:
        known = layout(usual_offset(self.shape) if self.shown else 0)
        self.round_trip(self.shape, known, self.lengths)


class EveryLengthOverIpv6(EveryLength):
    """The same over IPv6."""

    shape = V6


class LengthsOfIpv6InIpv4(EveryLength):
    """Some payloads of 0 to 1500 octets, with nothing shown."""

    shape, shown = Shape(outer=4, inner=6), False
    lengths = SOME


class LengthsOfIpv4InIpv6(EveryLength):
    """The same the other way round."""

    shape, shown = Shape(outer=6, inner=4), False
    lengths = SOME


class EveryLengthInTransportMode(EveryLength):
    """The same of layer 4 alone: packets without any, too."""

    shape, shown = TRANSPORT, False


class LengthsInTransportModeOverIpv6(EveryLength):
    """Some of them over IPv6."""

    shape, shown = TRANSPORT6, False
    lengths = SOME


class EveryShapeAndLayout(PspRoundTrip):
    """All modes and families, with and without cookie, with nothing shown and more."""

    def runTest(self) -> None:
        for shape in SHAPES:
            for known in layouts(shape):
                some = random.Random(f"{shape} {known}").sample(LENGTHS, SAMPLES)
                least = least_of(shape, known)
                self.round_trip(shape, known, [*range(least, least + 5), *some, 1500])


class VersionWithLongKeys(PspRoundTrip):
    """h.2: version 1 is AES-GCM with 256 bits, of another label."""

    def runTest(self) -> None:
        for shape, cookie in itertools.product((V4, V6, TRANSPORT), (None, COOKIE)):
            self.round_trip(shape, layout(8, cookie, version=1), (0, 1, 40, 577, 1500))


class OffsetsOfEverySize(PspRoundTrip):
    """h.2: 0 to 52 words in clear, and so the cookie in clear, in part, or encrypted; more do not
    fit in front of a text that a descriptor can point at."""

    def runTest(self) -> None:
        for cookie, units in itertools.product((None, COOKIE), (*range(0, 12), 30, 51, 52)):
            self.round_trip(V4, layout(4 * units, cookie), (250, 251, 1400))
        for cookie in (None, COOKIE):
            self.round_trip(V6, layout(4 * 47, cookie), (250, 251, 1400))
        for shape, units in ((V4, 53), (V6, 48)):
            known = layout(4 * units)
            out, end = self.sender(shape, known), self.receiver(shape, known)
            packet = packet_of(shape.inner, 600, ours=True)
            self.refuse(Drop.LONG_HEADERS, PROTECTED, frames.ethernet(PROTECTED, packet))
            self.assertEqual(self.last_of(out.speaking), [0])
            long = packet_of(shape.inner, 600, ours=False)
            self.refused_here(Drop.LONG_HEADERS, end, self.said(end, packet=long), packet=long)


class WhatIsOnTheWire(PspTest):
    """h.2, octet by octet: UDP to port 1000 with checksum 0 over IPv4 and IPv6, lengths, base
    header, cookie; the cookie is encrypted at offset 0 and can be read at offset 2."""

    def runTest(self) -> None:
        for shape in SHAPES:
            for shown in (0, 8):
                entries = self.gw.installed()
                with self.subTest(shape=str(shape), shown=shown):
                    self.on_the_wire(shape, shown)
                self.gw.reset(entries)

    def on_the_wire(self, shape: Shape, shown: int) -> None:
        """The first packet of an SA with a cookie."""
        end = self.sender(shape, layout(shown, COOKIE))
        packet = packet_of(shape.inner, 99, ours=True)
        out = self.forward(PROTECTED, frames.ethernet(PROTECTED, packet))
        datagram = end.octets_in(out.data)
        next_header, payload = end.payload_of(packet)
        sport, dport, length, checksum = struct.unpack_from("!HHHH", datagram)
        self.assertEqual((dport, checksum), (1000, 0))
        self.assertEqual(length, len(payload) + 48)
        self.assertEqual(length, len(datagram))
        self.assertIn(sport, psp.FLOW_PORTS)
        base = bytes([next_header, 2, shown // 4, 0b11])
        base += end.speaking.sa.spi.to_bytes(4) + bytes(7) + b"\1"
        self.assertEqual(datagram[8:24].hex(), base.hex())
        self.assertEqual(datagram[24:32] == COOKIE.to_bytes(8), shown == 8)
        self.assertEqual(COOKIE.to_bytes(8) in datagram, shown == 8)


class SourcePorts(PspTest):
    """RFC 7348 5 in spirit: the source port is that of the flow, one of 256, so that the packets of
    a flow take one path; or it is the SA's."""

    def runTest(self) -> None:
        self.sender(V4)
        ports = [self.ports_of(flow) for flow in range(64)]
        self.assertTrue(all(len(each) == 1 for each in ports))
        seen = set().union(*ports)
        self.assertLessEqual(seen, set(psp.FLOW_PORTS))
        self.assertGreater(len(seen), 32)

    def ports_of(self, flow: int) -> set[int]:
        """Source ports of two packets of a flow."""
        packet = frames.outgoing(size=60 + flow % 3)
        packet = packet[:20] + struct.pack("!H", 2000 + flow) + packet[22:]
        out = [self.forward(PROTECTED, frames.ethernet(PROTECTED, packet)) for _ in range(2)]
        return {int.from_bytes(each.data[34:36]) for each in out}


class SourcePortOfTheSa(PspTest):
    """The source port is the one that the SA names, the destination is 1000 whatever it names."""

    def runTest(self) -> None:
        for shape in (V4, V6, TRANSPORT):
            entries = self.gw.installed()
            end = self.sender(shape, udp=(4321, 4500))
            packet = packet_of(shape.inner, 80, ours=True)
            out = self.forward(PROTECTED, frames.ethernet(PROTECTED, packet))
            self.assertEqual(end.octets_in(out.data)[:4], struct.pack("!HH", 4321, 1000))
            self.gw.reset(entries)


class IvIsTheCountOfTheSa(PspTest):
    """h.3: the IV counts from 1 in 64 bits, and none comes twice; the number of packets is bound by
    the SA's limit alone."""

    def runTest(self) -> None:
        end = self.sender(V4, seq_hard=NEVER)
        packet = packet_of(4, 60, ours=True)
        self.assertEqual(numbered(self.emit(end, [packet] * 5)), [1, 2, 3, 4, 5])
        for last in ((1 << 32) - 2, (1 << 40) - 1, (1 << 63) + 5):
            self.gw.control(Op.ADVANCE_SEQ, end.speaking.sa.space, last)
            found = numbered(self.emit(end, [packet] * 3))
            self.assertEqual(found, [last + 1, last + 2, last + 3])


class LimitOfTheSender(PspTest):
    """An SA whose limit is reached sends no more: SA_EXPIRED."""

    def runTest(self) -> None:
        self.sender(V4, seq_hard=2, seq_soft=2)
        frame = frames.ethernet(PROTECTED, packet_of(4, 60, ours=True))
        self.forward(PROTECTED, frame)
        self.forward(PROTECTED, frame)
        self.assertEqual(self.session.client.digests.get(timeout=10) is not None, True)
        self.refuse(Drop.SA_EXPIRED, PROTECTED, frame)


class OffsetBeyondThePacket(PspTest):
    """h.11 8: a sender refuses what is shorter than it shows, and takes no IV: BAD_OFFSET."""

    def runTest(self) -> None:
        for shape, cookie in itertools.product((V4, V6, TRANSPORT, TRANSPORT6), (None, COOKIE)):
            entries = self.gw.installed()
            with self.subTest(shape=str(shape), cookie=cookie):
                end = self.sender(shape, layout(4 * 63, cookie))
                least = HEADER[shape.inner] + least_of(shape, end.layout)
                sizes = (HEADER[shape.inner], least - 9, least - 2, least - 1)
                sent = [packet_of(shape.inner, size, ours=True) for size in sizes]
                verdict = self.refuse(
                    *(Drop.BAD_OFFSET, PROTECTED),
                    *(frames.ethernet(PROTECTED, packet) for packet in sent),
                )
                self.assertEqual(verdict.requests, [])
                self.assertEqual(self.last_of(end.speaking), [0])
            self.gw.reset(entries)


class AllOfThePacketShown(PspTest):
    """The offset may end where the packet does: then the ICV is all that is made of the key."""

    def runTest(self) -> None:
        for shape, cookie in itertools.product(SHAPES, (None, COOKIE)):
            entries = self.gw.installed()
            with self.subTest(shape=str(shape), cookie=cookie):
                known = layout(60, cookie)
                size = HEADER[shape.inner] + least_of(shape, known)
                self.deliver(
                    self.receiver(shape, known), [packet_of(shape.inner, size, ours=False)]
                )
                self.emit(self.sender(shape, known), [packet_of(shape.inner, size, ours=True)])
            self.gw.reset(entries)


class NothingThatPspDoesNotHave(PspTest):
    """NOT_IN_SA: no BEET in either direction, no TFC padding, no dummy, no ping of ours; no IV is
    taken."""

    def runTest(self) -> None:
        frame = frames.ethernet(PROTECTED, packet_of(4, 60, ours=True))
        for fields in ({"mode": Mode.BEET_V4}, {"mode": Mode.BEET_V6}, {"tfc_len": 200}):
            entries = self.gw.installed()
            end = self.sender(V4, **fields)
            verdict = self.refuse(Drop.NOT_IN_SA, PROTECTED, frame)
            self.assertEqual((verdict.requests, self.last_of(end.speaking)), ([], [0]))
            self.gw.reset(entries)
        for mode in (Mode.BEET_V4, Mode.BEET_V6):
            end = self.receiver(V4, mode=mode)
            self.refused_here(Drop.NOT_IN_SA, end, self.said(end))
        end = self.sender(V4)
        for op in (Op.DUMMY, Op.ECHO):
            ours = PacketOut(op, bytes(14 + 64), index=end.speaking.sa.sa)
            self.assert_refused(self.gw.exchange([ours]), Drop.NOT_IN_SA)
        self.assertEqual(self.last_of(end.speaking), [0])


class ReplayIsAcceptedWithoutAWindow(PspTest):
    """h.6, h.11 10: PSP has no replay protection: the same packet is delivered again, in any order,
    IV 0 and the largest among them; no register of the SA moves."""

    def runTest(self) -> None:
        for shape in SHAPES:
            with self.subTest(shape=str(shape)):
                end, packet = self.receiver(shape), packet_of(shape.inner, 90, ours=False)
                before = self.state_of(end.speaking)
                ivs = (5, 5, 4, 1, 0, 0, NEVER, NEVER, 1 << 37, 1)
                sent = [self.said(end, iv, packet) for iv in ivs]
                self.delivered(end, *sent, packet=packet)
                self.assertEqual(self.state_of(end.speaking), before)


class ReplayIsDroppedWithAWindow(PspTest):
    """h.6: an SA with a window takes the IV for its number: once, not too old, not 0, and below
    2^37."""

    def runTest(self) -> None:
        for shape in (V4, V6, TRANSPORT):
            with self.subTest(shape=str(shape)):
                end = self.receiver(shape, window=64)
                packet = packet_of(shape.inner, 90, ours=False)
                for iv in (1, 3, 2, 1 << 33):
                    self.delivered(end, self.said(end, iv, packet), packet=packet)
                self.assertEqual(self.top_of(end.speaking), 1 << 33)
                reasons = {1 << 33: Drop.REPLAY_DUP, 3: Drop.REPLAY_OLD, 0: Drop.SEQ_ZERO}
                reasons |= {1 << 37: Drop.SEQ_RANGE, NEVER: Drop.SEQ_RANGE}
                for iv, reason in reasons.items():
                    self.refused_here(reason, end, self.said(end, iv, packet), packet=packet)
                forged = bytearray(self.said(end, (1 << 33) + 5, packet))
                forged[-1] ^= 1
                frame = end.around(packet, bytes(forged))
                self.without_a_trace(Drop.BAD_ICV, end.speaking, frame)
                self.delivered(end, self.said(end, (1 << 33) + 1, packet), packet=packet)


class SampleAndDrop(PspTest):
    """h.2: S says nothing to us.  D is read as: verify, then drop (DUMMY); a forged one is
    BAD_ICV."""

    def runTest(self) -> None:
        for shown, cookie in itertools.product((0, 24), (None, COOKIE)):
            end = self.receiver(V4, layout(shown, cookie))
            self.delivered(end, self.said(end, 1, sample=1))
            self.refused_behind(Drop.DUMMY, end, self.said(end, 2, drop=1))
            self.refused_behind(Drop.DUMMY, end, self.said(end, 3, drop=1, sample=1))
            forged = bytearray(self.said(end, 4))
            forged[8 + 3] ^= 0x40
            self.refused_behind(Drop.BAD_ICV, end, bytes(forged))


class OneHandleForEverySpi(PspTest):
    """h.6: the SPIs of both master keys have one key handle, and SAD entries of their own; a packet
    of one SPI is none of another."""

    def runTest(self) -> None:
        end = self.receiver()
        sa = self.inbound_of(end)
        for n in range(1, 40):
            spi = next(SPIS) | SECOND * (n % 2)
            self.give(sa, spi)
            key = psp.key_of(self.masters, spi)
            octets = psp.in_udp(PspPacket(spi, n, PACKET).sealed(key))
            self.delivered(end, octets)
            other = psp.in_udp(PspPacket(spi ^ SECOND, n, PACKET).sealed(key))
            self.refused_here(Drop.NO_SA, end, other)
            self.give(sa, spi ^ SECOND)
            self.refused_behind(Drop.BAD_ICV, end, other)
            self.refused_here(Drop.STALE_SA, end, octets)

    def give(self, sa: InboundSa, spi: int) -> None:
        """The SA's index to an SPI; those that had it before keep their SAD entries."""
        known = {"version": 0, "with_cookie": 0, "cookie": 0}
        self.gw.modify(tables.psp_in(sa.sa, spi=spi, **known))
        self.gw.insert(tables.sad(1, spi, sa.sa, sa.generation, protocol=252))


class IndexOfAnotherSpi(OneHandleForEverySpi):
    """STALE_SA: what the engine has opened for an SPI is not delivered by the one that has its SA's
    index by then, whose generation and key handle are the same; nor does it move a window."""

    def runTest(self) -> None:
        end = self.receiver(window=64)
        sa, octets = self.inbound_of(end), self.said(end)
        with self.gw.held_requests() as held:
            self.gw.send(UNPROTECTED, end.around(PACKET, octets))
        self.give(sa, next(SPIS))
        (reply,) = self.gw.engine.answer(held[0])
        self.refuse(Drop.STALE_SA, CRYPTO_PORT, reply)
        self.assertEqual(self.top_of(end.speaking), 0)


class SelectorsHold(PspTest):
    """h.5: an SPI belongs to whom its SA's selectors name: BAD_SELECTOR."""

    def runTest(self) -> None:
        end = self.receiver()
        stranger = frames.inner(src="10.1.1.9")
        self.refuse(
            Drop.BAD_SELECTOR, UNPROTECTED, end.around(PACKET, self.said(end, packet=stranger))
        )
        self.delivered(end, self.said(end))


class RotationOfMasterKeys(PspTest):
    """h.6, h.11 7: an SPI of the old master key works until the second rotation renews it: from
    then on the engine opens it no more, and without SAD entry it is not even asked."""

    def runTest(self) -> None:
        end, spi = self.receiver(), next(SPIS) | SECOND
        ends = (end, self.receiver(spi=spi))
        old, fresh = self.said(end), tuple(bytes([n]) * 32 for n in (0x2A, 0xA2))
        first = (self.masters[0], fresh[1])
        self.renew(ends, first)
        key = psp.key_of(first, spi)
        self.delivered(end, old, psp.in_udp(PspPacket(spi, 1, PACKET).sealed(key)), old)
        self.renew(ends, fresh)
        self.refused_behind(Drop.BAD_ICV, end, old)
        self.gw.delete(self.inbound_of(end).sad_entry())
        self.refused_here(Drop.NO_SA, end, old)
        self.delivered(end, psp.in_udp(PspPacket(spi, 2, PACKET).sealed(key)))

    def renew(self, ends: Iterable[End], masters: tuple[bytes, ...]) -> None:
        """The engine has other master keys."""
        for end in ends:
            self.gw.engine.keys[self.inbound_of(end).handle] = psp.Masters.of(masters)


class ElsewhereOrInside(PspTest):
    """Port 1000 of another host, or inside a tunnel, or from our own side is ordinary traffic."""

    shows_payload = True

    def runTest(self) -> None:
        psp_inside = frames.datagram(bytes(80), dport=1000, src="10.1.1.1", dst="10.2.2.2")
        end = self.receiver()
        next_header, _ = end.payload_of(psp_inside)
        self.assertEqual(next_header, 4)
        self.delivered(end, self.said(end, packet=psp_inside), packet=psp_inside)
        esp = self.from_peer("esp")
        verdict = self.gw.send(UNPROTECTED, esp.frame(psp_inside, 1))
        self.assertEqual((dict(verdict.drops), verdict.outputs), ({}, [esp.arrived(psp_inside)]))
        out = self.sender()
        ours = frames.datagram(bytes(80), dport=1000, src="10.2.2.2", dst="10.1.1.1")
        self.emit(out, [ours])
        passing = frames.datagram(bytes(80), dport=1000, src="10.1.1.1", dst=HOST_VLAN)
        self.refuse(Drop.POLICY_DISCARD, UNPROTECTED, frames.ethernet(UNPROTECTED, passing))
        self.bypass(tables.Traffic(src="10.1.1.1/32", dst=f"{HOST_VLAN}/32"))
        verdict = self.gw.send(UNPROTECTED, frames.ethernet(UNPROTECTED, passing))
        self.assertEqual(dict(verdict.outcomes), {Outcome.FORWARDED: 1})
