"""The highest rate without loss, found by raising the rate step by step.

A switch is never flooded: bmv2 livelocks under a flood and looks slower than it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

LOSS_LIMIT = 0.001
FACTOR = 1.3
HALVINGS = 3
LOWEST = 250.0
KEPT_UP = 0.85
"""Below this share of the rate asked for, the sender was too slow, or frames wait in buffers."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One step: frames sent, how many came out, and in how many seconds they did."""

    sent: int
    received: int
    seconds: float

    @property
    def rate(self) -> float:
        """Frames that came out, per second."""
        return self.received / self.seconds

    @property
    def lossless(self) -> bool:
        """Whether at most 0.1 % are missing."""
        return self.received >= self.sent * (1 - LOSS_LIMIT) and self.sent > 0


Step = Callable[[float], Trial]
"""Offers a load of that many frames/s for a short while."""


@dataclass(frozen=True, slots=True)
class _Good:
    """A loss-free load: the rate asked for, and the rate that came out."""

    asked: float
    rate: float


def highest_lossless(step: Step, start: float) -> float:
    """Frames/s: the best loss-free trial; 0 when there is loss even at the lowest rate."""
    good, bad = _go_down(step, start)
    if good is None:
        return 0.0
    if not bad:
        good, bad = _go_up(step, good)
    for _ in range(HALVINGS if bad else 0):
        middle = (good.asked * bad) ** 0.5
        trial = _twice(step, middle)
        if trial.lossless:
            good = _Good(middle, max(good.rate, trial.rate))
        else:
            bad = middle
    return good.rate


def _go_down(step: Step, start: float) -> tuple[_Good | None, float]:
    """From `start` to the first loss-free rate, and the lossy one above it (0: none yet)."""
    rate, bad = start, 0.0
    while rate >= LOWEST:
        trial = _twice(step, rate)
        if trial.lossless:
            return _Good(rate, trial.rate), bad
        bad, rate = rate, rate / FACTOR
    return None, bad


def _go_up(step: Step, good: _Good) -> tuple[_Good, float]:
    """To the last loss-free rate, and the lossy one above it (0: none was reached)."""
    while True:
        rate = good.asked * FACTOR
        trial = _twice(step, rate)
        if not trial.lossless:
            return good, rate
        good = _Good(rate, max(good.rate, trial.rate))
        if trial.rate < KEPT_UP * rate:
            return good, 0.0


def _twice(step: Step, rate: float) -> Trial:
    """A second chance: on a shared machine a pause of the switch is not its fault."""
    trial = step(rate)
    return trial if trial.lossless else step(rate)
