"""Short rounds, interleaved, the best one counts.

On a shared machine the disturbances only ever slow a round down, so the fastest of several short
rounds says most about the code, and alternating what is compared spreads them evenly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter, thread_time

Round = Callable[[], float]
"""One short measurement; returns a rate (per second)."""


def best_rates(rounds: Sequence[Round], repeat: int) -> list[float]:
    """Runs all `rounds` in turn, `repeat` times; the best rate of each."""
    best = [0.0] * len(rounds)
    for _ in range(repeat):
        for place, measure in enumerate(rounds):
            best[place] = max(best[place], measure())
    return best


def rate(count: int, action: Callable[[], object]) -> float:
    """How many a second, when one call of `action` does `count` of them."""
    return _rate(count, action, perf_counter)


def cpu_rate(count: int, action: Callable[[], object]) -> float:
    """How many a second of this thread's processor time: for work that waits for nothing.

    What other processes take from the processor meanwhile does not count.
    """
    return _rate(count, action, thread_time)


def _rate(count: int, action: Callable[[], object], clock: Callable[[], float]) -> float:
    start = clock()
    action()
    return count / (clock() - start)
