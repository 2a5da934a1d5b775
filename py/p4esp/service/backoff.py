"""How long to wait before trying again: longer after each failure, and never all at once."""

from collections import Counter
from collections.abc import Callable, Hashable
from typing import Final

RETRY: Final = 5.0
"""Seconds before what was lost, or failed once, is tried again."""
RETRY_MOST: Final = 300.0
"""Seconds between two attempts at what fails again and again."""


class Backoff:
    """Delays double from `first` to `most` seconds, and start over after a success.

    Each is shortened by up to a half at random, so that gateways that lost a common peer do not
    come back together. `fraction` gives numbers 0 <= x < 1.
    """

    def __init__(self, first: float, most: float, fraction: Callable[[], float]) -> None:
        self._first = first
        self._most = most
        self._fraction = fraction
        self._failures: Counter[Hashable] = Counter()

    def failed(self, what: Hashable) -> float:
        """Seconds to wait before the next attempt."""
        doublings = min(self._failures[what], 32)  # far beyond any cap, and no float overflows
        self._failures[what] += 1
        delay = min(self._first * 2.0**doublings, self._most)
        return delay * (1 - self._fraction() / 2)

    def succeeded(self, what: Hashable) -> None:
        """The next failure is a first one."""
        self._failures.pop(what, None)

    def forget(self) -> None:
        """Whatever fails next, fails for the first time."""
        self._failures.clear()
