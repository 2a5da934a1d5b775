"""``p4esp demo --tour``: the agenda of IETF 118, item by item."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from p4esp.agenda.items import ITEMS
from p4esp.agenda.model import Finding, Item
from p4esp.agenda.report import as_json, show, verdict
from p4esp.agenda.tour import walk
from p4esp.cli.gateway_program import gateway_program


def take_tour(names: Sequence[str], *, json_wanted: bool) -> None:
    """Walk through the items of these names, or all; exit code 1 when a claim does not hold."""
    items = _chosen(names)
    findings = asyncio.run(_walk(items, Console(quiet=json_wanted, soft_wrap=True)))
    if json_wanted:
        typer.echo(json.dumps(as_json(findings), indent=2))
    raise typer.Exit(0 if all(finding.held for finding in findings) else 1)


def _chosen(names: Sequence[str]) -> list[Item]:
    known = {item.name: item for item in ITEMS}
    for name in names:
        if name not in known:
            raise typer.BadParameter(f"no item {name!r}; accepted: {', '.join(known)}")
    return [known[name] for name in names] or list(ITEMS)


async def _walk(items: Sequence[Item], console: Console) -> list[Finding]:
    findings: list[Finding] = []
    with _progress() as progress:
        task = progress.add_task("agenda", total=len(items))
        async for finding in walk(gateway_program(), items):
            findings.append(finding)
            show(console, len(findings), finding)
            progress.advance(task)
    verdict(console, findings)
    return findings


def _progress() -> Progress:
    """A bar on the error stream, where it is a terminal."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    return Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True)
