"""modes.*: packets/s of a gateway in every mode and pair of address families, in memory, one core.

One SA, 256 flows, AES-GCM-16-256, bursts of 32. What the sealing gateway sends is what the
opening one gets, so each row stands for packets that came through unharmed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from bench import topology as top
from bench.modes import MODES, SA, Mode, clear_frame, opening_entries, sealing_entries
from bench.registry import Benchmark
from bench.row import Row
from bench.session import Session
from bench.suites.gateway_path import AEAD, SALT, UNIT, Gateway, key_of
from bench.timing import best_rates, cpu_rate

if TYPE_CHECKING:
    from p4esp.engine import Direction

SIZES = (80, 512, 1400)
"""Octets of the clear packet, IP header included."""
ROUNDS = 3
REPEATS = 4


def measure(session: Session) -> Iterator[Row]:
    """Two rows for every mode and size: `.seal` and `.open`."""
    for mode in MODES:
        session.step(f"modes.{mode.name}")
        for size in SIZES:
            yield from _rows(session, mode, size)


def _rows(session: Session, mode: Mode, size: int) -> Iterator[Row]:
    from p4esp.engine import Direction

    sealing, opening = (_gateway(session, mode, way) for way in (Direction.SEAL, Direction.OPEN))
    frames = [clear_frame(mode, flow, size) for flow in range(top.FLOWS)] * REPEATS
    _check(sealing, opening, frames[: top.FLOWS])

    def seal() -> float:
        return cpu_rate(len(frames), partial(sealing.carry, top.PROTECTED_PORT, frames))

    def open_() -> float:
        sealed = _all(sealing, top.PROTECTED_PORT, frames)
        return cpu_rate(len(sealed), partial(opening.carry, top.UNPROTECTED_PORT, sealed))

    rates = best_rates([seal, open_], ROUNDS)
    for way, rate in zip(("seal", "open"), rates, strict=True):
        yield Row(f"modes.{mode.name}.{size}.{way}", rate, UNIT)


def _check(sealing: Gateway, opening: Gateway, frames: Sequence[bytes]) -> None:
    """Raises `WrongWayError` unless all packets come out at the far end."""
    from bench.device import WrongWayError

    sealed = _all(sealing, top.PROTECTED_PORT, frames)
    arrived = opening.carry(top.UNPROTECTED_PORT, sealed)
    if (len(sealed), arrived) != (len(frames), len(frames)):
        raise WrongWayError(f"of {len(frames)} packets {len(sealed)} were sealed, {arrived} opened")


def _all(gateway: Gateway, port: int, frames: Sequence[bytes]) -> list[bytes]:
    """What leaves, kept."""
    kept: list[bytes] = []
    for start in range(0, len(frames), 32):
        gateway.left = []
        gateway.device.inject_burst(port, frames[start : start + 32])
        kept += gateway.left
    return kept


def _gateway(session: Session, mode: Mode, direction: Direction) -> Gateway:
    """A switch and its engine with one key."""
    from bench.device import fill, new_device
    from p4esp.engine import Direction, Engine, KeySpec
    from p4esp.engine.attach import attach_engine

    engine = Engine()
    key = engine.install(KeySpec(direction, AEAD, key_of(SA), SALT, top.GENERATION, SA))
    entries = sealing_entries if direction is Direction.SEAL else opening_entries
    device = new_device(session)
    fill(device, entries(mode, key))
    attach_engine(device, top.CRYPTO_PORT, engine.process)
    gateway = Gateway(device)
    for port in (top.PROTECTED_PORT, top.UNPROTECTED_PORT):
        device.attach_burst(port, gateway.take)
    return gateway


BENCHMARKS = (Benchmark("modes", UNIT, "every mode, family and size through the gateway", measure),)
