"""Expressions to Python text, with the range of each value so that needless masks are left out."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

Bound = int | float
_SAFE_SHIFT = 4096
_COMPARISONS: dict[str, Callable[[int, int], bool]] = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


@dataclass(frozen=True, slots=True)
class Value:
    """Python source of a value and the bounds it lies in; ``atom`` needs no parentheses."""

    text: str
    low: Bound
    high: Bound
    atom: bool = False

    @property
    def constant(self) -> int | None:
        """The value, if it is known now."""
        return int(self.low) if self.low == self.high else None

    @property
    def operand(self) -> str:
        """The text as an operand."""
        return self.text if self.atom else f"({self.text})"

    def within(self, low: int, high: int) -> bool:
        """Whether the value surely lies in the range."""
        return self.low >= low and self.high <= high


def constant(value: int) -> Value:
    """A known value."""
    text = str(value) if -1000 < value < 1000 else hex(value)
    return Value(text, value, value, atom=value >= 0)


def variable(name: str, width: int, signed: bool = False) -> Value:
    """A variable that holds ``width`` bits."""
    low, high = limits(width, signed)
    return Value(name, low, high, atom=True)


def limits(width: int, signed: bool) -> tuple[int, int]:
    """The smallest and largest value of a type."""
    half = 1 << (width - 1)
    return (-half, half - 1) if signed else (0, 2 * half - 1)


def fitted(value: Value, width: int, signed: bool) -> Value:
    """The value reduced to a type in two's complement."""
    low, high = limits(width, signed)
    if value.within(low, high):
        return value
    if value.constant is not None:
        return constant(((value.constant - low) & ((1 << width) - 1)) + low)
    mask = (1 << width) - 1
    if not signed:
        return Value(f"{value.operand} & {mask:#x}", 0, mask)
    return Value(f"(({value.operand} + {-low:#x}) & {mask:#x}) - {-low:#x}", low, high)


def saturated(value: Value, width: int, signed: bool) -> Value:
    """The value clamped to a type."""
    low, high = limits(width, signed)
    if value.within(low, high):
        return value
    if value.constant is not None:
        return constant(min(max(value.constant, low), high))
    return Value(f"saturate({value.text}, {low:#x}, {high:#x})", low, high, atom=True)


def unary(op: str, x: Value) -> Value:
    """``-``, ``~``, ``not`` or ``bool``."""
    known = x.constant
    if known is not None:
        return constant(
            {"-": -known, "~": ~known, "not": int(not known), "bool": int(known != 0)}[op]
        )
    if op == "-":
        return Value(f"-{x.operand}", -x.high, -x.low)
    if op == "~":
        return Value(f"~{x.operand}", _sum(-x.high, -1), _sum(-x.low, -1))
    if op == "not":
        return inverted(x)
    return x if x.within(0, 1) else Value(f"{x.operand} != 0", 0, 1)


def inverted(x: Value) -> Value:
    """The opposite of a condition."""
    return Value(f"not {x.operand}", 0, 1)


def binary(op: str, a: Value, b: Value) -> Value:
    """Any binary operator of the IR."""
    if op in _COMPARISONS:
        return _compare(op, a, b)
    if op in ("and", "or"):
        return _logical(op, a, b)
    return _ARITHMETIC[op](a, b)


def _compare(op: str, a: Value, b: Value) -> Value:
    if a.constant is not None and b.constant is not None:
        return constant(int(_COMPARISONS[op](a.constant, b.constant)))
    if a.high < b.low or a.low > b.high:
        true_ops = ("<", "<=", "!=") if a.high < b.low else (">", ">=", "!=")
        return constant(int(op in true_ops))
    if op == "==" and b.constant == 0:
        return Value(f"not {a.operand}", 0, 1)
    return Value(f"{a.operand} {op} {b.operand}", 0, 1)


def _logical(op: str, a: Value, b: Value) -> Value:
    neutral = int(op == "and")
    if a.text == b.text:
        return a
    for x, y in ((a, b), (b, a)):
        if x.constant is not None:
            return y if x.constant == neutral else x
    return Value(f"{a.operand} {op} {b.operand}", 0, 1)


def _add(a: Value, b: Value) -> Value:
    if a.constant == 0 or b.constant == 0:
        return b if a.constant == 0 else a
    return _folded("+", a, b, _sum(a.low, b.low), _sum(a.high, b.high))


def _subtract(a: Value, b: Value) -> Value:
    if b.constant == 0:
        return a
    return _folded("-", a, b, _sum(a.low, -b.high), _sum(a.high, -b.low))


def _multiply(a: Value, b: Value) -> Value:
    corners = [_product(x, y) for x in (a.low, a.high) for y in (b.low, b.high)]
    return _folded("*", a, b, min(corners), max(corners))


def _sum(x: Bound, y: Bound) -> Bound:
    unbounded = next((v for v in (x, y) if isinstance(v, float)), None)
    return x + y if unbounded is None else unbounded


def _product(x: Bound, y: Bound) -> Bound:
    if 0 in (x, y):
        return 0
    if isinstance(x, float) or isinstance(y, float):
        return math.inf if (x > 0) == (y > 0) else -math.inf
    return x * y


def _divide(a: Value, b: Value) -> Value:
    high = max(a.high, 0)
    if b.low > 0 and a.low >= 0:
        return Value(f"{a.operand} // {b.operand}", min(a.low, 0), high)
    return Value(f"divide({a.text}, {b.text})", min(a.low, 0), high, atom=True)


def _modulo(a: Value, b: Value) -> Value:
    if b.low > 0 and a.low >= 0:
        return Value(f"{a.operand} % {b.operand}", 0, _sum(b.high, -1))
    return Value(f"modulo({a.text}, {b.text})", 0, max(_sum(b.high, -1), 0), atom=True)


def _shift_left(a: Value, b: Value) -> Value:
    amount = b.constant
    if amount == 0:
        return a
    if a.constant == 0:
        return a
    if amount is not None and 0 < amount <= _SAFE_SHIFT:
        return _folded("<<", a, b, _product(a.low, 1 << amount), _product(a.high, 1 << amount))
    low, high = (0 if a.low >= 0 else -math.inf), (0 if a.high <= 0 else math.inf)
    if b.low >= 0 and b.high <= _SAFE_SHIFT:
        low, high = _product(a.low, 1 << int(b.high)), _product(a.high, 1 << int(b.high))
        return Value(f"{a.operand} << {b.operand}", min(low, a.low), max(high, a.high))
    return Value(f"shift_left({a.text}, {b.text})", low, high, atom=True)


def _shift_right(a: Value, b: Value) -> Value:
    if b.constant == 0:
        return a
    low, high = min(a.low, 0), max(a.high, 0)
    amount = b.constant
    if amount is not None and amount > 0 and high != math.inf and low != -math.inf:
        low, high = int(a.low) >> amount, int(a.high) >> amount
    if amount is None and b.low < 0:
        return Value(f"shift_right({a.text}, {b.text})", low, high, atom=True)
    return _folded(">>", a, b, low, high)


def _and(a: Value, b: Value) -> Value:
    for x, y in ((a, b), (b, a)):
        mask = y.constant
        if mask is not None and mask & (mask + 1) == 0 and x.within(0, mask):
            return x
    if a.constant == 0 or b.constant == 0:
        return constant(0)
    if a.low < 0 and b.low < 0:
        return Value(f"{a.operand} & {b.operand}", -math.inf, math.inf)
    return _folded("&", a, b, 0, min(x.high for x in (a, b) if x.low >= 0))


def _or(a: Value, b: Value) -> Value:
    if a.constant == 0 or b.constant == 0:
        return b if a.constant == 0 else a
    return _bitwise("|", a, b)


def _bitwise(op: str, a: Value, b: Value) -> Value:
    if a.low < 0 or b.low < 0 or math.inf in (a.high, b.high):
        return _folded(op, a, b, -math.inf, math.inf)
    bits = max(int(a.high).bit_length(), int(b.high).bit_length())
    return _folded(op, a, b, 0, (1 << bits) - 1)


def _folded(op: str, a: Value, b: Value, low: Bound, high: Bound) -> Value:
    if a.constant is not None and b.constant is not None:
        return constant(_FOLD[op](a.constant, b.constant))
    return Value(f"{a.operand} {op} {b.operand}", low, high)


_FOLD: dict[str, Callable[[int, int], int]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "<<": lambda a, b: a << b,
    ">>": lambda a, b: a >> b,
    "&": lambda a, b: a & b,
    "|": lambda a, b: a | b,
    "^": lambda a, b: a ^ b,
}
_ARITHMETIC: dict[str, Callable[[Value, Value], Value]] = {
    "+": _add,
    "-": _subtract,
    "*": _multiply,
    "/": _divide,
    "%": _modulo,
    "<<": _shift_left,
    ">>": _shift_right,
    "&": _and,
    "|": _or,
    "^": lambda a, b: _bitwise("^", a, b),
}
