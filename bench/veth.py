"""veth pairs for switches that are measured over Linux interfaces (needs root and iproute2)."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.session import MissingError

PREFIX = "p4b"
MTU = 2000
"""Room for 1,400 octets, the tunnel, and the 32 octets of the crypto descriptor."""


@dataclass(frozen=True, slots=True)
class VethPair:
    """`switch` is the end a switch is given, `host` the one the benchmark sends and counts on."""

    switch: str
    host: str

    def received(self) -> int:
        """Frames that came out of the switch, by the interface's own count."""
        path = Path(f"/sys/class/net/{self.host}/statistics/rx_packets")
        return int(path.read_text())


def check_available() -> None:
    """`MissingError` when this user on this machine cannot make veth pairs."""
    if shutil.which("ip") is None:
        raise MissingError("over veth: no `ip` command (iproute2)")
    if os.geteuid() != 0:
        raise MissingError("over veth: needs root")


@contextmanager
def veth_pairs(ports: Sequence[int], first: int) -> Iterator[dict[int, VethPair]]:
    """A pair for each switch port, named p4b<first>, p4b<first + 1>, ...; gone afterwards."""
    check_available()
    with ExitStack() as stack:
        pairs = {}
        for place, port in enumerate(ports):
            pair = VethPair(f"{PREFIX}{first + 2 * place}", f"{PREFIX}{first + 2 * place + 1}")
            _remove(pair)  # left over from a run that was killed
            _create(pair)
            stack.callback(_remove, pair)
            pairs[port] = pair
        yield pairs


def _create(pair: VethPair) -> None:
    _ip("link", "add", pair.switch, "type", "veth", "peer", "name", pair.host)
    for name in (pair.switch, pair.host):
        # No neighbour discovery: only frames of ours may be counted.
        Path(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6").write_text("1")
        _ip("link", "set", name, "mtu", str(MTU), "up")


def _remove(pair: VethPair) -> None:
    subprocess.run(["ip", "link", "del", pair.switch], capture_output=True, check=False)


def _ip(*words: str) -> None:
    result = subprocess.run(["ip", *words], capture_output=True, check=False, text=True)
    if result.returncode:
        raise MissingError(f"over veth: ip {' '.join(words)}: {result.stderr.strip()}")
