"""When each of many IKE SAs wants to be called."""

import heapq
from collections.abc import Iterator

MAX_STALE = 64
"""Outdated times that may wait in the queue beside twice the valid ones."""


class Timers:
    """One time for each owner, named by its SPI; the soonest first."""

    def __init__(self) -> None:
        self._times: dict[bytes, float] = {}
        self._queue: list[tuple[float, bytes]] = []
        """May hold times that are outdated by now."""

    def __len__(self) -> int:
        return len(self._queue)

    def set(self, owner: bytes, time: float | None) -> None:
        """Call `owner` at `time` and no other; None: not at all."""
        if time is None:
            self._times.pop(owner, None)
        elif self._times.get(owner) != time:
            self._times[owner] = time
            heapq.heappush(self._queue, (time, owner))
            self._compact()

    def _compact(self) -> None:
        """Keep the queue in proportion to its owners, however often their times change."""
        if len(self._queue) > MAX_STALE + 2 * len(self._times):
            self._queue = [(time, owner) for owner, time in self._times.items()]
            heapq.heapify(self._queue)

    @property
    def next(self) -> float | None:
        """The soonest time."""
        while self._queue and self._times.get(self._queue[0][1]) != self._queue[0][0]:
            heapq.heappop(self._queue)
        return self._queue[0][0] if self._queue else None

    def due(self, now: float) -> Iterator[bytes]:
        """Owners whose time has come, each taken off; those that set a new time come again."""
        while (time := self.next) is not None and time <= now:
            _, owner = heapq.heappop(self._queue)
            del self._times[owner]
            yield owner
