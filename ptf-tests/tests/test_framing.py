"""Lengths, padding, trailer and SA lookup of inbound packets (conformance cases FRM, SAL)."""

from __future__ import annotations

import struct
from typing import Any

from harness import esp, frames, tables
from harness import vectors as vec
from harness.ids import Drop, Op, Outcome
from harness.tables import Traffic
from harness.testcase import GatewayTest
from harness.topology import GATEWAY, GATEWAY_2, LOCAL_ID, PROTECTED, UNPROTECTED

MINIMUM = 36  # SPI, sequence number, IV, one block, ICV


def carrying(sealed: bytes, **outer: Any) -> bytes:
    """The frame around ESP octets."""
    return frames.ethernet(UNPROTECTED, frames.outer(sealed, **outer))


class FixtureTest(GatewayTest):
    """Fixture SA-G with the SPI of the vectors."""

    def setUp(self) -> None:
        super().setUp()
        self.tunnel = self.inbound(spi=vec.SPI)

    def generated(self, seq: int, plaintext: bytes) -> bytes:
        """A frame whose plaintext, trailer included, the test has made."""
        return carrying(self.tunnel.esp_by_hand(seq, plaintext))


class Frm01FewerThanEightOctets(FixtureTest):
    """FRM-01: 0, 1 and 7 octets behind the IP header, with and without Ethernet padding."""

    def runTest(self) -> None:
        for size in (0, 1, 7):
            for pad in (b"", bytes(46)):
                packet = frames.outer(vec.D1[:size])
                self.refuse(Drop.RUNT, UNPROTECTED, frames.ethernet(UNPROTECTED, packet, pad=pad))


class Frm02EveryLengthBelowTheMinimum(FixtureTest):
    """FRM-02: 8 to 35 octets: no crypto call."""

    def runTest(self) -> None:
        for size in range(8, MINIMUM):
            verdict = self.refuse(esp.shorter(size), UNPROTECTED, carrying(vec.D1[:size]))
            self.assertEqual(verdict.requests, [])


class Frm02LengthsNotOfABlock(FixtureTest):
    """Above the minimum, only every fourth length reaches the engine."""

    def runTest(self) -> None:
        for size in range(MINIMUM, MINIMUM + 12):
            reason = Drop.BAD_ICV if size % 4 == 0 else Drop.BAD_LENGTH
            self.refuse(reason, UNPROTECTED, carrying(vec.D1[:size]))


class Frm03VectorN10(FixtureTest):
    """FRM-03: 35 octets of ciphertext are refused before any crypto."""

    def runTest(self) -> None:
        verdict = self.refuse(Drop.BAD_LENGTH, UNPROTECTED, carrying(vec.N10))
        self.assertEqual(verdict.requests, [])
        self.assertEqual(self.tunnel.top(), 0)


class Frm04WrongPadding(FixtureTest):
    """FRM-04: N1."""

    def runTest(self) -> None:
        self.refuse(Drop.BAD_PAD, UNPROTECTED, carrying(vec.N1))
        self.assertEqual(self.tunnel.top(), 0x31)


class Frm05PadLengthTooLong(FixtureTest):
    """FRM-05: N2, and pad length 255 on a short packet."""

    def runTest(self) -> None:
        self.refuse(Drop.BAD_PADLEN, UNPROTECTED, carrying(vec.N2))
        lying = esp.with_trailer(vec.INNER, pad=b"\1", pad_len=255)
        self.refuse(Drop.BAD_PADLEN, UNPROTECTED, self.generated(0x40, lying))


class Frm06NothingButATrailer(FixtureTest):
    """FRM-06: N3."""

    def runTest(self) -> None:
        self.refuse(Drop.BAD_PADLEN, UNPROTECTED, carrying(vec.N3))
        dummy = esp.with_trailer(b"", next_header=59)
        self.refuse(Drop.DUMMY, UNPROTECTED, self.generated(0x41, dummy))


class Frm07MorePaddingThanNeeded(FixtureTest):
    """FRM-07: D16 and 253 octets of padding give the packet of D1."""

    def runTest(self) -> None:
        self.accept_esp(carrying(vec.D16), vec.INNER)
        longest = esp.with_trailer(vec.INNER, pad=bytes(range(1, 254)))
        self.accept_esp(self.generated(0x42, longest), vec.INNER)


class Frm08NoPadding(FixtureTest):
    """FRM-08: an inner packet of 2 mod 4 octets needs none."""

    def runTest(self) -> None:
        packet = frames.inner(size=62)
        self.assertEqual(esp.padding(len(packet)), b"")
        self.accept(self.tunnel, 1, packet)


class Frm09TrafficFlowPadding(FixtureTest):
    """FRM-09: D11."""

    def runTest(self) -> None:
        self.accept_esp(carrying(vec.D11), vec.INNER)


class Frm11DummyPacket(FixtureTest):
    """FRM-11: D10 is no error, and its number is used up."""

    def runTest(self) -> None:
        self.refuse(Drop.DUMMY, UNPROTECTED, carrying(vec.D10))
        self.assertEqual(self.tunnel.top(), 7)
        self.refuse(Drop.REPLAY_DUP, UNPROTECTED, carrying(vec.D10))


class Frm12EthernetPadding(FixtureTest):
    """FRM-12: 1 to 26 octets behind the IP packet change nothing."""

    def runTest(self) -> None:
        for size in (1, 2, 7, 26):
            sealed = self.tunnel.esp(size, vec.INNER)
            frame = frames.ethernet(UNPROTECTED, frames.outer(sealed), pad=b"\xee" * size)
            self.accept_esp(frame, vec.INNER)


class Frm13OuterLengthLies(FixtureTest):
    """FRM-13: four octets less, four more than there are."""

    def runTest(self) -> None:
        real = len(vec.D12)
        self.refuse(Drop.BAD_ICV, UNPROTECTED, carrying(vec.D1, len=real - 4))
        self.refuse(Drop.BAD_OUTER, UNPROTECTED, carrying(vec.D1, len=real + 4))
        self.refuse(Drop.BAD_OUTER, UNPROTECTED, carrying(vec.D1, len=19))
        self.assertEqual(self.tunnel.top(), 0)


class Frm14OuterHeaderWrong(FixtureTest):
    """FRM-14: checksum, IHL 4, version 5."""

    def runTest(self) -> None:
        good = frames.outer(vec.D1)
        self.assertEqual(good, vec.D12)
        wrong = good[:10] + bytes([good[10] ^ 1]) + good[11:]
        self.refuse(Drop.BAD_OUTER, UNPROTECTED, frames.ethernet(UNPROTECTED, wrong))
        self.refuse(Drop.BAD_OUTER, UNPROTECTED, carrying(vec.D1, ihl=4))
        self.refuse(Drop.BAD_OUTER, UNPROTECTED, carrying(vec.D1, version=5))
        self.accept_esp(carrying(vec.D1), vec.INNER)


class Sal01UnknownSpi(FixtureTest):
    """SAL-01: c0ffee02."""

    def runTest(self) -> None:
        unknown = struct.pack("!I", vec.SPI + 1) + vec.D1[4:]
        self.refuse(Drop.NO_SA, UNPROTECTED, carrying(unknown))


class Sal02ReservedSpi(FixtureTest):
    """SAL-02: 0, 1, 2 and 255 outside UDP."""

    def runTest(self) -> None:
        for spi in (0, 1, 2, 255):
            self.refuse(Drop.BAD_SPI, UNPROTECTED, carrying(struct.pack("!I", spi) + vec.D1[4:]))
        self.refuse(Drop.NO_SA, UNPROTECTED, carrying(struct.pack("!I", 256) + vec.D1[4:]))


class Sal03OtherLocalAddress(FixtureTest):
    """SAL-03: the SA belongs to the address it was made for."""

    def runTest(self) -> None:
        self.refuse(Drop.NO_SA, UNPROTECTED, carrying(vec.D1, dst=GATEWAY_2))
        self.gw.insert(
            tables.sad(LOCAL_ID[GATEWAY_2], vec.SPI, self.tunnel.sa.sa, self.tunnel.sa.generation)
        )
        self.accept_esp(carrying(vec.D1, dst=GATEWAY_2), vec.INNER)


class Sal04SourceIsNotInTheKey(FixtureTest):
    """SAL-04: the peer may have moved."""

    def runTest(self) -> None:
        self.accept_esp(carrying(vec.D1, src="203.0.113.9"), vec.INNER)


class Sal06EspForSomebodyElse(FixtureTest):
    """SAL-06: ordinary traffic: forwarded untouched if policy says so, else discarded."""

    def runTest(self) -> None:
        transit = frames.outer(vec.D1, dst="10.2.2.2")
        frame = frames.ethernet(UNPROTECTED, transit)
        self.refuse(Drop.POLICY_DISCARD, UNPROTECTED, frame)
        self.bypass(Traffic(protocol=frames.ESP))
        out = self.forward(UNPROTECTED, frame)
        self.assertEqual(out.data, frames.delivered(PROTECTED, frames.rewritten(transit)))
        self.assertEqual(self.gw.traffic("sa_in_traffic", self.tunnel.sa.sa), (0, 0))


class Sal07SaRemoved(FixtureTest):
    """SAL-07: removed between two packets."""

    def runTest(self) -> None:
        self.accept(self.tunnel, 1)
        self.gw.delete(self.tunnel.sa.sad_entry(), self.tunnel.sa.entry())
        frame = self.tunnel.frame(2, frames.inner())
        self.refuse(Drop.NO_SA, UNPROTECTED, frame)


class Sal07SadWithoutSa(FixtureTest):
    """A SAD entry whose SA is gone or has another generation leads nowhere."""

    def runTest(self) -> None:
        self.gw.delete(self.tunnel.sa.entry())
        self.refuse(Drop.STALE_SA, UNPROTECTED, carrying(vec.D1))


class Sal08Rekey(GatewayTest):
    """SAL-08: old and new SA interleaved, separate windows; then the old one goes."""

    def runTest(self) -> None:
        old, new = self.inbound(), self.inbound()
        for seq in (1, 2, 3):
            self.accept(old, seq)
            self.accept(new, seq)
        self.gw.delete(old.sa.sad_entry(), old.sa.entry())
        self.refuse(Drop.NO_SA, UNPROTECTED, old.frame(4, frames.inner()))
        self.accept(new, 4)


class Sal09IndexIsUsedAgain(GatewayTest):
    """SAL-09: after the scrub a new SA starts at 1 in the place of the old one."""

    def runTest(self) -> None:
        old = self.inbound()
        self.accept(old, 1_000_000)
        replayed = old.frame(1_000_000, frames.inner())
        self.gw.delete(old.sa.sad_entry(), old.sa.entry())
        self.gw.control(Op.SCRUB_TOP, old.sa.space)
        self.gw.control(Op.SCRUB_CELLS, old.sa.cell_base, value=16)
        new = self.inbound(
            sa=old.sa.sa,
            space=old.sa.space,
            cell_base=old.sa.cell_base,
            generation=old.sa.generation + 1 & 0xFF,
        )
        self.accept(new, 1)
        self.refuse(Drop.NO_SA, UNPROTECTED, replayed)
        self.assertEqual(new.top(), 1)


class Sal10AuthenticationHeader(FixtureTest):
    """SAL-10: AH with the same SPI is not ESP; it is clear traffic, on which policy decides."""

    def runTest(self) -> None:
        self.refuse(Drop.POLICY_DISCARD, UNPROTECTED, carrying(vec.D1, proto=51))
        self.bypass(Traffic(protocol=51))
        verdict = self.gw.send(UNPROTECTED, carrying(vec.D1, proto=51))
        self.assertEqual(verdict.requests, [])
        self.assertEqual(verdict.outcomes[Outcome.PUNTED], 1)


class DestinationIsOurs(FixtureTest):
    """D12, as it stands in the digest, is for us."""

    def runTest(self) -> None:
        self.assertEqual(vec.D12[16:20], bytes(int(x) for x in GATEWAY.split(".")))
        self.accept_esp(frames.ethernet(UNPROTECTED, vec.D12), vec.INNER)
