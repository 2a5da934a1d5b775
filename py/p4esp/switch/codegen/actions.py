"""Actions, written where they run with their arguments put in."""

from __future__ import annotations

from p4esp.switch import ir
from p4esp.switch.codegen.context import Context
from p4esp.switch.codegen.expressions import value_of
from p4esp.switch.codegen.flow import Flow, emit_state_machine, state_number
from p4esp.switch.codegen.statements import emit_statement
from p4esp.switch.codegen.values import Value


def emit_action(ctx: Context, action: ir.Action, args: tuple[Value, ...]) -> bool:
    """Writes an action's body; false if control never comes out of it (``exit``)."""
    ctx.params = args
    flow = Flow(ctx, action.body, _body, leaves=False)
    if action.body.entry is None:
        return True
    if flow.run():
        return _after(ctx, action, flow)
    _emit_loop(ctx, action)
    return True


def _after(ctx: Context, action: ir.Action, flow: Flow) -> bool:
    """What is known behind the action: what all ways to its end agree on."""
    facts = flow.arrived.get("$end")
    if facts is not None:
        ctx.facts = facts
    return facts is not None


def _body(ctx: Context, block: ir.Block, name: str) -> bool:
    for statement in block.body:
        if isinstance(statement, ir.Exit):
            ctx.end_control()
            ctx.writer.line("break")
            return False
        emit_statement(ctx, statement)
    return True


def _emit_loop(ctx: Context, action: ir.Action) -> None:
    """An action with a ``for`` statement."""
    exits = any(isinstance(s, ir.Exit) for b in action.body.blocks.values() for s in b.body)
    if exits:
        ctx.writer.line("leaving = False")
    emit_state_machine(ctx, action.body, lambda name: _step(ctx, action.body, name))
    if exits:
        ctx.end_control()
        with ctx.writer.block("if leaving:"):
            ctx.writer.line("break")


def _step(ctx: Context, graph: ir.Graph, name: str) -> None:
    block = graph.blocks[name]
    for statement in block.body:
        if isinstance(statement, ir.Exit):
            ctx.writer.line("leaving = True")
            ctx.writer.line("break")
            return
        emit_statement(ctx, statement)
    match block.end:
        case ir.Jump(target):
            ctx.writer.line(_go(graph, target))
        case ir.Branch(condition, then, orelse):
            with ctx.writer.block(f"if {value_of(ctx, condition).text}:"):
                ctx.writer.line(_go(graph, then))
            with ctx.writer.block("else:"):
                ctx.writer.line(_go(graph, orelse))


def _go(graph: ir.Graph, target: str | None) -> str:
    return "break" if target is None else f"state = {state_number(graph, target)}"
