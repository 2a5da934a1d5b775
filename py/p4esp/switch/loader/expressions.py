"""Expressions: the JSON's "type value objects" to ``ir.Expr``."""

from __future__ import annotations

from p4esp.switch import ir
from p4esp.switch.loader.cursor import Cursor
from p4esp.switch.loader.scope import Scope

_ARITHMETIC = frozenset({"+", "-", "*", "/", "%", "<<", ">>", "&", "|", "^"})
_COMPARISONS = frozenset({"==", "!=", "<", "<=", ">", ">="})
_LOGICAL = frozenset({"and", "or"})
_BINARY = _ARITHMETIC | _COMPARISONS | _LOGICAL
_UNARY = {"~": "~", "not": "not", "d2b": "bool", "-": "-"}
_MAX_DEPTH = 60
_MAX_WIDTH = 1 << 16


def load_expression(
    at: Cursor, scope: Scope, params: tuple[int, ...] = (), depth: int = 0
) -> ir.Expr:
    """``params`` are the widths of the enclosing action's parameters."""
    if depth > _MAX_DEPTH:
        raise at.unsupported(f"expression nested deeper than {_MAX_DEPTH}")
    kind = at["type"].text()
    match kind:
        case "expression":
            return _operation_or_wrapped(at, scope, params, depth + 1)
        case "field":
            return scope.value(at["value"])
        case "hexstr":
            return ir.Const(at["value"].hex())
        case "bool":
            return ir.Const(int(at["value"].expect(bool, "a boolean").value))
        case "local" | "runtime_data":
            return _param(at["value"], params)
        case "lookahead":
            return ir.Lookahead(at["value"][0].number(), at["value"][1].size(_MAX_WIDTH))
        case _:
            raise at.unsupported(f"expression of type '{kind}'")


def unsigned(value: ir.Expr) -> ir.Expr:
    """A key as the bits it stands in: a signed field in two's complement."""
    if isinstance(value, ir.Read) and value.field.signed:
        return ir.Binary("&", value, ir.Const((1 << value.field.width) - 1))
    return value


def _operation_or_wrapped(at: Cursor, scope: Scope, params: tuple[int, ...], depth: int) -> ir.Expr:
    inner = at["value"]
    if inner.get("op") is None:
        return load_expression(inner, scope, params, depth)
    return _operation(inner, scope, params, depth)


def _param(at: Cursor, params: tuple[int, ...]) -> ir.Expr:
    index = at.number()
    if not 0 <= index < len(params):
        raise at.malformed(f"a parameter index below {len(params)}")
    return ir.Param(index, params[index])


def _operation(  # noqa: PLR0911 - one per kind
    at: Cursor, scope: Scope, params: tuple[int, ...], depth: int
) -> ir.Expr:
    op = at["op"].text()

    def operand(side: str) -> ir.Expr:
        return load_expression(at[side], scope, params, depth)

    if op == "valid":
        return ir.Valid(scope.header(at["right"]["value"]))
    if op in ("==", "!=") and at["right"]["type"].value == "header":
        return _header_comparison(at, op, scope)
    if op in _UNARY and at.get("left") is None:
        return ir.Unary(_UNARY[op], operand("right"))
    if op in _BINARY:
        return ir.Binary(op, operand("left"), operand("right"))
    if op == "b2d":
        return operand("right")
    if op == "?":
        return ir.Choose(operand("cond"), operand("left"), operand("right"))
    if op in ("two_comp_mod", "usat_cast", "sat_cast"):
        return _cast(at, op, operand("left"))
    raise at["op"].unsupported(f"operator '{op}'")


def _header_comparison(at: Cursor, op: str, scope: Scope) -> ir.Expr:
    same = ir.SameHeader(scope.header(at["left"]["value"]), scope.header(at["right"]["value"]))
    return same if op == "==" else ir.Unary("not", same)


def _cast(at: Cursor, op: str, operand: ir.Expr) -> ir.Expr:
    width = at["right"]["value"].hex()
    if not 1 <= width <= _MAX_WIDTH:
        raise at["right"].malformed(f"a width between 1 and {_MAX_WIDTH}")
    if op == "two_comp_mod":
        return ir.Wrap(operand, width)
    return ir.Saturate(operand, width, signed=op == "sat_cast")
