"""Arithmetic that generated code does not write out because it is rare or needs care."""

from __future__ import annotations

_SHIFT_LIMIT = 1 << 14
"""Wider than any value: a longer shift to the left leaves no bit behind the mask that follows."""


def saturate(value: int, low: int, high: int) -> int:
    """``value`` clamped to ``low..high``."""
    return low if value < low else min(value, high)


def shift_left(value: int, amount: int) -> int:
    """``value << amount`` without the memory a hostile amount would take."""
    return value << min(max(amount, 0), _SHIFT_LIMIT)


def shift_right(value: int, amount: int) -> int:
    """``value >> amount``; a negative amount counts as zero."""
    return value >> max(amount, 0)


def divide(value: int, divisor: int) -> int:
    """The quotient rounded to zero; 0 if the divisor is 0 (P4 leaves it undefined)."""
    if divisor == 0:
        return 0
    quotient = abs(value) // abs(divisor)
    return quotient if (value < 0) == (divisor < 0) else -quotient


def modulo(value: int, divisor: int) -> int:
    """The remainder that goes with ``divide``; 0 if the divisor is 0."""
    return value - divide(value, divisor) * divisor if divisor else 0
