"""``p4esp ping``: what it prints, and its exit status."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from ping_lab import ping_lab
from typer.testing import CliRunner

from p4esp.cli import ping_cmd
from p4esp.cli.main import build_app
from p4esp.cli.ping_cmd import Outcome, ping_all
from p4esp.controller.commands import ControllerCommands
from p4esp.service.control import control_socket
from p4esp.service.control_client import ControlError
from p4esp.service.event_hub import EventHub

P4ESP = (sys.executable, "-c", "from p4esp.cli.main import main; main()")


def run(*words: str) -> tuple[int, str]:
    """What the command ends with and prints."""
    done = CliRunner().invoke(build_app(["ping"]), ["ping", *words])
    return done.exit_code, done.output


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """A controller whose peer answers the odd numbers in so many milliseconds."""
    requests: list[dict[str, Any]] = []

    def ask(path: Path, command: str, **arguments: str) -> dict[str, Any]:
        requests.append({"path": str(path), "command": command, **arguments})
        number = int(arguments["number"])
        ms = float(number) if number % 2 else None
        return {"number": number, "octets": int(arguments["size"]), "ms": ms}

    monkeypatch.setattr(ping_cmd, "ask", ask)
    return requests


def test_each_ping_is_a_line_and_the_end_is_a_summary(asked: list[dict[str, Any]]) -> None:
    status, output = run("left", "192.0.2.2", "--count", "3", "--interval", "0", "--size", "8")
    assert status == 0
    assert output.splitlines() == [
        "8 octets from 192.0.2.2: number=1 time=1.000 ms",
        "no reply from 192.0.2.2: number=2",
        "8 octets from 192.0.2.2: number=3 time=3.000 ms",
        "--- ESP ping of 192.0.2.2 by left ---",
        "3 requests sent, 2 replies received, 33.3% loss",
        "round trip min/avg/max = 1.000/2.000/3.000 ms",
    ]
    assert asked[0] == {
        "path": "p4esp.sock",
        "command": "ping",
        "gateway": "left",
        "address": "192.0.2.2",
        "size": "8",
        "number": "1",
        "wait": "1000",
    }


def test_json_has_the_same_facts(asked: list[dict[str, Any]]) -> None:
    status, output = run("left", "192.0.2.2", "--count", "2", "--interval", "0", "--json")
    assert (status, len(asked)) == (0, 2)
    assert json.loads(output) == {
        "gateway": "left",
        "address": "192.0.2.2",
        "sent": 2,
        "received": 1,
        "loss_percent": 50.0,
        "ms": {"min": 1.0, "avg": 1.0, "max": 1.0},
        "times_ms": [1.0, None],
    }


@pytest.mark.parametrize("announced", [True, False])
def test_of_a_peer_that_has_not_announced_to_answer_it_says_so(
    monkeypatch: pytest.MonkeyPatch, announced: bool
) -> None:
    def ask(_: Path, command: str, **__: str) -> dict[str, Any]:
        assert command == "sealed-ping"
        facts = {"number": 1, "octets": 56, "ms": 2.0, "spi": "c0ffee01"}
        return facts | {"announced": announced}

    monkeypatch.setattr(ping_cmd, "ask", ask)
    words = ("left", "192.0.2.2", "--count", "1", "--encrypted")
    _, output = run(*words)
    assert ("192.0.2.2 has not announced ENCRYPTED_PING_SUPPORTED" in output) is not announced
    assert json.loads(run(*words, "--json")[1])["announced"] is announced


def test_without_any_reply_the_status_is_1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ping_cmd, "ask", lambda *_, **__: {"number": 1, "octets": 0, "ms": None})
    status, output = run("left", "192.0.2.2", "--count", "1")
    assert status == 1
    assert "1 requests sent, 0 replies received, 100% loss" in output
    assert "round trip" not in output


def test_what_the_controller_refuses_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(*_: object, **__: object) -> dict[str, Any]:
        raise ControlError("no gateway 'x'; accepted: left")

    monkeypatch.setattr(ping_cmd, "ask", ask)
    assert run("x", "192.0.2.2") == (1, "p4esp ping: no gateway 'x'; accepted: left\n")


def test_pings_start_an_interval_apart_however_long_each_takes() -> None:
    now, slept = [0.0], []

    def one(number: int) -> dict[str, Any]:
        now[0] += 0.25
        return {"number": number, "octets": 0, "ms": 250.0}

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    ping_all(one, 3, 1.0, lambda _: None, clock=lambda: now[0], sleep=sleep)
    assert slept == [0.75, 0.75]


def test_an_interrupt_ends_with_what_there_is() -> None:
    def one(number: int) -> dict[str, Any]:
        if number == 2:
            raise KeyboardInterrupt
        return {"number": number, "octets": 0, "ms": 1.0}

    outcome = ping_all(one, 5, 0.0, lambda _: None)
    assert outcome.times == [1.0]
    assert list(Outcome().lines()) == ["0 requests sent, 0 replies received, 0% loss"]


async def test_a_running_controller_pings_by_its_control_socket(tmp_path: Path) -> None:
    socket, hub = tmp_path / "p4esp.sock", EventHub()
    async with ping_lab(esp_ping=True) as lab, asyncio.timeout(60):
        commands = ControllerCommands(lab.controller.gateways, hub).table
        async with control_socket(socket, commands, hub):
            words = ["left", "192.0.2.2", "--count", "3", "--interval", "0", "--wait", "5"]
            status, output = await in_a_process(*words, "--control", str(socket))
    assert status == 0
    assert "3 requests sent, 3 replies received, 0% loss" in output


async def in_a_process(*words: str) -> tuple[int, str]:
    """The command as a user runs it."""
    process = await asyncio.create_subprocess_exec(
        *(*P4ESP, "ping", *words), stdout=asyncio.subprocess.PIPE, env={**os.environ}
    )
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()
