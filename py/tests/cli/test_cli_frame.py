"""The command line: overview, one-line errors, exit codes, and a look at a running switch."""

import asyncio
import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from lab_helpers import PROGRAM, passes

from p4esp.cli.failures import one_line
from p4esp.cli.main import COMMANDS
from p4esp.controller.numbers import Drop
from p4esp.demo.lab import running_lab
from p4esp.store import StoreError

REPOSITORY = Path(__file__).parents[3]


def p4esp(*arguments: str, cwd: Path = REPOSITORY) -> subprocess.CompletedProcess[str]:
    """Run the command as a user would."""
    command = [sys.executable, "-c", "from p4esp.cli.main import main; main()", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)


async def p4esp_json(*arguments: str):
    """Run the command beside this test's event loop; what it prints as JSON."""
    code = "from p4esp.cli.main import main; main()"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code, *arguments, "--json"),
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    return json.loads(out)


def test_the_overview_names_every_command_and_imports_none() -> None:
    code = (
        "import sys; from p4esp.cli.main import build_app; build_app(['--help']); "
        "print([name for name in ('finsy', 'grpc', 'cryptography') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    overview = p4esp("--help").stdout
    assert all(command.name in overview for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_command_loads_and_explains_itself(command) -> None:
    done = p4esp(command.name, "--help")
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout


def test_an_unknown_command_is_an_error() -> None:
    done = p4esp("encrypt-everything")
    assert done.returncode == 2
    assert "encrypt-everything" in done.stderr


def test_a_bad_configuration_is_told_line_by_line(tmp_path: Path) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text('[gateways.left]\naddress = "nowhere"\n')
    done = p4esp("up", str(bad))
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert all(line.startswith(f"p4esp up: {bad}: gateways.left.") for line in lines)
    assert len(lines) == 2


def test_a_good_configuration_passes_the_check(tmp_path: Path) -> None:
    good = tmp_path / "good.toml"
    good.write_text(
        '[gateways.left]\naddress = "127.0.0.1:9559"\nengine = "engine.sock"\n'
        "[[gateways.left.interfaces]]\n"
        'port = 0\nrole = "protected"\nmac = "02:00:00:00:00:01"\n'
    )
    done = p4esp("up", "--check", str(good))
    assert (done.returncode, done.stderr) == (0, "")


def test_a_switch_that_is_not_there_is_one_line() -> None:
    done = p4esp("status", "--switch", "127.0.0.1:1")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "UNAVAILABLE" in done.stderr


def test_outside_the_repository_the_missing_artefacts_are_named(tmp_path: Path) -> None:
    done = p4esp("demo", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("p4esp demo: no p4src/")
    assert done.stdout == "", "nothing is announced that cannot be done"


def test_the_demo_wants_a_directory(tmp_path: Path) -> None:
    (tmp_path / "afile").touch()
    done = p4esp("demo", "--output", "afile", cwd=tmp_path)
    assert done.returncode == 2
    assert "'--output': dir 'afile' is a file" in done.stderr


def test_a_metrics_port_in_use_is_told_with_its_key(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config = tmp_path / "a.toml"
        config.write_text(
            f"metrics_port = {port}\n[gateways.left]\n"
            'address = "127.0.0.1:1"\nengine = "engine.sock"\n'
            '[[gateways.left.interfaces]]\nport = 0\nrole = "protected"\n'
            'mac = "02:00:00:00:00:01"\n'
        )
        done = p4esp("up", str(config))
    assert done.returncode == 1
    expected = f"p4esp up: metrics_port: {port}: Address already in use; accepted: a free TCP port"
    assert done.stderr.splitlines() == [expected]


def test_what_fails_in_one_task_of_many_is_told_in_one_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    inner = ExceptionGroup("tasks", [StoreError("p4esp.db: disk full")])
    with pytest.raises(typer.Exit), one_line("up"):
        raise ExceptionGroup("tasks", [inner, StoreError("p4esp.db: disk full")])
    assert capsys.readouterr().err == "p4esp up: p4esp.db: disk full\n"


def test_what_nobody_foresaw_is_not_made_to_look_foreseen() -> None:
    with pytest.raises(ExceptionGroup), one_line("up"):
        raise ExceptionGroup("tasks", [StoreError("disk full"), KeyError(64)])


async def test_a_running_switch_can_be_looked_at_without_disturbing_its_controller() -> None:
    async with running_lab(PROGRAM) as lab, asyncio.timeout(60):
        await lab.tunnel_up()
        assert await passes(lab, lab.left, lab.right)
        switch = ("--switch", lab.left.address)
        status, counters, sas = await asyncio.gather(
            p4esp_json("status", *switch),
            p4esp_json("counters", *switch),
            p4esp_json("sa", "list", *switch),
        )
        assert status["engine"]
        assert status["entries"]["sa_out"] == 1
        assert counters["outcomes"]["TO_ENGINE"] == 1
        assert {row["direction"]: row["packets"] for row in sas} == {"out": 1, "in": 0}
        every = await p4esp_json("counters", "--all", *switch)
        assert list(every["drops"]) == [reason.name for reason in Drop if reason]
        assert every["outcomes"] == {"DROPPED": 0} | counters["outcomes"]
        assert await passes(lab, lab.left, lab.right)


def test_trace_follows_a_packet_through_a_program() -> None:
    done = p4esp("trace", "bmv2-configs/esp_gateway.json", "--packet", "0011", "--json")
    events = json.loads(done.stdout)["esp_gateway.json"]
    assert events[0] == {"event": "Start", "port": 0, "kind": 0, "size": 2}
    assert events[-1]["drop_reason"] == 40
