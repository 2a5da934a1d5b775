"""Declared objects and the program as a whole."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from p4esp.switch.ir.flow import Graph
from p4esp.switch.ir.values import Expr, Field, Header
from p4esp.switch.program import MatchKind


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
