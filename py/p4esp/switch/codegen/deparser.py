"""The deparser: valid headers in order, then what is left of the packet.

Headers that nothing in the program changes, that leave in the order they came and behind which
only such headers follow, are not taken apart at all: they leave with the payload, in one slice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from p4esp.switch import ir
from p4esp.switch.codegen import values
from p4esp.switch.codegen.context import Context
from p4esp.switch.codegen.expressions import validity
from p4esp.switch.codegen.layout import Cell, Layout, code_pieces
from p4esp.switch.codegen.usage import Usage
from p4esp.switch.codegen.values import Value

_GROUP = 5
"""Headers that one question may be for."""
_Piece = tuple[str, str, list[str]]
"""Header, ``struct`` format and arguments of what must be packed; or ("", text, [])."""


@dataclass(frozen=True, slots=True)
class _Part:
    """Octets that leave if ``condition`` holds; None: in any case."""

    condition: str | None
    text: str


def find_tail(program: ir.Program, usage: Usage) -> tuple[str, ...]:
    """The headers, last ones of the deparser, that always leave as they came with the payload."""
    if usage.statements[ir.Advance]:
        return ()
    following = _extracted_behind(program.parser)
    tail: list[str] = []
    for header in reversed(program.deparser):
        if header in usage.modified or header in usage.removed or header in tail:
            break
        if not following.get(header, set()) <= set(tail):
            break
        tail.insert(0, header)
    return tuple(tail)


def _extracted_behind(parser: ir.Graph) -> dict[str, set[str]]:
    """For every header, those that some way through the parser extracts after it."""
    reachable = {name: _reachable_extracts(parser, name) for name in parser.blocks}
    behind: dict[str, set[str]] = {}
    for block in parser.blocks.values():
        later = set().union(*(reachable[t] for t in _targets(block.end)))
        for statement in reversed(block.body):
            if isinstance(statement, ir.Extract):
                behind.setdefault(statement.header, set()).update(later)
                later = later | {statement.header}
    return behind


def _reachable_extracts(parser: ir.Graph, start: str) -> set[str]:
    seen: set[str] = set()
    found: set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            block = parser.blocks[name]
            found |= {s.header for s in block.body if isinstance(s, ir.Extract)}
            waiting += _targets(block.end)
    return found


def _targets(end: ir.End) -> list[str]:
    match end:
        case ir.Jump(target):
            found = [target]
        case ir.Select(_, cases, default):
            found = [c.target for c in cases] + [default]
        case _:
            found = []
    return [t for t in found if t is not None]


def emit_deparser(ctx: Context) -> None:
    """Writes the outgoing packet's bytes to ``packet``.

    Headers that are not there cost one branch each: most programs know many more headers than
    a packet has.
    """
    parts = [*_parts(ctx), _Part(None, "data[rest:]")]
    if all(part.condition is None for part in parts):
        ctx.writer.line(f"packet = {' + '.join(part.text for part in parts)}")
        return
    ctx.writer.line("leaving = []")
    for certain, neighbours in groupby(parts, lambda part: part.condition is None):
        rows = list(neighbours)
        size = len(rows) if certain else _GROUP
        for start in range(0, len(rows), size):
            _append_group(ctx, rows[start : start + size])
    ctx.writer.line("packet = join(leaving)")


def _append_group(ctx: Context, parts: list[_Part]) -> None:
    """Asks once for several headers, where one question saves enough of them."""
    members = tuple(part.condition for part in parts if part.condition is not None)
    if len(members) < _GROUP:
        for part in parts:
            _append(ctx, part)
        return
    group = f"some_{len(ctx.groups)}"
    ctx.groups[group] = members
    with ctx.writer.block(f"if {group}:"):
        for part in parts:
            _append(ctx, part)


def _append(ctx: Context, part: _Part) -> None:
    if part.condition is None:
        ctx.writer.line(f"leaving.append({part.text})")
        return
    with ctx.writer.block(f"if {part.condition}:"):
        ctx.writer.line(f"leaving.append({part.text})")


def _parts(ctx: Context) -> Iterator[_Part]:
    """All headers in order; neighbours that are there in any case are packed in one go."""
    certain: list[_Piece] = []
    for header in ctx.program.deparser:
        valid = validity(ctx, header)
        if header in ctx.tail or valid.constant == 0:
            continue
        if valid.constant == 1:
            certain += _pieces(ctx, header)
            continue
        yield from (_Part(None, text) for text in _packed(ctx, certain))
        certain = []
        yield _Part(valid.text, " + ".join(_packed(ctx, list(_pieces(ctx, header)))))
    yield from (_Part(None, text) for text in _packed(ctx, certain))


def _pieces(ctx: Context, header: str) -> Iterator[_Piece]:
    layout = ctx.layouts[header]
    if header in ctx.usage.modified:
        yield from _certain_pieces(header, layout)
        return
    start = ctx.names.position(header)
    size = f"{layout.fixed_bytes}" + (f" + len({layout.varbit})" if layout.varbit else "")
    yield "", f"data[{start}:{start} + {size}]", []


def _certain_pieces(header: str, layout: Layout) -> Iterator[_Piece]:
    if layout.front:
        yield header, *_pack(layout.front)
    if layout.varbit is not None:
        yield "", layout.varbit, []
    if layout.back:
        yield header, *_pack(layout.back)


def _packed(ctx: Context, pieces: list[_Piece]) -> list[str]:
    """Neighbouring pieces to be packed share one call."""
    texts: list[str] = []
    layout, args = "", list[str]()
    for header, text, more in [*pieces, ("", "", [])]:
        if header:
            layout, args = layout + text, args + more
            continue
        if layout:
            texts.append(f"{ctx.struct('pack', layout)}({', '.join(args)})")
            layout, args = "", []
        if text:
            texts.append(text)
    return texts


def _pack(cells: tuple[Cell, ...]) -> tuple[str, list[str]]:
    layout = ""
    args: list[str] = []
    for cell in cells:
        if cell.raw:
            layout, args = layout + f"{cell.size}s", [*args, cell.variable]
            continue
        pieces = code_pieces(cell.size)
        layout += "".join(code for code, _ in pieces)
        args += _cell_args(_cell_value(cell), pieces)
    return layout, args


def _cell_value(cell: Cell) -> Value:
    if cell.holds_integer:
        return Value(cell.variable, 0, (1 << 8 * cell.size) - 1, atom=True)
    joined = values.constant(0)
    for part in cell.parts:
        held = values.variable(part.variable, part.field.width, part.field.signed)
        unsigned = values.fitted(held, part.field.width, signed=False)
        shifted = values.binary("<<", unsigned, values.constant(part.shift))
        joined = values.binary("|", joined, shifted)
    return joined


def _cell_args(value: Value, pieces: list[tuple[str, int]]) -> list[str]:
    if pieces[0][0].endswith("s"):
        return [f"{value.operand}.to_bytes({pieces[0][1]})"]
    args, shift = [], 8 * sum(size for _, size in pieces)
    for _, size in pieces:
        shift -= 8 * size
        part = values.binary(">>", value, values.constant(shift))
        args.append(values.fitted(part, 8 * size, signed=False).text)
    return args
