"""ike.handshakes: IKE_SA_INIT and IKE_AUTH between two endpoints in memory, both on one core."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from ipaddress import ip_address
from itertools import count
from typing import TYPE_CHECKING

from bench.registry import Benchmark
from bench.row import Row
from bench.session import Session
from bench.timing import best_rates, cpu_rate

if TYPE_CHECKING:
    from p4esp.ike.config import PeerConfig
    from p4esp.ike.endpoint import IkeEndpoint
    from p4esp.ike.path import Datagram

HANDSHAKES = 20
ROUNDS = 6
SITES = (("192.0.2.1", "10.1.0.0/16", "west"), ("192.0.2.2", "10.2.0.0/16", "east"))
PSK = b"benchmark, not a secret"
FIRST_SPI = 0x1000


@dataclass
class CountingSpis:
    """Gives out ESP SPIs in order."""

    numbers: Iterator[int] = field(default_factory=lambda: count(FIRST_SPI))

    def allocate(self) -> int:
        """The next one."""
        return next(self.numbers)

    def release(self, spi: int) -> None:
        """Nothing is reused."""


def measure(session: Session) -> Iterator[Row]:
    """x25519, AES-GCM-16, PRF-HMAC-SHA2-256, pre-shared keys, one child SA each."""
    session.step("ike.handshakes")
    (best,) = best_rates([partial(cpu_rate, HANDSHAKES, _handshakes)], ROUNDS)
    yield Row("ike.handshakes", best, "handshakes/s")


def _handshakes() -> None:
    for _ in range(HANDSHAKES):
        handshake()


def handshake() -> None:
    """Two fresh endpoints; RuntimeError unless both end up with the child SA."""
    from p4esp.ike.events import ChildUp

    configs = _configs()
    endpoints = [_endpoint(config) for config in configs]
    west, east = endpoints
    west.initiate(configs[0], 0.0, child="net")
    while _carry(west, east) + _carry(east, west):
        pass
    for endpoint in endpoints:
        events = list(iter(endpoint.next_event, None))
        if not any(isinstance(event, ChildUp) for event in events):
            raise RuntimeError(f"the handshake failed: {events}")


def _carry(source: IkeEndpoint, sink: IkeEndpoint) -> int:
    """Takes all datagrams over; how many there were."""
    datagrams = source.datagrams_to_send(0.0)
    for datagram in datagrams:
        _deliver(datagram, sink)
    return len(datagrams)


def _deliver(datagram: Datagram, sink: IkeEndpoint) -> None:
    from p4esp.ike.path import Path

    arrival = Path(datagram.path.remote, datagram.path.local)
    sink.receive_datagram(datagram.data, arrival, 0.0)


def _endpoint(config: PeerConfig) -> IkeEndpoint:
    from p4esp.ike.config import Settings
    from p4esp.ike.endpoint import IkeEndpoint, directory
    from p4esp.ike.extensions.standard import STANDARD
    from p4esp.ike.state import Environment

    environment = Environment(os.urandom, CountingSpis(), Settings(), STANDARD)
    return IkeEndpoint(environment, directory([config]), 0.0)


def _configs() -> tuple[PeerConfig, PeerConfig]:
    west, east = SITES
    return _config(west, east), _config(east, west)


def _config(here: tuple[str, str, str], there: tuple[str, str, str]) -> PeerConfig:
    from p4esp.ike.auth.credentials import preshared
    from p4esp.ike.config import ChildConfig, PeerConfig
    from p4esp.ipsec.identity import Identity
    from p4esp.ipsec.selectors import TrafficSelector

    (address, network, name), (peer, peer_network, peer_name) = here, there
    local, remote = (TrafficSelector.of_network(text) for text in (network, peer_network))
    return PeerConfig(
        name=peer_name,
        local_id=Identity.parse(f"{name}.example"),
        remote_id=Identity.parse(f"{peer_name}.example"),
        auth=preshared(PSK),
        local=ip_address(address),
        remote=ip_address(peer),
        children=(ChildConfig("net", (local,), (remote,)),),
    )


BENCHMARKS = (
    Benchmark("ike.handshakes", "handshakes/s", "INIT and AUTH between two endpoints", measure),
)
