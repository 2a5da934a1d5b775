"""``p4esp p4``: build, check and cost of the P4 programs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from p4esp.p4build.build import build, check
from p4esp.p4build.cost import Cost, cost_of
from p4esp.p4build.programs import (
    ARTEFACT_DIR,
    GATEWAY,
    PROGRAMS,
    BuildError,
    find_repository,
)

T = TypeVar("T")

app = typer.Typer(help="Build, check and weigh the P4 programs.", no_args_is_help=True)


@app.command("build")
def build_command() -> None:
    """Compile p4src into bmv2-configs and renew the stamp (needs p4c or docker)."""
    stamp = _or_exit(lambda: build(find_repository(Path.cwd())))
    typer.echo(f"compiled {len(PROGRAMS)} program(s) with p4c {stamp.compiler}")


@app.command("check")
def check_command() -> None:
    """Fail when the committed artefacts are not those of the sources."""
    typer.echo(_or_exit(lambda: check(find_repository(Path.cwd()))))


@app.command("cost")
def cost_command(
    json_file: Annotated[
        Path | None, typer.Argument(help="bmv2 JSON; default: the committed gateway")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """What a program costs: tables and their depth, parser states, registers, live bits."""
    path = json_file or _or_exit(
        lambda: GATEWAY.json_path(find_repository(Path.cwd()) / ARTEFACT_DIR)
    )
    cost = _or_exit(lambda: cost_of(path))
    if as_json:
        typer.echo(json.dumps(cost.as_dict(), indent=2))
    else:
        _print_cost(cost)


def _print_cost(cost: Cost) -> None:
    table = Table("figure", "value", "unit", title=cost.program)
    for figure in cost.figures():
        table.add_row(figure.name, f"{figure.value:,}", figure.unit)
    Console().print(table)
    for chain in cost.longest_chains:
        Console().print(f"{chain.name}: " + " -> ".join(chain.tables))


def _or_exit(action: Callable[[], T]) -> T:
    try:
        return action()
    except BuildError as error:
        typer.echo(f"p4esp p4: {error}", err=True)
        raise typer.Exit(1) from error
