"""ike.scale: 10,000 established IKE SAs, each with a child SA, in one process."""

from __future__ import annotations

import gc
import os
import tracemalloc
from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter, thread_time
from typing import TYPE_CHECKING

from bench.ike_pair import Pair
from bench.registry import Benchmark
from bench.row import Row
from bench.session import Session

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

MANY = 10_000
TRACED = 200
QUIET = 30.0
"""Seconds of silence after which a peer is asked whether it lives."""
MIB = 1 << 20


def measure(session: Session) -> Iterator[Row]:
    """A process with both ends fills up; what one end costs is half of it."""
    session.step(f"ike.scale: {MANY:,} IKE SAs")
    facts = _in_child()
    note = f"{MANY:,} IKE SAs with a child SA each, at both ends of one process"
    yield Row("ike.scale.setup", facts["setup"], "s", note=note)
    yield Row("ike.scale.rss", facts["rss"] / MIB, "MiB", note=note)
    yield Row("ike.scale.rss_per_sa", facts["rss"] / 2 / MANY, "bytes", note="of one end")
    yield Row("ike.scale.heap_per_sa", facts["heap"], "bytes", note="of one end, by tracemalloc")
    yield Row("ike.scale.timer", facts["timer"], "us", note="to ask when the next timer is due")
    note = "all peers are asked for a sign of life and answer, a second of processor time"
    yield Row("ike.scale.liveness", facts["liveness"], "checks/s", note=note)


def _in_child() -> dict[str, float]:
    """The figures, from a fresh process: memory of other benchmarks does not count."""
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    child = context.Process(target=_report, args=(theirs,))
    child.start()
    theirs.close()
    try:
        facts: dict[str, float] = ours.recv()
    finally:
        child.join()
    return facts


def _report(connection: Connection) -> None:
    connection.send(_figures())


def _figures() -> dict[str, float]:
    Pair().handshake()
    before, start = _resident(), perf_counter()
    pair = Pair({"dpd_delay": QUIET})
    for _ in range(MANY):
        pair.handshake()
    took, used = perf_counter() - start, _resident() - before
    figures = {"setup": took, "rss": used, "timer": _timer_cost(pair), "heap": _heap_per_sa()}
    return figures | {"liveness": _liveness_rate(pair)}


def _timer_cost(pair: Pair) -> float:
    """Microseconds."""
    endpoint = pair.east.endpoint
    start = thread_time()
    for _ in range(1000):
        endpoint.get_timer()
    return (thread_time() - start) * 1e3


def _liveness_rate(pair: Pair) -> float:
    start = thread_time()
    pair.west.endpoint.handle_timer(QUIET)
    while pair.carry():
        pass
    return MANY / (thread_time() - start)


def _heap_per_sa() -> float:
    """Bytes that Python objects take for one more IKE SA at one end."""
    pair = Pair()
    pair.handshake()
    gc.collect()
    tracemalloc.start()
    for _ in range(TRACED):
        pair.handshake()
    gc.collect()
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return used / 2 / TRACED


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


BENCHMARKS = (
    Benchmark("ike.scale", "s", f"{MANY:,} IKE SAs in one process: time, memory, timers", measure),
)
