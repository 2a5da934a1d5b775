"""ike.flood: how long a peer needs to connect to the UDP daemon while strangers flood it."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import monotonic, sleep

from bench.ike_client import IkeClient
from bench.ike_pair import PSK
from bench.processes import START_TIMEOUT, child
from bench.registry import Benchmark
from bench.row import Row
from bench.session import Session

RATE = 5000
CONNECTIONS = 20
WARM_UP = 2.0
"""Seconds of flood before the first peer connects."""
HERE, THERE = "127.0.0.2", "127.0.0.3"
_PROGRAM = "from p4esp.cli.main import main; main()"
_CONFIGURATION = """\
listen = ["{there}"]
port = {port}
nat_port = {nat_port}
control = "{control}"

[ike]
max_ike_sas_per_peer = 1000

[[peers]]
name = "west"
local = "{there}"
local_id = "east.example"
remote_id = "west.example"
psk = "{psk}"

[[peers.children]]
name = "net"
local = ["10.2.0.0/16"]
remote = ["10.1.0.0/16"]
"""


def measure(session: Session) -> Iterator[Row]:
    """In silence, then under the flood."""
    from bench.ike_pair import SITES, peer_config

    port, scratch = _free_udp_port(), session.scratch()
    with _daemon(scratch, port):
        client = IkeClient(peer_config(*SITES), HERE, (THERE, port))
        session.step("ike.flood (silence)")
        quiet = _times(client)
        session.step(f"ike.flood ({RATE:,} requests/s)")
        (scratch / "opening").write_bytes(client.opening())
        with _flood(scratch, port) as sent:
            start = monotonic()
            flooded = _times(client)
            seconds = monotonic() - start
        client.close()
    note = f"median of {CONNECTIONS}, {sent():,.0f} spoofed IKE_SA_INIT/s"
    yield Row("ike.flood", median(flooded), "ms", "no flood", median(quiet), note)
    yield Row("ike.flood.worst", max(flooded), "ms", "no flood", max(quiet), f"{seconds:.1f} s")


def _times(client: IkeClient) -> list[float]:
    return [1000 * client.connect() for _ in range(CONNECTIONS)]


@contextmanager
def _daemon(scratch: Path, port: int) -> Iterator[None]:
    control, configuration = scratch / "ike.sock", scratch / "ike.toml"
    facts = {"there": THERE, "port": port, "nat_port": _free_udp_port(), "psk": PSK.decode()}
    configuration.write_text(_CONFIGURATION.format(control=control, **facts))
    command = [sys.executable, "-c", _PROGRAM, "ike", "run", str(configuration)]
    with child(command, scratch / "ike.log"):
        deadline = monotonic() + START_TIMEOUT
        while not control.exists():
            if monotonic() > deadline:
                raise TimeoutError((scratch / "ike.log").read_text()[-500:])
            sleep(0.01)
        yield


@contextmanager
def _flood(scratch: Path, port: int) -> Iterator[Callable[[], float]]:
    """Floods; gives a function that tells the rate so far."""
    log = scratch / "flood.log"
    command = [sys.executable, "-m", "bench.ike_flooder", THERE, str(port), str(RATE)]

    def rate() -> float:
        counts = log.read_text().split()
        return int(counts[-1]) / len(counts) if counts else 0.0

    with child([*command, str(scratch / "opening")], log):
        sleep(WARM_UP)
        yield rate


def _free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((THERE, 0))
        port: int = probe.getsockname()[1]
        return port


BENCHMARKS = (
    Benchmark("ike.flood", "ms", f"connecting under {RATE:,} spoofed IKE_SA_INIT/s", measure),
)
