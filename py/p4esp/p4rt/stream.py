"""One client's StreamChannel: what waits to be sent, bounded."""

import asyncio
from collections import deque

from finsy.proto import p4r

from p4esp.p4rt.errors import P4RuntimeError

MAX_PENDING = 4096


class ClientStream:
    """The sending side of one stream. Arbitration is always sent; notifications may be lost."""

    def __init__(self) -> None:
        self._pending: deque[p4r.StreamMessageResponse] = deque()
        self._wakeup = asyncio.Event()
        self._error: P4RuntimeError | None = None
        self._closed = False

    def send(self, message: p4r.StreamMessageResponse) -> None:
        """Queue an arbitration update."""
        self._pending.append(message)
        self._wakeup.set()

    def offer(self, message: p4r.StreamMessageResponse) -> bool:
        """Queue a packet, digest list, notification or error; False if the client is too slow."""
        if len(self._pending) >= MAX_PENDING:
            return False
        self.send(message)
        return True

    def close(self, error: P4RuntimeError | None = None) -> None:
        """End the stream after what is queued; with `error` as its status."""
        self._error = error
        self._closed = True
        self._wakeup.set()

    async def next(self) -> p4r.StreamMessageResponse | None:
        """The next message to send; None at the end, `P4RuntimeError` if closed with one."""
        while not self._pending:
            if self._error is not None:
                raise self._error
            if self._closed:
                return None
            self._wakeup.clear()
            await self._wakeup.wait()
        return self._pending.popleft()
