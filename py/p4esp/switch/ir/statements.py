"""Statements of actions and of parser states."""

from __future__ import annotations

from dataclasses import dataclass

from p4esp.switch.ir.values import Expr, Field


@dataclass(frozen=True, slots=True)
class Assign:
    """Stores ``value`` wrapped to the target's width and sign."""

    target: Field
    value: Expr


@dataclass(frozen=True, slots=True)
class AssignVarbit:
    """Copies a variable-length field with its length."""

    target: Field
    source: Field


@dataclass(frozen=True, slots=True)
class CopyHeader:
    """Copies validity and, if the source is valid, all fields."""

    target: str
    source: str


@dataclass(frozen=True, slots=True)
class SetValid:
    """Makes a header valid; if it was not, its fields become zero."""

    header: str


@dataclass(frozen=True, slots=True)
class SetInvalid:
    """Makes a header invalid."""

    header: str


@dataclass(frozen=True, slots=True)
class MarkToDrop:
    """Sets the egress port to the drop port and clears the multicast group."""


@dataclass(frozen=True, slots=True)
class RegisterRead:
    """``target = array[index]``; zero when the index is out of range."""

    target: Field
    array: str
    index: Expr


@dataclass(frozen=True, slots=True)
class RegisterWrite:
    """``array[index] = value``; nothing when the index is out of range."""

    array: str
    index: Expr
    value: Expr


@dataclass(frozen=True, slots=True)
class Count:
    """Counts one packet and its ingress bytes; nothing when the index is out of range."""

    array: str
    index: Expr


@dataclass(frozen=True, slots=True)
class ExecuteMeter:
    """Stores the colour (0, 1, 2); zero when the index is out of range."""

    array: str
    index: Expr
    target: Field


@dataclass(frozen=True, slots=True)
class Hash:
    """``target = base + hash(calculation) % max(size, 1)``."""

    target: Field
    base: Expr
    calculation: str
    size: Expr


@dataclass(frozen=True, slots=True)
class Random:
    """A uniform value in ``low..high``; ``target`` keeps its value when ``low > high``."""

    target: Field
    low: Expr
    high: Expr


@dataclass(frozen=True, slots=True)
class Digest:
    """Asks for digest ``list_id``, sent with the values at the end of ingress; the last wins."""

    list_id: int


@dataclass(frozen=True, slots=True)
class Clone:
    """Asks for a clone at the end of this control (ingress or egress); the last one wins."""

    session: Expr
    list_id: int
    egress: bool


@dataclass(frozen=True, slots=True)
class Recirculate:
    """Asks that the deparsed packet enters the parser again."""

    list_id: int


@dataclass(frozen=True, slots=True)
class Resubmit:
    """Asks that the original packet enters the parser again."""

    list_id: int


@dataclass(frozen=True, slots=True)
class Truncate:
    """Cuts the outgoing packet to ``length`` bytes; the smallest request wins."""

    length: Expr


@dataclass(frozen=True, slots=True)
class Exit:
    """Ends the control (ingress or egress) at once."""


@dataclass(frozen=True, slots=True)
class Check:
    """``assert`` or ``assume``: a failure is counted and the packet dropped."""

    kind: str
    condition: Expr
    where: str


@dataclass(frozen=True, slots=True)
class Log:
    """Logs ``text`` with its ``{}`` replaced by the values."""

    text: str
    values: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Extract:
    """Parser: takes a header from the packet; ``length`` is the varbit's, in bits."""

    header: str
    length: Expr | None = None
    max_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Advance:
    """Parser: skips ``bits`` of the packet."""

    bits: Expr


@dataclass(frozen=True, slots=True)
class Verify:
    """Parser: unless ``condition`` holds, parsing ends with ``error``."""

    condition: Expr
    error: Expr


Stmt = (
    Assign
    | AssignVarbit
    | CopyHeader
    | SetValid
    | SetInvalid
    | MarkToDrop
    | RegisterRead
    | RegisterWrite
    | Count
    | ExecuteMeter
    | Hash
    | Random
    | Digest
    | Clone
    | Recirculate
    | Resubmit
    | Truncate
    | Exit
    | Check
    | Log
    | Extract
    | Advance
    | Verify
)
