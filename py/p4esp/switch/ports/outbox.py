"""Packets that wait for a gRPC stream to take them; a slow reader holds up its own sender."""

import asyncio
from collections import deque

from p4esp.proto.dataplane_interface_pb2 import PacketStreamResponse

HIGH_WATER = 256
LIMIT = 8192


class Outbox:
    """A queue of responses between a switch that never waits and a stream that may.

    Whoever feeds the switch awaits `room` first, so its own packets are never lost; what other
    ports cause is dropped and counted beyond LIMIT.
    """

    def __init__(self) -> None:
        self.lost = 0
        self._waiting: deque[PacketStreamResponse] = deque()
        self._filled = asyncio.Event()
        self._drained = asyncio.Event()
        self._drained.set()
        self._closed = False

    def put(self, response: PacketStreamResponse) -> None:
        """Queue one packet."""
        if len(self._waiting) >= LIMIT:
            self.lost += 1
            return
        self._waiting.append(response)
        self._filled.set()
        if len(self._waiting) >= HIGH_WATER:
            self._drained.clear()

    async def room(self) -> None:
        """Wait until the stream has taken most of what waits."""
        await self._drained.wait()

    def close(self) -> None:
        """No more packets will come; `get` ends once the queue is empty."""
        self._closed = True
        self._filled.set()

    async def get(self) -> PacketStreamResponse | None:
        """The next packet; None after `close` when all are taken."""
        while not self._waiting:
            if self._closed:
                return None
            self._filled.clear()
            await self._filled.wait()
        if len(self._waiting) <= HIGH_WATER // 2:
            self._drained.set()
        return self._waiting.popleft()
