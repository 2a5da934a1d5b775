"""switch.start: from starting the process until the gateway runs and P4Runtime answers.

switch.start.load is the load alone: reading the program, generating and compiling its code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from time import perf_counter

from bench.p4runtime import Client
from bench.processes import child, free_port
from bench.registry import Benchmark
from bench.row import Row, compared
from bench.session import Session
from bench.targets import Target, absent_peer, child_path, targets
from bench.timing import cpu_rate

ROUNDS = 3


def measure(session: Session) -> Iterator[Row]:
    """The process with the program on its command line; then the load in this process."""
    from bench.device import new_device

    taken = {target.name: _best_start(session, target) for target in targets(session)}
    yield compared("switch.start", "ms", taken, absent_peer(session))
    session.step("switch.start.load")
    yield Row("switch.start.load", _best(partial(new_device, session)), "ms")


def _best_start(session: Session, target: Target) -> float:
    session.step(f"switch.start ({target.name})")
    return min(start_ms(session, target) for _ in range(ROUNDS))


def start_ms(session: Session, target: Target) -> float:
    """Milliseconds until Capabilities answers."""
    port = free_port()
    argv = target.command(session.program, port, {})
    log = session.scratch() / f"start-{target.name}.log"
    start = perf_counter()
    with child(argv, log, child_path()) as process, Client(f"127.0.0.1:{port}") as client:
        process.wait_listening(port)
        client.capabilities()
        return 1000 * (perf_counter() - start)


def _best(action: Callable[[], object]) -> float:
    """The shortest of a few calls, in milliseconds."""
    return min(1000 / cpu_rate(1, action) for _ in range(ROUNDS))


BENCHMARKS = (
    Benchmark("switch.start", "ms", "process start until the gateway runs and answers", measure),
)
