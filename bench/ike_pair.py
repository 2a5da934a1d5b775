"""Two IKE endpoints in memory, and what each of them costs."""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from ipaddress import ip_address
from time import thread_time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from p4esp.ike.config import PeerConfig, Settings
    from p4esp.ike.endpoint import IkeEndpoint
    from p4esp.ike.path import Datagram

SITES = (("192.0.2.1", "10.1.0.0/16", "west"), ("192.0.2.2", "10.2.0.0/16", "east"))
PSK = b"benchmark, not a secret"
FIRST_SPI = 0x1000
EXCHANGE_AT = 18
"""Of the exchange type in an IKE header (port 500: no marker in front)."""
PLENTY = 10**6
"""A limit that is no limit."""


@dataclass
class CountingSpis:
    """Gives out ESP SPIs in order, one at a time."""

    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(FIRST_SPI))

    def allocate(self, count: int = 1, apart: object = None) -> int:
        """The next one."""
        assert (count, apart) == (1, None), "no benchmark takes a block, or compresses"
        return next(self.numbers)

    def release(self, spi: int) -> None:
        """Nothing is reused."""


@dataclass
class Side:
    """An endpoint and the processor time spent in it, in seconds."""

    config: PeerConfig
    endpoint: IkeEndpoint
    spent: float = 0.0

    def run(self, action: Callable[[], object]) -> None:
        """Do something with the endpoint on its account."""
        start = thread_time()
        action()
        self.spent += thread_time() - start

    def take(self) -> list[Datagram]:
        """What it has to send."""
        datagrams: list[Datagram] = []
        self.run(lambda: datagrams.extend(self.endpoint.datagrams_to_send(0.0)))
        return datagrams

    def child_is_up(self) -> bool:
        """Whether its events say so; takes them all."""
        from p4esp.ike.events import ChildUp

        return any(isinstance(event, ChildUp) for event in iter(self.endpoint.next_event, None))


class Pair:
    """West initiates, east responds: PSK, x25519, AES-GCM-16, PRF-HMAC-SHA2-256, one child SA."""

    def __init__(self, west: Mapping[str, Any] | None = None, **both: Any) -> None:
        """What differs in the configuration of west, and of both."""
        self.west = _side(*SITES, {**both, **(west or {})})
        self.east = _side(*SITES[::-1], both)
        self.octets: Counter[int] = Counter()
        """Octets of all messages, by exchange type."""

    def handshake(self) -> None:
        """One more IKE SA with a child SA; RuntimeError when it fails."""
        west, east = self.west, self.east
        west.run(lambda: west.endpoint.initiate(west.config, 0.0, child="net"))
        self.settle()
        if not (west.child_is_up() and east.child_is_up()):
            raise RuntimeError("the handshake failed")

    def settle(self) -> None:
        """Carry on until nobody has anything to say."""
        while self.carry():
            pass

    def carry(self) -> int:
        """Take everything that was sent across; how many datagrams there were."""
        return self._carry(self.west, self.east) + self._carry(self.east, self.west)

    def _carry(self, source: Side, sink: Side) -> int:
        datagrams = source.take()
        for datagram in datagrams:
            self.octets[datagram.data[EXCHANGE_AT]] += len(datagram.data)
        _hand_over(datagrams, sink)
        return len(datagrams)


def _hand_over(datagrams: Iterable[Datagram], sink: Side) -> None:
    from p4esp.ike.path import Path

    for datagram in datagrams:
        arrival = Path(datagram.path.remote, datagram.path.local)
        data = datagram.data
        sink.run(lambda d=data, a=arrival: sink.endpoint.receive_datagram(d, a, 0.0))  # type: ignore[misc]


def _side(
    here: tuple[str, str, str], there: tuple[str, str, str], changes: Mapping[str, Any]
) -> Side:
    from p4esp.ike.config import Settings

    config = replace(peer_config(here, there), **changes)
    settings = Settings(
        init_rate=PLENTY,
        create_child_rate=PLENTY,
        max_ike_sas=PLENTY,
        max_ike_sas_per_peer=PLENTY,
        experimental=True,
    )
    return Side(config, endpoint_for(config, settings, 0.0))


def endpoint_for(config: PeerConfig, settings: Settings, now: float) -> IkeEndpoint:
    """An endpoint with one peer, real randomness and all extensions."""
    from p4esp.ike.endpoint import IkeEndpoint, directory
    from p4esp.ike.extensions.standard import STANDARD
    from p4esp.ike.state import Environment

    wall_clock = partial(datetime.now, UTC)
    environment = Environment(os.urandom, CountingSpis(), settings, STANDARD, wall_clock=wall_clock)
    return IkeEndpoint(environment, directory([config]), now)


def peer_config(here: tuple[str, str, str], there: tuple[str, str, str]) -> PeerConfig:
    from p4esp.ike.auth.credentials import preshared
    from p4esp.ike.config import ChildConfig, PeerConfig
    from p4esp.ike.proposals import Template
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
        proposals=(Template.ike("aes256gcm16-prfsha256-x25519"),),
        children=(ChildConfig("net", (local,), (remote,), (Template.esp("aes256gcm16-noesn"),)),),
        initial_contact=False,
    )
