"""What the tour found, for people and as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.markup import escape

from p4esp.agenda.model import Finding

_UNCHANGED = {"wire": "no message differs", "tables": "no table differs"}


def show(console: Console, number: int, finding: Finding) -> None:
    """Print one item: what was agreed on, what it changed, which claims held."""
    console.rule(f"[bold]{number}. {escape(finding.title)}", align="left")
    console.print(f"[dim]{escape(', '.join(finding.documents))}[/]", highlight=False)
    _lines(console, "agreed", finding.negotiated or ["nothing"])
    _lines(console, "wire", finding.wire_changed or [_UNCHANGED["wire"]])
    _lines(console, "tables", finding.tables_changed or [_UNCHANGED["tables"]])
    for text, held in finding.claims.items():
        mark = "[green]ok[/]" if held else "[red]FAILED[/]"
        console.print(f"{mark}  {escape(text)}", highlight=False)
    console.print(f"[dim]{escape(finding.test)}[/]\n", highlight=False)


def _lines(console: Console, label: str, lines: Iterable[str]) -> None:
    for line in lines:
        console.print(f"{label:8}{line}", markup=False, highlight=False)
        label = ""


def verdict(console: Console, findings: list[Finding]) -> None:
    """The last line."""
    held = sum(finding.held for finding in findings)
    seconds = sum(finding.seconds for finding in findings)
    colour = "green" if held == len(findings) else "red"
    console.print(f"[bold {colour}]{held} of {len(findings)} items held in {seconds:.0f} s[/]")


def as_json(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """JSON-ready values, one object for each item."""
    return [asdict(finding) | {"held": finding.held} for finding in findings]
