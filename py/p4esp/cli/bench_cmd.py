"""``p4esp bench``: runs the benchmarks of the repository and shows them beside their peers."""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from p4esp.p4build.programs import BuildError, find_repository

BENCH_DIR = "bench"
FILE_WIDTH = 120
"""Columns of a table that goes to a file or pipe."""


class BenchUnavailableError(Exception):
    """There are no benchmarks here; the text says why."""


def bench_command(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="Benchmarks or families (switch.outbound)."),
    ] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    base: Annotated[
        str | None, typer.Option(metavar="REV", help="Compare with this commit instead of peers.")
    ] = None,
    list_only: Annotated[bool, typer.Option("--list", help="Only name the benchmarks.")] = False,
) -> None:
    """Measure the switch, the engine, P4Runtime and IKE, each next to a peer in the same run."""
    try:
        bench = _Bench(Path.cwd())
        chosen = bench.select(names or [])
        if list_only:
            _print_list(chosen)
            return
        busy = _busy()
        rows = list(bench.compare(chosen, base) if base else bench.run(chosen))
    except BenchUnavailableError as error:
        typer.echo(f"p4esp bench: {error}", err=True)
        raise typer.Exit(1) from None
    if as_json:
        typer.echo(json.dumps([row.as_dict() for row in rows], indent=2))
    else:
        _print_table(rows, busy)
    if any(row.failed for row in rows):
        raise typer.Exit(1)


class _Bench:
    """The package ``bench`` of the repository, which is not part of the installed p4esp."""

    def __init__(self, start: Path) -> None:
        self._repository = _repository(start)
        sys.path.insert(0, str(self._repository))
        self._registry = _import("bench.registry")
        self._session = _import("bench.session")
        self._compare = _import("bench.compare")

    def select(self, names: Sequence[str]) -> Sequence[Any]:
        """The benchmarks of these names; all without a name."""
        try:
            return tuple(self._registry.select(names))
        except self._registry.UnknownBenchmarkError as error:
            raise BenchUnavailableError(error) from error

    def run(self, chosen: Sequence[Any]) -> Iterator[Any]:
        """Rows of each benchmark."""
        with _progress(len(chosen)) as progress:
            session = self._session.Session(self._repository, step=progress.step)
            with session.stack:
                for benchmark in chosen:
                    yield from benchmark.rows(session)
                    progress.advance()

    def compare(self, chosen: Sequence[Any], revision: str) -> Iterator[Any]:
        """Rows of each benchmark beside those of another revision."""
        with _progress(len(chosen)) as progress:
            compare = self._compare.compare
            try:
                for rows in compare(self._repository, revision, chosen, progress.step):
                    yield from rows
                    progress.advance()
            except self._compare.RevisionError as error:
                raise BenchUnavailableError(error) from error


class _Bar:
    def __init__(self, progress: Progress, total: int) -> None:
        self._progress, self._task = progress, progress.add_task("starting", total=total)

    def step(self, text: str) -> None:
        """Say what is being done."""
        self._progress.update(self._task, description=text)

    def advance(self) -> None:
        """One benchmark is done."""
        self._progress.advance(self._task)


@contextmanager
def _progress(total: int) -> Iterator[_Bar]:
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield _Bar(progress, total)


def _repository(start: Path) -> Path:
    try:
        repository = find_repository(start)
    except BuildError as error:
        raise BenchUnavailableError(error) from error
    if not (repository / BENCH_DIR / "registry.py").is_file():
        raise BenchUnavailableError(f"{repository} has no {BENCH_DIR}/: use a full checkout")
    return repository


def _import(name: str) -> ModuleType:
    return importlib.import_module(name)


def _print_list(chosen: Sequence[Any]) -> None:
    table = Table("benchmark", "unit", "what")
    for benchmark in chosen:
        table.add_row(benchmark.name, benchmark.unit, benchmark.about)
    Console().print(table)


def _busy() -> str:
    """What to say when others use the machine too; empty when they don't."""
    load, processors = os.getloadavg()[0], os.cpu_count() or 1
    if load < processors / 2:
        return ""
    return f"load average {load:.1f} on {processors} processors at the start: figures are disturbed"


def _print_table(rows: Sequence[Any], busy: str) -> None:
    """The figures; what there is to say about them stands below, where there is room."""
    table = Table(title="p4esp bench", box=SIMPLE)
    table.add_column("figure", overflow="fold")
    for heading in ("value", "peer's", "ratio"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("unit", no_wrap=True)
    table.add_column("peer", overflow="fold")
    for row in rows:
        figures = (_number(row.value), _number(row.peer_value), _ratio(row.ratio))
        table.add_row(row.name, *figures, row.unit, row.peer)
    console = Console()
    if not console.is_terminal:
        console.width = FILE_WIDTH
    console.print(table)
    for row in rows:
        if row.note:
            console.print(f"{row.name}: {row.note}", highlight=False, markup=False)
    if busy:
        console.print(busy)


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:,.3g}"


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
