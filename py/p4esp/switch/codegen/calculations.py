"""Checksums and hashes over fields.

The 16-bit ones' complement sum needs no bytes: 2**16 is 1 modulo 65535, so fields are shifted to
their place in a 16-bit word, added as integers and reduced once (RFC 1071).  That takes that every
input's place modulo 16 bits is known; a header that may be missing must not move what follows it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby

from p4esp.switch import ir
from p4esp.switch.codegen import values
from p4esp.switch.codegen.context import Context
from p4esp.switch.codegen.expressions import read_field, validity
from p4esp.switch.codegen.values import Value

_BITS = {
    "crc16": 16,
    "crcCCITT": 16,
    "crc16_custom": 16,
    "crc32": 32,
    "crc32_custom": 32,
    "identity": 64,
    "xor16": 16,
    "xor32": 32,
    "csum16": 16,
    "cksum16": 16,
}
_SUMS = ("csum16", "cksum16")
Input = ir.Field | tuple[int, int]


@dataclass(frozen=True, slots=True)
class Run:
    """Inputs that are present together: of one header, or (``header`` empty) surely present."""

    header: str
    inputs: list[Input] = field(default_factory=list)

    @property
    def width(self) -> int:
        """Bits of the inputs, without those of variable length."""
        return sum(width_of(item) for item in self.inputs)

    @property
    def varbit(self) -> bool:
        """Whether an input has variable length."""
        return any(isinstance(item, ir.Field) and item.varbit for item in self.inputs)


def width_of(item: Input) -> int:
    """Bits of an input; 0 for one of variable length."""
    if isinstance(item, tuple):
        return item[1]
    return 0 if item.varbit else item.width


def hash_text(ctx: Context, calculation: ir.Calculation) -> Value:
    """The result of a calculation; writes what must stand before the expression that uses it."""
    high = (1 << _BITS[calculation.algorithm]) - 1
    if calculation.algorithm in _SUMS and is_summable(ctx, calculation):
        return folded(emit_sum(ctx, calculation))
    bits, width = _concatenated(ctx, calculation)
    payload = f", {payload_text()}" if calculation.payload else ""
    function = f"hash_{calculation.algorithm}"
    return Value(f"{function}({bits}, {width}{payload})", 0, high, atom=True)


def folded(total: str) -> Value:
    """The checksum for a sum of words held in a variable."""
    return Value(f"(65534 - ({total} - 1) % 65535 if {total} else 65535)", 0, 65535, atom=True)


def payload_text() -> str:
    """The packet behind the parsed headers."""
    return "data[offset:]"


def runs_of(ctx: Context, calculation: ir.Calculation) -> list[Run]:
    """The inputs in order, without those of surely invalid headers."""

    def owner(item: Input) -> str | None:
        known = 1 if isinstance(item, tuple) else validity(ctx, item.header).constant
        if known == 0:
            return None
        return "" if known or isinstance(item, tuple) else item.header

    groups = ((key, list(items)) for key, items in groupby(calculation.inputs, owner))
    return [Run(key, items) for key, items in groups if key is not None]


# ---------------------------------------------------------------- sums


def is_summable(ctx: Context, calculation: ir.Calculation) -> bool:
    """Whether the place of every input modulo 16 bits is known now."""
    place, runs = 0, runs_of(ctx, calculation)
    for number, run in enumerate(runs):
        last = number == len(runs) - 1 and not calculation.payload
        if run.varbit and not (last and isinstance(run.inputs[-1], ir.Field)):
            return False
        if any(isinstance(i, ir.Field) and i.varbit for i in run.inputs[:-1]):
            return False
        if run.header and run.width % 16 and not last:
            return False
        place += run.width
        if run.varbit and place % 16:
            return False
    return not calculation.payload or place % 16 == 0


def emit_sum(ctx: Context, calculation: ir.Calculation, first: str | None = None) -> str:
    """Writes the sum of all words; returns its variable.

    ``first``, where given, is a cheaper text for what the first run adds.
    """
    total = ctx.writer.temporary("total")
    place, started = 0, False
    for run in runs_of(ctx, calculation):
        text = _run_sum(ctx, run, place) if first is None or started else first
        place += run.width
        if not run.header:
            ctx.writer.line(f"{total} = {total + ' + ' if started else ''}{text}")
        else:
            if not started:
                ctx.writer.line(f"{total} = 0")
            with ctx.writer.block(f"if {ctx.names.valid(run.header)}:"):
                ctx.writer.line(f"{total} = {total} + {text}")
        started = True
    if not started:
        ctx.writer.line(f"{total} = 0")
    if calculation.payload:
        ctx.writer.line(f"payload = {payload_text()}")
        ctx.writer.line(f"{total} = {total} + {_bytes_sum('payload')}")
    return total


def _run_sum(ctx: Context, run: Run, place: int) -> str:
    """The text of what a run adds when it starts ``place`` bits into the input."""
    terms, fixed = [], 0
    for item, value, width in _summands(ctx, run):
        if width is None:
            terms.append(_bytes_sum(ctx.names.field(item)))  # type: ignore[arg-type]
            continue
        place += width
        shifted = values.binary("<<", value, values.constant(-place % 16))
        if shifted.constant is None:
            terms.append(shifted.operand)
        else:
            fixed += shifted.constant
    return " + ".join(terms + ([str(fixed)] if fixed or not terms else []))


def _bytes_sum(variable: str) -> str:
    """The sum of bytes that start on a word, modulo 65535."""
    return f"(from_bytes({variable}) << 8 * (len({variable}) & 1))"


def _summands(ctx: Context, run: Run) -> Iterator[tuple[Input, Value, int | None]]:
    """Inputs with value and width (``None``: variable length); whole cells count as one."""
    items = list(run.inputs)
    while items:
        item = items[0]
        if isinstance(item, ir.Field) and item.varbit:
            yield item, values.constant(0), None
            items.pop(0)
            continue
        cell = _whole_cell(ctx, items)
        if cell is not None:
            size, variable, count = cell
            yield item, Value(variable, 0, (1 << 8 * size) - 1, atom=True), 8 * size
            del items[:count]
            continue
        yield item, bits_of(ctx, item), width_of(item)
        items.pop(0)


def _whole_cell(ctx: Context, items: list[Input]) -> tuple[int, str, int] | None:
    """Size, variable and field count of the kept cell that the first items fill, if any."""
    first = items[0]
    if not isinstance(first, ir.Field) or first.header not in ctx.layouts:
        return None
    layout = ctx.layouts[first.header]
    for cell in (*layout.front, *layout.back):
        fields = cell.fields
        if cell.holds_integer and list(items[: len(fields)]) == list(fields):
            known = any(f in ctx.facts.consts for f in fields)
            return None if known else (cell.size, cell.variable, len(fields))
    return None


def bits_of(ctx: Context, item: Input) -> Value:
    """An input as an unsigned integer."""
    if isinstance(item, tuple):
        return values.constant(item[0])
    return values.fitted(read_field(ctx, item), item.width, signed=False)


# ---------------------------------------------------------------- concatenation


def _concatenated(ctx: Context, calculation: ir.Calculation) -> tuple[str, str]:
    """Writes code that joins the inputs to one integer; returns its name and its width's text."""
    runs = runs_of(ctx, calculation)
    bits = ctx.writer.temporary("bits")
    if len(runs) == 1 and not runs[0].header and not runs[0].varbit:
        ctx.writer.line(f"{bits} = {_joined(ctx, runs[0].inputs).text}")
        return bits, str(runs[0].width)
    width = ctx.writer.temporary("width")
    ctx.writer.line(f"{bits} = {width} = 0")
    for run in runs:
        if run.header:
            with ctx.writer.block(f"if {ctx.names.valid(run.header)}:"):
                _append(ctx, bits, width, run)
        else:
            _append(ctx, bits, width, run)
    return bits, width


def _append(ctx: Context, bits: str, width: str, run: Run) -> None:
    for varbit, group in groupby(run.inputs, lambda i: isinstance(i, ir.Field) and i.varbit):
        items = list(group)
        if not varbit:
            total = sum(width_of(item) for item in items)
            ctx.writer.line(f"{bits} = {bits} << {total} | {_joined(ctx, items).operand}")
            ctx.writer.line(f"{width} = {width} + {total}")
            continue
        for item in items:
            name = ctx.names.field(item)  # type: ignore[arg-type]
            ctx.writer.line(f"{bits} = {bits} << 8 * len({name}) | from_bytes({name})")
            ctx.writer.line(f"{width} = {width} + 8 * len({name})")


def _joined(ctx: Context, items: list[Input]) -> Value:
    joined = values.constant(0)
    for item in items:
        shifted = values.binary("<<", joined, values.constant(width_of(item)))
        joined = values.binary("|", shifted, bits_of(ctx, item))
    return joined
