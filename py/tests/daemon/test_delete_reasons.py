"""Reasons for deletes by command: what the peer's status, journal and reconnection make of them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from daemon_lab import RunningDaemon, free_udp_ports, peer_section, running_daemon
from typer.testing import CliRunner

from p4esp.cli.ike_cmd import app
from p4esp.service.control_client import ControlError
from p4esp.service.journal import Kind

HERE, THERE = "127.0.0.2", "127.0.0.3"
ON: dict[str, Any] = {"extensions": {"delete_reason": True}}


@pytest.fixture
async def ends(tmp_path: Path) -> AsyncIterator[tuple[RunningDaemon, RunningDaemon]]:
    """West and east; west wants its child up."""
    ports = dict(zip(("port", "nat_port"), free_udp_ports(2), strict=True))
    async with AsyncExitStack() as stack, asyncio.timeout(30):

        async def start(name: str, here: str, peer: dict[str, Any]) -> RunningDaemon:
            config = {"listen": [here], "control": f"{name}.sock", "experimental": True}
            running = running_daemon(tmp_path, **config, **ports, peers=[peer])
            return await stack.enter_async_context(running)

        east = await start("east", THERE, peer_section("west", THERE, HERE, **ON))
        section = peer_section("east", HERE, THERE, **ON)
        section["children"][0]["start"] = True
        west = await start("west", HERE, section)
        await west.journal.has(lambda entry: entry.kind is Kind.SA_UP)
        yield west, east


async def test_an_administrative_end_holds_the_peer_back_and_its_status_says_why(
    ends: tuple[RunningDaemon, RunningDaemon],
) -> None:
    west, east = ends
    why = {"reason": "administratively-down", "text": "moving house", "language": "en"}
    await east.tell("down", peer="west", **why)
    alert = await west.journal.has(lambda entry: entry.kind is Kind.ALERT)
    assert "ADMINISTRATIVELY_DOWN, “moving house”" in str(alert)
    down = await west.journal.has(lambda entry: entry.kind is Kind.IKE_DOWN)
    assert down.text == "deleted by the peer: ADMINISTRATIVELY_DOWN, “moving house”"
    status = await west.tell("status")
    assert status["told"]["east"]["type"] == "ADMINISTRATIVELY_DOWN"
    assert status["held"] == ["east/net"]
    arguments = ["status", "--control", str(west.control)]
    shown = await asyncio.to_thread(CliRunner().invoke, app, arguments)
    assert 'east deleted an SA: ADMINISTRATIVELY_DOWN, "moving house"' in shown.output
    assert "east/net is held back" in shown.output


@pytest.mark.parametrize(
    ("why", "complaint"),
    [
        ({"reason": "tired"}, "accepted: service-shutdown, service-restart"),
        ({"text": "bell\x07"}, "without control characters"),
        ({"text": "x" * 257}, "up to 256 octets"),
        ({"text": "x", "language": "no tag"}, "accepted: a tag such as"),
        ({"downtime": "-1"}, "accepted: 0..65535 seconds"),
        ({"downtime": "60"}, "delete_downtime"),
    ],
    ids=["type", "control-character", "long", "language", "downtime", "layout"],
)
async def test_a_reason_that_cannot_be_told_is_refused_and_nothing_is_deleted(
    ends: tuple[RunningDaemon, RunningDaemon], why: dict[str, str], complaint: str
) -> None:
    _, east = ends
    with pytest.raises(ControlError, match=complaint):
        await east.tell("down", peer="west", **why)
    assert len((await east.tell("status"))["ike_sas"]) == 1


async def test_the_secret_of_crash_tokens_is_a_file_that_others_cannot_read(
    tmp_path: Path,
) -> None:
    """RFC 6290 9.1; without the extension there is none."""
    port, nat_port = free_udp_ports(2)
    section = peer_section("east", HERE, THERE)
    for wish in (False, True):
        section["extensions"] = {"crash_detection": wish}
        async with running_daemon(tmp_path, port=port, nat_port=nat_port, peers=[section]):
            assert (tmp_path / "ike.tokens").exists() is wish
    secret = tmp_path / "ike.tokens"
    assert secret.stat().st_mode & 0o777 == 0o600
    assert len(secret.read_bytes()) == 32
