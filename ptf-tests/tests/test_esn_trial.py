"""An ESN receiver that lost count of the subspaces (RFC 4303 A3; cases ESN-05 and ESN-06), and the
counter by which the controller notices."""

from __future__ import annotations

import random
from dataclasses import replace

from harness import esp, frames
from harness import vectors as vec
from harness.ids import Drop
from harness.testcase import GatewayTest
from harness.topology import UNPROTECTED
from harness.tunnels import InboundTunnel

OK = Drop.NONE
FAMILIES = (4, 6)
WINDOW = 64
GARBAGE = 2_000


class TrialTest(GatewayTest):
    """An SA with ESN, its peer further than it knows."""

    def behind(self, version: int = 4, top: int = 100) -> InboundTunnel:
        """A fresh SA that has authenticated ``top`` last."""
        tunnel = self.inbound(outer=version, inner=version, esn=True)
        self.check_sequence(tunnel, (top, OK))
        return tunnel

    def check_sequence(self, tunnel: InboundTunnel, *steps: tuple[int, Drop]) -> None:
        """As for any SA, with a packet of its family."""
        packet = frames.inner6() if tunnel.sa.selectors.v6 else frames.inner()
        for seq, reason in steps:
            if reason == OK:
                self.accept(tunnel, seq, packet)
            else:
                self.refuse(reason, UNPROTECTED, tunnel.frame(seq, packet))

    def try_skip(self, tunnel: InboundTunnel, start: int, skip: int) -> None:
        """While the top's high half is ``start``, ``skip`` is added to what is inferred."""
        self.gw.modify(replace(tunnel.sa, trial=(start, skip)).entry())

    def forged(self, tunnel: InboundTunnel) -> int:
        """How many packets claimed this SA and were not authentic."""
        return self.gw.traffic("sa_in_forged", tunnel.sa.sa)[0]


class Esn05RightSkipOpensAgain(TrialTest):
    """ESN-05: every packet fails until the skip is right; then one moves the top, and the skip is
    out of force without another write."""

    def runTest(self) -> None:
        for version in FAMILIES:
            for skip in (1, 3, 30):
                with self.subTest(version=version, skip=skip):
                    self._resume(version, skip)

    def _resume(self, version: int, skip: int) -> None:
        tunnel, first = self.behind(version), seq64(skip, 200)
        self.check_sequence(tunnel, *((first + step, Drop.BAD_ICV) for step in range(3)))
        self.assertEqual(self.forged(tunnel), 3)
        self.try_skip(tunnel, 0, skip)
        self.check_sequence(tunnel, (first, OK))
        self.assertEqual(tunnel.top(), first)
        steps = [(first + 1, OK), (first - 1, OK), (first - 1, Drop.REPLAY_DUP)]
        self.check_sequence(tunnel, *steps, (first + 5, OK))
        self.assertEqual((tunnel.top(), self.forged(tunnel)), (first + 5, 3))


class Esn05WrongSkipOpensNothing(TrialTest):
    """Another skip, or none: BAD_ICV, and the window stays as it is."""

    def runTest(self) -> None:
        tunnel = self.behind()
        before = tunnel.top(), tunnel.cells()
        for start, skip in ((0, 1), (0, 3), (1, 2), (0xFFFFFFFF, 2), (0, 0)):
            with self.subTest(start=start, skip=skip):
                self.try_skip(tunnel, start, skip)
                self.check_sequence(tunnel, (seq64(2, 200), Drop.BAD_ICV))
                self.assertEqual((tunnel.top(), tunnel.cells()), before)


class Esn05SkipEndsWithItsSubspace(TrialTest):
    """A top that has left ``trial_from`` in the ordinary way ends the trial, also for a packet that
    the engine holds meanwhile."""

    def runTest(self) -> None:
        tunnel = self.behind(top=seq64(0, 0xFFFFFFF0))
        late = tunnel.frame(seq64(0, 0xFFFFFFF8), frames.inner())
        with self.gw.held_requests() as held:
            self.gw.send(UNPROTECTED, late)
        self.check_sequence(tunnel, (seq64(1, 5), OK))
        self.try_skip(tunnel, 0, 7)
        self.check_sequence(tunnel, (seq64(1, 6), OK), (seq64(8, 7), Drop.BAD_ICV))
        verdict = self.gw.answer(*held)
        self.assertEqual((len(verdict.outputs), dict(verdict.drops)), (1, {}))
        self.assertEqual(tunnel.top(), seq64(1, 6))


class Esn05SkipAcrossTheEdge(TrialTest):
    """The skip comes on top of what is inferred: an Seql below the bottom is of one subspace
    more."""

    def runTest(self) -> None:
        tunnel = self.behind(top=1000)
        self.try_skip(tunnel, 0, 2)
        self.check_sequence(tunnel, (seq64(2, 1000 - WINDOW), Drop.BAD_ICV))
        self.check_sequence(tunnel, (seq64(3, 1000 - WINDOW), OK))
        self.assertEqual(tunnel.top(), seq64(3, 1000 - WINDOW))


class Esn06GarbageMovesNothing(TrialTest):
    """ESN-06: forgeries, with and without a trial, between authentic packets."""

    def runTest(self) -> None:
        rng, tunnel = random.Random(6), self.behind()
        for number in range(10):
            self.try_skip(tunnel, 0, number % 3)
            before = tunnel.top()
            self._flood(tunnel, rng, GARBAGE // 10)
            self.assertEqual(tunnel.top(), before)
            if number % 3 == 0:
                self.check_sequence(tunnel, (before + 1, OK))
        self.assertEqual(tunnel.top(), 104)
        self.assertEqual(self.forged(tunnel), GARBAGE)

    def _flood(self, tunnel: InboundTunnel, rng: random.Random, count: int) -> None:
        """Fresh numbers, so that each reaches the engine."""
        lows = (rng.randint(200, 0xFFFFFFFF) for _ in range(count))
        garbage = [
            tunnel.sa.spi.to_bytes(4) + low.to_bytes(4) + rng.randbytes(8 + 32 + 16) for low in lows
        ]
        sent = [frames.ethernet(UNPROTECTED, tunnel.around(sealed)) for sealed in garbage]
        verdict = self.gw.send(UNPROTECTED, *sent)
        self.assert_refused(verdict, Drop.BAD_ICV, count)


class ForgeriesCountForTheSaTheyClaim(TrialTest):
    """``sa_in_forged``: what fails authentication, by SA; no replay, and no authentic defect."""

    def runTest(self) -> None:
        for version in FAMILIES:
            with self.subTest(version=version):
                self._count(version)

    def _count(self, version: int) -> None:
        claimed, other = (self.inbound(outer=version, inner=version) for _ in range(2))
        packet = frames.inner6() if version == 6 else frames.inner()
        good = claimed.frame(1, packet)
        self.refuse(Drop.BAD_ICV, UNPROTECTED, *(flipped(good, at) for at in (-1, -17, -40)))
        self.accept_esp(good, packet)
        self.refuse(Drop.REPLAY_DUP, UNPROTECTED, good)
        padded = claimed.around(claimed.esp_by_hand(2, esp.with_trailer(packet, pad=b"\2\2")))
        self.refuse(Drop.BAD_PAD, UNPROTECTED, frames.ethernet(UNPROTECTED, padded))
        unknown = claimed.around(vec.D1[:3] + b"\x77" + vec.D1[4:])
        self.refuse(Drop.NO_SA, UNPROTECTED, frames.ethernet(UNPROTECTED, unknown))
        self.accept(other, 1, packet)
        self.assertEqual((self.forged(claimed), self.forged(other)), (3, 0))
        self.assertEqual(self.gw.traffic("sa_in_traffic", claimed.sa.sa)[0], 2)


def seq64(high: int, low: int) -> int:
    """A number written as the digest writes it, high_low."""
    return high << 32 | low


def flipped(frame: bytes, at: int) -> bytes:
    """The frame with one bit wrong."""
    octets = bytearray(frame)
    octets[at] ^= 1
    return bytes(octets)
