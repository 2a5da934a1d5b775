"""The command: where it runs, and what it says where it cannot."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from p4esp.cli.bench_cmd import bench_command

REPOSITORY = Path(__file__).parents[3]

app = typer.Typer()
app.command()(bench_command)


def run(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def test_outside_a_repository_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("--list")
    assert result.exit_code == 1
    assert "run this inside the repository" in result.stderr


def test_without_the_bench_directory_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "p4src").mkdir()
    monkeypatch.chdir(tmp_path)
    result = run("--list")
    assert result.exit_code == 1
    assert "has no bench/" in result.stderr


def test_the_list_names_benchmarks_and_units(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY / "py")
    result = run("--list", "p4rt")
    assert result.exit_code == 0
    assert "p4rt.read" in result.stdout
    assert "entries/s" in result.stdout


def test_json_is_a_list_of_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    result = run("--json", "engine.seal.1400")
    assert result.exit_code == 0
    (figure,) = json.loads(result.stdout)
    assert set(figure) == {"name", "value", "unit", "peer", "peer_value", "ratio"}
    assert figure["value"] > 0
    assert figure["peer"] == "bare AESGCM"


def test_an_unknown_revision_is_an_error_of_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    result = run("--base", "no-such-revision", "engine")
    assert result.exit_code == 1
    assert "no-such-revision" in result.stderr
