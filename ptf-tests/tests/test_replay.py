"""The anti-replay window of a 32-bit SA (RFC 4303 3.4.3; conformance cases RPL)."""

from __future__ import annotations

import random
from collections.abc import Sequence

from harness import esp, frames
from harness import vectors as vec
from harness.gateway import Frame
from harness.ids import CRYPTO_PORT, Drop
from harness.sa import cells_for
from harness.testcase import GatewayTest
from harness.topology import UNPROTECTED
from harness.tunnels import InboundTunnel

OK = Drop.NONE
WINDOWS = (32, 64, 128, 1024, 4096)
BLOCK = 32


class ReplayTest(GatewayTest):
    """Verdicts about many sequence numbers at once."""

    def accepted(self, tunnel: InboundTunnel, numbers: Sequence[int]) -> list[bool]:
        """Which of the packets with these sequence numbers, in this order, are delivered."""
        sent = [self._numbered(tunnel, seq, place) for place, seq in enumerate(numbers)]
        verdict = self.gw.send(UNPROTECTED, *sent)
        places = {int.from_bytes(frame.data[18:20]) for frame in verdict.outputs}
        self.assertEqual(len(places) + verdict.drops.total(), len(numbers))
        return [place in places for place in range(len(numbers))]

    def check_verdicts(
        self, tunnel: InboundTunnel, numbers: Sequence[int], expected: Sequence[bool]
    ) -> None:
        """Proves that exactly the expected ones are delivered; names the first that is not."""
        verdicts = self.accepted(tunnel, numbers)
        rows = zip(range(len(numbers)), map(hex, numbers), verdicts, expected, strict=True)
        wrong = [(place, seq, got) for place, seq, got, wanted in rows if got != wanted]
        self.assertEqual(wrong[:3], [], "place, sequence number, accepted")

    def _numbered(self, tunnel: InboundTunnel, seq: int, place: int) -> bytes:
        plaintext = esp.with_trailer(frames.inner(size=28, id=place))
        return frames.ethernet(UNPROTECTED, frames.outer(tunnel.esp_by_hand(seq, plaintext)))


class Rpl01SecondCopyIsDuplicate(ReplayTest):
    """RPL-01: 1, 1."""

    def runTest(self) -> None:
        for window in WINDOWS:
            self.check_sequence(self.inbound(window=window), (1, OK), (1, Drop.REPLAY_DUP))


class Rpl02GapsStayOpen(ReplayTest):
    """RPL-02: 1, 2, 4, 3, 3."""

    def runTest(self) -> None:
        for window in WINDOWS:
            steps = [(1, OK), (2, OK), (4, OK), (3, OK), (3, Drop.REPLAY_DUP)]
            self.check_sequence(self.inbound(window=window), *steps)


class Rpl03LeftEdgeIsStrict(ReplayTest):
    """RPL-03: T, T-W+1 twice, T-W."""

    def runTest(self) -> None:
        for window in WINDOWS:
            top = 100 + window
            left = top - window + 1
            steps = [(top, OK), (left, OK), (left, Drop.REPLAY_DUP), (left - 1, Drop.REPLAY_OLD)]
            self.check_sequence(self.inbound(window=window), *steps)


class Rpl04EdgeMovesWithTheTop(ReplayTest):
    """RPL-04: 100, jump by W-1, one more; 100 is too old, 101 is not."""

    def runTest(self) -> None:
        for window in WINDOWS:
            steps = [(100, OK), (99 + window, OK), (100 + window, OK)]
            steps += [(100, Drop.REPLAY_OLD), (101, OK)]
            self.check_sequence(self.inbound(window=window), *steps)


class Rpl05JumpOfOneWindow(ReplayTest):
    """RPL-05: 10, 10+W, then 11 and 10."""

    def runTest(self) -> None:
        for window in WINDOWS:
            steps = [(10, OK), (10 + window, OK), (11, OK), (10, Drop.REPLAY_OLD)]
            self.check_sequence(self.inbound(window=window), *steps)


class Rpl06FarJumpClearsTheWindow(ReplayTest):
    """RPL-06: 10, 100000, 10, 99999."""

    def runTest(self) -> None:
        for window in WINDOWS:
            steps = [(10, OK), (100_000, OK), (10, Drop.REPLAY_OLD), (99_999, OK)]
            self.check_sequence(self.inbound(window=window), *steps)


class Rpl07EveryJumpOfTheRing(ReplayTest):
    """RPL-07: jumps around multiples of a block, up to twice the ring; then the whole window."""

    def runTest(self) -> None:
        window = 64
        ring = cells_for(window)
        for blocks in range(1, 2 * ring + 1):
            for jump in (blocks * BLOCK - 1, blocks * BLOCK, blocks * BLOCK + 1):
                with self.subTest(jump=jump):
                    self._probe(window, jump)

    def _probe(self, window: int, jump: int) -> None:
        tunnel = self.inbound(window=window)
        seen = [1, 40, 1 + jump]
        self.check_verdicts(tunnel, seen, [True] * 3)
        top = max(seen)
        numbers = list(range(max(1, top - window + 1), top + 1))
        fresh = [number not in seen for number in numbers]
        self.check_verdicts(tunnel, numbers, fresh)


class Rpl08NoWrapOf32Bits(ReplayTest):
    """RPL-08: 5, FFFFFFFF, FFFFFFFE, 1."""

    def runTest(self) -> None:
        for window in WINDOWS:
            steps = [(5, OK), (0xFFFFFFFF, OK), (0xFFFFFFFE, OK), (1, Drop.REPLAY_OLD)]
            self.check_sequence(self.inbound(window=window), *steps)


class Rpl09SequenceNumberZero(ReplayTest):
    """RPL-09: zero is never sent on a 32-bit SA."""

    def runTest(self) -> None:
        tunnel = self.inbound()
        self.check_sequence(tunnel, (0, Drop.SEQ_ZERO), (1, OK), (0, Drop.SEQ_ZERO))


class Rpl10ForgeryDoesNotMoveTheWindow(ReplayTest):
    """RPL-10: a forged 1000 after T = 10, then 11."""

    def runTest(self) -> None:
        tunnel = self.inbound()
        self.accept(tunnel, 10)
        before = tunnel.top(), tunnel.cells()
        forged = flip_last_bit(tunnel.frame(1000, frames.inner()))
        self.refuse(Drop.BAD_ICV, UNPROTECTED, forged)
        self.assertEqual((tunnel.top(), tunnel.cells()), before)
        self.accept(tunnel, 11)


class Rpl11ForgeryDoesNotTakeTheNumber(ReplayTest):
    """RPL-11: a forged copy of 11, then the good one."""

    def runTest(self) -> None:
        tunnel = self.inbound()
        self.accept(tunnel, 10)
        good = tunnel.frame(11, frames.inner())
        self.refuse(Drop.BAD_ICV, UNPROTECTED, flip_last_bit(good))
        self.accept_esp(good, frames.inner())
        self.assertEqual(tunnel.top(), 11)


class Rpl12TwoCopiesInTheEngine(ReplayTest):
    """RPL-12: both copies pass the check, one passes the commit."""

    def runTest(self) -> None:
        tunnel = self.inbound()
        frame = tunnel.frame(5, frames.inner())
        with self.gw.held_requests() as held:
            self.gw.send(UNPROTECTED, frame, frame)
        self.assertEqual(len(held), 2)
        verdict = self.gw.answer(*held)
        self.assertEqual(dict(verdict.drops), {Drop.REPLAY_LATE: 1})
        self.assertEqual(len(verdict.outputs), 1)


class Rpl13WindowPassesWhileInTheEngine(ReplayTest):
    """RPL-13: 200 newer packets commit before the one at the bottom returns."""

    def runTest(self) -> None:
        tunnel = self.inbound()
        self.accept(tunnel, 100)
        with self.gw.held_requests() as held:
            self.gw.send(UNPROTECTED, tunnel.frame(37, frames.inner()))
        self.assertTrue(all(self.accepted(tunnel, range(101, 301))))
        self.assert_refused(self.gw.answer(*held), Drop.REPLAY_LATE)
        self.assertEqual(tunnel.top(), 300)


class Rpl13NewerPacketOvertakes(ReplayTest):
    """A packet that is overtaken in the engine, but not by a whole window, is delivered."""

    def runTest(self) -> None:
        tunnel = self.inbound()
        with self.gw.held_requests() as held:
            self.gw.send(UNPROTECTED, tunnel.frame(1, frames.inner()))
        self.accept(tunnel, 64)
        verdict = self.gw.answer(*held)
        self.assertEqual(len(verdict.outputs), 1)
        self.assertEqual(tunnel.top(), 64)


class Rpl14NoAntiReplayService(ReplayTest):
    """RPL-14: window 0 accepts 5, 5, 4, 0."""

    def runTest(self) -> None:
        tunnel = self.inbound(window=0)
        self.check_sequence(tunnel, (5, OK), (5, OK), (4, OK), (0, OK))
        self.assertEqual(tunnel.top(), 0)


class Rpl15AuthenticDefectConsumesTheNumber(ReplayTest):
    """RPL-15: a defect found after authentication has used the number up."""

    def runTest(self) -> None:
        self.inbound(spi=vec.SPI)
        cases = (
            (vec.N1, Drop.BAD_PAD),
            (vec.N2, Drop.BAD_PADLEN),
            (vec.N3, Drop.BAD_PADLEN),
            (vec.N4, Drop.BAD_INNER),
            (vec.N5, Drop.BAD_NH),
            (vec.N6, Drop.BAD_INNER),
            (vec.N8, Drop.BAD_INNER),
            (vec.N9, Drop.BAD_SELECTOR),
        )
        for sealed, reason in cases:
            with self.subTest(reason=reason.name, seq=sealed[7]):
                frame = frames.ethernet(UNPROTECTED, frames.outer(sealed))
                self.refuse(reason, UNPROTECTED, frame)
                self.refuse(Drop.REPLAY_DUP, UNPROTECTED, frame)


class Rpl16AgreesWithASetModel(ReplayTest):
    """RPL-16: random numbers, 60 % next, 30 % inside +-2W, 10 % far, against a set."""

    def runTest(self) -> None:
        for window, count in ((32, 1000), (64, 1000), (256, 1000), (1024, 1000), (4096, 1500)):
            with self.subTest(window=window):
                self._compare(window, random.Random(window), count)

    def _compare(self, window: int, rng: random.Random, count: int) -> None:
        numbers, expected = model_run(window, rng, count)
        self.check_verdicts(self.inbound(window=window), numbers, expected)


class Rpl16WindowsAreIndependent(ReplayTest):
    """PAR-02: the same number on two SAs is no replay."""

    def runTest(self) -> None:
        first, second = self.inbound(), self.inbound()
        self.check_sequence(first, (1, OK), (1, Drop.REPLAY_DUP))
        self.check_sequence(second, (1, OK), (1, Drop.REPLAY_DUP))


class WindowOfTheWholePool(ReplayTest):
    """The last cells of the pool serve a window, and no other cell changes."""

    def runTest(self) -> None:
        base = 524_288 - cells_for(64)
        tunnel = self.inbound(cell_base=base)
        steps = [(seq, OK) for seq in (1, 32, 64, 96, 128, 160)]
        self.check_sequence(tunnel, *steps, (128, Drop.REPLAY_DUP), (96, Drop.REPLAY_OLD))
        self.assertEqual([cell >> 32 for cell in tunnel.cells()], [4, 5, 2, 3])


class EngineReplyTwice(ReplayTest):
    """The engine's answer delivered twice is a replay, not a second packet."""

    def runTest(self) -> None:
        tunnel = self.inbound()
        with self.gw.held_requests() as held:
            self.gw.send(UNPROTECTED, tunnel.frame(1, frames.inner()))
        (reply,) = self.gw.engine.answer(held[0])
        verdict = self.gw.exchange([Frame(CRYPTO_PORT, reply), Frame(CRYPTO_PORT, reply)])
        self.assertEqual(len(verdict.outputs), 1)
        self.assertEqual(dict(verdict.drops), {Drop.REPLAY_LATE: 1})


def flip_last_bit(frame: bytes) -> bytes:
    """The frame with one bit of its ICV wrong."""
    return frame[:-1] + bytes([frame[-1] ^ 1])


def model_run(window: int, rng: random.Random, count: int) -> tuple[list[int], list[bool]]:
    """Random sequence numbers and what a window made of a set says to them."""
    top, seen = 0, set[int]()
    numbers, verdicts = [], []
    for _ in range(count):
        seq = max(1, _next_number(rng, top, window))
        fresh = top - seq < window and seq not in seen
        if fresh:
            seen.add(seq)
            top = max(top, seq)
        numbers.append(seq)
        verdicts.append(fresh)
    return numbers, verdicts


def _next_number(rng: random.Random, top: int, window: int) -> int:
    kind = rng.random()
    if kind < 0.6:
        return top + 1
    if kind < 0.9:
        return top + rng.randint(-2 * window, 2 * window)
    return top + rng.randint(1, 20 * window)
