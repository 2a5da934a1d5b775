"""The controller's numbers are those of the P4 sources."""

import re
from pathlib import Path

import pytest

from p4esp.controller import numbers

COMMON = Path(__file__).parents[3] / "p4src" / "common"
IDS = (COMMON / "ids.p4").read_text()
SIZES = (COMMON / "sizes.p4").read_text()


def p4_enum(name: str) -> dict[str, int]:
    body = re.search(rf"enum bit<\d+> {name} \{{(.*?)\}}", IDS, re.DOTALL)
    assert body is not None
    return {key: int(value) for key, value in re.findall(r"(\w+)\s*=\s*(\d+)", body[1])}


def p4_constants(prefix: str) -> dict[str, int]:
    found = re.findall(rf"const bit<\d+> {prefix}(\w+)\s*=\s*(\d+);", IDS)
    return {name: int(value) for name, value in found}


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (numbers.Drop, "drop_t"),
        (numbers.Punt, "punt_t"),
        (numbers.Outcome, "outcome_t"),
        (numbers.SaEvent, "event_t"),
        (numbers.ControlStatus, "ctl_status_t"),
        (numbers.Mode, "mode_t"),
        (numbers.Wrap, "wesp_t"),
        (numbers.Format, "format_t"),
        (numbers.Spread, "spread_t"),
    ],
)
def test_enum_equals_its_p4_namesake(ours, theirs) -> None:
    assert {item.name: item.value for item in ours} == p4_enum(theirs)


@pytest.mark.parametrize(
    ("ours", "theirs"), [(numbers.Role, "role_t"), (numbers.CryptoPath, "path_t")]
)
def test_enum_is_part_of_its_p4_namesake(ours, theirs) -> None:
    assert {item.name: item.value for item in ours}.items() <= p4_enum(theirs).items()


def test_control_operations_equal_the_p4_constants() -> None:
    assert {item.name: item.value for item in numbers.Control} == p4_constants("CTL_")
    names = ("SEND", "ROUTE", "INJECT", "DUMMY", "ECHO")
    out = {name: getattr(numbers, f"OUT_{name}") for name in names}
    assert out == p4_constants("OUT_")


@pytest.mark.parametrize(
    "name",
    [
        "SIZE_SPD",
        "SIZE_SA",
        "SIZE_NEIGHBOUR",
        "SPACES",
        "PUNT_REASONS",
        "REPLAY_CELLS",
        "SCRUB_CELLS_MAX",
    ],
)
def test_size_equals_the_p4_define(name: str) -> None:
    define = re.search(rf"#define {name}\s+(\d+)", SIZES)
    assert define is not None
    assert getattr(numbers, name) == int(define[1])


@pytest.mark.parametrize("name", ["CPU_PORT", "CRYPTO_PORT", "PROTO_ESP"])
def test_constant_equals_the_p4_constant(name: str) -> None:
    constant = re.search(rf"const bit<\d+>\s+{name}\s*=\s*(\d+);", IDS)
    assert constant is not None
    assert getattr(numbers, name) == int(constant[1])
