"""What a loaded program offers to the control plane: names, widths and sizes; nothing runs here."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from p4esp.switch.entries import ActionCall


class MatchKind(enum.Enum):
    """Match kinds of v1model; the values are the JSON's words."""

    EXACT = "exact"
    LPM = "lpm"
    TERNARY = "ternary"
    RANGE = "range"
    OPTIONAL = "optional"


@dataclass(frozen=True, slots=True)
class KeySpec:
    """One key of a table; ``width`` in bits."""

    name: str
    kind: MatchKind
    width: int


@dataclass(frozen=True, slots=True)
class ParamSpec:
    """One run-time parameter of an action; ``width`` in bits."""

    name: str
    width: int


@dataclass(frozen=True, slots=True)
class ActionSpec:
    """An action by its full P4 name."""

    name: str
    params: tuple[ParamSpec, ...]


@dataclass(frozen=True, slots=True)
class TableSpec:
    """What may be written to one table.

    ``default`` is the program's initial default action (``None``: no action on a miss).
    ``const_default`` forbids changing it, ``const_entries`` forbids every other write.
    ``needs_priority`` holds for tables with a ternary, range or optional key.
    """

    name: str
    keys: tuple[KeySpec, ...]
    size: int
    actions: tuple[ActionSpec, ...]
    default: ActionCall | None
    const_default: bool
    const_entries: bool
    direct_counter: bool
    direct_meter: str | None
    idle_timeout: bool
    action_profile: str | None

    @property
    def needs_priority(self) -> bool:
        """Whether entries carry a priority (P4Runtime 9.1)."""
        unordered = (MatchKind.TERNARY, MatchKind.RANGE, MatchKind.OPTIONAL)
        return any(key.kind in unordered for key in self.keys)


@dataclass(frozen=True, slots=True)
class ProfileSpec:
    """An action profile; ``selector`` holds when groups are allowed."""

    name: str
    size: int
    selector: bool
    actions: tuple[ActionSpec, ...]


@dataclass(frozen=True, slots=True)
class ArraySpec:
    """An indexed counter, meter or register array; ``width`` only for registers (bits per cell)."""

    name: str
    size: int
    width: int = 0


@dataclass(frozen=True, slots=True)
class MeterSpec:
    """A meter array or direct meter; ``per_byte`` is False for meters that count packets."""

    name: str
    size: int
    per_byte: bool
    direct_table: str | None


@dataclass(frozen=True, slots=True)
class DigestSpec:
    """A digest: the widths in bits of its fields, in order."""

    name: str
    fields: tuple[ParamSpec, ...]


@dataclass(frozen=True, slots=True)
class ProgramSpec:
    """Names and shapes of everything the control plane may touch in the loaded program."""

    tables: Mapping[str, TableSpec] = field(default_factory=dict)
    actions: Mapping[str, ActionSpec] = field(default_factory=dict)
    profiles: Mapping[str, ProfileSpec] = field(default_factory=dict)
    counters: Mapping[str, ArraySpec] = field(default_factory=dict)
    direct_counters: Mapping[str, str] = field(default_factory=dict)
    meters: Mapping[str, MeterSpec] = field(default_factory=dict)
    registers: Mapping[str, ArraySpec] = field(default_factory=dict)
    digests: Mapping[str, DigestSpec] = field(default_factory=dict)
