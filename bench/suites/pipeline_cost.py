"""pipeline.*: what the program needs in each pass, whatever it runs on."""

from __future__ import annotations

from collections.abc import Iterator

from bench.registry import Benchmark
from bench.row import Row
from bench.session import Session


def measure(session: Session) -> Iterator[Row]:
    """Keyed source tables and how deep they depend on each other, for each pass."""
    from p4esp.p4build.cost import cost_of

    cost = cost_of(session.program)
    yield Row("pipeline.tables", cost.keyed_tables, "tables", note="with a key, in the sources")
    yield Row("pipeline.parser", cost.parser_states, "states")
    for chain in cost.longest_chains:
        name = f"pipeline.{chain.name.replace(', ', '.').replace(' ', '_')}"
        yield Row(f"{name}.tables", chain.keyed_tables, "tables")
        yield Row(f"{name}.depth", len(chain.tables), "tables", note=" -> ".join(chain.tables))


BENCHMARKS = (
    Benchmark("pipeline.tables", "tables", "tables and dependency depth of each pass", measure),
)
"""Nothing is timed: the figures are those of `p4esp p4 cost`."""
