"""The command line: overview, one-line errors, exit codes, and a look at a running switch."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest
from lab_helpers import PROGRAM, passes

from p4esp.cli.main import COMMANDS
from p4esp.demo.lab import running_lab

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
        '[gateways.left]\naddress = "127.0.0.1:9559"\n[[gateways.left.interfaces]]\n'
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
        assert await passes(lab, lab.left, lab.right)


def test_trace_follows_a_packet_through_a_program() -> None:
    done = p4esp("trace", "bmv2-configs/esp_gateway.json", "--packet", "0011", "--json")
    events = json.loads(done.stdout)["esp_gateway.json"]
    assert events[0] == {"event": "Start", "port": 0, "kind": 0, "size": 2}
    assert events[-1]["drop_reason"] == 40
