"""Requests that wait for their reply, each known by where it went, an identifier and a number."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from p4esp.ike.errors import CommandError

MAX_WAITING: Final = 64
"""Requests of a gateway that may wait for their reply at a time."""

Where = TypeVar("Where", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Echo:
    """What a request and its reply have in common."""

    identifier: int
    number: int
    data: bytes = b""


@dataclass(slots=True)
class _Waiting:
    data: bytes
    replied: asyncio.Future[float] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    """The time of its reply."""


class Outstanding(Generic[Where]):
    """The requests of a gateway that wait."""

    def __init__(self, clock: Callable[[], float], random_bytes: Callable[[int], bytes]) -> None:
        self._clock = clock
        self._random_bytes = random_bytes
        self._waiting: dict[tuple[Where, int, int], _Waiting] = {}
        self.ignored = 0
        """Replies that nobody waited for."""

    def __len__(self) -> int:
        return len(self._waiting)

    async def ask(
        self,
        send: Callable[[Echo], Awaitable[None]],
        where: Where,
        number: int,
        size: int,
        *,
        seconds: float,
    ) -> float | None:
        """Send a request with `size` octets of data; returns the seconds until its reply, None
        without one in time.

        Sending is not cut short: a gRPC stream does not survive a write that is cancelled.
        """
        identifier = self._free_identifier(where, number)
        echo = Echo(identifier, number, self._random_bytes(size))
        with self._wait(where, echo) as waiting:
            sent = self._clock()
            await send(echo)
            try:
                async with asyncio.timeout(seconds):
                    return await waiting.replied - sent
            except TimeoutError:
                return None

    @contextmanager
    def _wait(self, where: Where, echo: Echo) -> Iterator[_Waiting]:
        if len(self._waiting) >= MAX_WAITING:
            accepted = f"accepted: {MAX_WAITING} at a time"
            raise CommandError(f"{MAX_WAITING} pings are under way; {accepted}")
        key = (where, echo.identifier, echo.number)
        self._waiting[key] = _Waiting(echo.data)
        try:
            yield self._waiting[key]
        finally:
            del self._waiting[key]

    def _free_identifier(self, where: Where, number: int) -> int:
        identifier = int.from_bytes(self._random_bytes(2), "big")
        while (where, identifier, number) in self._waiting:
            identifier = (identifier + 1) & 0xFFFF
        return identifier

    def replied(self, where: Where, echo: Echo) -> None:
        """A reply came; it counts when it is to a request that waits, and has its data."""
        waiting = self._waiting.get((where, echo.identifier, echo.number))
        if waiting is None or waiting.data != echo.data or waiting.replied.done():
            self.ignored += 1
        else:
            waiting.replied.set_result(self._clock())
