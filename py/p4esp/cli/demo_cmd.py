"""``p4esp demo``."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from p4esp.cli.failures import one_line, quiet_finsy
from p4esp.cli.gateway_program import gateway_program
from p4esp.cli.tour_cmd import take_tour
from p4esp.demo.facts import Facts
from p4esp.demo.report import Report
from p4esp.demo.run import demonstrate


def demo_command(
    output: Annotated[
        Path, typer.Option(file_okay=False, help="Where wire.pcap and the keys go.")
    ] = Path("demo"),
    as_json: Annotated[bool, typer.Option("--json", help="Print the facts as JSON.")] = False,
    seed: Annotated[int, typer.Option(help="Of packet sizes and contents.")] = 1,
    tour: Annotated[
        bool, typer.Option("--tour", help="Walk through the agenda of IETF 118 instead.")
    ] = False,
    item: Annotated[
        list[str] | None, typer.Option(help="With --tour: only items of these names.")
    ] = None,
) -> None:
    """Two gateways, IKEv2, ESP and seven attacks, in one process and without privileges."""
    quiet_finsy()
    if item and not tour:
        raise typer.BadParameter("--item goes with --tour")
    if tour:
        with one_line("demo"):
            take_tour(item or (), json_wanted=as_json)
    report = Report(Console(quiet=as_json, soft_wrap=True), output)
    with one_line("demo"):
        facts = _demonstrate(report, output, seed)
    if as_json:
        typer.echo(json.dumps(facts.as_json(), indent=2))
    raise typer.Exit(0 if facts.all_held else 1)


def _demonstrate(report: Report, output: Path, seed: int) -> Facts:
    program = gateway_program()
    report.intro()
    facts = asyncio.run(demonstrate(program, output, seed, report.step))
    report.verdict(facts)
    return facts
