"""What the daemon can be told over its control socket."""

from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from typing import Any, Protocol

from p4esp.daemon.null_data_plane import NullDataPlane
from p4esp.ike.config import PeerConfig
from p4esp.ike.errors import CommandError
from p4esp.ike.events import Event
from p4esp.ipsec.sa import ChildSaParams
from p4esp.ipsec.selectors import Address
from p4esp.service.connections import Connections
from p4esp.service.control import Command
from p4esp.service.driver import Driver
from p4esp.service.event_hub import EventHub
from p4esp.service.event_json import child_as_json, event_as_json, ike_as_json
from p4esp.service.outcomes import Commander
from p4esp.service.told import deletes_as_json, told_by


class Commanded(Protocol):
    """The parts of the daemon that commands reach."""

    peers: Mapping[str, PeerConfig]
    driver: Driver
    hub: EventHub
    plane: NullDataPlane
    connections: Connections

    def counters(self) -> dict[str, Any]:
        """Packets that came to nothing."""


class DaemonCommands:
    """Each command takes strings by name and returns JSON-ready values.

    An IKE SA is named by its peer. A child SA is named `peer/child`, or by its inbound SPI.
    """

    def __init__(self, daemon: Commanded) -> None:
        self._daemon = daemon
        self._commander = Commander(daemon.driver, daemon.hub)

    @property
    def table(self) -> dict[str, Command]:
        """The commands by name."""
        return {
            "status": self.status,
            "up": self.up,
            "up-childless": self.up_childless,
            "down": self.down,
            "rekey-child": self.rekey_child,
            "rekey-ike": self.rekey_ike,
            "delete-child": self.delete_child,
            "check": self.check,
            "move": self.move,
            "announce": self.announce,
            "send-away": self.send_away,
        }

    async def status(self) -> object:
        """All SAs, and what was dropped."""
        daemon = self._daemon
        established = daemon.connections.established
        return {
            "ike_sas": [
                {**ike_as_json(ike), "established": ike.spi in established}
                for ike in daemon.driver.endpoint.ike_sas
            ],
            "child_sas": [child_as_json(child) for child in daemon.plane.children.values()],
            **deletes_as_json(daemon.connections),
            **daemon.counters(),
        }

    async def up(self, peer: str, child: str = "") -> object:
        """Make a child SA, or all that the peer has, with an IKE SA if there is none."""
        config = self._peer(peer)
        names = [config.child(child).name] if child else [item.name for item in config.children]
        if not names:
            raise CommandError(f"peer {peer} has no children; accepted: up-childless")
        return [event_as_json(await self._up(config, name)) for name in names]

    async def _up(self, peer: PeerConfig, child: str) -> Event:
        wanted = (peer.name, child)
        for ike in self._established(peer.name):
            return await self._commander.create_child(ike, wanted)
        return await self._commander.connect(
            lambda endpoint, now: endpoint.initiate(peer, now, child=child), wanted
        )

    async def up_childless(self, peer: str) -> object:
        """Make an IKE SA without a child (RFC 6023)."""
        config = self._peer(peer)
        event = await self._commander.connect(
            lambda endpoint, now: endpoint.initiate(config, now), None
        )
        return event_as_json(event)

    async def down(
        self, peer: str, reason: str = "", text: str = "", language: str = "", downtime: str = ""
    ) -> object:
        """Delete all IKE SAs with a peer, and tell it why."""
        self._peer(peer)
        told = told_by(reason, text, language, downtime)
        found = self._daemon.driver.endpoint.ike_sas
        sas = _some((ike.spi for ike in found if ike.peer == peer), peer)
        return [event_as_json(await self._commander.delete_ike(spi, told)) for spi in sas]

    async def rekey_child(self, child: str) -> object:
        """Replace a child SA by a fresh one."""
        return event_as_json(await self._commander.rekey_child(self._child(child)))

    async def rekey_ike(self, peer: str) -> object:
        """Replace the IKE SA with a peer by a fresh one."""
        self._peer(peer)
        (spi, *_) = _some(self._established(peer), peer)
        return event_as_json(await self._commander.rekey_ike(spi))

    async def delete_child(
        self, child: str, reason: str = "", text: str = "", language: str = "", downtime: str = ""
    ) -> object:
        """Delete a child SA, and tell the peer why."""
        told = told_by(reason, text, language, downtime)
        spi_in = self._child(child).spi_in
        return event_as_json(await self._commander.delete_child(spi_in, told))

    async def check(self, peer: str) -> object:
        """Ask a peer whether it is alive."""
        self._peer(peer)
        (spi, *_) = _some(self._established(peer), peer)
        return event_as_json(await self._commander.check(spi))

    async def move(self, peer: str, local: str, remote: str = "") -> object:
        """Use other outer addresses with a peer (RFC 4555); without `remote` the peer's stays."""
        self._peer(peer)
        (spi, *_) = _some(self._established(peer), peer)
        (path,) = (ike.path for ike in self._daemon.driver.endpoint.ike_sas if ike.spi == spi)
        there = _address(remote) if remote else path.remote.host
        wanted = path.between(_address(local), there)
        if wanted == path:
            raise CommandError(f"the IKE SA is on {path} already; accepted: another path")
        return event_as_json(await self._commander.move(spi, wanted))

    async def announce(self, peer: str, addresses: str = "") -> object:
        """Tell a peer at which other addresses we are, with commas between (RFC 4555)."""
        self._peer(peer)
        others = [_address(text) for text in addresses.split(",") if text]
        (spi, *_) = _some(self._established(peer), peer)
        self._daemon.driver.command(
            lambda endpoint, now: endpoint.announce_addresses(spi, others, now)
        )
        ike = ike_as_json(self._daemon.connections.established[spi])
        return {"event": "announced", "ike": ike, "addresses": list(map(str, others))}

    async def send_away(self, peer: str, gateway: str) -> object:
        """Have a peer go to another gateway (RFC 5685); it leaves us."""
        self._peer(peer)
        (spi, *_) = _some(self._established(peer), peer)
        return event_as_json(await self._commander.send_away(spi, _address(gateway)))

    def _peer(self, name: str) -> PeerConfig:
        peers = self._daemon.peers
        if name not in peers:
            accepted = ", ".join(peers) or "none: there are no peers"
            raise CommandError(f"there is no peer {name!r}; accepted: {accepted}")
        return peers[name]

    def _established(self, peer: str) -> list[bytes]:
        sas = self._daemon.connections.established
        return [spi for spi, ike in sas.items() if ike.peer == peer]

    def _child(self, name: str) -> ChildSaParams:
        children = self._daemon.plane.children.values()
        found = [child for child in children if name in _names_of(child)]
        if not found:
            accepted = ", ".join(f"{child.peer}/{child.name}" for child in children) or "none is up"
            raise CommandError(f"there is no child SA {name!r}; accepted: {accepted}")
        return found[-1]


def _names_of(child: ChildSaParams) -> tuple[str, str]:
    return f"{child.peer}/{child.name}", f"{child.spi_in:08x}"


def _address(text: str) -> Address:
    try:
        return ip_address(text)
    except ValueError:
        raise CommandError(f"{text!r}; accepted: an IP address") from None


def _some(sas: Iterable[bytes], peer: str) -> list[bytes]:
    found = list(sas)
    if not found:
        raise CommandError(f"there is no IKE SA with peer {peer}")
    return found
