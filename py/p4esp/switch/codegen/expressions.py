"""IR expressions to values, with what is known at this point put in."""

from __future__ import annotations

from p4esp.switch import ir
from p4esp.switch.codegen import values
from p4esp.switch.codegen.context import Context
from p4esp.switch.codegen.values import Value


def value_of(ctx: Context, expr: ir.Expr) -> Value:  # noqa: PLR0911 - one per kind
    """The value of an expression at the writer's place.

    ``Lookahead`` needs a bounds check first and is replaced by the parser's generator.
    """
    match expr:
        case ir.Const(value):
            return values.constant(value)
        case ir.Read(target):
            return read_field(ctx, target)
        case ir.Valid(header):
            return validity(ctx, header)
        case ir.Param(index, _):
            return ctx.params[index]
        case ir.Unary(op, operand):
            return values.unary(op, value_of(ctx, operand))
        case ir.Binary(op, left, right):
            return values.binary(op, value_of(ctx, left), value_of(ctx, right))
        case ir.Wrap(operand, width):
            return values.fitted(value_of(ctx, operand), width, signed=True)
        case ir.Saturate(operand, width, signed):
            return values.saturated(value_of(ctx, operand), width, signed)
        case ir.Choose():
            return _choose(ctx, expr)
        case ir.SameHeader(left, right):
            return _same_header(ctx, left, right)
        case ir.Lookahead(offset, width):
            return lookahead(ctx, offset, width)


def read_field(ctx: Context, target: ir.Field) -> Value:
    """A field's value."""
    known = ctx.facts.consts.get(target)
    if known is not None:
        return values.constant(known)
    if target in ctx.lazy:
        return _from_cell(ctx, target)
    return values.variable(ctx.names.field(target), target.width, target.signed)


def _from_cell(ctx: Context, target: ir.Field) -> Value:
    """A field that is taken out of its cell wherever it is read."""
    cell, shift = ctx.lazy[target]
    size = next(
        8 * c.size
        for c in (*ctx.layouts[target.header].front, *ctx.layouts[target.header].back)
        if c.variable == cell
    )
    whole = Value(cell, 0, (1 << size) - 1, atom=True)
    shifted = values.binary(">>", whole, values.constant(shift))
    unsigned = values.fitted(shifted, target.width, signed=False)
    return values.fitted(unsigned, target.width, target.signed)


def validity(ctx: Context, header: str) -> Value:
    """Whether a header is valid, as 0 or 1."""
    if ctx.program.headers[header].metadata:
        return values.constant(1)
    known = ctx.facts.valid.get(header)
    if known is not None:
        return values.constant(int(known))
    return values.variable(ctx.names.valid(header), 1)


def guarded(ctx: Context, header: str, text: str, otherwise: str) -> str:
    """``text`` if the header is valid, else ``otherwise``."""
    known = validity(ctx, header).constant
    if known is None:
        return f"({text} if {ctx.names.valid(header)} else {otherwise})"
    return text if known else otherwise


def key_value(ctx: Context, key: ir.Key) -> Value:
    """A table key: fields of invalid headers count as zero."""
    value = value_of(ctx, key.value)
    target = key.value.field if isinstance(key.value, ir.Read) else None
    if target is not None and value.constant is None:
        text = guarded(ctx, target.header, value.operand, "0")
        value = Value(text, 0, value.high, atom=True)
    if key.mask is not None:
        value = values.binary("&", value, values.constant(key.mask))
    return value


def position(ctx: Context, more: int = 0) -> Value:
    """The parser's position plus ``more`` bytes."""
    if ctx.facts.offset is not None:
        return values.constant(ctx.facts.offset + more)
    here = Value("offset", 0, 1 << 31, atom=True)
    return values.binary("+", here, values.constant(more))


def lookahead(ctx: Context, offset: int, width: int) -> Value:
    """Bits of the packet ahead of the parser; the caller has checked that they are there."""
    first, last = offset // 8, (offset + width + 7) // 8
    surplus = last * 8 - offset - width
    if last - first == 1:
        whole = f"data[{position(ctx, first).text}]"
    else:
        whole = f"from_bytes(data[{position(ctx, first).text}:{position(ctx, last).text}])"
    value = Value(whole, 0, (1 << 8 * (last - first)) - 1, atom=True)
    shifted = values.binary(">>", value, values.constant(surplus))
    return values.binary("&", shifted, values.constant((1 << width) - 1))


def _choose(ctx: Context, expr: ir.Choose) -> Value:
    condition = value_of(ctx, expr.condition)
    then, orelse = value_of(ctx, expr.then), value_of(ctx, expr.orelse)
    if condition.constant is not None:
        return then if condition.constant else orelse
    text = f"({then.text} if {condition.text} else {orelse.text})"
    return Value(text, min(then.low, orelse.low), max(then.high, orelse.high), atom=True)


def _same_header(ctx: Context, left: str, right: str) -> Value:
    both = values.binary("and", validity(ctx, left), validity(ctx, right))
    if both.constant == 0:
        return both
    rows = [", ".join(n for n, _ in ctx.layouts[h].variables()) for h in (left, right)]
    equal = Value(f"({rows[0]},) == ({rows[1]},)", 0, 1)
    return values.binary("and", both, equal)
