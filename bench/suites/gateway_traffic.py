"""traffic.*: hosts behind our gateway and behind strongSwan, against strongSwan at both ends."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

from bench.registry import Benchmark
from bench.row import Row
from bench.session import MissingError, Session

SECONDS = 3
TIMEOUT = 900
UNITS = {"tcp": "Mbit/s", "udp64": "packets/s", "udp1372": "packets/s"}


def measure(session: Session) -> Iterator[Row]:
    """One topology after the other, in network namespaces of their own."""
    session.step("traffic (two topologies)")
    interop = session.repository / "py" / "interop" / "run.py"
    command = [sys.executable, str(interop), "--run", "rates.py", str(SECONDS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    if done.returncode:
        words = (done.stderr or done.stdout).strip().splitlines()
        raise MissingError(words[-1] if words else f"status {done.returncode}")
    figures = json.loads(done.stdout.splitlines()[-1])
    for name, unit in UNITS.items():
        ours, charon = figures["ours"][name], figures["charon"][name]
        yield Row(f"traffic.{name}", ours, unit, "charon libipsec", charon)


BENCHMARKS = (
    Benchmark("traffic.tcp", "Mbit/s", "iperf3 through our gateway and strongSwan", measure),
)
