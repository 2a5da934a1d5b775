"""The lint rule for secrets: it finds each form of comparison, and nothing in our code."""

import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / "tools" / "secret_comparison.py"
SPEC = importlib.util.spec_from_file_location("secret_comparison", TOOL)
rule = importlib.util.module_from_spec(SPEC)
sys.modules[SPEC.name] = rule
SPEC.loader.exec_module(rule)

GUARDED = ("py/p4esp/ike", "py/p4esp/engine")


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("if icv == expected: pass", "icv"),
        ("if expected != message.icv: pass", "icv"),
        ("ok = self._cookie == data", "_cookie"),
        ("ok = tag[:16] == other", "tag"),
        ("ok = bytes(session_key) == other", "session_key"),
        ("ok = a < b == peer_psk", "peer_psk"),
        ("ok = data in (b'', cookie)", "cookie"),
        ("ok = secret not in [old, new]", "secret"),
        ("def f():\n    return lambda mac: mac == 1", "mac"),
    ],
)
def test_a_comparison_of_a_secret_is_found_by_name(source, name):
    assert [finding.name for finding in rule.findings(source, "m.py")] == [name]


@pytest.mark.parametrize(
    "source",
    [
        "ok = hmac.compare_digest(icv, expected)",
        "ok = auth.method == 2",
        "ok = len(icv) == 16",
        "ok = key is None",
        "ok = key in table",
        "ok = key_size == 16",
        "ok = kind == Kind.COOKIE",
        "ok = icv == 16  # not a secret: a length",
    ],
)
def test_what_is_no_comparison_of_a_secret_passes(source):
    assert list(rule.findings(source, "m.py")) == []


def test_an_excuse_without_a_reason_is_none():
    assert list(rule.findings("ok = icv == 16  # not a secret:", "m.py"))


def test_no_secret_of_ours_is_compared_by_equality(capsys):
    status = rule.main([str(ROOT / directory) for directory in GUARDED])
    assert (status, capsys.readouterr().out) == (0, "")


def test_a_directory_without_modules_is_an_error(tmp_path):
    assert rule.main([str(tmp_path)]) == 1


def test_a_finding_fails_the_run_and_names_file_and_line(tmp_path, capsys):
    (tmp_path / "m.py").write_text("\nbad = icv == other\n")
    assert rule.main([str(tmp_path)]) == 1
    assert capsys.readouterr().out.startswith(f"{tmp_path / 'm.py'}:2: icv is compared")


def test_make_lint_runs_the_rule_on_both_packages():
    assert f"tools/secret_comparison.py {' '.join(GUARDED)}" in (ROOT / "Makefile").read_text()
