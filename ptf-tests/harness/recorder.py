"""Records a run as JSON lines, so that two targets can be compared byte for byte.

A line is one of
    {"write": ["<hex of a p4.v1.Update>", ...]}
    {"in": [[port, "<hex>"], ...], "out": [[port, "<hex>"], ...], "packet_in": ["<hex>", ...]}
where a packet-out is an input on the CPU port with its header in front, as the pipeline sees it,
and likewise a packet-in.  Outputs are sorted: targets may differ in the order of ports.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from harness.ids import CPU_PORT

CONTROLLER_HEADER = struct.Struct("!BBHIIQ")


class Recorder:
    """Keeps lines while it is switched on."""

    def __init__(self) -> None:
        self.lines: list[str] | None = None

    def start(self) -> None:
        """From here on."""
        self.lines = []

    def stop(self) -> list[str]:
        """The lines since ``start``."""
        lines, self.lines = self.lines or [], None
        return lines

    def write(self, updates: Iterable[Any]) -> None:
        """A write request."""
        if self.lines is not None:
            hexes = [update.SerializeToString(deterministic=True).hex() for update in updates]
            self._add({"write": hexes})

    def batch(
        self, stimuli: Sequence[Any], frames: Sequence[Any], packet_ins: Sequence[Any]
    ) -> None:
        """Stimuli and what they caused in one pass of the pipeline."""
        if self.lines is not None:
            line = {
                "in": [_input(stimulus) for stimulus in stimuli],
                "out": sorted([frame.port, frame.data.hex()] for frame in frames),
                "packet_in": sorted(with_header(packet).hex() for packet in packet_ins),
            }
            self._add({name: value for name, value in line.items() if value})

    def _add(self, line: dict[str, Any]) -> None:
        assert self.lines is not None
        self.lines.append(json.dumps(line, separators=(",", ":")))


def _input(stimulus: Any) -> list[Any]:
    if hasattr(stimulus, "op"):
        return [CPU_PORT, with_header(stimulus).hex()]
    return [stimulus.port, stimulus.data.hex()]


def with_header(packet: Any) -> bytes:
    """A packet-out or packet-in as it passes the CPU port."""
    status = getattr(packet, "status", 0)
    header = (packet.op, status, packet.port, packet.token, packet.index, packet.value)
    return CONTROLLER_HEADER.pack(*header) + bytes(packet.payload)


def load(path: Path) -> list[str]:
    """The lines of a fixture."""
    return path.read_text("ascii").splitlines()


def save(path: Path, lines: Sequence[str]) -> None:
    """Writes a fixture."""
    path.write_text("".join(f"{line}\n" for line in lines), "ascii")
