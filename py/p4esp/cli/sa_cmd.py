"""``p4esp sa``: security associations, as a running switch holds them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from p4esp.cli.delete_reasons import DowntimeOption, LanguageOption, ReasonOption, TextOption
from p4esp.cli.event_line import event_line
from p4esp.cli.failures import one_line
from p4esp.cli.running_switch import (
    DEFAULT_SWITCH,
    DeviceOption,
    JsonOption,
    SwitchOption,
    look,
)
from p4esp.controller.entries import Entry
from p4esp.controller.reading import Reader
from p4esp.controller.reconcile import OUTBOUND_TABLES, SA_TABLES, SELECTION_TABLES
from p4esp.controller.sa_formats import PLAIN, name_of_format
from p4esp.controller.target import MAX_DUMMIES, MAX_DUMMY
from p4esp.service.control_client import ask

ControlOption = Annotated[
    Path, typer.Option("--control", help="Control socket of the running controller.")
]
SpiArgument = Annotated[str, typer.Argument(help="SPI in hexadecimal, of either direction.")]
DEFAULT_CONTROL = Path("p4esp.sock")

app = typer.Typer(help="Security associations of a running switch.", no_args_is_help=True)


@dataclass(frozen=True, slots=True)
class SaRow:
    """One SA of one direction. Octets are those of the frames on the crypto port."""

    direction: str
    index: int
    spi: str
    generation: int
    esn: bool
    format: str
    tunnel: str
    packets: int
    octets: int


@app.command("list")
def list_command(
    switch: SwitchOption = DEFAULT_SWITCH,
    device_id: DeviceOption = 1,
    as_json: JsonOption = False,
) -> None:
    """All SAs with their traffic."""
    rows = look("sa list", switch, device_id, _rows)
    if as_json:
        typer.echo(json.dumps([asdict(row) for row in rows], indent=2))
        return
    table = Table("", "sa", "SPI", "gen", "ESN", "format", "tunnel", "packets", "octets", box=None)
    for row in rows:
        numbers = (str(row.packets), str(row.octets))
        esn = "yes" if row.esn else "no"
        facts = (str(row.index), row.spi, str(row.generation), esn, row.format, row.tunnel)
        table.add_row(row.direction, *facts, *numbers)
    Console().print(table)


@app.command("show")
def show_command(
    spi: SpiArgument,
    switch: SwitchOption = DEFAULT_SWITCH,
    device_id: DeviceOption = 1,
) -> None:
    """The table entries of one SA."""
    entries = look("sa show", switch, device_id, _sa_entries)
    wanted = _entries_of(entries, spi)
    if not wanted:
        known = ", ".join(_spis(entries)) or "none"
        typer.echo(f"p4esp sa show: no SA has SPI {spi}; the switch has {known}", err=True)
        raise typer.Exit(1)
    for entry in wanted:
        typer.echo(str(entry))
    for name in sorted(_formats_of(wanted) - {PLAIN}):
        typer.echo(f"format: {name}")


@app.command("rekey")
def rekey_command(
    spi: SpiArgument, control: ControlOption = DEFAULT_CONTROL, as_json: JsonOption = False
) -> None:
    """Have the controller replace an SA by a fresh one; wait until it is agreed on."""
    _tell("rekey", spi, control, as_json)


@app.command("delete")
def delete_command(
    spi: SpiArgument,
    *,
    reason: ReasonOption = "",
    text: TextOption = "",
    language: LanguageOption = "",
    downtime: DowntimeOption = "",
    control: ControlOption = DEFAULT_CONTROL,
    as_json: JsonOption = False,
) -> None:
    """Have the controller delete an SA at both ends; one that is to be up is soon made again."""
    why = {"reason": reason, "text": text, "language": language, "downtime": downtime}
    _tell("delete", spi, control, as_json, **why)


@app.command("rekey-ike")
def rekey_ike_command(
    spi: Annotated[str, typer.Argument(help="Our SPI of an IKE SA, 16 hexadecimal digits.")],
    control: ControlOption = DEFAULT_CONTROL,
    as_json: JsonOption = False,
) -> None:
    """Have the controller replace an IKE SA; its child SAs stay."""
    _tell("rekey-ike", spi, control, as_json)


@app.command("dummy")
def dummy_command(
    spi: SpiArgument,
    count: Annotated[int, typer.Option(help="Packets.", min=1, max=MAX_DUMMIES)] = 1,
    octets: Annotated[int, typer.Option(help="Octets of each, sealed.", min=1, max=MAX_DUMMY)] = 64,
    control: ControlOption = DEFAULT_CONTROL,
    as_json: JsonOption = False,
) -> None:
    """Send packets that the peer discards: who watches the wire cannot tell them from others."""
    with one_line("sa dummy"):
        done = ask(control, "dummy", spi=spi, count=str(count), octets=str(octets))
    line = f"{done['sent']} packet(s) of {done['octets']} octets sent on {done['spi']}"
    typer.echo(json.dumps(done, indent=2) if as_json else line)


def _tell(command: str, spi: str, control: Path, as_json: bool, **more: str) -> None:
    with one_line(f"sa {command}"):
        event = ask(control, command, spi=spi, **more)
    typer.echo(json.dumps(event, indent=2) if as_json else event_line(event))


async def _sa_entries(reader: Reader) -> list[Entry]:
    return await reader.entries(*SA_TABLES)


async def _rows(reader: Reader) -> list[SaRow]:
    entries = await _sa_entries(reader)
    sent, received = [await reader.counters(f"sa_{way}_traffic") for way in ("out", "in")]
    tables = _by_sa(entries)
    outbound = [_out_row(sa, tables, sent) for sa in tables["sa_out"].values()]
    sads = [entry for entry in entries if entry.table == "sad"]
    return outbound + [_in_row(sad, tables, received) for sad in sads]


_PER_SA: Final = ("sa_out", "sa_in", "tunnel_v6", "format_out", "format_in")
_Tables = dict[str, dict[int, Entry]]
_Traffic = dict[int, tuple[int, int]]


def _by_sa(entries: list[Entry]) -> _Tables:
    """The tables that have one entry for each SA at most."""
    tables: _Tables = {name: {} for name in _PER_SA}
    for entry in entries:
        if entry.table in tables:
            tables[entry.table][_exact(entry, "sa")] = entry
    return tables


def _out_row(sa: Entry, tables: _Tables, traffic: _Traffic) -> SaRow:
    index = _exact(sa, "sa")
    ends = _ends(sa, tables["tunnel_v6"].get(index))
    names = ("out", index, f"{sa.arg('spi'):08x}", sa.arg("generation"), bool(sa.arg("esn")))
    return SaRow(*names, _format(sa, tables), ends, *traffic.get(index, (0, 0)))


def _format(sa: Entry, tables: _Tables) -> str:
    """The format of an entry of `sa_out` or `sa_in`, whose details stand in a table beside it."""
    beside = tables["format_out" if sa.table == "sa_out" else "format_in"]
    return name_of_format(sa.arg("format"), beside.get(_exact(sa, "sa")), sa.arg("wrap"))


def _formats_of(entries: list[Entry]) -> set[str]:
    tables = _by_sa(entries)
    sas = [*tables["sa_out"].values(), *tables["sa_in"].values()]
    return {_format(sa, tables) for sa in sas}


def _ends(sa_out: Entry, tunnel_v6: Entry | None) -> str:
    """The outer addresses."""
    if not sa_out.arg("outer_v6"):
        src, dst = (IPv4Address(sa_out.arg(name)) for name in ("tunnel_src", "tunnel_dst"))
        return f"{src} - {dst}"
    if tunnel_v6 is None:
        return "?"
    return " - ".join(str(IPv6Address(tunnel_v6.arg(name))) for name in ("src", "dst"))


def _in_row(sad: Entry, tables: _Tables, traffic: _Traffic) -> SaRow:
    index = sad.arg("sa")
    sa = tables["sa_in"][index]
    names = ("in", index, f"{_exact(sad, 'spi'):08x}", sa.arg("generation"), bool(sa.arg("esn")))
    return SaRow(*names, _format(sa, tables), "", *traffic.get(index, (0, 0)))


def _exact(entry: Entry, name: str) -> int:
    value = entry.field(name)
    assert isinstance(value, int)
    return value


def _entries_of(entries: list[Entry], spi: str) -> list[Entry]:
    number = _parse_spi(spi)
    inbound = {e.arg("sa") for e in entries if e.table == "sad" and e.field("spi") == number}
    outbound = {_exact(e, "sa") for e in entries if e.table == "sa_out" and e.arg("spi") == number}
    return [
        entry
        for entry in entries
        if (entry.table == "sad" and entry.field("spi") == number)
        or _index(entry) in (outbound if entry.table in OUTBOUND_TABLES else inbound)
        or not outbound.isdisjoint(_served_by(entry))
    ]


def _index(entry: Entry) -> int | None:
    """The SA that an entry is about."""
    value = dict(entry.match).get("sa")
    return value[0] if isinstance(value, tuple) else value


def _served_by(entry: Entry) -> set[int]:
    """The SAs that an entry selects."""
    if entry.table not in (*SELECTION_TABLES, "sa_member"):
        return set()
    return {value for name, value in entry.args if name in ("sa", "fallback")}


def _parse_spi(text: str) -> int:
    try:
        return int(text, 16)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is no SPI; accepted: up to 8 hexadecimal digits"
        ) from None


def _spis(entries: list[Entry]) -> list[str]:
    inbound = [_exact(entry, "spi") for entry in entries if entry.table == "sad"]
    outbound = [entry.arg("spi") for entry in entries if entry.table == "sa_out"]
    return [f"{spi:08x}" for spi in inbound + outbound]
