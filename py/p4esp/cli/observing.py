"""The options with which an operator looks into IKE: traces and keys."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, TextIO

import typer

from p4esp.service.audit import TraceSink
from p4esp.service.journal import Journal
from p4esp.service.key_export import KeyFiles
from p4esp.service.trace_lines import TraceLines

TraceOption = Annotated[
    Path | None,
    typer.Option(
        "--trace", metavar="FILE", help="JSON lines, one for each IKE message; - : stderr."
    ),
]
ExportOption = Annotated[
    Path | None,
    typer.Option(
        "--export-keys",
        metavar="DIR",
        help="Write ALL KEYS to files for Wireshark.",
    ),
]


@dataclass(frozen=True, slots=True)
class Observers:
    """What the options ask for."""

    trace: TraceSink | None
    keys: KeyFiles | None


@contextmanager
def observers(trace: Path | None, keys: Path | None, journal: Journal) -> Iterator[Observers]:
    """Open the files; OSError when one cannot be written."""
    exporter = None if keys is None else KeyFiles(keys, journal)
    with ExitStack() as stack:
        sink = None if trace is None else TraceLines(_stream(trace, stack), _now).write
        yield Observers(sink, exporter)


def _now() -> datetime:
    return datetime.now(UTC)


def _stream(path: Path, stack: ExitStack) -> TextIO:
    return sys.stderr if str(path) == "-" else stack.enter_context(path.open("a"))
