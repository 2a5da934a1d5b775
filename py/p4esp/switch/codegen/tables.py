"""Table application: lookup, direct resources, dispatch on the action, next block.

An entry is a tuple: (action number, cell, arguments...), the cell only in tables with a counter,
meter or timeout of their own; the default action is such a tuple too, number -1 doing nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import cast

from p4esp.switch import ir
from p4esp.switch.codegen import values
from p4esp.switch.codegen.actions import emit_action
from p4esp.switch.codegen.calculations import hash_text
from p4esp.switch.codegen.context import Context
from p4esp.switch.codegen.expressions import key_value
from p4esp.switch.codegen.facts import Facts, meet
from p4esp.switch.codegen.flow import Flow
from p4esp.switch.codegen.statements import store
from p4esp.switch.codegen.structure import Region
from p4esp.switch.codegen.values import Value
from p4esp.switch.codegen.writer import Lines
from p4esp.switch.program import MatchKind

_FEW = 2
"""More arguments than this are unpacked at once."""

Follow = Callable[[int | None], None]
"""Writes what comes after an action, by its number (``None``: no action ran)."""


def is_inlined(table: ir.Table) -> bool:
    """Whether the table always runs one known action."""
    return not table.keys and table.default is not None and table.default.const


def has_cell(table: ir.Table) -> bool:
    """Whether entries carry a counter, a meter or the time of their last hit."""
    return bool(table.direct_counter or table.direct_meter or table.idle_timeout)


def may_do_nothing(table: ir.Table) -> bool:
    """Whether applying the table may run no action at all."""
    return table.default is None or table.profile is not None


def ways_of_apply(program: ir.Program) -> Callable[[ir.End], tuple[str | None, ...]]:
    """The successors of an ``Apply``, one for each arm that ``end_apply`` writes."""

    def ways(end: ir.End) -> tuple[str | None, ...]:
        apply = cast(ir.Apply, end)
        table = program.tables[apply.table]
        if apply.hit_miss:
            found: tuple[str | None, ...] = (apply.on_hit, apply.on_miss)
        else:
            found = apply.by_action + ((apply.otherwise,) if may_do_nothing(table) else ())
        if is_inlined(table):
            return (_inlined_way(table, apply),)
        return found[:1] if len(set(found)) == 1 else found

    return ways


def _is_hidden(table: ir.Table) -> bool:
    """Whether p4c made the table up for a statement outside any table."""
    return table.name.startswith("tbl_")


def _inlined_way(table: ir.Table, apply: ir.Apply) -> str | None:
    assert table.default is not None
    return apply.on_miss if apply.hit_miss else apply.by_action[table.default.action]


def end_apply(flow: Flow, end: ir.End, region: Region, tail: bool) -> None:
    """Writes the application of a table and everything that stands inside it."""
    apply = cast(ir.Apply, end)
    table = flow.ctx.program.tables[apply.table]
    if is_inlined(table):
        _inline(flow, table, apply, region, tail)
        return
    ways = ways_of_apply(flow.ctx.program)(apply)
    _lookup(flow.ctx, table, needs_hit=apply.hit_miss and len(ways) > 1)
    if len(ways) == 1:
        if _dispatch(flow, table, lambda number: None):
            flow.arm(ways[0], region, tail)
    elif apply.hit_miss:
        _dispatch_then_hit(flow, table, apply, region, tail)
    else:
        _dispatch(flow, table, lambda n: flow.arm(_way(apply, n), region, tail))


def _way(apply: ir.Apply, number: int | None) -> str | None:
    return apply.otherwise if number is None else apply.by_action[number]


def _inline(flow: Flow, table: ir.Table, apply: ir.Apply, region: Region, tail: bool) -> None:
    assert table.default is not None
    ctx, default = flow.ctx, table.default
    action = ctx.program.actions[table.actions[default.action]]
    if not _is_hidden(table):
        _trace_action(ctx, table, action, tuple(map(str, default.args)))
    if emit_action(ctx, action, tuple(values.constant(a) for a in default.args)):
        flow.arm(_inlined_way(table, apply), region, tail)


def _dispatch_then_hit(
    flow: Flow, table: ir.Table, apply: ir.Apply, region: Region, tail: bool
) -> None:
    if not _dispatch(flow, table, lambda number: None):
        return
    hit = flow.separately(lambda: flow.arm(apply.on_hit, region, tail))
    miss = flow.separately(lambda: flow.arm(apply.on_miss, region, tail))
    flow.ctx.writer.choice("hit", hit, miss)


# ---------------------------------------------------------------- lookup


def _lookup(ctx: Context, table: ir.Table, needs_hit: bool) -> None:
    """Leaves the entry in ``entry``; with ``hit`` set if anybody asks for it."""
    number = ctx.number(ctx.program.tables, table.name)
    line = ctx.writer.line
    if not table.keys:
        line(f"entry = default_{number}[0]")
    else:
        _find(ctx, table, number)
    needs_hit = needs_hit or ctx.traced or table.direct_meter is not None
    if needs_hit:
        line(f"hit = entry is not default_{number}[0]" if table.keys else "hit = False")
    if ctx.traced:
        line(f"trace.table({table.name!r}, {_key_tuple(ctx, table)}, entry, hit)")
    _direct_resources(ctx, table)
    if table.profile is not None:
        _select_member(ctx, table)


def _find(ctx: Context, table: ir.Table, number: int) -> None:
    keys = [key_value(ctx, key).text for key in table.keys]
    key = keys[0] if len(keys) == 1 else f"({', '.join(keys)})"
    if all(k.kind is MatchKind.EXACT for k in table.keys):
        ctx.writer.line(f"entry = exact_{number}({key}) or default_{number}[0]")
    else:
        ctx.writer.line(f"key = {key}")
        ctx.writer.line(f"entry = cached_{number}(key) or search_{number}(key)")


def _key_tuple(ctx: Context, table: ir.Table) -> str:
    return f"({''.join(f'{key_value(ctx, key).text}, ' for key in table.keys)})"


def _direct_resources(ctx: Context, table: ir.Table) -> None:
    if not has_cell(table):
        return
    line = ctx.writer.line
    line("cell = entry[1]")
    if table.direct_counter is not None:
        line("cell[0] += 1")
        line("cell[1] += size")
    if table.idle_timeout:
        line("cell[2] = clock()")
    meter = table.direct_meter
    if meter is not None:
        before = ctx.facts.copy()
        with ctx.writer.block("if hit:"):
            store(ctx, meter.target, Value("colour(cell[3], size)", 0, 2, atom=True))
        ctx.facts = meet(before, ctx.facts)


def _select_member(ctx: Context, table: ir.Table) -> None:
    """Profile tables: the entry's reference is a list of member slots, one or a whole group."""
    assert table.profile is not None
    place = 2 if has_cell(table) else 1
    line = ctx.writer.line
    with ctx.writer.block("if entry[0] >= 0:"):
        line(f"members = entry[{place}]")
        selector = ctx.program.profiles[table.profile].selector
        if selector is None:
            line("entry = members[0][0]")
            return
        with ctx.writer.block("if len(members) == 1:"):
            line("entry = members[0][0]")
        with ctx.writer.block("elif members:"):
            line(f"entry = members[{hash_text(ctx, selector).operand} % len(members)][0]")
        with ctx.writer.block("else:"):
            line("entry = nothing")


# ---------------------------------------------------------------- dispatch


def _dispatch(flow: Flow, table: ir.Table, follow: Follow) -> bool:
    """Writes one arm per action; false if control comes out of none of them."""
    ctx = flow.ctx
    after: list[Facts | None] = [None]

    def write(number: int | None) -> None:
        if number is None or _run_action(ctx, table, number):
            follow(number)
            after[0] = meet(after[0], ctx.facts)

    numbers: list[int | None] = list(range(len(table.actions)))
    if may_do_nothing(table):
        numbers.append(None)
    _write_arms(ctx, [(n, flow.separately(partial(write, n))) for n in numbers])
    if after[0] is not None:
        ctx.facts = after[0]
    return after[0] is not None


def _write_arms(ctx: Context, arms: list[tuple[int | None, Lines]]) -> None:
    """Arms that write the same share a test; the most common of them becomes ``else``."""
    groups: list[tuple[list[int | None], Lines]] = []
    for number, lines in arms:
        same = next((g for g in groups if g[1] == lines), None)
        if same is None:
            groups.append(([number], lines))
        else:
            same[0].append(number)
    rest = max(groups, key=lambda g: (not g[1], len(g[0])))
    tests = [(_test(numbers), lines) for numbers, lines in groups if numbers is not rest[0]]
    if len(tests) > 1:
        ctx.writer.line("action = entry[0]")
        tests = [(test.replace("entry[0]", "action"), lines) for test, lines in tests]
    ctx.writer.chain(tests, rest[1])


def _test(numbers: list[int | None]) -> str:
    codes = [-1 if n is None else n for n in numbers]
    if codes == [0]:
        return "not entry[0]"
    return f"entry[0] == {codes[0]}" if len(codes) == 1 else f"entry[0] in {tuple(codes)}"


def _run_action(ctx: Context, table: ir.Table, number: int) -> bool:
    action = ctx.program.actions[table.actions[number]]
    first = 2 if has_cell(table) and table.profile is None else 1
    args = _arguments(ctx, action, first)
    _trace_action(ctx, table, action, tuple(a.text for a in args))
    return emit_action(ctx, action, args)


def _arguments(ctx: Context, action: ir.Action, first: int) -> tuple[Value, ...]:
    """The entry's arguments as values; several are unpacked at once, one is taken where used."""
    uses = [0] * len(action.params)
    _count_params(action.body, uses)
    texts = [f"entry[{first + place}]" for place in range(len(uses))]
    if (
        sum(map(bool, uses)) > _FEW
        or any(count > 1 for count in uses)
        or (any(uses) and len(action.body.blocks) > 1)
    ):
        names = [ctx.writer.temporary("arg") if count else "_" for count in uses]
        ctx.writer.line(f"{', '.join(['_'] * first + names)} = entry")
        texts = names
    return tuple(
        values.variable(text, width) for text, (_, width) in zip(texts, action.params, strict=True)
    )


def _count_params(node: object, uses: list[int]) -> None:
    if isinstance(node, ir.Param):
        uses[node.index] += 1
    elif isinstance(node, dict):
        for part in node.values():
            _count_params(part, uses)
    elif isinstance(node, tuple):
        for part in node:
            _count_params(part, uses)
    elif hasattr(node, "__dataclass_fields__"):
        for name in node.__dataclass_fields__:
            _count_params(getattr(node, name), uses)


def _trace_action(ctx: Context, table: ir.Table, action: ir.Action, args: tuple[str, ...]) -> None:
    if ctx.traced:
        listed = "".join(f"{a}, " for a in args)
        ctx.writer.line(f"trace.action({table.name!r}, {action.name!r}, ({listed}))")
