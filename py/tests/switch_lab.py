"""Helpers of the switch tests: devices with a set clock, running the programs beside the tests."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from p4esp.switch.device import Device
from p4esp.switch.entries import ActionCall, Match, TableEntry

PROGRAMS = Path(__file__).parent / "switch" / "programs"


@dataclass
class SetClock:
    """A clock that only moves when told."""

    now: int = 1_000_000_000

    def __call__(self) -> int:
        return self.now


@dataclass
class Lab:
    """One device, its clock, and short names for what tests do to it."""

    clock: SetClock = field(default_factory=SetClock)

    def __post_init__(self) -> None:
        self.device = Device(self.clock, random.Random(1))

    def send(self, packet: bytes, port: int = 0) -> list[tuple[int, bytes]]:
        return self.device.process(port, packet)

    def add(
        self,
        table: str,
        match: tuple[Match | None, ...],
        action: str,
        *args: int,
        priority: int = 0,
    ) -> None:
        entry = TableEntry(match, ActionCall(action, args), priority)
        self.device.table(table).insert(entry)


def program_json(name: str) -> dict[str, Any]:
    """A compiled program as data that a test may change."""
    return json.loads((PROGRAMS / f"{name}.json").read_text())


def lab(name: str | dict[str, Any]) -> Lab:
    """A device that runs a program, by name or as changed data."""
    document = program_json(name) if isinstance(name, str) else name
    made = Lab()
    made.device.load(json.dumps(document).encode())
    return made
