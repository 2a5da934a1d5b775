"""The packet sender: one C program, compiled for the run, the same for every switch."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bench.packets import Traffic
from bench.session import MissingError, Session

SOURCE = Path(__file__).with_name("sender.c")
NO_COUNTER = -1


@dataclass(frozen=True, slots=True)
class Load:
    """Recorded frames and their counter, as `Traffic` has it."""

    path: Path
    counter_at: int | None
    step: int
    next_round: int = 0


@dataclass(frozen=True, slots=True)
class Sent:
    """What one run of the sender did; `next_round` has not been used yet."""

    frames: int
    seconds: float
    next_round: int


@dataclass(frozen=True, slots=True)
class Sender:
    """The compiled sender."""

    binary: Path
    scratch: Path

    def record(self, name: str, traffic: Traffic) -> Load:
        """Writes the frames where the program can read them."""
        path = self.scratch / f"{name}.frames"
        path.write_bytes(b"".join(_framed(traffic.frames)))
        return Load(path, traffic.counter_at, traffic.step)

    def send(self, interface: str, load: Load, rate: float, seconds: float) -> Sent:
        """Sends at `rate` frames/s; the rate reached is what `Sent` says."""
        at = NO_COUNTER if load.counter_at is None else load.counter_at
        words = (interface, load.path, rate, seconds, at, load.step, load.next_round)
        result = subprocess.run(
            [self.binary, *map(str, words)], capture_output=True, check=False, text=True
        )
        if result.returncode:
            raise MissingError(f"sender: {result.stderr.strip()}")
        frames, nanoseconds, next_round = map(int, result.stdout.split())
        return Sent(frames, nanoseconds / 1e9, next_round)


def compiled_sender(session: Session) -> Sender:
    """Compiles `sender.c`; `MissingError` without a C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise MissingError("over veth: no C compiler (cc or gcc) for the packet sender")
    binary = session.scratch() / "sender"
    subprocess.run([compiler, "-O2", "-o", binary, SOURCE], check=True, capture_output=True)
    return Sender(binary, session.scratch())


def _framed(frames: Iterable[bytes]) -> Iterable[bytes]:
    return (len(frame).to_bytes(2, "little") + frame for frame in frames)
