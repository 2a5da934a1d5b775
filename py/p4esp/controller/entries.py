"""Table entries as plain values: comparable, hashable, printable.

The reconciliation of a switch with the store is set arithmetic on them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Self

import finsy as fy

Value = int | tuple[int, int]
"""One match: a number (exact), or (value, prefix length) for LPM, (value, mask) for ternary and
(low, high) for range. A key that an entry does not care about is absent.
"""

Key = tuple[str, tuple[tuple[str, Value], ...], int, bool]


class Op(Enum):
    """Kinds of update."""

    INSERT = "insert"
    MODIFY = "modify"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a table, or its default action. Match and arguments are sorted by name."""

    table: str
    match: tuple[tuple[str, Value], ...]
    action: str
    args: tuple[tuple[str, int], ...]
    priority: int = 0
    default: bool = False

    @classmethod
    def make(
        cls,
        table: str,
        match: Mapping[str, Value],
        action: str,
        args: Mapping[str, int],
        *,
        priority: int = 0,
        default: bool = False,
    ) -> Self:
        """Build an entry from mappings."""
        sorted_match, sorted_args = tuple(sorted(match.items())), tuple(sorted(args.items()))
        return cls(table, sorted_match, action, sorted_args, priority, default)

    @property
    def key(self) -> Key:
        """What makes it the same entry in the eyes of P4Runtime: all but the action."""
        return self.table, self.match, self.priority, self.default

    def field(self, name: str) -> Value:
        """The match of one key; KeyError when the entry does not care."""
        return dict(self.match)[name]

    def arg(self, name: str) -> int:
        """One argument of the action; KeyError when it has none of that name."""
        return dict(self.args)[name]

    def __str__(self) -> str:
        match = " ".join(f"{name}={_text(value)}" for name, value in self.match)
        args = ", ".join(f"{name}={value:#x}" for name, value in self.args)
        rank = f" priority {self.priority}" if self.priority else ""
        what = "default" if self.default else match or "*"
        return f"{self.table}[{what}{rank}] -> {self.action}({args})"

    def encode(self) -> fy.P4TableEntry:
        """The entry as finsy writes it."""
        return fy.P4TableEntry(
            self.table,
            match=fy.Match(dict(self.match)) if self.match else None,
            action=fy.Action(self.action, **dict(self.args)),
            priority=self.priority,
            is_default_action=self.default,
        )

    @classmethod
    def decode(cls, entry: fy.P4TableEntry) -> Self:
        """An entry as finsy read it; ValueError when its action is not a direct one."""
        if not isinstance(entry.action, fy.P4TableAction):
            raise ValueError(f"table {entry.table_id}: the entry has no direct action: {entry}")
        return cls.make(
            entry.table_id,
            entry.match or {},
            entry.action.name,
            entry.action.args,
            priority=entry.priority,
            default=entry.is_default_action,
        )


@dataclass(frozen=True, slots=True)
class Update:
    """One write: an operation and its entry (for DELETE only the entry's key counts)."""

    op: Op
    entry: Entry

    def encode(self) -> fy.P4TableEntry:
        """The update as finsy writes it."""
        entry = self.entry.encode()
        if self.op is Op.INSERT:
            return +entry
        return ~entry if self.op is Op.MODIFY else -entry

    def __str__(self) -> str:
        return f"{self.op.value} {self.entry}"


def inserts(entries: Iterable[Entry]) -> list[Update]:
    """Insert each entry."""
    return [Update(Op.INSERT, entry) for entry in entries]


def deletes(entries: Iterable[Entry]) -> list[Update]:
    """Delete each entry."""
    return [Update(Op.DELETE, entry) for entry in entries]


def modifies(entries: Iterable[Entry]) -> list[Update]:
    """Replace the action of each entry."""
    return [Update(Op.MODIFY, entry) for entry in entries]


def difference(have: Iterable[Entry], want: Iterable[Entry]) -> list[Update]:
    """The updates that turn `have` into `want`: inserts, then modifies, then deletes."""
    old = {entry.key: entry for entry in have}
    new = {entry.key: entry for entry in want}
    return [
        *inserts(entry for key, entry in new.items() if key not in old),
        *modifies(entry for key, entry in new.items() if key in old and old[key] != entry),
        *deletes(entry for key, entry in old.items() if key not in new),
    ]


def _text(value: Value) -> str:
    return f"{value:#x}" if isinstance(value, int) else f"{value[0]:#x}/{value[1]:#x}"
