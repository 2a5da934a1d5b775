"""Table entries by name, and how they get into a switch of this process."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from p4esp.formats_lab.errors import LabError
from p4esp.switch.device import Device
from p4esp.switch.entries import ActionCall, Exact, Lpm, Match, Range, TableEntry, Ternary
from p4esp.switch.program import KeySpec, MatchKind, TableSpec

Value = int | tuple[int, int]
"""A number (exact), (value, prefix length), (value, mask) or (low, high), by the key's kind."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A table entry, or with `default` the table's default action; all by name."""

    table: str
    match: Mapping[str, Value]
    action: str
    args: Mapping[str, int] = field(default_factory=dict)
    priority: int = 0
    default: bool = False


def write(device: Device, entries: Iterable[Entry]) -> None:
    """Write entries straight into a switch; LabError names what the program does not have."""
    assert device.program is not None, "a program is loaded"
    for entry in entries:
        spec = device.program.tables.get(entry.table)
        if spec is None:
            raise LabError(f"the program has no table {entry.table}: run make p4")
        action, table = _action_call(spec, entry), device.table(entry.table)
        if entry.default:
            table.set_default(action)
        else:
            table.insert(TableEntry(_match(spec, entry), action, entry.priority))


def _action_call(spec: TableSpec, entry: Entry) -> ActionCall:
    action = next((action for action in spec.actions if action.name == entry.action), None)
    wanted = set() if action is None else {param.name for param in action.params}
    if action is None or wanted != set(entry.args):
        differing = ", ".join(sorted(wanted ^ set(entry.args)))
        raise LabError(f"{entry.table}: action {entry.action} does not fit ({differing})")
    return ActionCall(action.name, tuple(int(entry.args[param.name]) for param in action.params))


def _match(spec: TableSpec, entry: Entry) -> tuple[Match | None, ...]:
    unknown = set(entry.match) - {key.name for key in spec.keys}
    if unknown:
        raise LabError(f"{entry.table}: no key {', '.join(sorted(unknown))}")
    return tuple(_key_match(key, entry.match.get(key.name)) for key in spec.keys)


def _key_match(key: KeySpec, value: Value | None) -> Match | None:
    if value is None:
        return None
    if isinstance(value, int):
        return Exact(value)
    kinds: dict[MatchKind, type[Lpm | Ternary | Range]] = {
        MatchKind.LPM: Lpm,
        MatchKind.TERNARY: Ternary,
        MatchKind.RANGE: Range,
    }
    return kinds[key.kind](*value)
