"""Which parts of a program are used, found without regard to control flow."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from p4esp.switch import ir


@dataclass(slots=True)
class Usage:
    """What is used, and how.

    ``reads`` (how often) and ``written``: fields; ``modified``: headers whose bytes may not be the
    packet's; ``removed``: headers made invalid; ``twins``: pairs of headers copied or compared.
    """

    reads: Counter[ir.Field] = field(default_factory=Counter)
    written: set[ir.Field] = field(default_factory=set)
    modified: set[str] = field(default_factory=set)
    removed: set[str] = field(default_factory=set)
    twins: set[tuple[str, str]] = field(default_factory=set)
    statements: Counter[type] = field(default_factory=Counter)
    egress_read: set[ir.Field] = field(default_factory=set)
    recirculated_lists: set[int] = field(default_factory=set)
    ingress_clone_lists: set[int] = field(default_factory=set)
    egress_clone_lists: set[int] = field(default_factory=set)


def find_usage(program: ir.Program) -> Usage:
    """Looks at the whole program once."""
    usage = Usage()
    for graph in (program.parser, program.ingress, program.egress):
        for block in graph.blocks.values():
            _visit(block, usage)
    for action_id in {a for t in program.tables.values() for a in t.actions}:
        _visit(program.actions[action_id].body, usage)
    _visit_tables(program, usage)
    _visit_calculations(program, usage)
    _visit_lists(program, usage)
    usage.egress_read = _egress_reads(program)
    return usage


def action_statements(action: ir.Action) -> Iterator[Any]:
    """All statements of an action."""
    for block in action.body.blocks.values():
        yield from block.body


def _visit(node: Any, usage: Usage) -> None:
    """Walks any IR node: fields stored to are written, all others it mentions are read."""
    if isinstance(node, ir.Field):
        usage.reads[node] += 1
    elif isinstance(node, dict):
        for part in node.values():
            _visit(part, usage)
    elif isinstance(node, tuple):
        for part in node:
            _visit(part, usage)
    elif dataclasses.is_dataclass(node):
        usage.statements[type(node)] += 1
        _note(node, usage)
        for part in dataclasses.fields(node):
            if not (part.name == "target" and isinstance(getattr(node, part.name), ir.Field)):
                _visit(getattr(node, part.name), usage)


def _note(node: Any, usage: Usage) -> None:
    target = getattr(node, "target", None)
    if isinstance(target, ir.Field):
        usage.written.add(target)
        usage.modified.add(target.header)
    match node:
        case ir.CopyHeader(to, source):
            usage.modified.add(to)
            usage.removed.add(to)
            usage.twins.add((to, source))
        case ir.SameHeader(left, right):
            usage.twins.add((left, right))
        case ir.SetValid(header):
            usage.modified.add(header)
        case ir.SetInvalid(header):
            usage.removed.add(header)
        case ir.Recirculate(number) | ir.Resubmit(number):
            usage.recirculated_lists.add(number)
        case ir.Clone(_, number, egress):
            (usage.egress_clone_lists if egress else usage.ingress_clone_lists).add(number)


def _visit_tables(program: ir.Program, usage: Usage) -> None:
    for table in program.tables.values():
        _visit(table.keys, usage)
        if table.direct_meter is not None:
            _note(table.direct_meter, usage)
    for profile in program.profiles.values():
        if profile.selector is not None:
            _visit(profile.selector.inputs, usage)


def _visit_calculations(program: ir.Program, usage: Usage) -> None:
    for calculation in program.calculations.values():
        _visit(calculation.inputs, usage)
    for checksum in (*program.verify, *program.update):
        _visit(checksum.condition, usage)
    for checksum in program.verify:
        usage.reads[checksum.target] += 1
    for checksum in program.update:
        _note(checksum, usage)


def _visit_lists(program: ir.Program, usage: Usage) -> None:
    for number in usage.recirculated_lists | usage.ingress_clone_lists | usage.egress_clone_lists:
        if number in program.field_lists:
            usage.reads.update(program.field_lists[number].fields)
            usage.written |= set(program.field_lists[number].fields)
    for digest in program.digests.values():
        usage.reads.update(digest.fields)


def _egress_reads(program: ir.Program) -> set[ir.Field]:
    """Fields read in egress or in what is computed behind it."""
    egress = Usage()
    for block in program.egress.blocks.values():
        _visit(block, egress)
        if isinstance(block.end, ir.Apply):
            table = program.tables[block.end.table]
            _visit(table.keys, egress)
            for action_id in table.actions:
                _visit(program.actions[action_id].body, egress)
    for number in egress.recirculated_lists | egress.egress_clone_lists:
        if number in program.field_lists:
            egress.reads.update(program.field_lists[number].fields)
    for checksum in program.update:
        _visit(program.calculations[checksum.calculation].inputs, egress)
        _visit(checksum.condition, egress)
    return set(egress.reads)
