"""Actions: a list of primitives with jumps to a graph of blocks."""

from __future__ import annotations

from p4esp.switch import ir
from p4esp.switch.loader.cursor import Cursor
from p4esp.switch.loader.expressions import load_expression
from p4esp.switch.loader.primitives import load_primitive
from p4esp.switch.loader.scope import Scope

_JUMPS = ("_jump", "_jump_if_zero")


def load_actions(document: Cursor, scope: Scope) -> None:
    """Fills ``scope.actions``, keyed by JSON id."""
    for at in document.items("actions"):
        scope.actions[at["id"].number()] = _action(at, scope)


def _action(at: Cursor, scope: Scope) -> ir.Action:
    params = tuple(
        (p["name"].text(), p["bitwidth"].size(1 << 16)) for p in at.items("runtime_data")
    )
    widths = tuple(width for _, width in params)
    calls = list(at.items("primitives"))
    return ir.Action(at["name"].text(), params, _graph(calls, scope, widths))


def _graph(calls: list[Cursor], scope: Scope, params: tuple[int, ...]) -> ir.Graph:
    leaders = _leaders(calls)
    blocks = {}
    for number, start in enumerate(leaders):
        stop = leaders[number + 1] if number + 1 < len(leaders) else len(calls)
        blocks[_label(start, calls)] = _block(calls, start, stop, scope, params)
    return ir.Graph(_label(0, calls), {k: b for k, b in blocks.items() if k is not None})


def _leaders(calls: list[Cursor]) -> list[int]:
    """Indices at which a block starts: the first call, jump targets and what follows a jump."""
    starts = {0} if calls else set()
    for index, call in enumerate(calls):
        if call["op"].text() in _JUMPS:
            starts |= {index + 1, _jump_target(call, len(calls))}
    return sorted(s for s in starts if s < len(calls))


def _jump_target(call: Cursor, count: int) -> int:
    position = 0 if call["op"].text() == "_jump" else 1
    target = call["parameters"][position]["value"].hex()
    if not 0 <= target <= count:
        raise call.malformed(f"a jump to 0..{count}")
    return target


def _label(index: int, calls: list[Cursor]) -> str | None:
    return f"b{index}" if index < len(calls) else None


def _block(
    calls: list[Cursor], start: int, stop: int, scope: Scope, params: tuple[int, ...]
) -> ir.Block:
    last = calls[stop - 1]
    jumps = last["op"].text() in _JUMPS
    plain = calls[start : stop - 1] if jumps else calls[start:stop]
    body = tuple(s for s in (load_primitive(c, scope, params) for c in plain) if s is not None)
    if not jumps:
        return ir.Block(body, ir.Jump(_label(stop, calls)))
    target = _label(_jump_target(last, len(calls)), calls)
    if last["op"].text() == "_jump":
        return ir.Block(body, ir.Jump(target))
    condition = load_expression(last["parameters"][0], scope, params)
    return ir.Block(body, ir.Branch(condition, _label(stop, calls), target))
