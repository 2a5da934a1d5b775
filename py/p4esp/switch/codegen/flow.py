"""Writes a planned graph as nested code, carrying along what is known on every way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from p4esp.switch import ir
from p4esp.switch.codegen.context import Context
from p4esp.switch.codegen.expressions import value_of
from p4esp.switch.codegen.facts import Facts, meet
from p4esp.switch.codegen.structure import Plan, Region, plan
from p4esp.switch.codegen.writer import Lines
from p4esp.switch.errors import LoadError

MAX_STEPS = 1 << 16
"""How many blocks of a loop one packet may run before it is dropped."""

END = "$end"
"""A block behind all others, for graphs whose end is not the end of the control."""

Body = Callable[[Context, ir.Block, str], bool]
Terminator = Callable[["Flow", ir.End, Region, bool], None]
Ways = Callable[[ir.End], tuple[str | None, ...]]


@dataclass(slots=True)
class Flow:
    """Writes one graph.

    ``body`` writes a block's statements and says whether control comes out of them.  ``ends`` and
    ``ways`` add terminators beyond ``Jump`` and ``Branch``.  ``leaves`` tells how the end of the
    graph is reached from inside: by ``break``, or (actions) by going on behind the graph.
    """

    ctx: Context
    graph: ir.Graph
    body: Body
    leaves: bool
    ends: dict[type, Terminator] = field(default_factory=dict)
    ways: dict[type, Ways] = field(default_factory=dict)
    planned: Plan | None = None
    numbers: dict[str, int] = field(default_factory=dict)
    arrived: dict[str, Facts] = field(default_factory=dict)

    def run(self) -> bool:
        """Writes the graph; false if it has a cycle and nothing was written."""
        if self.graph.entry is None:
            self._finish()
            return True
        self.planned = plan(self.graph.entry, self._ways_of)
        if self.planned is None:
            return False
        self.numbers = {n: self.ctx.jumps + i for n, i in self.planned.number.items()}
        self.ctx.jumps += len(self.numbers)
        self._region(self.planned.root, tail=True)
        return True

    def arm(self, target: str | None, region: Region, tail: bool) -> None:
        """Goes on with ``target`` from inside the terminator of ``region``."""
        name = self._named(target)
        if name is None:
            self._leave(tail)
        elif name in region.inner:
            self._region(region.inner[name], tail)
        else:
            self.arrived[name] = meet(self.arrived.get(name), self.ctx.facts)
            if name in self.numbers:
                self.ctx.writer.line(f"jump = {self.numbers[name]}")

    def separately(self, write: Callable[[], None]) -> Lines:
        """What ``write`` writes, taken out; what is known now is known again afterwards."""
        mark, facts = self.ctx.writer.mark(), self.ctx.facts.copy()
        write()
        self.ctx.facts = facts
        return self.ctx.writer.cut(mark)

    def _named(self, target: str | None) -> str | None:
        return END if target is None and not self.leaves else target

    def _leave(self, tail: bool) -> None:
        self._finish()
        if not tail:
            self.ctx.writer.line("break")

    def _finish(self) -> None:
        if self.leaves:
            self.ctx.end_control()

    def _ways_of(self, name: str) -> tuple[str | None, ...]:
        if name == END:
            return ()
        end = self.graph.blocks[name].end
        match end:
            case ir.Jump(target):
                found: tuple[str | None, ...] = (target,)
            case ir.Branch(_, then, orelse):
                found = (then, orelse)
            case _:
                found = self.ways[type(end)](end)
        return tuple(self._named(target) for target in found)

    def _region(self, region: Region, tail: bool) -> None:
        if region.block == END:
            self.arrived[END] = meet(self.arrived.get(END), self.ctx.facts)
            return
        block = self.graph.blocks[region.block]
        if self.body(self.ctx, block, region.block):
            self._terminator(block.end, region, tail and not region.joins)
        for place, join in enumerate(region.joins):
            self._join(join, tail and place == len(region.joins) - 1)

    def _join(self, join: Region, tail: bool) -> None:
        facts = self.arrived.get(join.block)
        if facts is None or join.block == END:
            return
        self.ctx.facts = facts
        if join.block not in self.numbers:
            self._region(join, tail)
            return
        with self.ctx.writer.block(f"if jump == {self.numbers[join.block]}:"):
            self._region(join, tail)

    def _terminator(self, end: ir.End, region: Region, tail: bool) -> None:
        match end:
            case ir.Jump(target):
                self.arm(target, region, tail)
            case ir.Branch():
                self._branch(end, region, tail)
            case _:
                self.ends[type(end)](self, end, region, tail)

    def _branch(self, end: ir.Branch, region: Region, tail: bool) -> None:
        condition = value_of(self.ctx, end.condition)
        if condition.constant is not None:
            self.arm(end.then if condition.constant else end.orelse, region, tail)
            return
        before = self.ctx.facts.copy()
        then = self.separately(lambda: self._assumed(end.condition, True, end.then, region, tail))
        orelse = self.separately(
            lambda: self._assumed(end.condition, False, end.orelse, region, tail)
        )
        self.ctx.facts = before
        self.ctx.writer.choice(condition.text, then, orelse)

    def _assumed(
        self, condition: ir.Expr, holds: bool, target: str | None, region: Region, tail: bool
    ) -> None:
        assume(self.ctx, condition, holds)
        self.arm(target, region, tail)


def assume(ctx: Context, condition: ir.Expr, holds: bool) -> None:
    """Notes what follows from a condition."""
    match condition:
        case ir.Valid(header):
            if not ctx.program.headers[header].metadata:
                ctx.facts.valid[header] = holds
        case ir.Unary("not", operand):
            assume(ctx, operand, not holds)
        case ir.Unary("bool", operand):
            assume(ctx, operand, holds)
        case ir.Binary("and", left, right) if holds:
            assume(ctx, left, True)
            assume(ctx, right, True)
        case ir.Binary("or", left, right) if not holds:
            assume(ctx, left, False)
            assume(ctx, right, False)
        case ir.Binary("==" | "!=" as op, ir.Read(target), ir.Const(value)):
            if holds == (op == "==") and not target.signed:
                ctx.facts.consts[target] = value
        case ir.Read(target) if target.width == 1:
            ctx.facts.consts[target] = int(holds)


def emit_state_machine(ctx: Context, graph: ir.Graph, step: Callable[[str], None]) -> None:
    """Writes a graph with cycles as a loop over numbered blocks, bounded by ``MAX_STEPS``.

    ``step`` writes one block, ending in ``state = n`` assignments or ``break``.  Nothing is known
    at the start of a block.
    """
    if graph.entry is None:
        return
    ctx.writer.line(f"state = {state_number(graph, graph.entry)}")
    with ctx.writer.block(f"for _ in range({MAX_STEPS}):"):
        for place, name in enumerate(graph.blocks):
            ctx.facts = Facts()
            with ctx.writer.block(f"{'el' if place else ''}if state == {place}:"):
                step(name)
    with ctx.writer.block("else:"):
        ctx.writer.line("fault('loop ran too long')")
        ctx.writer.line("return out")
    ctx.facts = Facts()


def state_number(graph: ir.Graph, name: str) -> int:
    """The number of a block in ``emit_state_machine``."""
    return list(graph.blocks).index(name)


def refuse_cycle(where: str) -> LoadError:
    """The error for a control whose tables form a cycle."""
    return LoadError("cycle of tables", where)
