"""Table entries as the control plane speaks of them: matches, actions, the error of every write.

All values are unsigned integers within the width of their key or parameter; a key that an entry
does not care about is ``None`` in ``TableEntry.match``.  Nothing here knows P4Runtime or the JSON.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class ErrorCode(enum.Enum):
    """Why a write or read was refused; the names are the canonical gRPC ones."""

    NOT_FOUND = "NOT_FOUND"
    ALREADY_EXISTS = "ALREADY_EXISTS"
    RESOURCE_EXHAUSTED = "RESOURCE_EXHAUSTED"
    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    FAILED_PRECONDITION = "FAILED_PRECONDITION"
    UNIMPLEMENTED = "UNIMPLEMENTED"


class TableError(Exception):
    """A refused write or read of switch state: ``code`` and a text that says what and where."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Exact:
    """The key equals ``value``."""

    value: int


@dataclass(frozen=True, slots=True)
class Lpm:
    """The first ``prefix_len`` bits of the key equal those of ``value``; the others are zero."""

    value: int
    prefix_len: int


@dataclass(frozen=True, slots=True)
class Ternary:
    """``key & mask == value``; bits of ``value`` outside ``mask`` are zero."""

    value: int
    mask: int


@dataclass(frozen=True, slots=True)
class Range:
    """``low <= key <= high``."""

    low: int
    high: int


@dataclass(frozen=True, slots=True)
class OptionalMatch:
    """The key equals ``value``; an entry that does not care has ``None`` instead of this object."""

    value: int


Match = Exact | Lpm | Ternary | Range | OptionalMatch


@dataclass(frozen=True, slots=True)
class ActionCall:
    """An action by its full name (``MyIngress.forward``) and its arguments in declaration order."""

    name: str
    args: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class MemberRef:
    """One member of the table's action profile."""

    member_id: int


@dataclass(frozen=True, slots=True)
class GroupRef:
    """One group of the table's action selector."""

    group_id: int


TableAction = ActionCall | MemberRef | GroupRef


@dataclass(frozen=True, slots=True)
class TableEntry:
    """One entry.

    ``match`` has one item per key, in key order.  ``priority`` has P4Runtime's sense: the larger
    wins; it is positive for tables with a ternary, range or optional key and zero for all others.
    ``idle_timeout_ns`` is zero for an entry that never ages.  ``metadata`` and
    ``controller_metadata`` are the controller's own and returned as written.  ``is_const`` marks,
    on reads only, an entry of the program.
    """

    match: tuple[Match | None, ...]
    action: TableAction
    priority: int = 0
    metadata: bytes = b""
    idle_timeout_ns: int = 0
    controller_metadata: int = 0
    is_const: bool = False


@dataclass(frozen=True, slots=True)
class CounterValue:
    """What a counter cell holds."""

    packets: int
    bytes: int


@dataclass(frozen=True, slots=True)
class MeterConfig:
    """A two-rate three-colour meter: rates per second and bursts, in its unit (bytes or packets).

    A packet above the committed rate is yellow (1), above the peak rate red (2), else green (0).
    """

    cir: int
    cburst: int
    pir: int
    pburst: int
