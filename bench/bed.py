"""The test bed: the switches that are compared, each with veth pairs and the same entries."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import count
from time import monotonic, sleep

import grpc

from bench import topology as top
from bench.load import Trial, highest_lossless
from bench.packets import Pass
from bench.packets import traffic as traffic_of
from bench.processes import ChildError
from bench.sender import Sender, compiled_sender
from bench.session import MissingError, Session
from bench.targets import Target, running, targets
from bench.veth import VethPair, check_available, veth_pairs

PORTS = (top.PROTECTED_PORT, top.UNPROTECTED_PORT, top.CRYPTO_PORT)
TRIAL_SECONDS = 0.3
DRAIN_POLL = 0.004
DRAIN_LIMIT = 2.0
QUIET = 0.05
"""Seconds without a frame after which all is through."""
FIRST_RATE = 4000.0


@dataclass
class Lane:
    """One switch under test and the wires to it."""

    name: str
    pairs: dict[int, VethPair]
    next_round: int = 0
    known_rates: dict[Pass, float] = field(default_factory=dict)

    def highest_rate(self, sender: Sender, which: Pass, size: int) -> float:
        """The highest loss-free rate of one pass with packets of `size` octets, in packets/s."""
        traffic = traffic_of(which, size)
        recording = sender.record(f"{which.name}.{size}", traffic)
        source, sink = self.pairs[traffic.port].host, self.pairs[traffic.egress]

        def step(rate: float) -> Trial:
            before = sink.received()
            load = replace(recording, next_round=self.next_round)
            sent = sender.send(source, load, rate, TRIAL_SECONDS)
            self.next_round = sent.next_round
            received, late = _drained(sink)
            return Trial(sent.frames, received - before, sent.seconds + late)

        # Near the rate of the last packet size: fewer steps.
        found = highest_lossless(step, self.known_rates.get(which, FIRST_RATE))
        self.known_rates[which] = max(found * 0.8, FIRST_RATE / 2)
        return found


@dataclass(frozen=True, slots=True)
class Bed:
    """All switches under test; ours comes first."""

    sender: Sender
    lanes: tuple[Lane, ...]


def veth_bed(session: Session) -> Bed:
    """Starts everything; `MissingError` says what this machine or user lacks."""
    check_available()
    sender = session.share(compiled_sender)
    numbers = count(0, 2 * len(PORTS))
    lanes = tuple(_lane(session, target, next(numbers)) for target in targets(session))
    return Bed(sender, lanes)


def _lane(session: Session, target: Target, first: int) -> Lane:
    pairs = session.stack.enter_context(veth_pairs(PORTS, first))
    interfaces = {port: pair.switch for port, pair in pairs.items()}
    try:
        switch = session.stack.enter_context(running(session, target, interfaces))
        switch.fill(top.FLOWS)
    except (grpc.RpcError, ChildError) as error:
        raise MissingError(f"{target.name} does not start over veth: {error}") from error
    return Lane(target.name, pairs)


def _drained(sink: VethPair) -> tuple[int, float]:
    """What has come out once nothing more comes, and how many seconds from now that took.

    A switch with deep buffers still works when the sender has finished: that time counts.
    """
    start = changed = monotonic()
    last = sink.received()
    while (now := monotonic()) < min(changed + QUIET, start + DRAIN_LIMIT):
        sleep(DRAIN_POLL)
        received = sink.received()
        if received != last:
            last, changed = received, now
    return last, changed - start
