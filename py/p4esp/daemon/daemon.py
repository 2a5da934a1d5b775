"""The IKE daemon: an endpoint on UDP sockets, a data plane that carries nothing, commands."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

from p4esp.daemon.commands import DaemonCommands
from p4esp.daemon.config import DaemonConfig
from p4esp.daemon.events import NAME, DaemonEvents
from p4esp.daemon.null_data_plane import NullDataPlane
from p4esp.daemon.udp import UdpSockets
from p4esp.ike.config import PeerConfig
from p4esp.ike.endpoint import IkeEndpoint, directory
from p4esp.ike.extensions.standard import STANDARD
from p4esp.ike.path import Datagram
from p4esp.ike.state import Environment, WallClock
from p4esp.service.audit import TraceSink, trace_hook
from p4esp.service.connections import Connections
from p4esp.service.control import control_socket
from p4esp.service.driver import Driver
from p4esp.service.event_hub import EventHub
from p4esp.service.failures import failure_commands
from p4esp.service.journal import Journal
from p4esp.service.key_export import KeyExporter, ike_key_export
from p4esp.store.sealing import key_from_file


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the daemon takes from outside."""

    journal: Journal
    clock: Callable[[], float]
    random_bytes: Callable[[int], bytes]
    wall_clock: WallClock = field(default=partial(datetime.now, UTC))
    trace: TraceSink | None = None
    """Called with `ike` and each message."""
    export_keys: KeyExporter | None = None


class IkeDaemon:
    """Runs until cancelled."""

    def __init__(self, config: DaemonConfig, around: Surroundings) -> None:
        """ValueError when a peer's secret can no longer be read, StoreError for the token file."""
        self._config = config
        self._around = around
        self.peers: Mapping[str, PeerConfig] = {peer.name: peer.config() for peer in config.peers}
        self.hub = EventHub()
        self.plane = NullDataPlane(self._random_bits)
        events = DaemonEvents(self.plane, self.hub, around.journal, around.export_keys)
        self.driver = Driver(self._endpoint(), events.handle, self._send, around.clock)
        self.connections = Connections(
            NAME, self.peers.values(), self.plane, self.driver, journal=around.journal
        )
        events.attach(self.connections)
        self._sockets: UdpSockets | None = None

    def _random_bits(self, bits: int) -> int:
        return int.from_bytes(self._around.random_bytes(bits // 8), "big")

    def _endpoint(self) -> IkeEndpoint:
        around = self._around
        environment = Environment(
            random=around.random_bytes,
            spis=self.plane.spis,
            settings=self._config.ike.settings(
                self._config.ports, experimental=self._config.experimental
            ),
            extensions=STANDARD,
            trace=trace_hook(NAME, around.journal, around.trace),
            export_keys=ike_key_export(around.export_keys),
            wall_clock=around.wall_clock,
            token_secret=self._token_secret(),
        )
        return IkeEndpoint(environment, directory(self.peers.values()), around.clock())

    def _token_secret(self) -> bytes:
        """What crash tokens are made of, the same for good; none where no peer is to have one."""
        wanted = any(peer.extensions.crash_detection for peer in self.peers.values())
        return key_from_file(self._config.token_file) if wanted else b""

    async def _send(self, datagram: Datagram) -> None:
        if self._sockets is not None:
            self._sockets.send(datagram)

    def counters(self) -> dict[str, Any]:
        """Packets that came to nothing, by reason, and half-open IKE SAs."""
        lost = {claim.value: count for claim, count in self.driver.inbox.lost.items()}
        if self._sockets is not None:
            lost |= {reason.value: count for reason, count in self._sockets.lost.items()}
        return {
            "half_open": self.driver.endpoint.half_open,
            "drops": {reason.value: count for reason, count in self.driver.endpoint.drops.items()},
            "lost": lost,
        }

    async def run(self, ready: Callable[[], None]) -> None:
        """Serve until cancelled; UdpError or SocketPathError when a socket cannot be had.

        `ready` is called once packets and commands are taken.
        """
        commands = DaemonCommands(self).table | failure_commands(self._around.journal)
        with UdpSockets(self._config.listen, self._config.ports, self.driver.received) as sockets:
            self._sockets = sockets
            async with control_socket(self._config.control, commands, self.hub):
                ready()
                await self._serve()

    async def _serve(self) -> None:
        self.connections.keep_up(
            (peer.name, child.name)
            for peer in self._config.peers
            for child in peer.children
            if child.start
        )
        self.connections.start()
        try:
            await self.driver.run()
        finally:
            self.connections.stop()
