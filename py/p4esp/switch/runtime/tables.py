"""Tables as the control plane sees them, kept in the form the generated code looks up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from p4esp.switch import ir
from p4esp.switch.entries import (
    ActionCall,
    CounterValue,
    ErrorCode,
    GroupRef,
    MemberRef,
    MeterConfig,
    TableAction,
    TableEntry,
    TableError,
)
from p4esp.switch.program import MatchKind, TableSpec
from p4esp.switch.runtime.calls import CallCodec
from p4esp.switch.runtime.meters import Meter, check_config
from p4esp.switch.runtime.profiles import Profile
from p4esp.switch.runtime.stores import EntryKey, ExactStore, Matches, Row, SearchStore, Store

_NOTHING: Row = (-1,)
_PACKETS, _OCTETS, _LAST_HIT, _METER = range(4)
_NO_NOTE = (b"", 0, 0)


class Table:
    """One table; ``default_slot`` holds the default action's row for the generated code."""

    def __init__(
        self, table: ir.Table, spec: TableSpec, profile: Profile | None, clock: Callable[[], int]
    ) -> None:
        self.spec = spec
        self._clock, self._profile = clock, profile
        self._has_cell = bool(table.direct_counter or table.direct_meter or table.idle_timeout)
        self._per_byte = bool(table.direct_meter) and (
            table.direct_meter.unit is ir.CounterUnit.BYTES  # type: ignore[union-attr]
        )
        self._codec = CallCodec(f"table {spec.name}", spec.actions)
        self.default_slot: list[Row] = [self._default_row(spec.default)]
        self.store = self._new_store()
        self._notes: dict[EntryKey, tuple[bytes, int, int]] = {}
        self._load_entries(table)

    def _new_store(self) -> Store:
        if all(key.kind is MatchKind.EXACT for key in self.spec.keys):
            return ExactStore(self.spec.keys)
        return SearchStore(self.spec.keys, self.default_slot)

    def _load_entries(self, table: ir.Table) -> None:
        for entry in table.entries or ():
            priority = entry.priority if self.spec.needs_priority else 0
            key = self.store.key_of(entry.match, priority)  # type: ignore[arg-type]
            if key not in self.store.rows:
                self.store.add(key, self._with_cell((entry.action, *entry.args)))

    # ------------------------------------------------------------ entries

    def insert(self, entry: TableEntry) -> None:
        """Adds an entry; ALREADY_EXISTS, RESOURCE_EXHAUSTED when full."""
        self._refuse_if_const()
        key = self._key(entry.match, entry.priority)
        if key in self.store.rows:
            raise self._error(ErrorCode.ALREADY_EXISTS, f"entry {entry.match} exists")
        if len(self.store.rows) >= self.spec.size:
            raise self._error(ErrorCode.RESOURCE_EXHAUSTED, f"all {self.spec.size} entries taken")
        row = self._row(entry.action)
        self.store.add(key, self._with_cell(row))
        self._acquire(entry.action)
        self._note(key, entry)

    def modify(self, entry: TableEntry) -> None:
        """Replaces action, metadata and timeout; counters and meters stay."""
        self._refuse_if_const()
        key = self._existing(entry.match, entry.priority)
        old = self.store.rows[key]
        row = self._row(entry.action)
        if self._has_cell:
            old[1][_LAST_HIT] = self._clock()
            row = (row[0], old[1], *row[1:])
        before = self._action(old)
        self.store.replace(key, row)
        self._acquire(entry.action)
        self._release(before)
        self._note(key, entry)

    def delete(self, match: Matches, priority: int = 0) -> None:
        """Removes an entry; NOT_FOUND."""
        self._refuse_if_const()
        key = self._existing(match, priority)
        before = self._action(self.store.rows[key])
        self.store.remove(key)
        self._release(before)
        self._notes.pop(key, None)

    def get(self, match: Matches, priority: int = 0) -> TableEntry:
        """One entry; NOT_FOUND."""
        key = self._existing(match, priority)
        return self.entry(key, self.store.rows[key])

    def entries(self) -> Iterator[TableEntry]:
        """All entries, const entries included; a snapshot of the moment of the call."""
        return (self.entry(key, row) for key, row in self.rows())

    def rows(self) -> list[tuple[EntryKey, Row]]:
        """All entries as they are kept; an entry that is written again gets a new row."""
        return list(self.store.rows.items())

    def entry(self, key: EntryKey, row: Row) -> TableEntry:
        """What ``rows`` gave, in the control plane's form."""
        match, priority = self.store.match_of(key)
        metadata, timeout, cookie = self._notes.get(key, _NO_NOTE)
        const = self.spec.const_entries
        return TableEntry(match, self._action(row), priority, metadata, timeout, cookie, const)

    def entry_of_row(self, row: Row) -> TableEntry | None:
        """The entry whose row generated code found; ``None`` for the default action."""
        found = next((key for key, known in self.store.rows.items() if known is row), None)
        return None if found is None else self.entry(found, row)

    def __len__(self) -> int:
        return len(self.store.rows)

    # ------------------------------------------------------------ default action

    def set_default(self, action: ActionCall | None) -> None:
        """Sets the default action; ``None`` restores the program's own."""
        if self.spec.const_default:
            raise self._error(ErrorCode.PERMISSION_DENIED, "the default action is const")
        if self.spec.action_profile is not None and action is not None:
            raise self._error(ErrorCode.UNIMPLEMENTED, "no default action with an action profile")
        self.default_slot[0] = self._default_row(self.spec.default if action is None else action)
        self.store.forget()

    def default(self) -> ActionCall | None:
        """The default action; ``None`` if a miss does nothing."""
        row = self.default_slot[0]
        return None if row[0] < 0 else self._codec.call(self._without_cell(row))

    # ------------------------------------------------------------ direct resources

    def read_counter(self, match: Matches, priority: int = 0) -> CounterValue:
        """The direct counter of an entry."""
        return self._count(self._row_of(match, priority))

    def write_counter(self, match: Matches, priority: int, value: CounterValue) -> None:
        """Sets the direct counter of an entry."""
        self._set_count(self._row_of(match, priority), value)

    def default_counter(self) -> CounterValue:
        """Packets that missed, counted like an entry's."""
        return self._count(self.default_slot[0])

    def set_default_counter(self, value: CounterValue) -> None:
        """Sets what ``default_counter`` returns."""
        self._set_count(self.default_slot[0], value)

    def read_meter(self, match: Matches, priority: int = 0) -> MeterConfig | None:
        """The configuration of an entry's direct meter."""
        self._need(self.spec.direct_meter, "direct meter")
        meter = self._row_of(match, priority)[1][_METER]
        return None if meter is None else meter.config

    def write_meter(self, match: Matches, priority: int, config: MeterConfig | None) -> None:
        """Configures an entry's direct meter; ``None`` makes every packet green again."""
        self._need(self.spec.direct_meter, "direct meter")
        cell = self._row_of(match, priority)[1]
        if config is not None:
            check_config(config, f"{self.spec.direct_meter} of table {self.spec.name}")
        cell[_METER] = None if config is None else Meter(config, self._per_byte, self._clock())

    # ------------------------------------------------------------ ageing

    def time_since_hit(self, match: Matches, priority: int = 0) -> int:
        """Nanoseconds since the entry was last hit, inserted or modified."""
        self._need(self.spec.idle_timeout, "idle timeout")
        return self._clock() - int(self._row_of(match, priority)[1][_LAST_HIT])

    def idle_entries(self, now_ns: int) -> Iterator[TableEntry]:
        """Entries with a timeout that no packet has hit for at least that long."""
        for key, (_, timeout, _) in list(self._notes.items()):
            row = self.store.rows.get(key)
            if row is not None and timeout and now_ns - row[1][_LAST_HIT] >= timeout:
                yield self.entry(key, row)

    # ------------------------------------------------------------ rows

    def _row(self, action: TableAction) -> Row:
        """A row without its cell."""
        if isinstance(action, ActionCall):
            if self._profile is not None:
                raise self._error(ErrorCode.INVALID_ARGUMENT, "needs a member or a group")
            return self._codec.row(action)
        if self._profile is None:
            raise self._error(ErrorCode.INVALID_ARGUMENT, "has no action profile")
        return (0, self._profile.slots(action))

    def _with_cell(self, row: Row) -> Row:
        if not self._has_cell:
            return row
        return (row[0], [0, 0, self._clock(), None], *row[1:])

    def _without_cell(self, row: Row) -> Row:
        return (row[0], *row[2:]) if self._has_cell else row

    def _default_row(self, action: ActionCall | None) -> Row:
        return self._with_cell(_NOTHING if action is None else self._codec.row(action))

    def _action(self, row: Row) -> TableAction:
        bare = self._without_cell(row)
        if self._profile is not None:
            return self._profile.reference(bare[1])
        return self._codec.call(bare)

    def _note(self, key: EntryKey, entry: TableEntry) -> None:
        """Keeps what packets do not need apart, and only if there is any."""
        note = (entry.metadata, entry.idle_timeout_ns, entry.controller_metadata)
        if note != _NO_NOTE:
            self._notes[key] = note
        elif self._notes:
            self._notes.pop(key, None)

    def _acquire(self, action: TableAction) -> None:
        if self._profile is not None and isinstance(action, MemberRef | GroupRef):
            self._profile.acquire(action)

    def _release(self, action: TableAction) -> None:
        if self._profile is not None and isinstance(action, MemberRef | GroupRef):
            self._profile.release(action)

    # ------------------------------------------------------------ checks

    def _key(self, match: Matches, priority: int) -> EntryKey:
        if len(match) != len(self.spec.keys):
            text = f"needs {len(self.spec.keys)} match fields, got {len(match)}"
            raise self._error(ErrorCode.INVALID_ARGUMENT, text)
        try:
            return self.store.key_of(match, priority)
        except (AttributeError, KeyError):
            kinds = ", ".join(key.kind.value for key in self.spec.keys)
            raise self._error(ErrorCode.INVALID_ARGUMENT, f"needs matches {kinds}") from None

    def _existing(self, match: Matches, priority: int) -> EntryKey:
        key = self._key(match, priority)
        if key not in self.store.rows:
            raise self._error(ErrorCode.NOT_FOUND, f"no entry {match} with priority {priority}")
        return key

    def _row_of(self, match: Matches, priority: int) -> Row:
        return self.store.rows[self._existing(match, priority)]

    def _count(self, row: Row) -> CounterValue:
        self._need(self.spec.direct_counter, "direct counter")
        return CounterValue(row[1][_PACKETS], row[1][_OCTETS])

    def _set_count(self, row: Row, value: CounterValue) -> None:
        self._need(self.spec.direct_counter, "direct counter")
        row[1][_PACKETS], row[1][_OCTETS] = value.packets, value.bytes

    def _need(self, present: Any, what: str) -> None:
        if not present:
            raise self._error(ErrorCode.INVALID_ARGUMENT, f"has no {what}")

    def _refuse_if_const(self) -> None:
        if self.spec.const_entries:
            raise self._error(ErrorCode.PERMISSION_DENIED, "its entries are const")

    def _error(self, code: ErrorCode, text: str) -> TableError:
        return TableError(code, f"table {self.spec.name}: {text}")
