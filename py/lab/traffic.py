"""Traffic between two hosts, and what ping and iperf3 say of it."""

import json
import re
from dataclasses import dataclass
from typing import Any, Final

from lab.container import Container, LabError, until

PINGS: Final = 20
SECONDS: Final = 2
"""Of each flow of iperf3."""
LENGTH: Final = 1372
"""Octets of UDP payload in the largest packet that fits the hosts' route."""
_COUNTS: Final = re.compile(r"(\d+) packets transmitted, (\d+) received")
_TIMES: Final = re.compile(r"= [\d.]+/([\d.]+)/")


@dataclass(frozen=True, slots=True)
class Echo:
    """Echo requests, answers, and the mean time between the two in milliseconds."""

    sent: int
    received: int
    mean_ms: float


def meet(source: Container, target: str) -> None:
    """Ping until an answer comes: what is sent before neighbours are known may get lost."""
    if not until(lambda: not source.run("ping", "-c", "1", "-W", "1", target).returncode, 15.0):
        raise LabError(f"{source.name}: no answer from {target}")


def ping(source: Container, target: str) -> Echo:
    """A series of echo requests."""
    done = source.run("ping", "-q", "-c", str(PINGS), "-i", "0.05", "-W", "2", target)
    counts, times = _COUNTS.search(done.stdout), _TIMES.search(done.stdout)
    if counts is None:
        raise LabError(f"{source.name}: ping {target}: {done.stderr.strip()}")
    return Echo(int(counts[1]), int(counts[2]), float(times[1]) if times else 0.0)


def tcp(source: Container, target: str, *options: str) -> float:
    """Mbit/s of payload that arrived."""
    end = _iperf(source, target, *options)
    return float(end["sum_received"]["bits_per_second"]) / 1e6


@dataclass(frozen=True, slots=True)
class Datagrams:
    """A flow of UDP as its receiver saw it."""

    sent: int
    lost: int
    packets_per_second: float
    """That arrived."""
    jitter_ms: float

    @property
    def mbit_per_second(self) -> float:
        """Of payload."""
        return self.packets_per_second * LENGTH * 8 / 1e6

    def __str__(self) -> str:
        rates = f"{self.mbit_per_second:.1f} Mbit/s, {self.packets_per_second:.0f} packets/s"
        return f"{rates}, {self.lost} of {self.sent} packets lost, jitter {self.jitter_ms:.2f} ms"


def udp(source: Container, target: str, mbit_per_second: float, *options: str) -> Datagrams:
    """A flow of the largest packets at a certain rate."""
    rate = f"{mbit_per_second:.3f}M"
    flow = ("--udp", "--bitrate", rate, "--length", str(LENGTH))
    total = _iperf(source, target, *flow, *options)["sum"]
    arrived = (total["packets"] - total["lost_packets"]) / total["seconds"]
    return Datagrams(total["packets"], total["lost_packets"], arrived, total["jitter_ms"])


def _iperf(source: Container, target: str, *options: str) -> dict[str, Any]:
    words = ("iperf3", "--json", "--client", target, "--time", str(SECONDS), *options)
    done = source.run(*words)
    report = json.loads(done.stdout or "{}")
    if done.returncode or "error" in report:
        raise LabError(f"{source.name}: iperf3: {report.get('error', done.stderr.strip())}")
    end: dict[str, Any] = report["end"]
    return end
