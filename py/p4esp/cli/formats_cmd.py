"""``p4esp formats``: the ways to write ESP, drawn, built, compared."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table

from p4esp.formats_lab.errors import LabError
from p4esp.ipsec.formats import FORMATS, Format, FormatError, Target, format_named
from p4esp.ipsec.formats.describing import SAMPLES, describe, overheads, rules, words
from p4esp.ipsec.formats.drawing import draw
from p4esp.p4build.programs import ARTEFACT_DIR, GATEWAY, BuildError, find_repository

if TYPE_CHECKING:
    from p4esp.formats_lab.costs import Cost
    from p4esp.ipsec.formats.decoding import Found

SMALLEST, LARGEST = 28, 1400
Justify = Literal["left", "right"]
app = typer.Typer(help="The ESP formats: what each is, costs and buys.", no_args_is_help=True)
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
NameArgument = Annotated[str, typer.Argument(help="A format; `p4esp formats list` has them.")]


@app.command("list")
def list_command(as_json: JsonOption = False) -> None:
    """Every format in a line, with its source."""
    if as_json:
        _print_json([describe(form) for form in FORMATS])
        return
    heads = ("format", "No", "octets\non 1400", "tail\nread by", "notify", "source")
    table = _plain_table(heads)
    for form in FORMATS:
        notify = "-" if form.notify is None else str(form.notify.number)
        octets = str(form.overhead(SAMPLES[-1]))
        known = (form.name, str(int(form.number)), octets, form.tail_use.value)
        table.add_row(*known, notify, form.source.short)
    Console().print(table)


def _plain_table(
    heads: Sequence[str], title: str | None = None, justify: Justify = "left"
) -> Table:
    """A table that fits 80 columns."""
    table = Table(title=title, box=None, pad_edge=False, title_justify="left")
    for place, head in enumerate(heads):
        table.add_column(head, no_wrap=True, justify=justify if place else "left")
    return table


@app.command("show")
def show_command(
    name: NameArgument,
    target: Annotated[Target | None, typer.Option(help="Fail if it cannot run there.")] = None,
    as_json: JsonOption = False,
) -> None:
    """A header as an RFC draws it, its rules and its source."""
    with _told():
        form = format_named(name)
        if target is not None:
            form.check_target(target)
    if as_json:
        _print_json(describe(form))
        return
    typer.echo(f"{form.name}: {form.title} (P4 format {int(form.number)}, {form.number.name})\n")
    typer.echo("\n".join(draw(form)) + "\n")
    for label, text in _facts(form):
        Console(soft_wrap=False).print(_labelled(label, text))


def _facts(form: Format) -> Iterator[tuple[str, str]]:
    yield from (*words(form).items(), *rules(form).items())
    for outer in (4, 6):
        octets = (f"{size}: {more}" for size, more in overheads(form, outer).items())
        yield f"over IPv{outer}", f"octets a tunnel adds to a packet of {', '.join(octets)}"
    yield "modes", ", ".join(form.modes)
    yield "targets", ", ".join(form.targets)
    port = f", UDP port {form.udp_port}" if form.udp_port else ""
    yield "protocol", f"{form.protocol}{port}"
    yield "negotiated", " ".join(_negotiated(form))
    yield "source", form.source.text


def _negotiated(form: Format) -> Iterator[str]:
    if form.agreement:
        yield form.agreement
    elif not form.notifies:
        yield "Nothing: it is what two peers speak without a notify."
    if form.proposal:
        yield form.proposal.words
    for notify in form.notifies:
        yield notify.words


def _labelled(label: str, text: str) -> Table:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=10, style="bold")
    grid.add_column()
    grid.add_row(label, text)
    return grid


@app.command("packet")
def packet_command(
    name: NameArgument,
    payload: Annotated[
        int, typer.Option(min=SMALLEST, max=LARGEST, help="Octets of the inner packet.")
    ] = 36,
    as_json: JsonOption = False,
) -> None:
    """Have pipeline and engine build a packet; read it field by field."""
    from p4esp.formats_lab.decoded import built_and_read

    with _told():
        form = format_named(name)
        packet, fields = built_and_read(_program(), form, payload)
    if as_json:
        listed = [_field_dict(found) for found in fields]
        _print_json({"format": form.name, "hex": packet.hex(), "fields": listed})
        return
    typer.echo(
        f"{form.name}: {len(packet)} octets behind the outer IP header, built by the pipeline"
    )
    table = Table("at", "octets", "field", box=None, pad_edge=False)
    table.add_column("hex", overflow="fold")
    table.add_column("meaning")
    for found in fields:
        where = (str(found.offset), found.length, found.field.name)
        table.add_row(*where, _shortened(found.hex), found.meaning)
    Console().print(table)


def _shortened(digits: str) -> str:
    return digits if len(digits) <= 80 else f"{digits[:64]}... ({len(digits) // 2} octets)"


def _field_dict(found: Found) -> dict[str, Any]:
    return {
        "name": found.field.name,
        "offset": found.offset,
        "bits": found.bits,
        "hex": found.hex,
        "encrypted": found.field.encrypted,
        "authenticated": found.field.proof.value,
        "meaning": found.meaning,
    }


@app.command("vector")
def vector_command(
    name: Annotated[
        str,
        typer.Argument(
            metavar="ID", help="V0, V1, VA to VE, VF1, VF2, VG1 to VG6, VH1 to VH3, VI, VJ."
        ),
    ],
    as_json: JsonOption = False,
) -> None:
    """A known-answer packet, made by pipeline and engine: what follows the outer IP header."""
    from p4esp.formats_lab.vectors import produce, vector_named

    with _told():
        vector = vector_named(name)
        made = produce(_program(), vector).hex()
    if as_json:
        _print_json({"id": vector.id, "format": vector.format, "hex": made})
    else:
        typer.echo(made)


@app.command("compare")
def compare_command(
    as_json: JsonOption = False,
    html: Annotated[
        Path | None, typer.Option(help="Write a page with charts to this file.", dir_okay=False)
    ] = None,
) -> None:
    """What each format costs, measured in one run: octets, pipeline, registers, rates."""
    from p4esp.formats_lab.costs import compare

    console = Console(stderr=True)
    with _told(), console.status("formats") as status:
        costs = compare(_program(), lambda text: status.update(f"formats: {text}"))
        if html is not None:
            _write_page(html, costs)
    if as_json:
        _print_json([cost.as_dict() for cost in costs])
    else:
        for table in _tables(costs):
            Console().print(table)
        if html is not None:
            typer.echo(f"page: {html}")


@app.command("corpus")
def corpus_command(
    directory: Annotated[Path, typer.Argument(help="Where the files go.", file_okay=False)] = Path(
        "docs/corpus"
    ),
) -> None:
    """Write captures of every format with their keys, for Wireshark; the same in every run."""
    from p4esp.formats_lab.corpus import captures, write

    with _told():
        made = list(captures(_program()))
        paths = write(made, directory)
    packets = sum(len(capture.frames) for capture in made)
    typer.echo(f"corpus: {len(made)} captures, {packets} packets, {len(paths)} files: {directory}")


def _write_page(path: Path, costs: list[Cost]) -> None:
    from p4esp.formats_lab.page import page

    path.write_text(page(costs))


def _tables(costs: list[Cost]) -> Iterator[Table]:
    from p4esp.formats_lab.costs import MEASURED

    sizes = [f"on\n{size}" for size in costs[0].overhead]
    ways = [f"{way}\n{where}" for way in ("encap", "decap") for where in ("pipeline", "engine")]
    title = "octets: overhead of a tunnel over IPv4, and moved for a packet"
    octets = _plain_table(("format", *sizes, *ways, "tail\nread by"), title, "right")
    for cost in costs:
        moved = (cost.encap.pipeline, cost.encap.engine, cost.decap.pipeline, cost.decap.engine)
        octets.add_row(cost.format, *map(str, (*cost.overhead.values(), *moved, cost.tail)))
    yield octets
    yield _parser_table(costs)
    yield _pipeline_table(costs, MEASURED)


def _parser_table(costs: list[Cost]) -> Table:
    heads = ("parser\nstates", "parser\ndepth", "header\nbits", "tables")
    table = _plain_table(("format", *heads), "\npipeline: parser and tables", "right")
    for cost in costs:
        parser = (cost.parser_states, cost.parser_depth, cost.header_bits, cost.tables)
        table.add_row(cost.format, *map(str, parser))
    return table


def _pipeline_table(costs: list[Cost], measured: int) -> Table:
    title = f"\npipeline: registers, and packets/s of {measured} octets on one core"
    heads = ("spaces", "register\ncells", "bits\nper SA")
    table = _plain_table(("format", *heads, "out/s", "in/s"), title, "right")
    for cost in costs:
        spaces = map(str, (cost.spaces, cost.register_cells, cost.register_bits))
        table.add_row(cost.format, *spaces, f"{cost.packets_out:,.0f}", f"{cost.packets_in:,.0f}")
    return table


def _program() -> Path:
    """The committed gateway of the checkout around us."""
    return GATEWAY.json_path(find_repository(Path.cwd()) / ARTEFACT_DIR)


def _print_json(data: Any) -> None:
    typer.echo(json.dumps(data, indent=2))


@contextmanager
def _told() -> Iterator[None]:
    """Errors a user can do something about, in a line."""
    try:
        yield
    except (BuildError, FormatError, LabError, OSError) as error:
        typer.echo(f"p4esp formats: {error}", err=True)
        raise typer.Exit(1) from None
