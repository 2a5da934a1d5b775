"""The parser: extraction, lookahead, verification and transitions.

Leaves the position behind the parsed headers in ``offset``, the error in ``parser_error``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from typing import cast

from p4esp.switch import ir
from p4esp.switch.codegen import values
from p4esp.switch.codegen.context import Context
from p4esp.switch.codegen.expressions import position, value_of
from p4esp.switch.codegen.flow import Flow, emit_state_machine, state_number
from p4esp.switch.codegen.layout import Cell, Layout, code_pieces
from p4esp.switch.codegen.statements import emit_statement
from p4esp.switch.codegen.structure import Region
from p4esp.switch.codegen.values import Value
from p4esp.switch.codegen.writer import Lines


def emit_parser(ctx: Context) -> None:
    """Writes the parser as a block that every error and every early accept breaks out of."""
    ctx.facts.offset = 0
    ctx.facts.valid = {h.name: False for h in ctx.program.headers.values() if not h.metadata}
    ctx.writer.line("parser_error = 0")
    flow = Flow(ctx, ctx.program.parser, _body, True, {ir.Select: _end_select}, {ir.Select: _ways})
    mark = ctx.writer.mark()
    with ctx.writer.block("while True:"):
        acyclic = flow.run()
        ctx.writer.line("break")
    if not acyclic:
        ctx.writer.cut(mark)
        emit_state_machine(ctx, ctx.program.parser, lambda name: _step(ctx, name))
        ctx.end_control()


def _body(ctx: Context, block: ir.Block, name: str) -> bool:
    if ctx.traced:
        ctx.writer.line(f"trace.state({name!r})")
    for statement in block.body:
        for width in _lookaheads(statement):
            _require(ctx, (width + 7) // 8)
        if not _emit_operation(ctx, statement):
            return False
    return True


def _emit_operation(ctx: Context, statement: ir.Stmt) -> bool:
    match statement:
        case ir.Extract(_, None, _):
            _extract(ctx, statement)
        case ir.Extract():
            _extract_varbit(ctx, statement)
        case ir.Advance(bits):
            return _advance(ctx, value_of(ctx, bits))
        case ir.Verify(condition, error):
            return _verify(ctx, condition, error)
        case _:
            emit_statement(ctx, statement)
    return True


# ---------------------------------------------------------------- checks


def _fail(ctx: Context, error: str) -> None:
    """Ends parsing with an error."""
    ctx.writer.line(f"parser_error = {error}")
    if ctx.traced:
        ctx.writer.line("trace.parser_error(parser_error)")
    ctx.writer.line("break")
    ctx.end_control()


def _fail_if(ctx: Context, condition: str, error: str) -> None:
    with ctx.writer.block(f"if {condition}:"):
        _fail(ctx, str(ctx.error_code(error)))


def _require(ctx: Context, count: int) -> None:
    """Ends parsing unless ``count`` more bytes are there."""
    _fail_if(ctx, f"size < {position(ctx, count).text}", "PacketTooShort")


def _verify(ctx: Context, condition: ir.Expr, error: ir.Expr) -> bool:
    holds = value_of(ctx, condition)
    if holds.constant:
        return True
    if holds.constant == 0:
        _fail(ctx, value_of(ctx, error).text)
        return False
    with ctx.writer.block(f"if not {holds.operand}:"):
        _fail(ctx, value_of(ctx, error).text)
    return True


def _advance(ctx: Context, bits: Value) -> bool:
    if bits.constant is not None and bits.constant % 8 == 0:
        _require(ctx, bits.constant // 8)
        _move(ctx, bits.constant // 8)
        ctx.writer.line(f"rest = {position(ctx).text}")
    else:
        ctx.writer.line(f"skip = {bits.text}")
        _fail_if(ctx, "skip & 7", "ParserInvalidArgument")
        _fail_if(ctx, f"size < {position(ctx).text} + (skip >> 3)", "PacketTooShort")
        ctx.writer.line(f"offset = rest = {position(ctx).text} + (skip >> 3)")
        ctx.facts.offset = None
    return True


def _move(ctx: Context, count: int) -> None:
    ctx.writer.line(f"offset = {position(ctx, count).text}")
    if ctx.facts.offset is not None:
        ctx.facts.offset += count


# ---------------------------------------------------------------- extraction


def _extract(ctx: Context, statement: ir.Extract) -> None:
    layout = ctx.layouts[statement.header]
    _require(ctx, layout.fixed_bytes)
    _unpack(ctx, layout.front, position(ctx))
    _extracted(ctx, layout, str(layout.fixed_bytes))
    _move(ctx, layout.fixed_bytes)
    _note_tail(ctx, layout)


def _extract_varbit(ctx: Context, statement: ir.Extract) -> None:
    assert statement.length is not None
    layout = ctx.layouts[statement.header]
    line = ctx.writer.line
    line(f"bits = {value_of(ctx, statement.length).text}")
    _fail_if(ctx, "bits & 7", "ParserInvalidArgument")
    line(f"end = {position(ctx, layout.fixed_bytes).text} + (bits >> 3)")
    _fail_if(ctx, "size < end", "PacketTooShort")
    limit = statement.max_bytes - layout.fixed_bytes
    _fail_if(ctx, f"not 0 <= bits <= {8 * limit}", "HeaderTooShort")
    _unpack(ctx, layout.front, position(ctx))
    middle = position(ctx, layout.front_bytes).text
    line(f"{layout.varbit} = data[{middle}:end - {layout.back_bytes}]")
    _unpack(ctx, layout.back, Value(f"end - {layout.back_bytes}", 0, 1 << 31))
    _extracted(ctx, layout, f"end - {position(ctx).text}")
    line("offset = end")
    ctx.facts.offset = None
    _note_tail(ctx, layout)


def _extracted(ctx: Context, layout: Layout, octets: str) -> None:
    header = layout.header.name
    ctx.writer.line(f"{ctx.names.valid(header)} = True")
    ctx.writer.line(f"{ctx.names.position(header)} = {position(ctx).text}")
    ctx.facts.valid[header] = True
    ctx.facts.forget_header(layout.header)
    if ctx.traced:
        ctx.writer.line(f"trace.extract({header!r}, {position(ctx).text}, {octets})")


def _note_tail(ctx: Context, layout: Layout) -> None:
    """``rest`` is where the part of the packet starts that leaves unchanged."""
    if layout.header.name not in ctx.tail:
        ctx.writer.line(f"rest = {position(ctx).text}")


def _unpack(ctx: Context, cells: tuple[Cell, ...], start: Value) -> None:
    """Reads the wanted cells of a header part that starts at ``start``."""
    wanted = [c for c in cells if c.wanted]
    if not wanted:
        return
    if len(wanted) == 1 and not wanted[0].raw and wanted[0].size == 1:
        at = values.binary("+", start, values.constant(wanted[0].offset))
        _assign_cell(ctx, wanted[0], f"data[{at.text}]")
        return
    layout, targets, after = _unpack_plan(ctx, wanted)
    unpack = ctx.struct("unpack_from", layout)
    ctx.writer.line(
        f"{', '.join(targets)}{',' * (len(targets) == 1)} = {unpack}(data, {start.text})"
    )
    for cell, text in after:
        _assign_cell(ctx, cell, text)


def _unpack_plan(ctx: Context, cells: list[Cell]) -> tuple[str, list[str], list[tuple[Cell, str]]]:
    """The format, the targets, and what is computed from targets that are only pieces."""
    layout, place = "", 0
    targets: list[str] = []
    after: list[tuple[Cell, str]] = []
    for cell in cells:
        layout += f"{cell.offset - place}x" if cell.offset > place else ""
        place = cell.offset + cell.size
        if cell.raw:
            layout, targets = layout + f"{cell.size}s", [*targets, cell.variable]
            continue
        pieces = code_pieces(cell.size)
        layout += "".join(code for code, _ in pieces)
        if len(pieces) == 1 and cell.size <= 8 and cell.whole and not cell.parts[0].field.signed:
            targets.append(cell.parts[0].variable)
            continue
        if len(pieces) == 1 and cell.size <= 8 and not cell.whole:
            targets.append(cell.variable)
            after.append((cell, cell.variable))
            continue
        names = [ctx.writer.temporary("piece") for _ in pieces]
        targets += names
        after.append((cell, _assembled(names, pieces)))
    return layout, targets, after


def _assembled(names: list[str], pieces: list[tuple[str, int]]) -> str:
    if pieces[0][0].endswith("s"):
        return f"from_bytes({names[0]})"
    text = names[0]
    for name, (_, size) in zip(names[1:], pieces[1:], strict=True):
        text = f"({text} << {8 * size} | {name})"
    return text


def _assign_cell(ctx: Context, cell: Cell, text: str) -> None:
    """Splits an integer cell into its fields."""
    if cell.whole:
        part = cell.parts[0]
        whole = Value(text, 0, (1 << part.field.width) - 1, atom=True)
        ctx.writer.line(
            f"{part.variable} = {values.fitted(whole, part.field.width, part.field.signed).text}"
        )
        return
    if text != cell.variable:
        ctx.writer.line(f"{cell.variable} = {text}")
    source = Value(cell.variable, 0, (1 << 8 * cell.size) - 1, atom=True)
    for part in cell.parts:
        shifted = values.binary(">>", source, values.constant(part.shift))
        fitted = values.fitted(shifted, part.field.width, signed=False)
        signed = values.fitted(fitted, part.field.width, part.field.signed)
        ctx.writer.line(f"{part.variable} = {signed.text}")


# ---------------------------------------------------------------- transitions


def _lookaheads(node: object) -> Iterator[int]:
    """How many bits behind the parser's position the expressions of a node look."""
    if isinstance(node, ir.Lookahead):
        yield node.offset + node.width
    elif isinstance(node, tuple):
        for part in node:
            yield from _lookaheads(part)
    elif hasattr(node, "__dataclass_fields__"):
        for name in node.__dataclass_fields__:
            yield from _lookaheads(getattr(node, name))


def _ways(end: ir.End) -> tuple[str | None, ...]:
    select = cast(ir.Select, end)
    return (*(target for _, target in _grouped(select)), select.default)


def _grouped(select: ir.Select) -> list[tuple[list[ir.Case], str | None]]:
    """Neighbouring cases with one target, so that they share a test."""
    groups: list[tuple[list[ir.Case], str | None]] = []
    for case in select.cases:
        if groups and groups[-1][1] == case.target:
            groups[-1][0].append(case)
        else:
            groups.append(([case], case.target))
    return groups


def _end_select(flow: Flow, end: ir.End, region: Region, tail: bool) -> None:
    select = cast(ir.Select, end)
    ctx = flow.ctx
    keys = _keys(ctx, select)
    arms: list[tuple[str, Lines]] = []
    for cases, target in _grouped(select):
        condition = _any_case(keys, cases)
        if condition.constant == 0:
            continue
        lines = flow.separately(partial(flow.arm, target, region, tail))
        if condition.constant == 1:
            ctx.writer.chain(arms, lines)
            return
        arms.append((condition.text, lines))
    otherwise = flow.separately(lambda: flow.arm(select.default, region, tail))
    ctx.writer.chain(arms, otherwise)


def _keys(ctx: Context, select: ir.Select) -> list[Value]:
    for width in _lookaheads(select.keys):
        _require(ctx, (width + 7) // 8)
    keys = []
    for expr in select.keys:
        key = value_of(ctx, expr)
        if key.constant is None and not key.text.isidentifier():
            name = ctx.writer.temporary("select")
            ctx.writer.line(f"{name} = {key.text}")
            key = Value(name, key.low, key.high, atom=True)
        keys.append(key)
    return keys


def _any_case(keys: list[Value], cases: list[ir.Case]) -> Value:
    """Whether any of the cases matches.

    Cases that differ in one key only share the tests of the others, and the values that p4c made
    of a range become a range again.
    """
    varying = [i for i in range(len(keys)) if len({c.matches[i] for c in cases}) > 1]
    if len(cases) > 1 and len(varying) == 1:
        place = varying[0]
        condition = _in_intervals(keys[place], [c.matches[place] for c in cases])
        if condition is not None:
            same = [
                (k, m)
                for i, (k, m) in enumerate(zip(keys, cases[0].matches, strict=True))
                if i != place
            ]
            return values.binary("and", _one_case(same), condition)
    condition = values.constant(0)
    for case in cases:
        one = _one_case(list(zip(keys, case.matches, strict=True)))
        condition = values.binary("or", condition, one)
    return condition


def _in_intervals(key: Value, matches: list[tuple[int, int]]) -> Value | None:
    """Whether the key is in one of the ranges the (value, mask) pairs make up."""
    if key.high == math.inf:
        return None
    intervals: list[list[int]] = []
    for value, mask in sorted(matches):
        free = (int(key.high) & ~mask) if mask != -1 else 0
        if free & (free + 1):
            return None
        if intervals and intervals[-1][1] >= value - 1:
            intervals[-1][1] = max(intervals[-1][1], value + free)
        else:
            intervals.append([value, value + free])
    single = tuple(low for low, high in intervals if low == high)
    condition = Value(f"{key.text} in {single}", 0, 1) if len(single) > 1 else values.constant(0)
    for low, high in intervals:
        if low != high or len(single) == 1:
            condition = values.binary("or", condition, _between(key, low, high))
    return condition


def _between(key: Value, low: int, high: int) -> Value:
    if low == high:
        return values.binary("==", key, values.constant(low))
    if key.within(low, high):
        return values.constant(1)
    if key.high <= high:
        return values.binary(">=", key, values.constant(low))
    return Value(f"{low} <= {key.operand} <= {high}", 0, 1)


def _one_case(pairs: list[tuple[Value, tuple[int, int]]]) -> Value:
    condition = values.constant(1)
    for key, (value, mask) in pairs:
        masked = key if mask == -1 else values.binary("&", key, values.constant(mask))
        equal = values.binary("==", masked, values.constant(value))
        condition = values.binary("and", condition, equal)
    return condition


# ---------------------------------------------------------------- loops


def _step(ctx: Context, name: str) -> None:
    """One state of a parser with loops."""
    graph = ctx.program.parser
    block = graph.blocks[name]
    if not _body(ctx, block, name):
        return
    match block.end:
        case ir.Jump(target):
            _go(ctx, target)
        case ir.Select() as select:
            keys = _keys(ctx, select)
            arms: list[tuple[str, Lines]] = []
            for cases, target in _grouped(select):
                arms.append((_any_case(keys, cases).text, _goto_lines(ctx, target)))
            ctx.writer.chain(arms, _goto_lines(ctx, select.default))


def _go(ctx: Context, target: str | None) -> None:
    if target is None:
        ctx.writer.line("break")
    else:
        ctx.writer.line(f"state = {state_number(ctx.program.parser, target)}")


def _goto_lines(ctx: Context, target: str | None) -> Lines:
    mark = ctx.writer.mark()
    _go(ctx, target)
    return ctx.writer.cut(mark)
