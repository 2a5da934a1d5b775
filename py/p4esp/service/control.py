"""Commands for a running process over a unix socket, one JSON object a line.

A request names a command and its arguments, all of them strings:

    {"command": "up", "peer": "right", "child": "net"}

The answer is `{"ok": true, "result": ...}` or `{"ok": false, "error": "..."}`. After the answer to
`watch` each event is a line of its own until the client goes.
"""

import asyncio
import inspect
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from p4esp.ike.errors import CommandError
from p4esp.service.control_protocol import WATCH
from p4esp.service.event_hub import EventHub, Watch
from p4esp.service.event_json import event_as_json
from p4esp.unix_socket import listen

MAX_LINE: Final = 65536
"""Octets of the longest request."""

Command = Callable[..., Awaitable[object]]
"""Takes its arguments by name, as strings; `CommandError` says why it cannot be done."""


@asynccontextmanager
async def control_socket(
    path: Path, commands: Mapping[str, Command], hub: EventHub
) -> AsyncIterator[None]:
    """Serve commands; SocketPathError when the socket cannot be had."""
    service = _ControlService(commands, hub)
    server = await asyncio.start_unix_server(service.talk, sock=listen(path), limit=MAX_LINE)
    try:
        yield
    finally:
        server.close()
        service.hang_up()
        path.unlink(missing_ok=True)


class _ControlService:
    def __init__(self, commands: Mapping[str, Command], hub: EventHub) -> None:
        self._commands = commands
        self._hub = hub
        self._talks: set[asyncio.Task[None]] = set()

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client."""
        task = asyncio.current_task()
        assert task is not None
        self._talks.add(task)
        try:
            await self._answer_all(reader, writer)
        except (ConnectionError, ValueError, asyncio.CancelledError):
            return  # it went, it sent no line within the limit, or we are going
        finally:
            self._talks.discard(task)
            writer.close()

    def hang_up(self) -> None:
        """End all conversations."""
        for task in self._talks:
            task.cancel()

    async def _answer_all(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            if _name_of(line) == WATCH:
                await self._watch(reader, writer)
                return
            await _write(writer, await self._answer(line))

    async def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            return {"ok": True, "result": await self._run(line)}
        except CommandError as error:
            return {"ok": False, "error": str(error)}

    async def _run(self, line: bytes) -> object:
        name = _name_of(line)
        command = self._commands.get(name)
        if command is None:
            accepted = ", ".join([*self._commands, WATCH])
            raise CommandError(f"there is no command {name!r}; accepted: {accepted}")
        arguments = {key: value for key, value in json.loads(line).items() if key != "command"}
        _check(name, command, arguments)
        return await command(**arguments)

    async def _watch(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with self._hub.watch() as events:
            await _write(writer, {"ok": True, "result": None})
            telling = asyncio.create_task(_tell(writer, events))
            try:
                await reader.read(1)  # nothing more is to be said: it has gone, or shall go
            finally:
                telling.cancel()
                await asyncio.gather(telling, return_exceptions=True)


async def _tell(writer: asyncio.StreamWriter, events: Watch) -> None:
    while True:
        await _write(writer, event_as_json(await events.get()))


def _name_of(line: bytes) -> str:
    try:
        request = json.loads(line)
    except (ValueError, RecursionError):
        return ""
    return str(request.get("command", "")) if isinstance(request, dict) else ""


def _check(name: str, command: Command, arguments: Mapping[str, object]) -> None:
    signature = inspect.signature(command)
    try:
        signature.bind(**arguments)
    except TypeError as error:
        accepted = ", ".join(signature.parameters) or "none"
        raise CommandError(f"{name}: {error}; accepted arguments: {accepted}") from None
    wrong = [key for key, value in arguments.items() if not isinstance(value, str)]
    if wrong:
        raise CommandError(f"{name}: {', '.join(wrong)}; accepted: strings")


async def _write(writer: asyncio.StreamWriter, message: dict[str, Any]) -> None:
    writer.write(json.dumps(message).encode() + b"\n")
    await writer.drain()
