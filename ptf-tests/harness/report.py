"""From the tests' result lines to a verdict, a JUnit file and the closing line."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one test.  ``problems`` are texts of failures and errors."""

    name: str
    seconds: float
    problems: tuple[str, ...]
    skipped: tuple[str, ...]


def read_results(path: Path) -> list[Result]:
    """The result lines of a run."""
    if not path.exists():
        return []
    return [_result(json.loads(line)) for line in path.read_text("utf-8").splitlines()]


def _result(line: dict[str, Any]) -> Result:
    problems, skipped = tuple(line["problems"]), tuple(line["skipped"])
    return Result(line["name"], line["seconds"], problems, skipped)


def read_allowed_skips(path: Path) -> list[re.Pattern[str]]:
    """The reasons for which a test may be skipped."""
    lines = (line.strip() for line in path.read_text("utf-8").splitlines())
    return [re.compile(line) for line in lines if line and not line.startswith("#")]


def judge(results: Sequence[Result], allowed: Sequence[re.Pattern[str]]) -> list[Result]:
    """The results, with every skip that is not allowed turned into a problem."""
    return [_judge(result, allowed) for result in results]


def _judge(result: Result, allowed: Sequence[re.Pattern[str]]) -> Result:
    refused = tuple(
        f"skipped for a reason that allowed_skips.txt does not list: {reason}"
        for reason in result.skipped
        if not any(pattern.fullmatch(reason) for pattern in allowed)
    )
    return Result(result.name, result.seconds, result.problems + refused, result.skipped)


def closing_line(results: Sequence[Result]) -> str:
    """N passed, N failed."""
    failed = sum(bool(result.problems) for result in results)
    skipped = sum(bool(result.skipped) and not result.problems for result in results)
    text = f"{len(results) - failed - skipped} passed, {failed} failed"
    return f"{text}, {skipped} skipped" if skipped else text


def write_junit(results: Sequence[Result], suite: str, path: Path) -> None:
    """One test suite in JUnit's XML."""
    failed = sum(bool(result.problems) for result in results)
    root = ElementTree.Element(
        "testsuite",
        name=suite,
        tests=str(len(results)),
        failures=str(failed),
        time=f"{sum(result.seconds for result in results):.3f}",
    )
    for result in results:
        _add_case(root, result)
    path.parent.mkdir(parents=True, exist_ok=True)
    ElementTree.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def _add_case(root: ElementTree.Element, result: Result) -> None:
    module, _, name = result.name.rpartition(".")
    seconds = f"{result.seconds:.3f}"
    case = ElementTree.SubElement(root, "testcase", classname=module, name=name, time=seconds)
    for problem in result.problems:
        summary = problem.strip().splitlines()[-1]
        ElementTree.SubElement(case, "failure", message=summary).text = problem
    if result.skipped and not result.problems:
        ElementTree.SubElement(case, "skipped", message=result.skipped[0])
