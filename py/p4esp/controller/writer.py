"""Table writes, gathered: updates that several tasks have ready at the same time share one RPC.

A P4Runtime batch has no order and is not atomic, so a caller who needs an order awaits one
`write` before the next, and updates of one entry never share a batch. Batches leave in the order
of the calls. Each caller hears of its own refused updates only.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from p4esp.controller.entries import Key, Update
from p4esp.controller.errors import (
    ControllerError,
    SwitchUnreachableError,
    TableWriteError,
    WriteFailure,
)

MAX_BATCH: Final = 4096
"""Updates after which a batch is closed (an RPC message must stay below 4 MiB)."""

Send = Callable[[Sequence[Update]], Awaitable[dict[int, tuple[str, str]]]]
"""Sends one batch; returns (code name, message) of each update that was refused, by index."""


@dataclass(frozen=True, slots=True)
class _Group:
    updates: tuple[Update, ...]
    keys: frozenset[Key]
    done: asyncio.Future[None]


class TableWriter:
    """Writes for one switch. `send` is called by one task at a time."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._waiting: deque[_Group] = deque()
        self._flusher: asyncio.Task[None] | None = None
        self._closed: ControllerError | None = None

    async def write(self, updates: Sequence[Update]) -> None:
        """Carry out all updates, in no certain order.

        Raises TableWriteError for refused ones, SwitchUnreachableError when nobody knows.
        """
        if not updates:
            return
        if self._closed is not None:
            raise _copy(self._closed)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        keys = frozenset(update.entry.key for update in updates)
        self._waiting.append(_Group(tuple(updates), keys, done))
        if self._flusher is None:
            self._flusher = asyncio.create_task(self._flush(), name="table-writer")
        await done

    def close(self, reason: ControllerError) -> None:
        """The session is over: who waits for a write, and who comes later, is told so at once."""
        self._closed = reason
        if self._flusher is not None:
            self._flusher.cancel()
        _fail_all(self._waiting, reason)
        self._waiting.clear()

    async def clear(self, updates: Sequence[Update]) -> None:
        """Like `write`, but what is not there need not be taken away."""
        try:
            await self.write(updates)
        except TableWriteError as error:
            if error.codes != {"NOT_FOUND"}:
                raise

    async def _flush(self) -> None:
        try:
            while self._waiting:
                await asyncio.sleep(0)  # lets every task that is ready add its updates
                await self._send_batch(self._take_batch())
        finally:
            self._flusher = None

    def _take_batch(self) -> list[_Group]:
        batch: list[_Group] = []
        touched: set[Key] = set()
        while self._waiting and self._fits(self._waiting[0], touched):
            batch.append(self._waiting.popleft())
            touched |= batch[-1].keys
        return batch

    @staticmethod
    def _fits(group: _Group, touched: set[Key]) -> bool:
        if not touched:
            return True
        return len(touched) + len(group.keys) <= MAX_BATCH and touched.isdisjoint(group.keys)

    async def _send_batch(self, batch: list[_Group]) -> None:
        try:
            refused = await self._send([update for group in batch for update in group.updates])
        except ControllerError as error:
            _fail_all(batch, error)
        except BaseException:
            _fail_all([*batch, *self._waiting], SwitchUnreachableError("the write was cut off"))
            self._waiting.clear()
            raise
        else:
            _settle(batch, refused)


def _fail_all(batch: Iterable[_Group], error: ControllerError) -> None:
    for group in batch:
        if not group.done.done():
            group.done.set_exception(_copy(error))


def _copy(error: ControllerError) -> ControllerError:
    """Each caller raises one of its own: a traceback belongs to one task."""
    return type(error)(*error.args)


def _settle(batch: list[_Group], refused: dict[int, tuple[str, str]]) -> None:
    start = 0
    for group in batch:
        failures = [
            WriteFailure(update, *refused[start + i])
            for i, update in enumerate(group.updates)
            if start + i in refused
        ]
        start += len(group.updates)
        _finish(group, failures)


def _finish(group: _Group, failures: list[WriteFailure]) -> None:
    if group.done.done():
        return
    if failures:
        group.done.set_exception(TableWriteError(failures))
    else:
        group.done.set_result(None)
