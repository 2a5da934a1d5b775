"""One packet's way through the switch: parser states, table entries hit, actions, registers.

``trace_packet`` runs a packet for real (counters count, registers change, sinks are not called) on
a variant of the program that reports each step.  The result renders as rich text or as plain data.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from rich.console import Group
from rich.text import Text

from p4esp.switch.device import Device, Packets
from p4esp.switch.entries import Exact, Lpm, Match, OptionalMatch, Range, TableEntry, Ternary

_KINDS = {0: "packet", 1: "ingress clone", 4: "recirculated packet", 6: "resubmitted packet"}


@dataclass(frozen=True, slots=True)
class Start:
    """A packet enters the parser; ``kind`` is its instance type."""

    port: int
    kind: int
    size: int

    def line(self) -> tuple[str, str]:
        """Style and text."""
        return (
            "bold",
            f"{_KINDS.get(self.kind, 'packet')} of {self.size} bytes from port {self.port}",
        )


@dataclass(frozen=True, slots=True)
class ParserState:
    """The parser enters a state."""

    name: str

    def line(self) -> tuple[str, str]:
        """Style and text."""
        return "cyan", f"  state {self.name}"


@dataclass(frozen=True, slots=True)
class Extracted:
    """A header of ``octets`` bytes was taken from the packet, ``offset`` bytes from its start."""

    header: str
    offset: int
    octets: int

    def line(self) -> tuple[str, str]:
        """Style and text."""
        return "", f"    extract {self.header} at byte {self.offset}"


@dataclass(frozen=True, slots=True)
class ParserError:
    """Parsing ended early; ``name`` is the P4 error."""

    name: str

    def line(self) -> tuple[str, str]:
        """Style and text."""
        return "red", f"    parser error {self.name}"


@dataclass(frozen=True, slots=True)
class TableApplied:
    """A table was looked up; ``keys`` are (name, value), ``entry`` is set on a hit."""

    table: str
    keys: tuple[tuple[str, int], ...]
    hit: bool
    entry: TableEntry | None

    def line(self) -> tuple[str, str]:
        """Style and text."""
        keys = ", ".join(f"{name}={value:#x}" for name, value in self.keys)
        if self.entry is None:
            return "yellow", f"  table {self.table} ({keys}): miss"
        matches = ", ".join(show_match(m) for m in self.entry.match)
        priority = f" priority {self.entry.priority}" if self.entry.priority else ""
        return "green", f"  table {self.table} ({keys}): hit [{matches}]{priority}"


@dataclass(frozen=True, slots=True)
class ActionRun:
    """An action ran; ``args`` are (name, value)."""

    action: str
    args: tuple[tuple[str, int], ...]

    def line(self) -> tuple[str, str]:
        """Style and text."""
        args = ", ".join(f"{name}={value:#x}" for name, value in self.args)
        return "", f"    action {self.action}({args})"


@dataclass(frozen=True, slots=True)
class RegisterTouched:
    """A register cell was read or written (``operation``); ``value`` is what it holds now."""

    array: str
    operation: str
    index: int
    value: int

    def line(self) -> tuple[str, str]:
        """Style and text."""
        return "magenta", f"    {self.operation} {self.array}[{self.index}] = {self.value:#x}"


@dataclass(frozen=True, slots=True)
class End:
    """What became of the packet; ``drop_reason`` is the program's own, if it keeps one."""

    outcome: str
    drop_reason: int | None
    port: int | None
    size: int | None

    def line(self) -> tuple[str, str]:
        """Style and text."""
        reason = f", drop reason {self.drop_reason}" if self.drop_reason else ""
        if self.port is None:
            return "bold red", f"  {self.outcome}{reason}"
        return "bold green", f"  sent to port {self.port}, {self.size} bytes{reason}"


Event = (
    Start | ParserState | Extracted | ParserError | TableApplied | ActionRun | RegisterTouched | End
)


@dataclass(frozen=True, slots=True)
class PacketTrace:
    """Everything that happened to one packet, its clones and what came back included."""

    events: tuple[Event, ...]
    packets: tuple[tuple[int, bytes], ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON: events in order, outgoing packets in hexadecimal."""
        return {
            "events": [{"event": type(e).__name__, **_plain(asdict(e))} for e in self.events],
            "packets": [{"port": port, "packet": data.hex()} for port, data in self.packets],
        }

    def __rich__(self) -> Group:
        """One line per event."""
        return Group(*(Text(text, style=style) for style, text in (e.line() for e in self.events)))


@dataclass(slots=True)
class Recorder:
    """What traced code reports to."""

    device: Device
    events: list[Event] = field(default_factory=list)

    def start(self, port: int, kind: int, size: int) -> None:
        """A packet enters the parser."""
        self.events.append(Start(port, kind, size))

    def state(self, name: str) -> None:
        """The parser enters a state."""
        self.events.append(ParserState(name))

    def extract(self, header: str, offset: int, octets: int) -> None:
        """A header was extracted."""
        self.events.append(Extracted(header, offset, octets))

    def parser_error(self, code: int) -> None:
        """Parsing ended with an error."""
        self.events.append(ParserError(self.device.error_name(code)))

    def table(self, name: str, keys: tuple[int, ...], row: tuple[Any, ...], hit: bool) -> None:
        """A table was looked up."""
        table = self.device.table(name)
        named = tuple((k.name, int(v)) for k, v in zip(table.spec.keys, keys, strict=True))
        entry = table.entry_of_row(row) if hit else None
        self.events.append(TableApplied(name, named, hit, entry))

    def action(self, table: str, name: str, args: tuple[int, ...]) -> None:
        """An action ran."""
        spec = next(a for a in self.device.table(table).spec.actions if a.name == name)
        named = tuple((p.name, int(a)) for p, a in zip(spec.params, args, strict=True))
        self.events.append(ActionRun(name, named))

    def register(self, array: str, operation: str, index: int, value: int) -> None:
        """A register cell was touched."""
        self.events.append(RegisterTouched(array, operation, index, int(value)))

    def end(
        self, outcome: str, drop_reason: int | None, port: int | None, packet: bytes | None
    ) -> None:
        """The packet left or was dropped."""
        reason = None if drop_reason is None else int(drop_reason)
        size = None if packet is None else len(packet)
        self.events.append(End(outcome, reason, port, size))


def trace_packet(device: Device, port: int, packet: bytes) -> PacketTrace:
    """Runs a packet and tells its way; raises ``TableError`` if no program is loaded."""
    recorder = Recorder(device)
    packets: Packets = device.traced(recorder)(port, packet)
    return PacketTrace(tuple(recorder.events), tuple(packets))


def show_match(match: Match | None) -> str:
    """A match in P4's notation."""
    match match:
        case None:
            return "*"
        case Exact(value) | OptionalMatch(value):
            return f"{value:#x}"
        case Lpm(value, length):
            return f"{value:#x}/{length}"
        case Ternary(value, mask):
            return f"{value:#x} &&& {mask:#x}"
        case Range(low, high):
            return f"{low:#x}..{high:#x}"


def _plain(value: Any) -> Any:
    """Bytes as hexadecimal text, everything else as JSON knows it."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
