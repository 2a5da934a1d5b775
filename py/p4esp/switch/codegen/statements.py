"""Statements of actions and controls; those only parsers have are in ``parser``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from p4esp.switch import ir
from p4esp.switch.codegen import values
from p4esp.switch.codegen.calculations import hash_text
from p4esp.switch.codegen.context import DROP_PORT, PORT_BITS, Context
from p4esp.switch.codegen.expressions import validity, value_of
from p4esp.switch.codegen.values import Value


def emit_statement(ctx: Context, statement: ir.Stmt) -> None:
    """Writes one statement and updates what is known."""
    match statement:
        case ir.Assign(target, value):
            store(ctx, target, value_of(ctx, value))
        case ir.AssignVarbit(target, source):
            ctx.writer.line(f"{ctx.names.field(target)} = {ctx.names.field(source)}")
        case ir.CopyHeader(target, source):
            _copy_header(ctx, target, source)
        case ir.SetValid(header):
            _set_valid(ctx, header)
        case ir.SetInvalid(header):
            _set_invalid(ctx, header)
        case ir.RegisterRead() | ir.RegisterWrite() | ir.Count() | ir.ExecuteMeter():
            _EXTERNS[type(statement)](ctx, statement)
        case ir.Hash() | ir.Random() | ir.Check() | ir.Log() | ir.Truncate():
            _EXTERNS[type(statement)](ctx, statement)
        case _:
            _emit_request(ctx, statement)


def _emit_request(ctx: Context, statement: ir.Stmt) -> None:
    """What only takes effect at the end of the control."""
    line = ctx.writer.line
    match statement:
        case ir.MarkToDrop():
            mark_to_drop(ctx)
        case ir.Digest(list_id):
            if not ctx.in_egress:
                line(f"digest_list = {list_id}")
        case ir.Clone(session, list_id, egress):
            if egress == ctx.in_egress:
                line(f"clone_session = {values.fitted(value_of(ctx, session), 15, False).text}")
                line(f"clone_list = {list_id}")
        case ir.Recirculate(list_id):
            line(f"recirculate_list = {list_id + 1}")
        case ir.Resubmit(list_id):
            line(f"resubmit_list = {list_id + 1}")


def store(ctx: Context, target: ir.Field, value: Value) -> None:
    """``target = value``, wrapped to its type; nothing if nobody can notice."""
    fitted = values.fitted(value, target.width, target.signed)
    if not ctx.is_live(target):
        return
    known = ctx.facts.consts.get(target)
    if fitted.constant is not None and known == fitted.constant:
        return
    ctx.writer.line(f"{ctx.names.field(target)} = {_held(ctx, target, fitted)}")
    ctx.facts.forget(target)
    if fitted.constant is not None:
        ctx.facts.consts[target] = fitted.constant


def _held(ctx: Context, target: ir.Field, value: Value) -> str:
    """A value as the field's variable holds it: an integer, or bytes if nobody reads it."""
    size = ctx.opaque.get(target)
    if size is None:
        return value.text
    if value.constant is not None:
        return repr((value.constant & ((1 << 8 * size) - 1)).to_bytes(size, "big"))
    unsigned = values.fitted(value, 8 * size, signed=False)
    return f"{unsigned.operand}.to_bytes({size})"


def mark_to_drop(ctx: Context) -> None:
    """Chooses the drop port and no multicast group."""
    spec, group = ctx.standard("egress_spec"), ctx.standard("mcast_grp")
    if spec is not None:
        store(ctx, spec, values.constant(DROP_PORT & ((1 << PORT_BITS) - 1)))
    if group is not None:
        store(ctx, group, values.constant(0))


# ---------------------------------------------------------------- headers


def _set_valid(ctx: Context, header: str) -> None:
    known = ctx.facts.valid.get(header)
    if known:
        return
    if known is None:
        with ctx.writer.block(f"if not {ctx.names.valid(header)}:"):
            _clear(ctx, header)
        ctx.facts.forget_header(ctx.program.headers[header])
    else:
        _clear(ctx, header)
        fields = ctx.program.headers[header].fields
        ctx.facts.consts.update({f: 0 for f in fields if not f.varbit})
    ctx.facts.valid[header] = True


def _clear(ctx: Context, header: str) -> None:
    for variable, zero in ctx.layouts[header].variables():
        ctx.writer.line(f"{variable} = {zero}")
    ctx.writer.line(f"{ctx.names.valid(header)} = True")
    _grow(ctx, header, "+")


def _grow(ctx: Context, header: str, sign: str) -> None:
    """Keeps count of the packet's length as bmv2 does: by headers added and removed."""
    if ctx.tracks_length:
        varbit = ctx.layouts[header].varbit
        more = "" if varbit is None else f" {sign} len({varbit})"
        ctx.writer.line(f"length = length {sign} {ctx.layouts[header].fixed_bytes}{more}")


def _set_invalid(ctx: Context, header: str) -> None:
    known = ctx.facts.valid.get(header)
    if known is False:
        return
    if ctx.tracks_length and known is None:
        with ctx.writer.block(f"if {ctx.names.valid(header)}:"):
            _grow(ctx, header, "-")
    elif ctx.tracks_length:
        _grow(ctx, header, "-")
    ctx.writer.line(f"{ctx.names.valid(header)} = False")
    ctx.facts.valid[header] = False


def _copy_header(ctx: Context, target: str, source: str) -> None:
    known = validity(ctx, source).constant
    if known == 0:
        ctx.writer.line(f"{ctx.names.valid(target)} = False")
    elif known == 1:
        _copy_cells(ctx, target, source)
    else:
        ctx.writer.line(f"{ctx.names.valid(target)} = {ctx.names.valid(source)}")
        with ctx.writer.block(f"if {ctx.names.valid(source)}:"):
            _copy_cells(ctx, target, source)
    ctx.facts.forget_header(ctx.program.headers[target])
    ctx.facts.valid.pop(target, None)
    if known is not None:
        ctx.facts.valid[target] = bool(known)


def _copy_cells(ctx: Context, target: str, source: str) -> None:
    pairs = zip(ctx.layouts[target].variables(), ctx.layouts[source].variables(), strict=True)
    for (to, _), (origin_name, _) in pairs:
        ctx.writer.line(f"{to} = {origin_name}")
    ctx.writer.line(f"{ctx.names.valid(target)} = True")


# ---------------------------------------------------------------- externs


def _indexed(ctx: Context, index: Value, size: int) -> tuple[str, bool]:
    """The index as an atom and whether it is surely in range."""
    if not index.atom:
        name = ctx.writer.temporary("index")
        ctx.writer.line(f"{name} = {index.text}")
        return name, index.within(0, size - 1)
    return index.text, index.within(0, size - 1)


def _guard(size: int, index: str, value: Value) -> str:
    return f"{index} < {size}" if value.low >= 0 else f"0 <= {index} < {size}"


def _register_read(ctx: Context, s: ir.RegisterRead) -> None:
    number = ctx.number(ctx.program.registers, s.array)
    register = ctx.program.registers[s.array]
    value = value_of(ctx, s.index)
    index, safe = _indexed(ctx, value, register.size)
    read = Value(f"register_{number}[{index}]", 0, (1 << register.width) - 1, atom=True)
    if safe:
        store(ctx, s.target, read)
    else:
        with ctx.writer.block(f"if {_guard(register.size, index, value)}:"):
            store(ctx, s.target, read)
        ctx.facts.forget(s.target)
        with ctx.writer.block("else:"):
            store(ctx, s.target, values.constant(0))
            _fault(ctx, f"register {s.array}: read out of range")
        ctx.facts.forget(s.target)
    if ctx.traced and ctx.is_live(s.target):
        held = ctx.names.field(s.target)
        ctx.writer.line(f"trace.register({s.array!r}, 'read', {index}, {held})")


def _register_write(ctx: Context, s: ir.RegisterWrite) -> None:
    number = ctx.number(ctx.program.registers, s.array)
    register = ctx.program.registers[s.array]
    value = value_of(ctx, s.index)
    index, safe = _indexed(ctx, value, register.size)
    text = values.fitted(value_of(ctx, s.value), register.width, signed=False).text
    if ctx.traced:
        ctx.writer.line(f"trace.register({s.array!r}, 'write', {index}, {text})")
    _if_in_range(
        ctx,
        safe,
        _guard(register.size, index, value),
        f"register {s.array}: write",
        [f"register_{number}[{index}] = {text}"],
    )


def _count(ctx: Context, s: ir.Count) -> None:
    number = ctx.number(ctx.program.counters, s.array)
    size = ctx.program.counters[s.array].size
    value = value_of(ctx, s.index)
    index, safe = _indexed(ctx, value, size)
    _if_in_range(
        ctx,
        safe,
        _guard(size, index, value),
        f"counter {s.array}: count",
        [f"packets_{number}[{index}] += 1", f"octets_{number}[{index}] += size"],
    )


def _if_in_range(ctx: Context, safe: bool, guard: str, what: str, lines: list[str]) -> None:
    if safe:
        for line in lines:
            ctx.writer.line(line)
        return
    with ctx.writer.block(f"if {guard}:"):
        for line in lines:
            ctx.writer.line(line)
    with ctx.writer.block("else:"):
        _fault(ctx, f"{what} out of range")


def _fault(ctx: Context, what: str) -> None:
    ctx.writer.line(f"fault({what!r})")


def _execute_meter(ctx: Context, s: ir.ExecuteMeter) -> None:
    number = ctx.number(ctx.program.meters, s.array)
    index = value_of(ctx, s.index)
    store(ctx, s.target, Value(f"meter_{number}({index.text}, size)", 0, 2, atom=True))


def _hash(ctx: Context, s: ir.Hash) -> None:
    digest = hash_text(ctx, ctx.program.calculations[s.calculation])
    modulus = value_of(ctx, s.size)
    if modulus.constant == 0:
        modulus = values.constant(1)
    elif modulus.low <= 0:
        modulus = Value(f"({modulus.text} or 1)", 1, modulus.high, atom=True)
    reduced = values.binary("%", digest, modulus)
    store(ctx, s.target, values.binary("+", value_of(ctx, s.base), reduced))


def _random(ctx: Context, s: ir.Random) -> None:
    low, high = value_of(ctx, s.low), value_of(ctx, s.high)
    drawn = Value(f"randint({low.text}, {high.text})", low.low, high.high, atom=True)
    with ctx.writer.block(f"if {low.operand} <= {high.operand}:"):
        store(ctx, s.target, drawn)
    ctx.facts.forget(s.target)


def _check(ctx: Context, s: ir.Check) -> None:
    condition = value_of(ctx, s.condition)
    if condition.constant:
        return
    with ctx.writer.block(f"if not {condition.operand}:"):
        _fault(ctx, f"{s.kind} failed at {s.where}")
        ctx.writer.line("return out")


def _log(ctx: Context, s: ir.Log) -> None:
    texts = "".join(f"{value_of(ctx, v).text}, " for v in s.values)
    ctx.writer.line(f"log({s.text!r}, ({texts}))")


def _truncate(ctx: Context, s: ir.Truncate) -> None:
    ctx.writer.line(f"cut = min(cut, {value_of(ctx, s.length).text})")


_EXTERNS: dict[type, Callable[[Context, Any], None]] = {
    ir.RegisterRead: _register_read,
    ir.RegisterWrite: _register_write,
    ir.Count: _count,
    ir.ExecuteMeter: _execute_meter,
    ir.Hash: _hash,
    ir.Random: _random,
    ir.Check: _check,
    ir.Log: _log,
    ir.Truncate: _truncate,
}
