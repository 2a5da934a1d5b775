"""The gateway program on the embedded switch, in memory: entries by name, packets, counters."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from p4esp.switch.device import Device
from p4esp.switch.entries import ActionCall, Exact, Lpm, Match, Range, TableEntry, Ternary
from p4esp.switch.program import KeySpec, MatchKind, TableSpec

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "bmv2-configs" / "esp_gateway.json"
IDS = ROOT / "p4src" / "common" / "ids.p4"

CPU_PORT, CRYPTO_PORT = 510, 509
CPU_HEADER_LEN = 20

Value = int | tuple[int, int]
"""A number (exact, or ternary with all bits), or a pair as the key's kind has it."""
Packets = list[tuple[int, bytes]]
_KINDS: dict[MatchKind, type[Lpm | Ternary | Range]] = {
    MatchKind.LPM: Lpm,
    MatchKind.TERNARY: Ternary,
    MatchKind.RANGE: Range,
}


def enum_names(name: str) -> dict[int, str]:
    """The values of an enum of p4src/common/ids.p4 and what they are called."""
    body = re.search(rf"enum bit<8> {name} {{(.*?)}}", IDS.read_text(), re.DOTALL)
    assert body is not None, name
    pairs = re.findall(r"^\s*(\w+)\s*=\s*(\d+)", body[1], re.MULTILINE)
    return {int(value): word for word, value in pairs}


DROPS, OUTCOMES, PUNTS = (enum_names(name) for name in ("drop_t", "outcome_t", "punt_t"))


@dataclass(frozen=True, slots=True)
class Row:
    """A table entry by name; one with ``default`` is the table's default action."""

    table: str
    match: Mapping[str, Value]
    action: str
    args: Mapping[str, int] = field(default_factory=dict)
    priority: int = 0
    default: bool = False


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of packets: outcomes, drops and punts by name."""

    outcomes: Counter[str]
    drops: Counter[str]
    punts: Counter[str]


class Bed:
    """One switch. ``digests`` are the field values of its events, oldest first."""

    def __init__(self) -> None:
        self.device = Device(lambda: 0, random.Random(1))
        self.device.load(PROGRAM.read_bytes())
        self.digests: list[tuple[int, ...]] = []
        self.device.on_digest(lambda _, values: self.digests.append(values))
        assert self.device.program is not None
        self._tables = self.device.program.tables

    def put(self, *rows: Row) -> None:
        """Adds entries."""
        for row in rows:
            if row.default:
                self.device.table(row.table).set_default(self._action(row))
            else:
                self.device.table(row.table).insert(self._entry(row))

    def change(self, row: Row) -> None:
        """Gives an entry another action."""
        self.device.table(row.table).modify(self._entry(row))

    def remove(self, *rows: Row) -> None:
        """Takes entries away."""
        for row in rows:
            entry = self._entry(row)
            self.device.table(row.table).delete(entry.match, entry.priority)

    def send(self, port: int, frame: bytes) -> Packets:
        """Runs one packet through the pipeline once."""
        return self.device.process(port, frame)

    def counts(self) -> Counts:
        """The counters as they stand."""
        cells = {name: self.device.counter_array(name).packets for name in _COUNTERS}
        return Counts(*(_named(cells[name], names) for name, names in _COUNTERS.items()))

    def scrub(self, space: int, cells: range, top: int = 0) -> None:
        """Empties a replay window, and says where its right edge is."""
        self.device.register_array("window_top").write(space, top)
        array = self.device.register_array("window_cell")
        for cell in cells:
            array.write(cell, 0)

    def window(self, space: int, cells: range) -> tuple[int, list[tuple[int, int]]]:
        """A replay window: its top, and tag and bits of its cells."""
        array = self.device.register_array("window_cell")
        values = (array.read(cell) for cell in cells)
        top = self.device.register_array("window_top").read(space)
        return top, [divmod(value, 1 << 32) for value in values]

    def _entry(self, row: Row) -> TableEntry:
        keys = self._tables[row.table].keys
        match = tuple(_key_match(key, row.match.get(key.name)) for key in keys)
        return TableEntry(match, self._action(row), row.priority)

    def _action(self, row: Row) -> ActionCall:
        spec: TableSpec = self._tables[row.table]
        action = next(action for action in spec.actions if action.name == row.action)
        return ActionCall(row.action, tuple(row.args[param.name] for param in action.params))


_COUNTERS = {"outcomes": OUTCOMES, "drops": DROPS, "punts": PUNTS}


def _named(cells: list[int], names: Mapping[int, str]) -> Counter[str]:
    return Counter({names.get(i, f"number {i}"): n for i, n in enumerate(cells) if n})


def _key_match(key: KeySpec, value: Value | None) -> Match | None:
    if value is None:
        return None
    if key.kind is MatchKind.EXACT:
        assert isinstance(value, int)
        return Exact(value)
    if isinstance(value, int):
        value = (value, (1 << key.width) - 1)
    return _KINDS[key.kind](*value)


Answer = Callable[[bytes], bytes | None]


def through(bed: Bed, port: int, frames: Iterable[bytes], answer: Answer) -> Iterator[Packets]:
    """For each frame what leaves in the end, when `answer` is the engine."""
    for frame in frames:
        leaving: Packets = []
        for out_port, out in bed.send(port, frame):
            if out_port != CRYPTO_PORT:
                leaving.append((out_port, out))
            elif (reply := answer(out)) is not None:
                leaving.extend(bed.send(CRYPTO_PORT, reply))
        yield leaving


def packet_out(
    op: int, payload: bytes = b"", *, port: int = 0, token: int = 0, index: int = 0, value: int = 0
) -> bytes:
    """A packet-out as it stands on the CPU port."""
    head = bytes([op, 0]) + port.to_bytes(2, "big") + token.to_bytes(4, "big")
    return head + index.to_bytes(4, "big") + value.to_bytes(8, "big") + payload
