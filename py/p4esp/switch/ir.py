"""The intermediate representation: a v1model program as typed data, free of JSON and Python code.

Everything below it (the Python generator here, a native one later) reads only this module.  A
program is a handful of control-flow graphs over basic blocks:

* the parser: blocks end in ``Jump`` or ``Select``, statements include ``Extract``, ``Verify``...;
* ingress and egress: blocks end in ``Jump``, ``Branch`` or ``Apply`` (a table);
* every action: blocks end in ``Jump`` or ``Branch``.

``None`` as a block name is the end of the graph (``accept`` for the parser).

Values are mathematical integers.  An expression never overflows; what wraps is written out (p4c
masks every result) and an assignment wraps to the field's width and sign.  Booleans are 0 and 1.
Reading a field of an invalid header gives the field's last value in this packet, zero at first.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from p4esp.switch.program import MatchKind

# ---------------------------------------------------------------- storage


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


# ---------------------------------------------------------------- expressions


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

# ---------------------------------------------------------------- statements


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

# ---------------------------------------------------------------- control flow


@dataclass(frozen=True, slots=True)
class Jump:
    """Goes on with ``target``."""

    target: str | None


@dataclass(frozen=True, slots=True)
class Branch:
    """Goes on with ``then`` if ``condition`` holds, else with ``orelse``."""

    condition: Expr
    then: str | None
    orelse: str | None


@dataclass(frozen=True, slots=True)
class Apply:
    """Applies a table.

    ``by_action`` maps the number of the action that ran (its place in the table's ``actions``) to
    the next block; ``on_hit`` and ``on_miss``, where set, take precedence.  ``otherwise`` is next
    when no action ran.
    """

    table: str
    by_action: tuple[str | None, ...]
    otherwise: str | None
    hit_miss: bool = False
    on_hit: str | None = None
    on_miss: str | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """One transition of a ``Select``: every ``(value, mask)`` matches its key; mask -1 is exact."""

    matches: tuple[tuple[int, int], ...]
    target: str | None


@dataclass(frozen=True, slots=True)
class Select:
    """Goes on with the first case that matches, else with ``default``."""

    keys: tuple[Expr, ...]
    cases: tuple[Case, ...]
    default: str | None


End = Jump | Branch | Apply | Select


@dataclass(frozen=True, slots=True)
class Block:
    """Statements without control flow, then one way out."""

    body: tuple[Stmt, ...]
    end: End


@dataclass(frozen=True, slots=True)
class Graph:
    """A control-flow graph; ``entry`` is ``None`` for an empty one."""

    entry: str | None
    blocks: Mapping[str, Block]


# ---------------------------------------------------------------- objects


@dataclass(frozen=True, slots=True)
class Action:
    """``params`` are (name, width in bits)."""

    name: str
    params: tuple[tuple[str, int], ...]
    body: Graph


@dataclass(frozen=True, slots=True)
class Key:
    """One table key: a field or a header's validity, under ``mask``; ``width`` in bits."""

    name: str
    kind: MatchKind
    width: int
    value: Expr
    mask: int | None = None


@dataclass(frozen=True, slots=True)
class ConstEntry:
    """An entry of the program: matches in key order (see ``entries``), action number, arguments."""

    match: tuple[object | None, ...]
    action: int
    args: tuple[int, ...]
    priority: int


@dataclass(frozen=True, slots=True)
class DefaultAction:
    """The default action by its number in the table's ``actions``."""

    action: int
    args: tuple[int, ...]
    const: bool


class CounterUnit(enum.Enum):
    """What a meter measures."""

    PACKETS = "packets"
    BYTES = "bytes"


@dataclass(frozen=True, slots=True)
class DirectMeter:
    """A table's meter; a hit stores the colour in ``target`` before the action runs."""

    name: str
    unit: CounterUnit
    target: Field


@dataclass(frozen=True, slots=True)
class Table:
    """A table; ``actions`` are keys of ``Program.actions``."""

    name: str
    keys: tuple[Key, ...]
    actions: tuple[int, ...]
    size: int
    default: DefaultAction | None
    entries: tuple[ConstEntry, ...] | None
    direct_counter: str | None
    direct_meter: DirectMeter | None
    idle_timeout: bool
    profile: str | None


@dataclass(frozen=True, slots=True)
class Calculation:
    """A hash or checksum over ``inputs`` (fields and (value, width) constants) and the payload."""

    name: str
    algorithm: str
    inputs: tuple[Field | tuple[int, int], ...]
    payload: bool = False


@dataclass(frozen=True, slots=True)
class Profile:
    """An action profile; ``selector`` chooses the member of a group by hash."""

    name: str
    size: int
    selector: Calculation | None
    actions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Checksum:
    """Verified behind the parser or updated before the deparser, while ``condition`` holds."""

    name: str
    target: Field
    calculation: str
    condition: Expr | None


@dataclass(frozen=True, slots=True)
class Register:
    """An array of ``size`` cells of ``width`` bits."""

    name: str
    size: int
    width: int


@dataclass(frozen=True, slots=True)
class Counter:
    """An indexed counter array."""

    name: str
    size: int


@dataclass(frozen=True, slots=True)
class Meter:
    """An indexed meter array."""

    name: str
    size: int
    unit: CounterUnit


@dataclass(frozen=True, slots=True)
class FieldList:
    """What a clone, resubmit or recirculate keeps, or what a digest carries."""

    name: str
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Program:
    """A whole v1model program.  Mappings are keyed by name, actions and field lists by JSON id."""

    headers: Mapping[str, Header]
    parser: Graph
    ingress: Graph
    egress: Graph
    deparser: tuple[str, ...]
    actions: Mapping[int, Action]
    tables: Mapping[str, Table]
    profiles: Mapping[str, Profile] = field(default_factory=dict)
    calculations: Mapping[str, Calculation] = field(default_factory=dict)
    verify: tuple[Checksum, ...] = ()
    update: tuple[Checksum, ...] = ()
    registers: Mapping[str, Register] = field(default_factory=dict)
    counters: Mapping[str, Counter] = field(default_factory=dict)
    meters: Mapping[str, Meter] = field(default_factory=dict)
    field_lists: Mapping[int, FieldList] = field(default_factory=dict)
    digests: Mapping[int, FieldList] = field(default_factory=dict)
    errors: Mapping[str, int] = field(default_factory=dict)
