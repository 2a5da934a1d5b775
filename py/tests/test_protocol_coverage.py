"""docs/protocols.md names modules and tests that exist, and leaves no cell empty; and what
docs/extensions.md names is there, too.
"""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "protocols.md"
EXTENSIONS = ROOT / "docs" / "extensions.md"
COLUMNS = ["Section", "Rule", "Where", "Test"]
PEERS = [
    *("Item", "own", "strongSwan 5.9.8", "strongSwan 6.1", "its branches"),
    *("libreswan 4.10", "libreswan 5.4"),
]
"""Of the table of what was tried with whom."""
_RULER = re.compile(r"[\s|:-]+")
_CODE = re.compile(r"`([^`]+)`")
_NODE = re.compile(r"`[^`]+\.py::[^`]+`")


def cells(line):
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def table_lines(text):
    """Line number and cells of every table line, rulers left out."""
    numbered = enumerate(text.splitlines(), 1)
    return [
        (number, cells(line))
        for number, line in numbered
        if line.startswith("|") and not _RULER.fullmatch(line)
    ]


@cache
def names_in(path):
    """What pytest or PTF can be asked for in a file: functions, classes, Class::method."""
    names = set()
    for node in ast.parse((ROOT / path).read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}::{m.name}" for m in node.body if hasattr(m, "name")}
        if isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return names


def faults_of_tests(cell):
    """Why a Test cell is not good."""
    nodes = _CODE.findall(cell)
    if not nodes:
        yield "names no test"
    for node in nodes:
        path, _, name = node.partition("::")
        if not (ROOT / path).is_file():
            yield f"there is no file {path}"
        elif name not in names_in(path):
            yield f"{path} has no {name or 'name after ::'}"


def faults_of_places(cell):
    """Why a Where cell is not good."""
    places = _CODE.findall(cell)
    if not places:
        yield "names no module"
    for place in places:
        if not any((base / place).exists() for base in (ROOT / "py" / "p4esp", ROOT)):
            yield f"there is no {place}"


def faults(text):
    """Everything wrong with the tables of a document, with line numbers."""
    found, columns = [], COLUMNS
    for number, row in table_lines(text):
        if row in (COLUMNS, PEERS):
            columns = row
            continue
        if len(row) != len(columns) or not all(row):
            found.append(f"line {number}: wants {' | '.join(columns)}, none of them empty")
            continue
        found += [f"line {number}: {complaint}" for complaint in _complaints(columns, row)]
    return found


def _complaints(columns, row):
    if columns == PEERS:
        return faults_of_nodes(" ".join(row))
    return [*faults_of_places(row[2]), *faults_of_tests(row[3])]


def faults_of_nodes(text):
    """Tests named anywhere in a text that are not there."""
    return [fault for node in _NODE.findall(text) for fault in faults_of_tests(node)]


def test_every_row_names_a_rule_a_module_and_a_test_that_exist():
    assert faults(DOCUMENT.read_text()) == []


def test_the_tests_named_by_the_extensions_exist():
    assert faults_of_nodes(EXTENSIONS.read_text()) == []


HERE = "`py/tests/test_protocol_coverage.py::test_the_checker_finds_each_fault`"


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        (f"| 1 | rule | `ike/sa.py` | {HERE} |", None),
        (f"| 1 | | `ike/sa.py` | {HERE} |", "none of them empty"),
        (f"| 1 | rule | {HERE} |", "none of them empty"),
        ("| 1 | rule | `ike/sa.py` | later |", "names no test"),
        ("| 1 | rule | `ike/sa.py` | `py/tests/gone.py::test_x` |", "no file"),
        (f"| 1 | rule | `ike/gone.py` | {HERE} |", "there is no ike/gone.py"),
        (f"| 1 | rule | `ike/sa.py` | {HERE[:-1]}_at_all` |", "has no"),
        (f"| 1 | rule | here and there | {HERE} |", "names no module"),
    ],
)
def test_the_checker_finds_each_fault(row, complaint):
    found = faults(f"| {' | '.join(COLUMNS)} |\n|---|---|---|---|\n{row}\n")
    assert [complaint in fault for fault in found] == ([] if complaint is None else [True])


def test_the_checker_looks_at_tests_in_the_table_of_peers():
    head = f"| {' | '.join(PEERS)} |\n|{'---|' * len(PEERS)}\n"
    assert faults(f"{head}| a | {HERE} |{' no |' * 5}\n") == []
    (fault,) = faults(f"{head}| a | `py/tests/gone.py::test_x` |{' no |' * 5}\n")
    assert "no file" in fault
