"""A readiness probe ends with 0 when its part can be used, and says in one line why it cannot."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from lab_helpers import PROGRAM

from p4esp.demo.lab import running_lab
from p4esp.engine import Engine, LocalKeys
from p4esp.engine.keyserver import KeyServer
from p4esp.service.control import control_socket
from p4esp.service.event_hub import EventHub

REPOSITORY = Path(__file__).parents[3]
P4ESP = (sys.executable, "-c", "from p4esp.cli.main import main; main()")
NO_SAS: dict[str, list[object]] = {"ike_sas": [], "child_sas": []}


async def ready(*words: str) -> tuple[int | None, str, str]:
    """Exit status, output and errors of a probe, run beside this test's event loop."""
    pipe = asyncio.subprocess.PIPE
    command = (*P4ESP, "ready", *words)
    process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe)
    out, errors = await process.communicate()
    return process.returncode, out.decode(), errors.decode()


async def test_a_switch_is_ready_when_p4runtime_answers() -> None:
    async with running_lab(PROGRAM) as lab, asyncio.timeout(60):
        status, out, errors = await ready("switch", lab.left.address, "--json")
    assert (status, errors) == (0, "")
    assert json.loads(out)["p4runtime"].startswith("1.")


async def test_a_switch_that_is_not_there_is_not_ready() -> None:
    status, _, errors = await ready("switch", "127.0.0.1:1")
    assert status == 1
    (line,) = errors.splitlines()
    assert line.startswith("p4esp ready switch: 127.0.0.1:1: UNAVAILABLE")


@asynccontextmanager
async def engine(socket: Path, attached: bool, detail: str) -> AsyncIterator[None]:
    """A key service whose crypto port is attached, or not."""
    server = KeyServer(LocalKeys(Engine(), lambda: (attached, detail)), socket)
    await server.start()
    yield
    await server.stop()


async def test_an_engine_is_ready_when_its_crypto_port_is_attached(tmp_path: Path) -> None:
    async with engine(tmp_path / "keys", True, "interface crypto1"):
        status, out, _ = await ready("engine", str(tmp_path / "keys"), "--json")
    assert (status, json.loads(out)) == (0, {"crypto_port": "interface crypto1"})


async def test_an_engine_without_crypto_port_is_not_ready(tmp_path: Path) -> None:
    async with engine(tmp_path / "keys", False, "interface crypto1: No such device"):
        status, _, errors = await ready("engine", str(tmp_path / "keys"))
    assert status == 1
    assert errors.splitlines() == [
        f"p4esp ready engine: {tmp_path / 'keys'}: "
        "no crypto port: interface crypto1: No such device"
    ]


@asynccontextmanager
async def controller(path: Path, facts: Mapping[str, Any]) -> AsyncIterator[None]:
    """A control socket that tells this status."""

    async def status() -> object:
        return facts

    async with control_socket(path, {"status": status}, EventHub()):
        yield


async def test_a_controller_is_ready_when_each_gateway_has_switch_and_engine(
    tmp_path: Path,
) -> None:
    facts = {"left": {"connected": True, "engine": True, **NO_SAS}}
    async with controller(tmp_path / "control", facts):
        status, out, _ = await ready("controller", str(tmp_path / "control"))
        _, as_json, _ = await ready("controller", str(tmp_path / "control"), "--json")
    assert (status, out) == (0, "left: 0 IKE SAs, 0 child SAs\n")
    assert json.loads(as_json) == facts


async def test_a_controller_names_each_gateway_that_lacks_something(tmp_path: Path) -> None:
    facts = {
        "left": {"connected": False, "engine": False, **NO_SAS},
        "middle": {"connected": True, "engine": True, **NO_SAS},
        "right": {"connected": True, "engine": False, **NO_SAS},
    }
    async with controller(tmp_path / "control", facts):
        status, _, errors = await ready("controller", str(tmp_path / "control"))
    assert status == 1
    assert errors.splitlines() == [
        "p4esp ready controller: left: the switch is not connected",
        "p4esp ready controller: right: no engine is in use",
    ]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_controller_that_is_told_to_stop_leaves_no_socket(
    tmp_path: Path, number: signal.Signals
) -> None:
    """As process 1 of a container it would not even end without a handler for SIGTERM."""
    config = tmp_path / "gateway.toml"
    config.write_text(
        '[gateways.left]\naddress = "127.0.0.1:1"\nengine = "engine.sock"\n'
        "[[gateways.left.interfaces]]\n"
        'port = 0\nrole = "protected"\nmac = "02:00:00:00:00:01"\n'
    )
    process = await asyncio.create_subprocess_exec(
        *(*P4ESP, "up", str(config)), cwd=REPOSITORY, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    async with asyncio.timeout(30):
        await process.stdout.readline()  # it is disconnected: hence it runs
        process.send_signal(number)
        await process.communicate()
    assert process.returncode == 0
    assert not (tmp_path / "p4esp.sock").exists()
