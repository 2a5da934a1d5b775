"""``p4esp up``."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from p4esp.cli.failures import one_line, quiet_finsy
from p4esp.cli.gateway_program import gateway_program
from p4esp.cli.observing import ExportOption, TraceOption, observers
from p4esp.cli.printing import print_entry
from p4esp.cli.stopping import until_stopped
from p4esp.controller.config import load_config
from p4esp.controller.controller import run_controller
from p4esp.service.journal import Journal


def up_command(
    config: Annotated[Path, typer.Argument(help="TOML file, see the operator guide.")],
    check: Annotated[bool, typer.Option("--check", help="Only check the file.")] = False,
    trace: TraceOption = None,
    export_keys: ExportOption = None,
) -> None:
    """Run the controller of all gateways of a configuration until Ctrl-C."""
    with one_line("up"):
        loaded = load_config(config)
        if check:
            typer.echo(f"{config}: {len(loaded.gateways)} gateway(s), nothing to object to")
            return
        quiet_finsy()
        journal = Journal(print_entry)
        with observers(trace, export_keys, journal) as observing:
            work = run_controller(
                *(loaded, gateway_program(), journal),
                trace=observing.trace,
                export_keys=observing.keys,
            )
            asyncio.run(until_stopped(work))
