"""What the P4Runtime client raises, as errors of the controller."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import finsy as fy
import grpc.aio

from p4esp.controller.errors import ControllerError, NotPrimaryError, SwitchUnreachableError


@contextmanager
def client_errors(name: str) -> Iterator[None]:
    """Turn what finsy and gRPC raise into ControllerErrors that name the switch.

    A call on a channel that is closed meanwhile ends as if its task had been cancelled, and so
    does a connection that fails inside finsy's own tasks. That must not end the caller's task.
    """
    try:
        yield
    except fy.P4ClientError as error:
        raise _translated(name, error) from None
    except (asyncio.InvalidStateError, grpc.aio.UsageError) as error:
        raise SwitchUnreachableError(f"{name}: the connection is closed: {error}") from None
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise SwitchUnreachableError(f"{name}: the connection was closed meanwhile") from None


def _translated(name: str, error: fy.P4ClientError) -> ControllerError:
    text = f"{name}: {error.code.name}: {error.message}"
    if error.code is fy.GRPCStatusCode.UNAVAILABLE:
        return SwitchUnreachableError(text)
    if error.code is fy.GRPCStatusCode.PERMISSION_DENIED:
        return NotPrimaryError(text)
    return ControllerError(text)
