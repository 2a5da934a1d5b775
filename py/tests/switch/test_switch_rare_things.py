"""What a packet does not have costs it little: groups of headers, and start values in branches."""

import ast

import pytest

from p4esp.switch.codegen.groups import note_groups
from p4esp.switch.codegen.homes import start_in_branches


def function(body: str) -> ast.FunctionDef:
    lines = "\n".join(f"    {line}" for line in body.strip().splitlines())
    found = ast.parse(f"def process(a, b):\n{lines}").body[0]
    assert isinstance(found, ast.FunctionDef)
    return found


def text(changed: ast.FunctionDef) -> list[str]:
    return ast.unparse(ast.fix_missing_locations(changed)).splitlines()[1:]


def noted(body: str) -> list[str]:
    changed = function(body)
    note_groups(changed, {"some_0": ("v_x", "v_y"), "some_1": ("v_z",)})
    return text(changed)


def test_who_makes_a_header_valid_notes_it_for_its_group() -> None:
    assert noted("v_x = True") == ["    v_x = True", "    some_0 = True"]
    assert noted("v_z = v_other") == ["    v_z = v_other", "    some_1 = True"]
    assert noted("v_y, v_z = a") == ["    v_y, v_z = a", "    some_0 = True", "    some_1 = True"]


def test_who_makes_a_header_invalid_notes_nothing() -> None:
    assert noted("v_x = False") == ["    v_x = False"]
    assert noted("v_other = True") == ["    v_other = True"]


def test_a_note_stands_where_the_header_is_made_valid() -> None:
    assert noted("if a:\n    v_x = True\nreturn b") == [
        *("    if a:", "        v_x = True", "        some_0 = True", "    return b")
    ]


def started(body: str, *names: str) -> tuple[list[str], set[str]]:
    changed = function(body)
    outside = start_in_branches(changed, set(names), {"octets": "b''"}, deep=1)
    return text(changed), outside


def test_a_variable_of_one_branch_starts_there_in_front_of_its_first_mention() -> None:
    lines, outside = started("if a:\n    a = b\n    if b:\n        x = 1\n    return x", "x")
    assert not outside
    assert lines[:3] == ["    if a:", "        a = b", "        x = 0"]


def test_in_a_branch_that_many_packets_come_to_nothing_starts() -> None:
    changed = function("if a:\n    return x")
    assert start_in_branches(changed, {"x"}, {}, deep=2) == {"x"}
    assert text(changed) == ["    if a:", "        return x"]


def test_it_starts_with_its_own_value() -> None:
    lines, _ = started("if a:\n    return octets", "octets")
    assert lines == ["    if a:", "        octets = b''", "        return octets"]


@pytest.mark.parametrize(
    "body",
    [
        "return x",
        "if x:\n    return a",
        "if a:\n    x = 1\nreturn x",
        "if a:\n    x = 1\nelse:\n    return x",
    ],
)
def test_a_variable_that_no_single_branch_holds_starts_with_the_function(body: str) -> None:
    lines, outside = started(body, "x")
    assert outside == {"x"}
    assert "\n".join(lines) == "\n".join(f"    {line}" for line in body.splitlines())


def test_in_a_loop_nothing_starts_anew() -> None:
    body = "while True:\n    if a:\n        x = x + 1\n    a = b"
    lines, outside = started(body, "x")
    assert outside == {"x"}
    assert "x = 0" not in "".join(lines)


def test_a_block_that_runs_once_is_no_loop() -> None:
    body = "while True:\n    if a:\n        x = x + 1\n    break"
    lines, outside = started(body, "x")
    assert not outside
    assert lines[2] == "            x = 0"


def test_the_test_of_an_if_is_read_outside_of_its_branches() -> None:
    lines, outside = started("if a:\n    if x:\n        return x", "x")
    assert not outside
    assert lines[1] == "        x = 0"
