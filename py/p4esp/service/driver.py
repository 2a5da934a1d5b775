"""Runs an IKE endpoint: datagrams in and out, its clock, its events.

The endpoint has no I/O. Here one task feeds it, lets every event be dealt with and only then lets
its datagrams go, so that no answer promises an SA that is not installed yet (RFC 7296 2.8).
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, TypeVar

from p4esp.ike.endpoint import IkeEndpoint
from p4esp.ike.events import Event
from p4esp.ike.path import Datagram, Path

MAX_INBOX: Final = 4096
"""Datagrams that may wait; more are dropped."""

HandleEvent = Callable[[Event], Awaitable[None]]
SendDatagram = Callable[[Datagram], Awaitable[None]]
_Result = TypeVar("_Result")


class Driver:
    """Drives one endpoint. `clock` is the monotonic clock that the endpoint is told, in seconds."""

    def __init__(
        self,
        endpoint: IkeEndpoint,
        handle_event: HandleEvent,
        send: SendDatagram,
        clock: Callable[[], float],
    ) -> None:
        self.endpoint = endpoint
        self._handle_event = handle_event
        self._send = send
        self._clock = clock
        self._inbox: deque[tuple[bytes, Path]] = deque(maxlen=MAX_INBOX)
        self._wake = asyncio.Event()

    def received(self, payload: bytes, path: Path) -> None:
        """A UDP payload came in."""
        self._inbox.append((payload, path))
        self._wake.set()

    def command(self, call: Callable[[IkeEndpoint, float], _Result]) -> _Result:
        """Call the endpoint with the time; what it wants to say is dealt with soon after."""
        result = call(self.endpoint, self._clock())
        self._wake.set()
        return result

    async def run(self) -> None:
        """Serve the endpoint until cancelled."""
        while True:
            self._wake.clear()
            await self._serve()
            await self._wait()

    async def _serve(self) -> None:
        self.endpoint.handle_timer(self._clock())
        await self._settle()
        while self._inbox:
            payload, path = self._inbox.popleft()
            self.endpoint.receive_datagram(payload, path, self._clock())
            await self._settle()

    async def _settle(self) -> None:
        while (event := self.endpoint.next_event()) is not None:
            await self._handle_event(event)
        for datagram in self.endpoint.datagrams_to_send(self._clock()):
            await self._send(datagram)

    async def _wait(self) -> None:
        due = self.endpoint.get_timer()
        timeout = None if due is None else max(0.0, due - self._clock())
        # Not wait_for: before Python 3.12 it can swallow a cancellation (cpython issue 86296).
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._wake.wait()
