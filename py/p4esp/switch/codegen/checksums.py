"""Checksum verification behind the parser and update before the deparser."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from p4esp.switch import ir
from p4esp.switch.codegen import values
from p4esp.switch.codegen.calculations import emit_sum, hash_text, is_summable, runs_of
from p4esp.switch.codegen.context import Context
from p4esp.switch.codegen.expressions import read_field, value_of
from p4esp.switch.codegen.facts import meet
from p4esp.switch.codegen.flow import assume
from p4esp.switch.codegen.statements import store
from p4esp.switch.codegen.values import Value


def emit_verify(ctx: Context) -> None:
    """Sets ``standard_metadata.checksum_error`` if a checksum of a valid header is wrong."""
    target = ctx.standard("checksum_error")
    if target is None or not ctx.is_live(target):
        return
    for checksum in ctx.program.verify:
        header = ir.Valid(checksum.target.header)
        condition = checksum.condition
        both = header if condition in (None, header) else ir.Binary("and", header, condition)
        _conditionally(ctx, both, partial(_verify, ctx, checksum, target))


def emit_update(ctx: Context) -> None:
    """Writes every checksum whose condition holds."""
    for checksum in ctx.program.update:
        if ctx.is_live(checksum.target):
            _conditionally(ctx, checksum.condition, partial(_update, ctx, checksum))


def _conditionally(ctx: Context, condition: ir.Expr | None, write: Callable[[], None]) -> None:
    holds = values.constant(1) if condition is None else value_of(ctx, condition)
    if holds.constant == 0:
        return
    if holds.constant is not None:
        write()
        return
    before = ctx.facts.copy()
    with ctx.writer.block(f"if {holds.text}:"):
        if condition is not None:
            assume(ctx, condition, True)
        write()
    ctx.facts = meet(before, ctx.facts)


def _verify(ctx: Context, checksum: ir.Checksum, target: ir.Field) -> None:
    calculation = ctx.program.calculations[checksum.calculation]
    stated = read_field(ctx, checksum.target)
    if not _covers_header(ctx, checksum, calculation):
        _compare(ctx, hash_text(ctx, calculation), stated, target)
        return
    # A sum over header and checksum that is 0 modulo 65535 proves the checksum right, but for
    # the two notations of zero: then, and to be sure of an error, the fields are added up.
    total = emit_sum(ctx, calculation, first=_header_sum(ctx, checksum.target.header))
    doubtful = f"{total} % 65535 or not {total} or {stated.operand} == 65535"
    with ctx.writer.block(f"if {doubtful}:"):
        _compare(ctx, hash_text(ctx, calculation), stated, target)


def _compare(ctx: Context, found: Value, stated: Value, target: ir.Field) -> None:
    with ctx.writer.block(f"if {found.operand} != {stated.operand}:"):
        ctx.writer.line(f"{ctx.names.field(target)} = 1")
    ctx.facts.forget(target)


def _covers_header(ctx: Context, checksum: ir.Checksum, calculation: ir.Calculation) -> bool:
    """Whether the sum starts with all of the target's header as it stands in the packet."""
    header = ctx.program.headers[checksum.target.header]
    if calculation.algorithm != "csum16" or header.varbit or header.fixed_bits % 16:
        return False
    others = [f for f in header.fields if f != checksum.target]
    runs = runs_of(ctx, calculation)
    if not runs or runs[0].header or list(runs[0].inputs) != others:
        return False
    behind = sum(f.width for f in header.fields[header.fields.index(checksum.target) + 1 :])
    aligned = checksum.target.width == 16 and behind % 16 == 0
    return aligned and is_summable(ctx, calculation) and not _parser_writes(ctx, header)


def _parser_writes(ctx: Context, header: ir.Header) -> bool:
    statements = (s for b in ctx.program.parser.blocks.values() for s in b.body)
    return any(
        (isinstance(s, ir.Assign) and s.target.header == header.name)
        or (isinstance(s, ir.SetValid) and s.header == header.name)
        or (isinstance(s, ir.CopyHeader) and s.target == header.name)
        for s in statements
    )


def _header_sum(ctx: Context, header: str) -> str:
    start, size = ctx.names.position(header), ctx.layouts[header].fixed_bytes
    return f"from_bytes(data[{start}:{start} + {size}])"


def _update(ctx: Context, checksum: ir.Checksum) -> None:
    store(ctx, checksum.target, hash_text(ctx, ctx.program.calculations[checksum.calculation]))
