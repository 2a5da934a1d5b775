"""scale.*: what 50,000 SAs in both directions cost in speed and in memory."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import harmonic_mean
from typing import TYPE_CHECKING

from bench.packets import Pass, traffic
from bench.registry import Benchmark
from bench.row import Row, compared
from bench.session import Session
from bench.targets import Target, absent_peer, running, targets
from bench.timing import Round, best_rates

if TYPE_CHECKING:
    from p4esp.switch.device import Device

MANY = 50_000
SIZE = 64
ROUNDS = 10


def measure_speed(session: Session) -> Iterator[Row]:
    """All four passes, 256 flows: over one SA, and over 256 of 50,000."""
    from bench.device import gateway_device

    session.step(f"writing {MANY:,} SAs")
    devices = {sas: gateway_device(session, sas) for sas in (1, MANY)}
    session.step("scale.pps_50k_over_1")
    rounds = [_round(device, which, sas) for sas, device in devices.items() for which in Pass]
    best = best_rates(rounds, ROUNDS)
    one, many = harmonic_mean(best[: len(Pass)]), harmonic_mean(best[len(Pass) :])
    note = f"{many:,.0f} of {one:,.0f} packets/s, mean of the four passes"
    yield Row("scale.pps_50k_over_1", many / one, "ratio", note=note)


def _round(device: Device, which: Pass, sas: int) -> Round:
    from bench.suites.switch_passes import pass_round

    return pass_round(device, traffic(which, SIZE, sas=sas))


def measure_memory(session: Session) -> Iterator[Row]:
    """A fresh switch process, filled over P4Runtime: `sa_out`, `sa_select`, `sa_in`, `sad`."""
    used = {target.name: _filled_mib(session, target) for target in targets(session)}
    yield compared("scale.rss_50k", "MiB", used, absent_peer(session))


def _filled_mib(session: Session, target: Target) -> float:
    session.step(f"writing {MANY:,} SAs over P4Runtime ({target.name})")
    with running(session, target, {}) as switch:
        switch.fill(MANY)
        return switch.process.resident_mib()


BENCHMARKS = (
    Benchmark(
        "scale.pps_50k_over_1",
        "ratio",
        "packets/s with 50,000 SAs over those with one",
        measure_speed,
    ),
    Benchmark("scale.rss_50k", "MiB", "memory of a switch with 50,000 SAs", measure_memory),
)
