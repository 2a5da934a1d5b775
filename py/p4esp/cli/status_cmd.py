"""``p4esp status`` and ``p4esp counters``."""

from __future__ import annotations

import json
from collections import Counter
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from p4esp.cli.delete_reasons import print_deletes
from p4esp.cli.failures import one_line
from p4esp.cli.running_switch import (
    DEFAULT_SWITCH,
    DeviceOption,
    JsonOption,
    SwitchOption,
    look,
)
from p4esp.controller.numbers import Drop, Outcome, Punt
from p4esp.controller.reading import Reader
from p4esp.controller.reconcile import BASE_TABLES, NEIGHBOUR_TABLES, SA_TABLES, SPD_TABLES
from p4esp.service.control_client import ask

ControlOption = Annotated[
    Path | None, typer.Option("--control", help="Control socket of the running controller.")
]
EveryOption = Annotated[bool, typer.Option("--all", help="Names that counted nothing too.")]
_TABLES = (
    *(*BASE_TABLES, *NEIGHBOUR_TABLES, "crypto_port", "ike_sa", *SPD_TABLES),
    *(*SA_TABLES, "boot_id"),
)
_ARRAYS: dict[str, type[IntEnum]] = {"outcomes": Outcome, "drops": Drop, "punts": Punt}


def status_command(
    switch: SwitchOption = DEFAULT_SWITCH,
    device_id: DeviceOption = 1,
    as_json: JsonOption = False,
    control: ControlOption = None,
) -> None:
    """Entries in each table, and whether engine and registers are in order; with `--control` also
    what the controller knows of its peers.
    """
    facts = look("status", switch, device_id, _status)
    if control is not None:
        with one_line("status"):
            facts["gateways"] = ask(control, "status")
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
        return
    typer.echo(f"boot id   {facts['boot_id'] or 'missing: the registers hold nothing'}")
    typer.echo(f"engine    {'in use' if facts['engine'] else 'withdrawn'}")
    table = Table("table", "entries", box=None)
    for name, count in facts["entries"].items():
        table.add_row(name, str(count))
    Console().print(table)
    for name, gateway in facts.get("gateways", {}).items():
        _print_gateway(name, gateway)


def _print_gateway(name: str, gateway: dict[str, Any]) -> None:
    sas = f"{len(gateway['ike_sas'])} IKE SAs, {len(gateway['child_sas'])} child SAs"
    typer.echo(f"{name}: {'connected' if gateway['connected'] else 'without its switch'}, {sas}")
    print_deletes(gateway, f"{name}: ")


async def _status(reader: Reader) -> dict[str, Any]:
    entries = await reader.entries(*_TABLES)
    counts = Counter(entry.table for entry in entries)
    boot = [f"{entry.arg('boot_id'):016x}" for entry in entries if entry.table == "boot_id"]
    return {
        "boot_id": boot[0] if boot else None,
        "engine": counts["crypto_port"] > 0,
        "entries": {name: counts[name] for name in _TABLES},
    }


def counters_command(
    switch: SwitchOption = DEFAULT_SWITCH,
    device_id: DeviceOption = 1,
    as_json: JsonOption = False,
    every: EveryOption = False,
) -> None:
    """What became of packets: outcomes, drop reasons and punts that were counted."""
    facts = look("counters", switch, device_id, _counters)
    if every:
        facts = {kind: _with_zeros(names, facts[kind]) for kind, names in _ARRAYS.items()}
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
        return
    table = Table("kind", "name", "packets", box=None)
    for kind, counts in facts.items():
        for name, packets in counts.items():
            table.add_row(kind, name, str(packets))
    Console().print(table)


def _with_zeros(names: type[IntEnum], counts: dict[str, int]) -> dict[str, int]:
    """Every name there is; NONE stands for nothing."""
    return {item.name: 0 for item in names if item.name != "NONE"} | counts


async def _counters(reader: Reader) -> dict[str, dict[str, int]]:
    return {kind: _named(names, await reader.counters(kind)) for kind, names in _ARRAYS.items()}


def _named(names: type[IntEnum], cells: dict[int, tuple[int, int]]) -> dict[str, int]:
    known = {item.value: item.name for item in names}
    return {known.get(index, str(index)): packets for index, (packets, _) in cells.items()}
