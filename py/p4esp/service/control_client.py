"""The other end of a control socket."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from p4esp.service.control_protocol import WATCH


class ControlError(RuntimeError):
    """The command was refused, or nobody serves the socket."""


def ask(path: Path, command: str, **arguments: str) -> Any:
    """Have a command done; returns its result. ControlError tells why it was not."""
    with _conversation(path) as stream:
        return _request(stream, {"command": command, **arguments}, path)


@contextmanager
def watching(path: Path) -> Iterator[Iterator[dict[str, Any]]]:
    """The events from the call on, until the process ends."""
    with _conversation(path) as stream:
        _request(stream, {"command": WATCH}, path)
        yield map(json.loads, stream)


@contextmanager
def _conversation(path: Path) -> Iterator[BinaryIO]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        try:
            client.connect(str(path))
        except OSError as error:
            text = f"{path}: {error.strerror or error}"
            raise ControlError(f"{text}; accepted: the socket of a running process") from None
        with client.makefile("rwb") as stream:
            yield cast(BinaryIO, stream)


def _request(stream: BinaryIO, request: dict[str, str], path: Path) -> Any:
    stream.write(json.dumps(request).encode() + b"\n")
    stream.flush()
    line = stream.readline()
    if not line:
        raise ControlError(f"{path}: the process ended before it answered")
    answer = json.loads(line)
    if not answer["ok"]:
        raise ControlError(answer["error"])
    return answer["result"]
