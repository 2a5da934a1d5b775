"""Ways to a crypto port: a switch in this process, or a transport that may go and come back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from p4esp.engine.errors import AttachmentError

#: Takes a frame of the crypto port; returns the reply, or None when there is none.
Answer = Callable[[bytes], bytes | None]


class PortDevice(Protocol):
    """A switch in this process."""

    def attach_burst(self, port: int, sink: Callable[[list[bytes]], None]) -> None:
        """Register who gets what leaves ``port``, a burst at a time."""
        ...

    def inject_burst(self, port: int, packets: Sequence[bytes]) -> None:
        """Let ``packets`` enter at ``port``, one after the other."""
        ...


class FrameTransport(Protocol):
    """A connected way to a crypto port in another process or on a wire."""

    async def serve(self, answer: Answer) -> None:
        """Answer frames until the connection ends, which is an AttachmentError."""
        ...


Connect = Callable[[], AbstractAsyncContextManager[FrameTransport]]


def attach_engine(device: PortDevice, port: int, answer: Answer) -> None:
    """Put an engine (its ``process``) on a port of a switch in this process.

    The replies to a burst of requests go back as one burst, in the order of the requests.
    """
    inject_burst = device.inject_burst

    def sink(frames: list[bytes]) -> None:
        replies = [reply for frame in frames if (reply := answer(frame)) is not None]
        if replies:
            inject_burst(port, replies)

    device.attach_burst(port, sink)


@dataclass(frozen=True, slots=True)
class Backoff:
    """Seconds between attempts to connect: ``first``, then doubled up to ``limit``."""

    first: float = 0.1
    limit: float = 5.0

    def after(self, failures: int) -> float:
        """Return the pause after that many failures in a row (at least one)."""
        return min(self.first * 2.0 ** min(failures - 1, 30), self.limit)


class Attachment:
    """Keeps an engine attached: connects, serves, and connects again when the switch went away.

    The engine's keys are not touched. ``state`` is what a LocalKeys reports as health.
    """

    def __init__(
        self,
        name: str,
        connect: Connect,
        answer: Answer,
        backoff: Backoff | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._name, self._connect, self._answer = name, connect, answer
        self._backoff, self._sleep = backoff or Backoff(), sleep
        self._ready, self._detail = False, f"{name}: not connected yet"

    def state(self) -> tuple[bool, str]:
        """Return (attached, to what or why not)."""
        return self._ready, self._detail

    async def run(self) -> None:
        """Stay attached until cancelled."""
        failures = 0
        while True:
            try:
                await self._attach()
            except (AttachmentError, OSError) as error:
                failures = 1 if self._ready else failures + 1
                self._ready, self._detail = False, f"{self._name}: {error}"
            await self._sleep(self._backoff.after(failures))

    async def _attach(self) -> None:
        async with self._connect() as transport:
            self._ready, self._detail = True, self._name
            await transport.serve(self._answer)
