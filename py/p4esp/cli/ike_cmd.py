"""``p4esp ike``: the IKE daemon on UDP sockets, and commands for a running one."""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from p4esp.cli.delete_reasons import (
    DowntimeOption,
    LanguageOption,
    ReasonOption,
    TextOption,
    print_deletes,
)
from p4esp.cli.event_line import event_line
from p4esp.cli.failures import one_line
from p4esp.cli.fallback_group import RunGroup
from p4esp.cli.observing import ExportOption, Observers, TraceOption, observers
from p4esp.cli.printing import print_entry
from p4esp.cli.stopping import until_stopped
from p4esp.daemon.config import load_daemon_config
from p4esp.daemon.daemon import IkeDaemon, Surroundings
from p4esp.service.control_client import ask, watching
from p4esp.service.journal import Journal

app = typer.Typer(
    cls=RunGroup,
    help="IKEv2 on UDP sockets. `p4esp ike FILE` runs the daemon of a configuration.",
    no_args_is_help=True,
)

ControlOption = Annotated[
    Path, typer.Option("--control", help="Control socket of the running daemon.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
PeerArgument = Annotated[str, typer.Argument(help="Name of a peer in the configuration.")]
ChildArgument = Annotated[str, typer.Argument(help="PEER/CHILD, or an inbound SPI.")]
DEFAULT_CONTROL = Path("ike.sock")


@app.command("run")
def run_command(
    config: Annotated[Path, typer.Argument(help="TOML file, see the operator guide.")],
    check: Annotated[bool, typer.Option("--check", help="Only check the file.")] = False,
    trace: TraceOption = None,
    export_keys: ExportOption = None,
) -> None:
    """Run the daemon until Ctrl-C."""
    with one_line("ike"):
        loaded = load_daemon_config(config)
        if check:
            typer.echo(f"{config}: {len(loaded.peers)} peer(s), nothing to object to")
            return
        journal = Journal(print_entry)
        with observers(trace, export_keys, journal) as observing:
            daemon = IkeDaemon(loaded, _surroundings(journal, observing))
            asyncio.run(until_stopped(daemon.run(_print_ready)))


def _surroundings(journal: Journal, observing: Observers) -> Surroundings:
    return Surroundings(
        journal,
        clock=time.monotonic,
        random_bytes=os.urandom,
        trace=observing.trace,
        export_keys=observing.keys,
    )


def _print_ready() -> None:
    typer.echo("ike: ready")


@app.command("status")
def status_command(control: ControlOption = DEFAULT_CONTROL, as_json: JsonOption = False) -> None:
    """All SAs, and what was dropped."""
    facts = _ask(control, "status")
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
        return
    Console().print(_ike_table(facts["ike_sas"]), _child_table(facts["child_sas"]))
    print_deletes(facts)
    for what in ("drops", "lost"):
        for reason, count in facts[what].items():
            typer.echo(f"{count} {reason}")


def _ike_table(sas: list[dict[str, Any]]) -> Table:
    table = Table("IKE SA", "peer", "state", "remote", "algorithms", "PPK", box=None)
    for sa in sas:
        state = "up" if sa["established"] else "being made"
        ppk = f"{sa['ppk']} {sa['ppk_id']}".rstrip()
        table.add_row(sa["spi"], sa["peer"], state, sa["remote"], sa["suite"], ppk)
    return table


def _child_table(sas: list[dict[str, Any]]) -> Table:
    table = Table("child SA", "SPI in", "SPI out", "here", "there", "algorithms", box=None)
    for sa in sas:
        spis = (sa["spi_in"], sa["spi_out"])
        ends = (", ".join(sa["local_ts"]), ", ".join(sa["remote_ts"]))
        table.add_row(f"{sa['peer']}/{sa['name']}", *spis, *ends, sa["suite"])
    return table


@app.command("up")
def up_command(
    peer: PeerArgument,
    child: Annotated[str, typer.Argument(help="One child; all of them if not given.")] = "",
    childless: Annotated[
        bool, typer.Option("--childless", help="Only an IKE SA (RFC 6023).")
    ] = False,
    control: ControlOption = DEFAULT_CONTROL,
    as_json: JsonOption = False,
) -> None:
    """Make an IKE SA and its child SAs; wait until they are up."""
    if childless:
        _tell(control, as_json, "up-childless", peer=peer)
    else:
        _tell(control, as_json, "up", peer=peer, child=child)


@app.command("down")
def down_command(
    peer: PeerArgument,
    *,
    reason: ReasonOption = "",
    text: TextOption = "",
    language: LanguageOption = "",
    downtime: DowntimeOption = "",
    control: ControlOption = DEFAULT_CONTROL,
    as_json: JsonOption = False,
) -> None:
    """Delete the IKE SAs with a peer, and their child SAs."""
    why = {"reason": reason, "text": text, "language": language, "downtime": downtime}
    _tell(control, as_json, "down", peer=peer, **why)


@app.command("rekey-child")
def rekey_child_command(
    child: ChildArgument, control: ControlOption = DEFAULT_CONTROL, as_json: JsonOption = False
) -> None:
    """Replace a child SA by a fresh one."""
    _tell(control, as_json, "rekey-child", child=child)


@app.command("rekey-ike")
def rekey_ike_command(
    peer: PeerArgument, control: ControlOption = DEFAULT_CONTROL, as_json: JsonOption = False
) -> None:
    """Replace the IKE SA with a peer by a fresh one."""
    _tell(control, as_json, "rekey-ike", peer=peer)


@app.command("delete-child")
def delete_child_command(
    child: ChildArgument,
    *,
    reason: ReasonOption = "",
    text: TextOption = "",
    language: LanguageOption = "",
    downtime: DowntimeOption = "",
    control: ControlOption = DEFAULT_CONTROL,
    as_json: JsonOption = False,
) -> None:
    """Delete a child SA."""
    why = {"reason": reason, "text": text, "language": language, "downtime": downtime}
    _tell(control, as_json, "delete-child", child=child, **why)


@app.command("check")
def check_command(
    peer: PeerArgument, control: ControlOption = DEFAULT_CONTROL, as_json: JsonOption = False
) -> None:
    """Ask a peer whether it is alive."""
    _tell(control, as_json, "check", peer=peer)


@app.command("move")
def move_command(
    peer: PeerArgument,
    local: Annotated[str, typer.Argument(help="Our address from now on.")],
    remote: Annotated[str, typer.Argument(help="The peer's; as it is if not given.")] = "",
    control: ControlOption = DEFAULT_CONTROL,
    as_json: JsonOption = False,
) -> None:
    """Go on with other outer addresses (MOBIKE, RFC 4555)."""
    _tell(control, as_json, "move", peer=peer, local=local, remote=remote)


@app.command("announce")
def announce_command(
    peer: PeerArgument,
    addresses: Annotated[
        list[str] | None, typer.Argument(help="The whole list; none if not given.")
    ] = None,
    control: ControlOption = DEFAULT_CONTROL,
    as_json: JsonOption = False,
) -> None:
    """Tell a peer at which other addresses we are (MOBIKE, RFC 4555)."""
    _tell(control, as_json, "announce", peer=peer, addresses=",".join(addresses or ()))


@app.command("send-away")
def send_away_command(
    peer: PeerArgument,
    gateway: Annotated[str, typer.Argument(help="Address of the other gateway.")],
    control: ControlOption = DEFAULT_CONTROL,
    as_json: JsonOption = False,
) -> None:
    """Have a peer go to another gateway (RFC 5685); wait until it has left."""
    _tell(control, as_json, "send-away", peer=peer, gateway=gateway)


@app.command("watch")
def watch_command(control: ControlOption = DEFAULT_CONTROL) -> None:
    """Print each event as a line of JSON until Ctrl-C."""
    with one_line("ike watch"), watching(control) as events:
        for event in events:
            print(json.dumps(event), flush=True)


def _tell(control: Path, as_json: bool, command: str, **arguments: str) -> None:
    """Have a command done and say what came of it."""
    result = _ask(control, command, **arguments)
    if as_json:
        typer.echo(json.dumps(result, indent=2))
        return
    for event in result if isinstance(result, list) else [result]:
        typer.echo(event_line(event))


def _ask(control: Path, command: str, **arguments: str) -> Any:
    with one_line(f"ike {command}"):
        return ask(control, command, **arguments)
