"""Events for whoever wants to see them: commands that wait for an outcome, watchers."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from p4esp.ike.events import Event

BACKLOG: Final = 10_000
"""Events that may wait for one who watches; who is slower than that misses the rest."""

Watch = asyncio.Queue[Event]


class EventHub:
    """Hands each event to all that watch."""

    def __init__(self) -> None:
        self._watches: list[Watch] = []

    def publish(self, event: Event) -> None:
        """Tell an event to all that watch."""
        for watch in self._watches:
            if not watch.full():
                watch.put_nowait(event)

    @contextmanager
    def watch(self) -> Iterator[Watch]:
        """A queue of the events from now on."""
        watch: Watch = asyncio.Queue(BACKLOG)
        self._watches.append(watch)
        try:
            yield watch
        finally:
            self._watches.remove(watch)
