"""docs/drop-reasons.md has each drop reason of the pipeline, with a rule, a meaning and a test."""

import re
from pathlib import Path

import pytest
from test_protocol_coverage import faults_of_tests, table_lines

from p4esp.controller.drop_audit import AUDITED
from p4esp.controller.numbers import Drop

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "drop-reasons.md"
COLUMNS = ["Reason", "Rule", "Meaning", "Test"]


def reasons():
    """The names of ids.p4, in its order."""
    source = (ROOT / "p4src" / "common" / "ids.p4").read_text()
    (body,) = re.findall(r"enum bit<8> drop_t \{(.*?)\}", source, re.DOTALL)
    return re.findall(r"^\s*([A-Z0-9_]+)\s*=", body, re.MULTILINE)[1:]


def rows(text):
    return [row for _, row in table_lines(text) if row != COLUMNS]


def faults(text):
    """Everything wrong with the table."""
    found = [row for row in rows(text) if len(row) != len(COLUMNS) or not all(row)]
    if found:
        return [f"wants {' | '.join(COLUMNS)}, none of them empty: {row}" for row in found]
    named = [row[0].strip("`") for row in rows(text)]
    order = [] if named == reasons() else [f"the reasons are {named}, must be {reasons()}"]
    tests = [f"{row[0]}: {fault}" for row in rows(text) for fault in faults_of_tests(row[3])]
    return order or tests + [f for row in rows(text) for f in faults_of_audit(*row[:2])]


def faults_of_audit(name, rule):
    """What the document and the controller say differently about the audit."""
    section = AUDITED.get(Drop[name.strip("`")])
    if ("audit" in rule) != (section is not None):
        yield f"{name}: the controller has it under {section}, the document says {rule}"
    elif section is not None and not rule.startswith(section):
        yield f"{name}: the controller says {section}, the document {rule}"


def test_every_drop_reason_has_a_rule_a_meaning_and_a_test_that_exists():
    assert faults(DOCUMENT.read_text()) == []


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("| `RUNT` |", "| `RUNTS` |", "the reasons are"),
        ("Frm01FewerThanEightOctets", "Frm99", "has no Frm99"),
        ("RFC 4303 3.4.2, audit", "RFC 4303 3.4.2", "NO_SA"),
        ("RFC 4303 3.4.2, audit", "RFC 4303 9, audit", "NO_SA"),
        ("| SPI 0..255, which no SA can have |", "| |", "none of them empty"),
    ],
)
def test_the_checker_finds_each_fault(old, new, complaint):
    text = DOCUMENT.read_text()
    assert old in text
    assert any(complaint in fault for fault in faults(text.replace(old, new)))
