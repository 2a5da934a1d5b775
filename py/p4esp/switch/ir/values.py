"""Storage and expressions."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a header or metadata instance; ``width`` in bits (the maximum for a varbit)."""

    header: str
    name: str
    width: int
    signed: bool = False
    varbit: bool = False


@dataclass(frozen=True, slots=True)
class Header:
    """A header instance, or (``metadata``) a bundle of variables that is always valid."""

    name: str
    type_name: str
    fields: tuple[Field, ...]
    metadata: bool

    @property
    def varbit(self) -> Field | None:
        """The variable-length field, if the header has one."""
        return next((f for f in self.fields if f.varbit), None)

    @property
    def fixed_bits(self) -> int:
        """Bits of the header without its variable-length field."""
        return sum(f.width for f in self.fields if not f.varbit)


@dataclass(frozen=True, slots=True)
class Const:
    """An integer of any sign and size; also true (1) and false (0)."""

    value: int


@dataclass(frozen=True, slots=True)
class Read:
    """The value of a field."""

    field: Field


@dataclass(frozen=True, slots=True)
class Valid:
    """1 if the header is valid, else 0."""

    header: str


@dataclass(frozen=True, slots=True)
class Param:
    """The run-time argument ``index`` of the enclosing action."""

    index: int
    width: int


@dataclass(frozen=True, slots=True)
class Unary:
    """``op`` is one of ``-``, ``~``, ``not`` and ``bool`` (data to boolean)."""

    op: str
    operand: Expr


@dataclass(frozen=True, slots=True)
class Binary:
    """``op`` is an arithmetic, bitwise, shift, comparison or logical (``and``, ``or``) operator."""

    op: str
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True)
class Wrap:
    """``operand`` reduced to ``width`` bits in two's complement (a cast to ``int<width>``)."""

    operand: Expr
    width: int


@dataclass(frozen=True, slots=True)
class Saturate:
    """``operand`` clamped to what ``width`` bits hold (``|+|`` and ``|-|``)."""

    operand: Expr
    width: int
    signed: bool


@dataclass(frozen=True, slots=True)
class Choose:
    """``then`` if ``condition`` holds, else ``orelse``."""

    condition: Expr
    then: Expr
    orelse: Expr


@dataclass(frozen=True, slots=True)
class SameHeader:
    """1 if both headers are valid and equal field by field (P4's ``==`` on headers)."""

    left: str
    right: str


@dataclass(frozen=True, slots=True)
class Lookahead:
    """``width`` bits of the packet, ``offset`` bits behind the parser's position (parser only)."""

    offset: int
    width: int


Expr = (
    Const
    | Read
    | Valid
    | Param
    | Unary
    | Binary
    | Wrap
    | Saturate
    | Choose
    | SameHeader
    | Lookahead
)
