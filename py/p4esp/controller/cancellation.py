"""Work whose cancellation must not be confused with that of the task that waits for it."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from p4esp.controller.errors import SwitchUnreachableError

_T = TypeVar("_T")


async def in_own_task(work: Coroutine[Any, Any, _T]) -> _T:
    """Do some work in a task of its own, and wait for it.

    In Python 3.11 a TaskGroup that fails may leave its task marked as being cancelled, and one that
    fails while it is being cancelled hides that it was (cpython issue 116720). Here both end with
    the work: who waits sees a cancellation when it was cancelled itself, and only then.
    """
    task = asyncio.create_task(work)
    try:
        await asyncio.wait((task,))
    except asyncio.CancelledError:
        task.cancel()
        await asyncio.wait((task,))
        raise
    if task.cancelled():
        raise SwitchUnreachableError("the session was cut off")
    return task.result()
