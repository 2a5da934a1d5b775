"""The switch and dpmux as processes: ready line, signals, and clear errors."""

import asyncio
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import finsy as fy
import pytest
import typer
from finsy.proto import p4r
from p4rt_harness import ENTITIES as P
from p4rt_harness import PROGRAMS, Client
from typer.testing import CliRunner

from p4esp.cli.dpmux_cmd import dpmux_command
from p4esp.cli.switch_cmd import switch_command

RUN = "import typer; from p4esp.cli.{0}_cmd import {0}_command; typer.run({0}_command)"
JSON = PROGRAMS / "entities.json"


async def start(command: str, *args: str | Path) -> asyncio.subprocess.Process:
    """Start a command as the p4esp CLI would."""
    pipe = asyncio.subprocess.PIPE
    code = RUN.format(command)
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, *args, stdout=pipe, stderr=pipe
    )


@asynccontextmanager
async def ready(command: str, *args: str | Path) -> AsyncIterator[tuple[str, int]]:
    """The ready line and process id of a command that must end cleanly by SIGTERM."""
    process = await start(command, *args)
    assert process.stdout is not None
    async with asyncio.timeout(20):
        line = (await process.stdout.readline()).decode()
    yield line, process.pid
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(5):
        _, errors = await process.communicate()
    assert (process.returncode, errors.decode()) == (0, "")


def address_in(line: str, what: str) -> str:
    """The address that follows `what` in a ready line."""
    return line.split(f"{what} ")[1].split(",", maxsplit=1)[0].strip()


async def test_switch_with_a_program_serves_it_and_ends_by_sigterm() -> None:
    args = (JSON, "--grpc-server-addr", "127.0.0.1:0", "--dp-grpc-server-addr", "127.0.0.1:0")
    async with ready("switch", *args, "--device-id", "3") as (line, _):
        assert line.startswith("ready: device 3, P4Runtime 127.0.0.1:")
        client = Client(address_in(line, "P4Runtime"), device_id=3)
        assert len(await client.read(P.entity(fy.P4TableEntry("classes")))) == 2
        packets = address_in(line, "packets")
        args = (packets, "--listen", "127.0.0.1:0", "--device-id", "3")
        async with ready("dpmux", *args) as (mux, _):
            assert mux.startswith(f"ready: packets of {packets} at 127.0.0.1:")
        await client.close()


async def test_switch_without_a_program_waits_for_one() -> None:
    async with ready("switch", "--grpc-server-addr", "127.0.0.1:0") as (line, _):
        client = Client(address_in(line, "P4Runtime"))
        version = await client.stub.Capabilities(p4r.CapabilitiesRequest())
        assert version.p4runtime_api_version
        assert (await client.arbitrate(1)).status.code == 0
        assert (await client.push(P.config())).code == "OK"
        await client.close()


@pytest.mark.parametrize(
    ("args", "tells"),
    [
        (["-i", "x"], "interface 'x'; accepted: PORT@NAME"),
        (["-i", "0@nosuchif"], "interface 'nosuchif' does not exist"),
        (["-i", "510@nosuchif"], "'510@nosuchif': port 510 is the CPU port; accepted: any other"),
        (["-i", "0@lo", "-i", "0@x"], "'0@x': port 0 is another interface's; accepted: any other"),
        ([__file__], "document is not JSON"),
        (["/nonexistent.json"], "/nonexistent.json"),
        (["--p4info", str(JSON)], "--p4info needs the JSON"),
    ],
)
def test_bad_start_is_told_by_name(args: list[str], tells: str) -> None:
    assert tells in failure(switch_command, "--grpc-server-addr", "127.0.0.1:0", *args)


def test_address_in_use_is_told_by_name() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        told = f"cannot listen on {address}: in use"
        assert told in failure(switch_command, "--grpc-server-addr", address)
        assert told in failure(dpmux_command, "127.0.0.1:1", "--listen", address)


def failure(command: Callable[..., None], *args: str) -> str:
    """What a command says that must fail at start."""
    app = typer.Typer()
    app.command()(command)
    result = CliRunner().invoke(app, args)
    assert result.exit_code == 1
    return result.stderr
