"""Which test proves which conformance case of ESP: writes docs/conformance.md, or checks it.

    python tools/conformance.py [--check]

A test says what it proves in its name or in the first words of its docstring: `Udp01...`,
`test_..._RPL_16_...`, "TRN-02, TRN-03: ...".
"""

from __future__ import annotations

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
DOCUMENT: Final = ROOT / "docs" / "conformance.md"
SEARCHED: Final = ("ptf-tests/tests", "py/tests", "py/interop")

GROUPS: Final = {
    "ICV": (16, "transforms and ICV (RFC 4106, 4543, 4868, 7634, 8750)"),
    "FRM": (14, "framing, padding, trailer (RFC 4303 2.4 to 2.7)"),
    "SAL": (10, "SA lookup (RFC 4301 4.1, RFC 4303 3.4.2)"),
    "RPL": (16, "anti-replay (RFC 4303 3.4.3)"),
    "ESN": (8, "extended sequence numbers (RFC 4303 A)"),
    "SND": (6, "sequence numbers and lifetime at the sender (RFC 4303 3.3.3)"),
    "TUN": (18, "tunnel mode (RFC 4301 5.1.2, 5.2, RFC 6040)"),
    "FRG": (7, "fragments (RFC 4301 7, RFC 4303 3.4.1)"),
    "TRN": (4, "transport mode (RFC 4303 3.1.1)"),
    "UDP": (11, "UDP encapsulation (RFC 3948, RFC 7296 2.23)"),
    "WSP": (8, "WESP (RFC 5840)"),
    "BET": (9, "BEET (RFC 7402 B)"),
    "PMT": (8, "path MTU and ICMP (RFC 4301 6, 8)"),
    "POL": (4, "policy (RFC 4301 4.4.1, 5)"),
    "PAR": (4, "parallel SAs (RFC 4301 4.1, RFC 9611)"),
    "ROB": (5, "robustness"),
}
LEFT_OUT: Final[Mapping[str, str]] = {
    "ESN-08": "about a variant that infers by an overlap bit; ours infers by RFC 4303 A2.2",
    "PMT-08": "ICMP errors inside an SA are data: they pass if its selectors cover them; what they "
    "quote is not looked into (RFC 4301 6.2 leaves that to configuration)",
    "SAL-05": "multicast SAs are not supported: IKEv2 makes unicast SAs",
}
"""Cases without a test, and why."""

CASE: Final = re.compile(rf"\b({'|'.join(GROUPS)})[-_]?(\d\d)(?!\d)", re.IGNORECASE)
IN_NAME: Final = re.compile(rf"(?:^|_)({'|'.join(GROUPS)})_?(\d\d)(?!\d)", re.IGNORECASE)
HEAD: Final = """# Conformance cases

What an ESP data plane must do, case by case, and the tests that prove it here. The packet tests run
on every target. `tools/conformance.py` writes this page from the tests; a test checks that it is up
to date.
"""


def cases() -> Iterator[str]:
    """Every case by its name, such as `RPL-07`."""
    for group, (size, _) in GROUPS.items():
        yield from (f"{group}-{number:02d}" for number in range(1, size + 1))


def proofs() -> dict[str, list[str]]:
    """The tests of each case, as `path::name`."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for folder in SEARCHED:
        for path in sorted((ROOT / folder).rglob("test_*.py")):
            for name, claimed in _claims(path):
                for case in claimed:
                    found[case].append(f"{path.relative_to(ROOT).as_posix()}::{name}")
    return found


def _claims(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Tests of a module and the cases that they name."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        words = (ast.get_docstring(node) or "").split("\n\n", 1)[0]
        matches = [*IN_NAME.finditer(node.name), *CASE.finditer(words)]
        claimed = dict.fromkeys(f"{m[1].upper()}-{m[2]}" for m in matches)
        if claimed and _is_test(node):
            yield node.name, list(claimed)


def _is_test(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    if not isinstance(node, ast.ClassDef):
        return node.name.startswith("test_")
    return any(isinstance(n, ast.FunctionDef) and n.name == "runTest" for n in node.body)


def page() -> str:
    """The whole document."""
    found = proofs()
    parts = [HEAD]
    for group, (size, about) in GROUPS.items():
        rows = [_row(f"{group}-{number:02d}", found) for number in range(1, size + 1)]
        parts.append(f"\n## {group}: {about}\n\n| case | proved by |\n|---|---|\n" + "".join(rows))
    return "".join(parts)


def _row(case: str, found: Mapping[str, list[str]]) -> str:
    if case in found:
        proved = "<br>".join(f"`{test}`" for test in found[case])
    else:
        proved = f"left out: {LEFT_OUT[case]}" if case in LEFT_OUT else "**nothing**"
    return f"| {case} | {proved} |\n"


def faults() -> list[str]:
    """What is wrong: unproved cases, reasons that are needless, a page that is out of date."""
    found, known = proofs(), set(cases())
    open_cases, needless = sorted(known - {*found, *LEFT_OUT}), [c for c in LEFT_OUT if c in found]
    wrong = [f"{case} has neither a test nor a reason" for case in open_cases]
    wrong += [f"{case} is left out, but {found[case][0]} proves it" for case in needless]
    wrong += [f"{case} is no case: {found[case][0]}" for case in sorted(set(found) - known)]
    if not DOCUMENT.exists() or DOCUMENT.read_text(encoding="utf-8") != page():
        wrong.append("docs/conformance.md is out of date: run python tools/conformance.py")
    return wrong


def main() -> None:
    """Write, or with `--check` compare."""
    if sys.argv[1:] != ["--check"]:
        DOCUMENT.write_text(page(), encoding="utf-8")
    problems = faults()
    sys.exit("\n".join(problems) if problems else 0)


if __name__ == "__main__":
    main()
