"""The check of docker-compose.yml finds what would fail where docker runs."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lab import compose_check
from lab.command_lines import simple_commands, usage_fault
from lab.compose_check import CHECKS, SCHEMA, check_repository
from lab.facts import Facts

REPOSITORY = Path(__file__).parents[3]
README = (REPOSITORY / "README.md").read_text()
NEEDED = (
    *("docker-compose.yml", "Dockerfile", ".dockerignore", "docker", "bmv2-configs", "p4src"),
    *("LICENSE", "README.md", "pyproject.toml", "requirements-runtime.lock"),
)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """What the file refers to."""
    for name in NEEDED:
        source = REPOSITORY / name
        take = shutil.copytree if source.is_dir() else shutil.copy
        take(source, tmp_path / name)
    (tmp_path / "py" / "p4esp").mkdir(parents=True)
    return tmp_path


def faults(directory: Path) -> dict[str, str]:
    """The claims that do not hold."""
    facts = Facts("compose", (SCHEMA, *CHECKS))
    check_repository(directory, facts)
    assert {claim.name for claim in facts.claims} == set(facts.wanted)
    return {claim.name: claim.detail for claim in facts.claims if not claim.held}


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_the_repository_passes(copy: Path) -> None:
    assert faults(copy) == {}


def test_a_file_that_cannot_be_read_proves_nothing(copy: Path) -> None:
    (copy / "docker-compose.yml").write_text("services: {}")
    assert faults(copy).keys() == {SCHEMA, *CHECKS}


def test_an_image_of_a_registry_is_found(copy: Path) -> None:
    replace(copy / "Dockerfile", "FROM python:3.11-slim\n", "FROM registry.example/python\n")
    assert "registry.example is a registry's host" in faults(copy)["images"]


def test_a_source_that_is_not_there_is_found(copy: Path) -> None:
    (copy / "LICENSE").unlink()
    assert faults(copy) == {"images": "Dockerfile: LICENSE is not there"}


def test_a_source_that_docker_is_told_to_ignore_is_found(copy: Path) -> None:
    replace(copy / ".dockerignore", "!p4src\n", "")
    assert faults(copy)["images"].startswith(".dockerignore: leaves out p4src")


def test_a_mount_that_is_not_there_is_found(copy: Path) -> None:
    (copy / "docker" / "p4runtime-capabilities").unlink()
    assert "docker/p4runtime-capabilities is not there" in faults(copy)["mounts"]


def test_a_program_that_the_image_lacks_is_found(copy: Path) -> None:
    (copy / "docker" / "site-host").unlink()
    assert "left-host: p4esp has no site-host" in faults(copy)["programs"]


def test_a_program_behind_a_wrapper_or_in_a_probe_is_found(copy: Path) -> None:
    replace(copy / "docker-compose.yml", "[as-p4esp, p4esp, engine,", "[as-p4esp, p4, engine,")
    replace(copy / "docker-compose.yml", "| grep -q LISTEN", "| rg -q LISTEN")
    found = faults(copy)["programs"]
    assert "left-engine: p4esp has no p4;" in found
    assert "left-host: p4esp has no rg;" in found


def test_a_script_that_cannot_be_executed_is_found(copy: Path) -> None:
    (copy / "docker" / "with-psk").chmod(0o644)
    assert faults(copy) == {"programs": "docker/with-psk is not executable"}


def test_another_user_than_the_images_is_found(copy: Path) -> None:
    replace(copy / "Dockerfile", "--uid 10001", "--uid 10002")
    assert "the Dockerfile's user is 10002" in faults(copy)["user"]


def test_an_option_that_p4esp_does_not_have_is_found(copy: Path) -> None:
    replace(copy / "docker-compose.yml", "--interface, crypto1]", "--wire, crypto1]")
    assert "No such option: --wire" in faults(copy)["command lines"]


def test_a_command_that_p4esp_does_not_have_is_found(copy: Path) -> None:
    replace(copy / "docker-compose.yml", "p4esp, ready, engine,", "p4esp, ready, motor,")
    assert "accepted: switch, engine, controller" in faults(copy)["command lines"]


def test_a_configuration_that_p4esp_refuses_is_found(copy: Path) -> None:
    replace(copy / "bmv2-configs" / "left.toml", 'role = "protected"', 'role = "inner"')
    assert "gateways.left.interfaces.0.role" in faults(copy)["configurations"]


def test_a_configuration_with_another_key_than_is_made_is_found(copy: Path) -> None:
    replace(copy / "bmv2-configs" / "left.toml", "/run/psk/lab.psk", "/run/psk/other.psk")
    assert "left.toml is not there, or does not use the key" in faults(copy)["configurations"]


def test_whoever_sleeps_is_found(copy: Path) -> None:
    replace(copy / "docker" / "site-host", "exec iperf3", "sleep 1; exec iperf3")
    assert faults(copy) == {"no sleep": "site-host sleeps"}


def test_compose_itself_is_asked_where_it_is(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin" / "docker-compose"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 'no such thing' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/bin:/usr/bin")
    monkeypatch.setattr(compose_check, "docker_has_compose", lambda: False)
    facts = Facts("compose", ())
    compose_check.ask_compose(copy, facts, compose_check.compose_program())
    (claim,) = facts.claims
    assert (claim.held, claim.detail) == (False, "no such thing")


def test_the_facts_can_be_had_as_json() -> None:
    command = [sys.executable, "-m", "lab.compose_check", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=REPOSITORY)
    facts = json.loads(done.stdout)
    assert facts["all_held"]
    assert {claim["name"] for claim in facts["claims"]} >= {SCHEMA, *CHECKS}


def test_a_pipeline_is_several_commands() -> None:
    line = ("/bin/sh", "-c", "ss -l 'sport = :1' | grep -q x")
    assert list(simple_commands(line)) == [("ss", "-l", "sport = :1"), ("grep", "-q", "x")]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("up bmv2-configs/left.toml", ""),
        ("ready engine /run/p4esp/engine.sock", ""),
        ("up", "Missing parameter: config"),
        ("ready", "there is no such command"),
        ("down", "there is no such command"),
        ("", "there is no such command"),
    ],
)
def test_a_command_line_is_held_against_our_own_command(line: str, said: str) -> None:
    fault = usage_fault(line.split())
    assert said in fault if said else fault == ""


def test_the_readme_names_services_that_are_there() -> None:
    commands = re.findall(r"^docker compose (.+)$", README, re.MULTILINE)
    inside = [words.split()[1:] for words in commands if words.startswith("exec ")]
    others = [words for words in commands if not words.startswith("exec ")]
    assert others == ["up --build --wait", "down --volumes"]
    services = (REPOSITORY / "docker-compose.yml").read_text()
    assert inside
    assert all(f"\n  {service}:\n" in services for service, *_ in inside)
