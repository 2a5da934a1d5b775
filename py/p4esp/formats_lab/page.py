"""The page of `p4esp formats compare --html`: charts, figures, and plain words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape

from p4esp.formats_lab.charts import Chart, svg
from p4esp.formats_lab.costs import MEASURED, Cost
from p4esp.ipsec.formats import TailUse, format_named

STYLE = """
:root { color-scheme: light dark; --a: #2f6db5; --b: #d9822b; --c: #4d9a6a; --line: #8885; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h2 { margin-top: 2.5rem; }
h3 { margin-bottom: 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .85rem; }
th, td { border-bottom: 1px solid var(--line); padding: .25rem .5rem; text-align: right; }
th:first-child, td:first-child, td.words { text-align: left; }
th { vertical-align: bottom; }
.wide { overflow-x: auto; }
figure { margin: 1.5rem 0; }
svg { width: 100%; font-size: 12px; fill: currentColor; }
.value { font-size: 10px; }
.s0, .k0 { fill: var(--a); background: var(--a); }
.s1, .k1 { fill: var(--b); background: var(--b); }
.s2, .k2 { fill: var(--c); background: var(--c); }
.key { display: inline-block; width: .8em; height: .8em; margin: 0 .3em 0 .8em; }
.source { font-size: .85rem; opacity: .8; }
"""
TAIL_WORDS = {
    TailUse.NOBODY: "Nobody needs the tail: only zero padding and the ICV stand there.",
    TailUse.ENGINE: "The engine must read the tail before anybody knows type and length.",
    TailUse.LOOKUP: "The pipeline must read the tail before it knows which SA a packet has.",
}


def page(costs: Sequence[Cost]) -> str:
    """A whole HTML document that needs nothing else."""
    parts = (
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8"><title>ESP formats compared</title>',
        f"<style>{STYLE}</style></head><body><h1>ESP formats compared</h1>",
        _introduction(costs),
        "<h2>In short</h2>",
        _in_short(costs),
        "<h2>Charts</h2>",
        *map(svg, charts(costs)),
        "<h2>All figures</h2>",
        _figures(costs),
        "<h2>Format by format</h2>",
        *(_format(cost, costs[0]) for cost in costs),
        "</body></html>\n",
    )
    return "\n".join(parts)


def _introduction(costs: Sequence[Cost]) -> str:
    return (
        f"<p>{len(costs)} ways to write ESP, measured in one run: one pipeline program, one "
        "engine, an SA of each format with AES-GCM-16, in a tunnel over IPv4. Overhead is what "
        "left on the wire. Octets moved, states, tables and rates are of inner packets of "
        f"{MEASURED} octets. The pipeline moves what its parser takes out of a frame and what its "
        "deparser writes in front of the rest, in both passes; the engine moves the text it reads "
        "and what it writes. Rates are packets a second of one core, through pipeline and engine, "
        "the best of several rounds in turn: differences of a few per cent say nothing.</p>"
    )


def _in_short(costs: Sequence[Cost]) -> str:
    rows = []
    for cost in costs:
        form = format_named(cost.format)
        cells = (form.name, form.costs, form.buys)
        rows.append("".join(f'<td class="words">{escape(cell)}</td>' for cell in cells))
    return _table(("format", "what it costs", "what it buys"), rows)


def charts(costs: Sequence[Cost]) -> list[Chart]:
    """Octets on the wire, octets moved, registers and rates."""
    sizes = tuple(costs[0].overhead)
    on_sizes = tuple(f"on {size}" for size in sizes)
    moved = ("pipeline", "engine")
    return [
        _chart(costs, "Overhead of a tunnel over IPv4, by inner packet", "octets", on_sizes,
               lambda c: tuple(c.overhead[size] for size in sizes)),
        _chart(costs, "Moved to seal a packet", "octets", moved,
               lambda c: (c.encap.pipeline, c.encap.engine)),
        _chart(costs, "Moved to open a packet", "octets", moved,
               lambda c: (c.decap.pipeline, c.decap.engine)),
        _chart(costs, "Parser states and tables met", "number", ("states", "tables"),
               lambda c: (c.parser_states, c.tables)),
        _chart(costs, "Parser depth", "states", ("depth",), lambda c: (c.parser_depth,)),
        _chart(costs, "Headers alive at once", "bits", ("headers",), lambda c: (c.header_bits,)),
        _chart(costs, "Registers of an SA, both directions", "octets", ("registers",),
               lambda c: (c.register_bits / 8,)),
        _chart(costs, "Rate on one core", "packets/s", ("out", "in"),
               lambda c: (c.packets_out, c.packets_in)),
    ]  # fmt: skip


def _chart(
    costs: Sequence[Cost],
    title: str,
    unit: str,
    series: tuple[str, ...],
    values: Callable[[Cost], tuple[float, ...]],
) -> Chart:
    names = tuple(cost.format for cost in costs)
    return Chart(title, unit, series, names, tuple(values(cost) for cost in costs))


def _figures(costs: Sequence[Cost]) -> str:
    sizes = [f"overhead on {size}" for size in costs[0].overhead]
    moved = [f"{way}, {where}" for way in ("seal", "open") for where in ("pipeline", "engine")]
    rest = ("parser states", "parser depth", "header bits", "tables")
    more = ("spaces", "register cells", "register bits", "tail read by")
    heads = ("format", *sizes, *moved, *rest, *more, "out/s", "in/s")
    return _table(heads, ["".join(f"<td>{cell}</td>" for cell in _cells(cost)) for cost in costs])


def _cells(cost: Cost) -> Iterable[str]:
    moved = (cost.encap.pipeline, cost.encap.engine, cost.decap.pipeline, cost.decap.engine)
    parser = (cost.parser_states, cost.parser_depth, cost.header_bits, cost.tables)
    spaces = (cost.spaces, cost.register_cells, cost.register_bits)
    figures = (*cost.overhead.values(), *moved, *parser, *spaces)
    rates = (f"{cost.packets_out:,.0f}", f"{cost.packets_in:,.0f}")
    return (cost.format, *(f"{figure:,}" for figure in figures), cost.tail, *rates)


def _table(heads: Iterable[str], rows: Iterable[str]) -> str:
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead>{body}</table></div>'


def _format(cost: Cost, plain: Cost) -> str:
    form = format_named(cost.format)
    paragraphs = (
        ("The problem.", form.problem),
        ("The layout.", f"{form.layout_rule} {TAIL_WORDS[form.tail_use]}"),
        ("What it costs.", f"{form.costs} {measured_words(cost, plain)}"),
        ("What it buys.", form.buys),
        ("Limits.", form.limits),
    )
    text = "".join(f"<p><b>{head}</b> {escape(words)}</p>" for head, words in paragraphs)
    source = f'<p class="source">Source: {escape(form.source.text)}.</p>'
    head = f"{escape(form.title)} <code>{form.name}</code> ({form.source.standing})"
    return f"<h3>{head}</h3>{text}{source}"


def measured_words(cost: Cost, plain: Cost) -> str:
    """This run's figures of a format, next to those of plain ESP."""
    size, octets = list(cost.overhead.items())[-1]
    pipeline = cost.encap.pipeline + cost.decap.pipeline
    usual = plain.encap.pipeline + plain.decap.pipeline
    return (
        f"Measured: {octets} octets more on a packet of {size} (plain ESP {plain.overhead[size]}); "
        f"{pipeline} octets moved in the pipeline, there and back (plain ESP {usual}); "
        f"{cost.register_bits // 8} octets of registers for {_spaces(cost.spaces)}; "
        f"{_against(cost.packets_out, plain.packets_out)} out and "
        f"{_against(cost.packets_in, plain.packets_in)} in."
    )


def _spaces(count: int) -> str:
    return "1 sequence space" if count == 1 else f"{count} sequence spaces"


def _against(rate: float, plain: float) -> str:
    return f"{rate:,.0f} packets/s ({100 * rate / plain:.0f} % of plain ESP)"
