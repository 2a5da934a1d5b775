"""Two IKE endpoints on a simulated network with a virtual clock: no sockets, no sleeping."""

import heapq
import itertools
import random
from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any

from p4esp.ike.auth.credentials import preshared
from p4esp.ike.config import ChildConfig, PeerConfig, Retransmission, Settings
from p4esp.ike.endpoint import IkeEndpoint, directory
from p4esp.ike.events import ChildUp, IkeDown, IkeEstablished
from p4esp.ike.extensions.base import Extension
from p4esp.ike.extensions.standard import STANDARD
from p4esp.ike.path import Datagram, Path, UdpAddress
from p4esp.ike.state import Environment, no_objection
from p4esp.ike.trace import TraceRecord
from p4esp.ipsec.diet import Apart
from p4esp.ipsec.identity import Identity
from p4esp.ipsec.selectors import TrafficSelector

WEST, EAST = ip_address("192.0.2.1"), ip_address("192.0.2.2")
WEST_NET, EAST_NET = "10.1.0.0/16", "10.2.0.0/16"
LATENCY = 0.01
TODAY = datetime(2026, 3, 1, 12, tzinfo=UTC)
"""What the wall clock of every node says."""
STEADY = Retransmission(jitter=0.0)


class Spis:
    """An allocator that remembers what is in use."""

    def __init__(self, first: int) -> None:
        self._next = itertools.count(first)
        self.used: set[int] = set()

    def allocate(self, count: int = 1, apart: Apart | None = None) -> int:
        free = (spi for spi in self._next if apart is None or apart.low(spi))
        spi = next(spi for spi in free if spi % count == 0)
        for _ in range(count - 1):
            next(self._next)
        self.used.add(spi)
        return spi

    def release(self, spi: int) -> None:
        self.used.remove(spi)


def net(text: str) -> tuple[TrafficSelector, ...]:
    return (TrafficSelector.of_network(text),)


def child(here: str, there: str, name: str = "net") -> ChildConfig:
    return ChildConfig(name, net(here), net(there))


def changed(config: PeerConfig, changes: dict[str, object]) -> PeerConfig:
    """A configuration with some fields changed; `psk` is short for that key in both directions."""
    if "psk" in changes:
        changes["auth"] = preshared(changes.pop("psk"))  # type: ignore[arg-type]
    return replace(config, **changes)  # type: ignore[arg-type]


def west_config(**changes: object) -> PeerConfig:
    """West's view of east."""
    config = PeerConfig(
        name="east",
        local_id=Identity.parse("west.example"),
        remote_id=Identity.parse("east.example"),
        auth=preshared(b"correct horse"),
        local=WEST,
        remote=EAST,
        children=(child(WEST_NET, EAST_NET),),
    )
    return changed(config, changes)


def east_config(**changes: object) -> PeerConfig:
    """East's view of west."""
    config = PeerConfig(
        name="west",
        local_id=Identity.parse("east.example"),
        remote_id=Identity.parse("west.example"),
        auth=preshared(b"correct horse"),
        local=EAST,
        children=(child(EAST_NET, WEST_NET),),
    )
    return changed(config, changes)


@dataclass
class Node:
    """An endpoint, what it said, and what it allocated."""

    endpoint: IkeEndpoint
    spis: Spis
    events: list[object] = field(default_factory=list)
    traces: list[TraceRecord] = field(default_factory=list)
    keys: list[tuple[object, ...]] = field(default_factory=list)
    objects: Callable[..., str | None] = no_objection
    """What the owner says to a child SA: a test may change it."""

    def of(self, kind: type) -> list:
        """The events of a kind so far."""
        return [event for event in self.events if isinstance(event, kind)]

    def one(self, kind: type):
        """The only event of a kind."""
        (event,) = self.of(kind)
        return event


def make_node(
    configs: Iterable[PeerConfig],
    seed: int,
    settings: Settings | None = None,
    extensions: Sequence[Extension] = STANDARD,
    **more: Any,
) -> Node:
    source, spis = random.Random(seed), Spis(0xC0000000 + seed % 4096 * 0x10000)
    node_traces: list[TraceRecord] = []
    node_keys: list[tuple[object, ...]] = []
    node: Node

    def objection(*question: object) -> str | None:
        return node.objects(*question)

    env = Environment(
        wall_clock=lambda: TODAY,
        random=source.randbytes,
        spis=spis,
        settings=settings or Settings(retransmission=STEADY),
        extensions=extensions,
        trace=node_traces.append,
        export_keys=lambda *facts: node_keys.append((*facts[:-1], deepcopy(facts[-1]))),
        objection=objection,
        **more,
    )
    endpoint = IkeEndpoint(env, directory(configs), 0.0)
    node = Node(endpoint, spis, traces=node_traces, keys=node_keys)
    return node


Fate = Callable[[Datagram], Iterable[float]]
"""Delays after which copies of a datagram arrive; none: lost."""


def reliable(_: Datagram) -> list[float]:
    return [LATENCY]


class Lab:
    """A clock, two nodes, and a wire whose behaviour `fate` decides."""

    def __init__(
        self,
        west: PeerConfig | None = None,
        east: PeerConfig | None = None,
        *,
        fate: Fate = reliable,
        settings: Settings | None = None,
        seed: int = 1,
        extensions: Sequence[Extension] = STANDARD,
        **more: Any,
    ) -> None:
        """`more` goes to the environment of both nodes."""
        self.west_config = west or west_config()
        self.east_config = east or east_config()
        self.west = make_node([self.west_config], seed, settings, extensions, **more)
        self.east = make_node([self.east_config], seed + 1, settings, extensions, **more)
        self.nodes = {WEST: self.west, EAST: self.east}
        self.fate = fate
        self.now = 0.0
        self.wire: list[tuple[float, Datagram]] = []
        """Everything sent, with the time."""
        self._flight: list[tuple[float, int, Datagram]] = []
        self._serial = itertools.count()

    def connect(self, child: str | None = "net") -> bytes:
        """West initiates; run until quiet."""
        ike = self.west.endpoint.initiate(self.west_config, self.now, child=child)
        self.settle()
        return ike

    def settle(self, limit: float = 1.0) -> None:
        """Run until nothing is in flight, timers left alone, `limit` seconds at most."""
        self._collect()
        end = self.now + limit
        while self._flight and self._flight[0][0] <= end:
            self._deliver_next()

    def run(self, seconds: float) -> None:
        """Let time pass, timers and deliveries in order."""
        end = self.now + seconds
        self._collect()
        while (time := self._next_time()) is not None and time <= end:
            self._step(time)
        self.now = end

    def _next_time(self) -> float | None:
        times = [node.endpoint.get_timer() for node in self.nodes.values()]
        times += [flight[0] for flight in self._flight[:1]]
        return min((time for time in times if time is not None), default=None)

    def _step(self, time: float) -> None:
        if self._flight and self._flight[0][0] <= time:
            self._deliver_next()
            return
        self.now = max(self.now, time)
        for node in self.nodes.values():
            node.endpoint.handle_timer(self.now)
        self._collect()

    def _deliver_next(self) -> None:
        time, _, datagram = heapq.heappop(self._flight)
        self.now = max(self.now, time)
        self.deliver(datagram)

    def deliver(self, datagram: Datagram) -> None:
        """Hand a datagram over at its destination now."""
        node = self.nodes.get(datagram.path.remote.host)
        if node is not None:
            arrival = Path(datagram.path.remote, datagram.path.local)
            node.endpoint.receive_datagram(datagram.data, arrival, self.now)
        self._collect()

    def _collect(self) -> None:
        for node in self.nodes.values():
            while (event := node.endpoint.next_event()) is not None:
                node.events.append(event)
            for datagram in node.endpoint.datagrams_to_send(self.now):
                self._launch(datagram)

    def _launch(self, datagram: Datagram) -> None:
        self.wire.append((self.now, datagram))
        for delay in self.fate(datagram):
            heapq.heappush(self._flight, (self.now + delay, next(self._serial), datagram))


def toward(host: object, datagram: Datagram) -> bool:
    return datagram.path.remote.host == host


def path_between(local: object, remote: object, port: int = 500) -> Path:
    return Path(UdpAddress(local, port), UdpAddress(remote, port))  # type: ignore[arg-type]


def assert_nothing_left(lab: Lab) -> None:
    """No SA came of it, and nothing of the attempt remains at either end."""
    lab.run(60)
    for node in (lab.west, lab.east):
        assert node.of(IkeEstablished) == node.of(ChildUp) == node.of(IkeDown) == []
        assert node.endpoint.ike_sas == []
        assert node.endpoint.half_open == 0
        assert node.spis.used == set()
        assert node.endpoint.get_timer() is None
