"""Runs an IKE endpoint: datagrams in and out, its clock, its events.

The endpoint has no I/O. Here one task feeds it and puts what it says, events before datagrams, into
a queue per peer: no answer promises an SA that is not installed yet (RFC 7296 2.8), and an
installation that takes long holds up nobody else.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, TypeVar

from p4esp.ike.endpoint import IkeEndpoint
from p4esp.ike.events import Event, peer_of
from p4esp.ike.path import Datagram, Path
from p4esp.service.inbox import Inbox
from p4esp.service.peer_queues import PeerQueues

BATCH: Final = 16
"""Datagrams that are taken in before others have their turn."""

MAX_BACKLOG: Final = 256
"""Items of one peer that may wait while datagrams are added; more datagrams are dropped."""

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
        self.inbox = Inbox(endpoint.ports, endpoint.is_live)
        self._wake = asyncio.Event()

    def received(self, payload: bytes, path: Path) -> None:
        """A UDP payload came in."""
        self.inbox.put(payload, path)
        self._wake.set()

    def command(self, call: Callable[[IkeEndpoint, float], _Result]) -> _Result:
        """Call the endpoint with the time; what it wants to say is dealt with soon after."""
        result = call(self.endpoint, self._clock())
        self._wake.set()
        return result

    async def run(self) -> None:
        """Serve the endpoint until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            queues = PeerQueues(tasks, self._deal)
            while True:
                self._wake.clear()
                await self._serve(queues)
                await self._wait()

    async def _serve(self, queues: PeerQueues[Event | Datagram]) -> None:
        self._tick(queues)
        taken = 0
        while (waiting := self.inbox.take()) is not None:
            self.endpoint.receive_datagram(*waiting, self._clock())
            self._tick(queues)  # a flood has no end that timers could wait for
            taken += 1
            if taken % BATCH == 0:
                await asyncio.sleep(0)  # what is queued is worked off, and more is received

    def _tick(self, queues: PeerQueues[Event | Datagram]) -> None:
        self.endpoint.handle_timer(self._clock())
        self._queue_output(queues)

    def _queue_output(self, queues: PeerQueues[Event | Datagram]) -> None:
        while (event := self.endpoint.next_event()) is not None:
            queues.put(peer_of(event), event)
        for datagram in self.endpoint.datagrams_to_send(self._clock()):
            if queues.backlog(datagram.peer) < MAX_BACKLOG:
                queues.put(datagram.peer, datagram)

    async def _deal(self, item: Event | Datagram) -> None:
        if isinstance(item, Datagram):
            await self._send(item)
        else:
            await self._handle_event(item)

    async def _wait(self) -> None:
        due = self.endpoint.get_timer()
        timeout = None if due is None else max(0.0, due - self._clock())
        # Not wait_for: before Python 3.12 it can swallow a cancellation (cpython issue 86296).
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._wake.wait()
