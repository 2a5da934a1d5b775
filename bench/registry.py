"""All benchmarks, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from bench.row import Row, failed, missing
from bench.session import MissingError, Session


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One benchmark: `measure` yields its rows; the first carries the benchmark's name."""

    name: str
    unit: str
    about: str
    measure: Callable[[Session], Iterator[Row]]

    def rows(self, session: Session) -> list[Row]:
        """Measures. What is missing here, or fails, becomes a row that says so."""
        rows: list[Row] = []
        try:
            rows.extend(self.measure(session))
        except (MissingError, ImportError) as error:
            rows.append(missing(self.name, self.unit, str(error)))
        except Exception as error:  # the figures of the other benchmarks must not be lost
            rows.append(failed(self.name, self.unit, error))
        return rows


class UnknownBenchmarkError(Exception):
    """A name that selects no benchmark."""


def all_benchmarks() -> tuple[Benchmark, ...]:
    """Every benchmark, in the order in which they run."""
    from bench.suites import (  # they import Benchmark from here
        engine_seal,
        gateway_path,
        gateway_traffic,
        ike_extensions,
        ike_flood,
        ike_handshakes,
        ike_scale,
        modes,
        p4rt_rates,
        pipeline_cost,
        resources,
        scale,
        switch_passes,
        switch_start,
    )

    suites = (
        switch_passes,
        gateway_path,
        modes,
        resources,
        pipeline_cost,
        engine_seal,
        p4rt_rates,
        scale,
        ike_handshakes,
        ike_extensions,
        ike_scale,
        ike_flood,
        gateway_traffic,
        switch_start,
    )
    return tuple(benchmark for suite in suites for benchmark in suite.BENCHMARKS)


def select(names: Sequence[str]) -> tuple[Benchmark, ...]:
    """The benchmarks whose name is one of `names` or lies below one of them (`switch.outbound`)."""
    known = all_benchmarks()
    for name in names:
        if not any(_covers(name, benchmark.name) for benchmark in known):
            raise UnknownBenchmarkError(_unknown(name, known))
    return tuple(
        benchmark
        for benchmark in known
        if not names or any(_covers(name, benchmark.name) for name in names)
    )


def _covers(name: str, benchmark: str) -> bool:
    return benchmark == name or benchmark.startswith(name + ".")


def _unknown(name: str, known: Sequence[Benchmark]) -> str:
    accepted = ", ".join(benchmark.name for benchmark in known)
    return f"no benchmark {name!r}; there are: {accepted}"
