"""The parser: states to a graph of blocks."""

from __future__ import annotations

from p4esp.switch import ir
from p4esp.switch.loader.cursor import Cursor
from p4esp.switch.loader.expressions import load_expression, unsigned
from p4esp.switch.loader.primitives import load_primitive
from p4esp.switch.loader.scope import Scope


def load_parser(document: Cursor, scope: Scope) -> ir.Graph:
    """The graph of the only parser; an absent one accepts every packet unparsed."""
    parsers = list(document.items("parsers"))
    if not parsers:
        return ir.Graph(None, {})
    if len(parsers) > 1:
        raise document["parsers"].unsupported("second parser")
    states = {s["name"].text(): s for s in parsers[0].items("parse_states")}
    start = parsers[0].get("init_state")
    entry = None if start is None else _state_name(start, states)
    return ir.Graph(entry, {name: _state(at, states, scope) for name, at in states.items()})


def _state_name(at: Cursor | None, states: dict[str, Cursor]) -> str | None:
    if at is None:
        return None
    if at.text() not in states:
        raise at.malformed("the name of a parser state")
    return at.text()


def _state(at: Cursor, states: dict[str, Cursor], scope: Scope) -> ir.Block:
    body = tuple(s for s in (_operation(op, scope) for op in at.items("parser_ops")) if s)
    return ir.Block(body, _transition(at, states, scope))


def _operation(at: Cursor, scope: Scope) -> ir.Stmt | None:  # noqa: PLR0911 - one per kind
    op = at["op"].text()
    args = at["parameters"]
    match op:
        case "extract":
            return ir.Extract(_extracted(args[0], scope))
        case "extract_VL":
            return _extract_varbit(args, scope)
        case "set":
            return _set(args, scope)
        case "verify":
            return ir.Verify(load_expression(args[0], scope), load_expression(args[1], scope))
        case "advance":
            return ir.Advance(load_expression(args[0], scope))
        case "shift":
            return ir.Advance(ir.Const(8 * args[0].number()))
        case "primitive":
            return load_primitive(args[0], scope)
        case _:
            raise at["op"].unsupported(f"parser operation '{op}'")


def _extracted(at: Cursor, scope: Scope) -> str:
    if at["type"].text() != "regular":
        raise at.unsupported(f"extract into a header {at['type'].text()}")
    return scope.header(at["value"])


def _extract_varbit(args: Cursor, scope: Scope) -> ir.Stmt:
    header = scope.headers[_extracted(args[0], scope)]
    varbit = header.varbit
    if varbit is None:
        raise args[0].malformed("a header with a variable-length field")
    max_bytes = varbit.width // 8
    return ir.Extract(header.name, load_expression(args[1], scope), max_bytes)


def _set(args: Cursor, scope: Scope) -> ir.Stmt:
    target = scope.field(args[0]["value"])
    if not target.varbit:
        return ir.Assign(target, load_expression(args[1], scope))
    if args[1]["type"].text() != "field":
        raise args[1].malformed("a variable-length field")
    return ir.AssignVarbit(target, scope.field(args[1]["value"]))


def _transition(at: Cursor, states: dict[str, Cursor], scope: Scope) -> ir.End:
    loaded = tuple(load_expression(k, scope) for k in at.items("transition_key"))
    widths = tuple(_key_width(k, at) for k in loaded)
    keys = tuple(unsigned(k) for k in loaded)
    cases: list[ir.Case] = []
    for transition in at.items("transitions"):
        target = _state_name(transition.get("next_state"), states)
        kind = _kind(transition)
        if kind == "default":
            return _select(keys, cases, target)
        if kind != "hexstr":
            raise transition.unsupported(f"parser transition of type '{kind}' (value set)")
        cases.append(ir.Case(_matches(transition, widths), target))
    return _select(keys, cases, None)


def _kind(at: Cursor) -> str:
    """The transition's type; documents before version 2.6 have only the value."""
    stated = at.get("type")
    if stated is not None:
        return stated.text()
    return "default" if at["value"].value == "default" else "hexstr"


def _select(keys: tuple[ir.Expr, ...], cases: list[ir.Case], default: str | None) -> ir.End:
    return ir.Select(keys, tuple(cases), default) if cases else ir.Jump(default)


def _key_width(key: ir.Expr, at: Cursor) -> int:
    match key:
        case ir.Read(field):
            return field.width
        case ir.Lookahead(_, width):
            return width
        case ir.Valid():
            return 1
        case _:
            raise at["transition_key"].unsupported("computed transition key")


def _matches(at: Cursor, widths: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    """Splits value and mask into keys: each stands in whole bytes, the last one lowest."""
    value = at["value"].hex()
    masked = at.get("mask")
    mask = -1 if masked is None else masked.hex()
    pairs: list[tuple[int, int]] = []
    for width in reversed(widths):
        full = (1 << width) - 1
        part = mask & full
        pairs.append((value & full & part, -1 if part == full else part))
        octets = (width + 7) // 8 * 8
        value, mask = value >> octets, mask >> octets
    return tuple(reversed(pairs))
