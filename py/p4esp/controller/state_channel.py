"""Control messages: what the pipeline's registers hold, over packet-out and packet-in.

bmv2 has no register access over P4Runtime, so the pipeline answers messages itself (design
section 4). At most `WINDOW` are in flight, because an egress queue of bmv2 holds 64 packets; a
message without an answer is sent again. Every operation may be repeated safely.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from p4esp.controller.errors import ControllerError, ControlRefusedError, StateChannelError
from p4esp.controller.numbers import SCRUB_CELLS_MAX, Control, ControlStatus
from p4esp.store import Placement

WINDOW: Final = 32


@dataclass(frozen=True, slots=True)
class ControlMessage:
    """The header of a request or an answer; `status` is 0 in a request."""

    op: int
    token: int
    index: int
    value: int = 0
    status: int = 0


Send = Callable[[ControlMessage], Awaitable[None]]


class StateChannel:
    """The control messages of one switch.

    `timeout` is in seconds, for each of the `tries` transmissions of a message.
    """

    def __init__(self, send: Send, timeout: float = 1.0, tries: int = 4) -> None:
        self._send = send
        self._timeout = timeout
        self._tries = tries
        self._slots = asyncio.Semaphore(WINDOW)
        self._token = 0
        self._waiting: dict[int, asyncio.Future[ControlMessage]] = {}
        self._closed: ControllerError | None = None

    def close(self, reason: ControllerError) -> None:
        """The session is over: nobody waits for an answer any longer."""
        self._closed = reason
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(type(reason)(*reason.args))

    def answered(self, answer: ControlMessage) -> None:
        """Take an answer from packet-in; late duplicates are ignored."""
        future = self._waiting.get(answer.token)
        if future is not None and not future.done():
            future.set_result(answer)

    async def read_boot(self) -> int | None:
        """The boot id; None when the entry is missing."""
        answer = await self._ask(Control.READ_BOOT, 0)
        return None if answer.status == ControlStatus.NO_BOOT else _checked(answer).value

    async def read_sequence(self, space: int) -> int:
        """The last sequence number that an outbound space has sent."""
        return _checked(await self._ask(Control.READ_SEQ, space)).value

    async def read_top(self, space: int) -> int:
        """The highest authenticated sequence number of an inbound space."""
        return _checked(await self._ask(Control.READ_TOP, space)).value

    async def read_cell(self, index: int) -> tuple[int, int]:
        """A replay cell: its block number's low 32 bits and the bits seen."""
        value = _checked(await self._ask(Control.READ_CELL, index)).value
        return value >> 32, value & 0xFFFFFFFF

    async def advance_sequence(self, space: int, value: int) -> None:
        """Move an outbound space on to `value`; ControlRefusedError when it is there already."""
        answer = await self._ask(Control.ADVANCE_SEQ, space, value)
        if answer.status == ControlStatus.BACKWARD and answer.value == value:
            return  # done by a transmission whose answer was lost
        _checked(answer)

    async def last_sequence(self, place: Placement) -> int:
        """The highest sequence number that any outbound space of an SA has sent."""
        spaces = range(place.space_out, place.space_out + place.spaces_out)
        return max(await asyncio.gather(*map(self.read_sequence, spaces)))

    async def scrub_spaces(self, place: Placement) -> None:
        """Set all spaces of an SA back to zero: only while no key can use them."""
        sent = range(place.space_out, place.space_out + place.spaces_out)
        received = range(place.space_in, place.space_in + place.spaces_in)
        await asyncio.gather(*map(self.scrub_sequence, sent), *map(self.scrub_top, received))

    async def scrub_sequence(self, space: int) -> None:
        """Set an outbound space back to zero: only while no key can use it."""
        _checked(await self._ask(Control.SCRUB_SEQ, space))

    async def scrub_top(self, space: int) -> None:
        """Set the left edge of an inbound space back to zero."""
        _checked(await self._ask(Control.SCRUB_TOP, space))

    async def scrub_cells(self, base: int, count: int) -> None:
        """Clear `count` replay cells from `base` on."""
        steps = range(base, base + count, SCRUB_CELLS_MAX)
        await asyncio.gather(*(self._scrub(at, base + count - at) for at in steps))

    async def _scrub(self, base: int, left: int) -> None:
        count = min(left, SCRUB_CELLS_MAX)
        done = _checked(await self._ask(Control.SCRUB_CELLS, base, count)).value
        if done != count:
            raise StateChannelError(f"SCRUB_CELLS {base}: {done} of {count} cells were cleared")

    async def _ask(self, op: Control, index: int, value: int = 0) -> ControlMessage:
        async with self._slots:
            if self._closed is not None:
                raise type(self._closed)(*self._closed.args)
            self._token = (self._token + 1) & 0xFFFFFFFF
            return await self._exchange(ControlMessage(op, self._token, index, value))

    async def _exchange(self, request: ControlMessage) -> ControlMessage:
        future = asyncio.get_running_loop().create_future()
        self._waiting[request.token] = future
        try:
            return await self._transmit(request, future)
        finally:
            del self._waiting[request.token]

    async def _transmit(
        self, request: ControlMessage, future: asyncio.Future[ControlMessage]
    ) -> ControlMessage:
        for _ in range(self._tries):
            await self._send(request)
            await asyncio.wait((future,), timeout=self._timeout)
            if future.done():
                return future.result()
        waited = self._tries * self._timeout
        raise StateChannelError(f"{_name(request)}: no answer in {waited:g} s, {self._tries} tries")


def _checked(answer: ControlMessage) -> ControlMessage:
    if answer.status != ControlStatus.OK:
        known = answer.status in ControlStatus.__members__.values()
        status = ControlStatus(answer.status).name if known else f"status {answer.status}"
        raise ControlRefusedError(f"{_name(answer)}: the pipeline says {status}")
    return answer


def _name(message: ControlMessage) -> str:
    return f"{Control(message.op).name} {message.index}"
