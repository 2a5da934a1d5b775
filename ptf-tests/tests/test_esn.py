"""Extended sequence numbers (RFC 4303 2.2.1 and appendix A; conformance cases ESN)."""

from __future__ import annotations

from typing import Any

from harness import frames
from harness import vectors as vec
from harness.ids import Drop, Op
from harness.sa import NEVER, SEQ_RANGE
from harness.testcase import GatewayTest
from harness.topology import UNPROTECTED
from harness.tunnels import InboundTunnel

OK = Drop.NONE
WINDOW = 64
STEP = 1 << 31


def seq64(high: int, low: int) -> int:
    """A number written as the digest writes it, high_low."""
    return high << 32 | low


class EsnTest(GatewayTest):
    """An SA with ESN whose window stands where the test wants it."""

    def inbound_at(self, top: int, window: int = WINDOW, **fields: Any) -> InboundTunnel:
        """A fresh SA that has authenticated ``top`` last."""
        tunnel = self.inbound(esn=True, window=window, **fields)
        reached = 0
        while reached < top:
            reached = min(reached + STEP, top)
            self.accept(tunnel, reached)
        return tunnel


class Esn01Inference(EsnTest):
    """ESN-01: the high half that the receiver infers is the one the sender used."""

    CASES = (
        (seq64(1, 0x100), seq64(1, 0xC1)),
        (seq64(1, 0x100), seq64(2, 0xC0)),
        (seq64(1, 0x10), seq64(0, 0xFFFFFFD1)),
        (seq64(1, 0x10), seq64(1, 0xFFFFFFD0)),
        (seq64(1, 0x10), seq64(1, 0x11)),
        (seq64(0, 0xFFFFFFFF), seq64(1, 0)),
        (seq64(0, 0xFFFFFFFF), seq64(0, 0xFFFFFFC0)),
        (seq64(1, 0x3E), seq64(0, 0xFFFFFFFF)),
        (seq64(1, 0x3F), seq64(1, 0xFFFFFFFF)),
        (0, seq64(0, 0xFFFFFFC1)),
    )

    def runTest(self) -> None:
        for top, seq in self.CASES:
            tunnel = self.inbound_at(top)
            self.check_sequence(tunnel, (seq, OK))
            self.assertEqual(tunnel.top(), max(top, seq))
            self.gw.reset(self.session.base)


class Esn02OldPacketFailsAuthentication(EsnTest):
    """ESN-02: older than the window is read as of the next subspace, and fails there."""

    CASES = ((seq64(1, 0x100), seq64(1, 0xC0)), (seq64(1, 0x10), seq64(0, 0xFFFFFFD0)))

    def runTest(self) -> None:
        for top, seq in self.CASES:
            tunnel = self.inbound_at(top)
            self.check_sequence(tunnel, (seq, Drop.BAD_ICV))
            self.assertEqual(tunnel.top(), top)
            self.gw.reset(self.session.base)


class Esn03CrossingTheSubspace(EsnTest):
    """ESN-03: across 2^32 in any order, each number once."""

    def runTest(self) -> None:
        edge = seq64(1, 0)
        numbers = (edge - 2, edge, edge - 1, edge + 1, edge - 3, edge + 30, edge + 2)
        tunnel = self.inbound_at(edge - 10)
        for seq in numbers:
            self.check_sequence(tunnel, (seq, OK), (seq, Drop.REPLAY_DUP))


class Esn04LargestGap(EsnTest):
    """ESN-04: a gap of 2^32 - W is the largest that the inference bears."""

    def runTest(self) -> None:
        top = 1000
        self.check_sequence(self.inbound_at(top), (top + (1 << 32) - WINDOW, OK))
        self.gw.reset(self.session.base)
        self.check_sequence(self.inbound_at(top), (top + (1 << 32) - WINDOW + 1, Drop.BAD_ICV))


class Esn07GarbageOnAFreshSa(EsnTest):
    """ESN-07: Seql FFFFFFC1..FFFFFFFF with a wrong ICV at T = 0."""

    def runTest(self) -> None:
        tunnel = self.inbound(esn=True)
        for low in (0xFFFFFFC1, 0xFFFFFFE0, 0xFFFFFFFF):
            frame = bytearray(tunnel.frame(low, frames.inner()))
            frame[-1] ^= 1
            self.refuse(Drop.BAD_ICV, UNPROTECTED, bytes(frame))
        self.assertEqual(tunnel.top(), 0)
        self.accept(tunnel, 1)


class EsnZeroIsNeverSent(EsnTest):
    """Only the 64-bit number zero is refused as such."""

    def runTest(self) -> None:
        self.check_sequence(self.inbound(esn=True), (0, Drop.SEQ_ZERO), (1, OK))


class EsnWindows(EsnTest):
    """The strict left edge around 2^32 for all window sizes."""

    def runTest(self) -> None:
        for window in (64, 512, 4096):
            top = seq64(1, 5)
            tunnel = self.inbound_at(top, window)
            left = top - window + 1
            self.check_sequence(tunnel, (left, OK), (left, Drop.REPLAY_DUP), (top, Drop.REPLAY_DUP))
            self.gw.reset(self.session.base)


class Icv07WrongSubspace(EsnTest):
    """ICV-07: vector D2 is of subspace 1, and of no other."""

    def runTest(self) -> None:
        frame = frames.ethernet(UNPROTECTED, frames.outer(vec.D2))
        for top, good in ((0, False), (seq64(2, 0), False), (seq64(1, 0), True)):
            tunnel = self.inbound_at(top, spi=vec.SPI)
            with self.subTest(top=hex(top)):
                if good:
                    self.accept_esp(frame, vec.INNER)
                else:
                    self.refuse(Drop.BAD_ICV, UNPROTECTED, frame)
                self.assertEqual(tunnel.top(), vec.ESN_SEQ if good else top)
            self.gw.reset(self.session.base)


class SeqRangeIsTheEndOfASpace(EsnTest):
    """A space ends at 2^37: a cell's tag has no room for more."""

    def runTest(self) -> None:
        tunnel = self.inbound(esn=True)
        for top in range(STEP * 2 - WINDOW, SEQ_RANGE, STEP * 2 - WINDOW):
            self.accept(tunnel, top)
        self.check_sequence(tunnel, (SEQ_RANGE - 1, OK))
        self.check_sequence(tunnel, (SEQ_RANGE, Drop.SEQ_RANGE), (SEQ_RANGE - 2, OK))
        self.assertEqual(tunnel.top(), SEQ_RANGE - 1)


class Snd03SenderCrossesTheSubspace(EsnTest):
    """SND-03: after 0_FFFFFFFF the peer sees Seql 0 and 1, with 1 in the AAD."""

    def runTest(self) -> None:
        tunnel = self.protected_outbound(esn=True, seq_hard=NEVER)
        tunnel.advance(0xFFFFFFFE)
        for seq in (seq64(0, 0xFFFFFFFF), seq64(1, 0), seq64(1, 1)):
            with self.subTest(seq=hex(seq)):
                packet = frames.outgoing()
                wire = self.seal(tunnel, packet)
                self.assertEqual(wire[24:28], (seq & 0xFFFFFFFF).to_bytes(4))
                self.assertEqual(wire[28:36], seq.to_bytes(8))
                self.assertEqual(tunnel.open(wire, seq_high=seq >> 32), frames.rewritten(packet))


class EsnOutboundHardLimit(EsnTest):
    """An ESN SA stops at its hard limit as well."""

    def runTest(self) -> None:
        tunnel = self.protected_outbound(esn=True, seq_hard=SEQ_RANGE)
        tunnel.advance(SEQ_RANGE - 1)
        self.seal(tunnel, frames.outgoing())
        self.assertEqual(self.event()["seq"], SEQ_RANGE)
        self.refuse(Drop.SA_EXPIRED, 0, frames.ethernet(0, frames.outgoing()))
        self.assertEqual(self.gw.read(Op.READ_SEQ, tunnel.sa.space), SEQ_RANGE)
