"""Work in order for each peer, side by side for different peers."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

_Item = TypeVar("_Item")


class PeerQueues(Generic[_Item]):
    """What `deal` takes long for holds up its own peer only. Tasks exist while there is work."""

    def __init__(self, tasks: asyncio.TaskGroup, deal: Callable[[_Item], Awaitable[None]]) -> None:
        self._tasks = tasks
        self._deal = deal
        self._queues: dict[str, deque[_Item]] = {}

    def put(self, peer: str, item: _Item) -> None:
        """Deal with an item after all earlier ones of its peer."""
        queue = self._queues.get(peer)
        if queue is None:
            queue = self._queues[peer] = deque()
            self._tasks.create_task(self._work_off(peer, queue))
        queue.append(item)

    def backlog(self, peer: str) -> int:
        """Items of a peer that wait."""
        return len(self._queues.get(peer, ()))

    async def _work_off(self, peer: str, queue: deque[_Item]) -> None:
        while queue:
            await self._deal(queue.popleft())
        del self._queues[peer]
