"""Commands over the control socket: what is accepted, and what is said of the rest."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from p4esp.ike.errors import CommandError
from p4esp.service.control import MAX_LINE, control_socket
from p4esp.service.control_client import ControlError, ask
from p4esp.service.event_hub import EventHub
from p4esp.unix_socket import SocketPathError


async def greet(whom: str) -> object:
    if whom == "nobody":
        raise CommandError("nobody is there; accepted: somebody")
    return f"hello {whom}"


COMMANDS = {"greet": greet}


@pytest.fixture
async def control(tmp_path: Path) -> AsyncIterator[Path]:
    path = tmp_path / "control.sock"
    async with asyncio.timeout(30), control_socket(path, COMMANDS, EventHub()):
        yield path


async def talk(path: Path, *lines: bytes) -> list[bytes]:
    """All that comes back when lines are sent and then no more."""
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(b"".join(lines))
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    return answer.splitlines()


async def test_a_command_has_a_result(control: Path) -> None:
    assert await asyncio.to_thread(ask, control, "greet", whom="world") == "hello world"


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        ({"command": "dance"}, "no command 'dance'; accepted: greet, watch"),
        ({"command": "greet"}, "missing a required argument: 'whom'; accepted arguments: whom"),
        ({"command": "greet", "whom": 3}, "greet: whom; accepted: strings"),
        ({"command": "greet", "whom": "x", "how": "y"}, "accepted arguments: whom"),
        ({"command": "greet", "whom": "nobody"}, "accepted: somebody"),
        ([1], "no command ''"),
        ("greet", "no command ''"),
    ],
)
async def test_a_refusal_says_what_is_accepted(control: Path, request_: object, error: str) -> None:
    (line,) = await talk(control, json.dumps(request_).encode() + b"\n")
    answer = json.loads(line)
    assert not answer["ok"]
    assert error in answer["error"]


async def test_a_line_without_end_ends_the_conversation_only(control: Path) -> None:
    assert await talk(control, b"x" * (MAX_LINE + 1)) == []
    assert len(await talk(control, b"\xff\n", b"{\n", b"[" * 60000 + b"\n")) == 3
    assert await asyncio.to_thread(ask, control, "greet", whom="again") == "hello again"


async def test_only_the_owner_can_command(control: Path) -> None:
    assert control.stat().st_mode & 0o777 == 0o600


async def test_a_socket_in_use_is_not_taken_away(control: Path) -> None:
    with pytest.raises(SocketPathError, match="is served by a running process"):
        async with control_socket(control, COMMANDS, EventHub()):
            pass


async def test_the_socket_is_gone_when_its_process_is(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    async with control_socket(path, COMMANDS, EventHub()):
        assert path.exists()
    assert not path.exists()
    with pytest.raises(ControlError, match=r"control\.sock: No such file.*; accepted"):
        ask(path, "greet", whom="world")
