"""A gateway, and two more that have the same private address, each behind a NAT of its own.

Left is at 192.0.2.1. Right and third are both at 10.9.0.2 for themselves, at 203.0.113.2 and .3 for
left. Hosts speak through BEET SAs, each with its own inner address.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from family_lab import FamilyLab, Shape, network, outer, section
from scapy.layers.inet import IP, UDP

from p4esp.controller.config import ControllerConfig, parse_config
from p4esp.controller.packets import ETHERTYPE_IPV4, Ethernet
from p4esp.demo.plan import OUTSIDE, Change, Plan
from p4esp.demo.site import Site
from p4esp.service.journal import Kind

PRIVATE = "10.9.0.2"
PRIVATE_ROUTER, PUBLIC_ROUTER = "10.9.0.254", "192.0.2.254"
ROUTER_MAC = bytes.fromhex("0200000000fe")
SERVER = outer(1, 4)


@dataclass
class Nat:
    """In front of one client: its public address, and what its ports are shown as."""

    client: Site
    address: str
    shift: int = 40_000
    """Added to a port of the client's."""
    holding: bool = False
    """Whether what the client sends is held back."""
    sent: list[bytes] = field(default_factory=list)
    """Frames on the public side, from the client."""

    def out(self, frame: bytes) -> bytes | None:
        """A frame of the client's, on the public side."""
        packet = IP(Ethernet.parse(frame).payload)
        shown = rewritten(packet, src=self.address, sport=packet[UDP].sport + self.shift)
        self.sent.append(_framed(shown, outside_mac(1)))
        return None if self.holding else self.sent[-1]

    def back(self, packet: IP) -> bytes | None:
        """A frame for the client; None where no port of the client's is shown like that."""
        port = packet[UDP].dport - self.shift
        if port not in (500, 4500):
            return None
        mac = outside_mac(self.client.plan.number)
        return _framed(rewritten(packet, dst=PRIVATE, dport=port), mac)


def outside_mac(number: int) -> bytes:
    """Of a gateway's outside port."""
    return bytes((2, 0, 0, 0, number, OUTSIDE))


def rewritten(packet: IP, **changed: Any) -> bytes:
    """A packet with other addresses or ports, checksums made anew."""
    copy = packet.copy()
    for name, value in changed.items():
        setattr(copy[UDP] if name.endswith("port") else copy, name, value)
    copy[UDP].chksum = 0
    del copy.chksum
    return bytes(copy)


def _framed(packet: bytes, mac: bytes) -> bytes:
    return Ethernet(mac, ROUTER_MAC, ETHERTYPE_IPV4, packet).build()


class Network:
    """The wires between all three, with both NATs; frames travel when `deliver` is called."""

    def __init__(self, server: Site, nats: list[Nat]) -> None:
        self._server, self._nats = server, nats
        self._flight: deque[tuple[Site, bytes]] = deque()
        server.device.attach_burst(OUTSIDE, self._from_server)
        for nat in nats:
            nat.client.device.attach_burst(OUTSIDE, self._from(nat))

    def _from(self, nat: Nat) -> Callable[[list[bytes]], None]:
        def send(frames: list[bytes]) -> None:
            for frame in filter(_is_udp, frames):
                if (shown := nat.out(frame)) is not None:
                    self._put(self._server, shown)

        return send

    def _from_server(self, frames: list[bytes]) -> None:
        for frame in filter(_is_udp, frames):
            packet = IP(Ethernet.parse(frame).payload)
            for nat in self._nats:
                if nat.address == packet.dst and (back := nat.back(packet)) is not None:
                    self._put(nat.client, back)

    def _put(self, site: Site, frame: bytes) -> None:
        if not self._flight:
            asyncio.get_running_loop().call_soon(self.deliver)
        self._flight.append((site, frame))

    def deliver(self) -> None:
        """Carry frames across until none is left."""
        while self._flight:
            site, frame = self._flight.popleft()
            site.device.inject(OUTSIDE, frame)


def _is_udp(frame: bytes) -> bool:
    parsed = Ethernet.parse(frame)
    return parsed.ether_type == ETHERTYPE_IPV4 and UDP in IP(parsed.payload)


class NatLab(FamilyLab):
    """Both clients begin; `mobike`: whether all three have it."""

    def __init__(self, *, mobike: bool = False) -> None:
        super().__init__(Shape(mode="beet"), Change(starts=("right", "third")))
        self.third = Site(Plan("third", 3, "left", 1))
        self.mobike = mobike
        self.nats = [Nat(self.right, "203.0.113.2"), Nat(self.third, "203.0.113.3")]

    @property
    def sites(self) -> tuple[Site, ...]:  # type: ignore[override]
        """The server first."""
        return self.left, self.right, self.third

    def plug(self) -> None:
        """Connect the outside ports by way of the NATs."""
        self.wire = Network(self.left, self.nats)  # type: ignore[assignment]

    def config(self) -> ControllerConfig:
        """The controller's configuration."""
        clients = {nat.client.plan.name: self._client(nat.client) for nat in self.nats}
        return parse_config({"gateways": {"left": self._of_server()} | clients}, "lab")

    def _client(self, site: Site) -> dict[str, Any]:
        found = section(site.plan, site.address, self.shape, self.change)
        found["peers"][0] |= {"local": PRIVATE, "remote": SERVER, "mobike": self.mobike}
        found["interfaces"][1]["addresses"] = [f"{PRIVATE}/24"]
        found["routes"] = [{"destination": "0.0.0.0/0", "via": PRIVATE_ROUTER}]
        return _knowing(found, PRIVATE_ROUTER)

    def _of_server(self) -> dict[str, Any]:
        peers, policies, routes = [], [], [{"destination": "203.0.113.0/24", "via": PUBLIC_ROUTER}]
        for nat in self.nats:
            there = nat.client.plan
            plan = replace(self.left.plan, peer=there.name, peer_number=there.number)
            found = section(plan, self.left.address, self.shape, self.change)
            peers += [found["peers"][0] | {"remote": nat.address, "mobike": self.mobike}]
            policies += [found["policies"][0] | {"name": f"to-{there.name}"}]
            routes += [{"destination": network(there.number, 4), "via": PUBLIC_ROUTER}]
        merged = found | {"peers": peers, "policies": policies, "routes": routes}
        return _knowing(merged, PUBLIC_ROUTER)

    async def all_up(self) -> None:
        """Wait for both SAs."""
        for site in (self.right, self.third):
            await self.happened(site, Kind.SA_UP)
            await self.happened(self.left, Kind.SA_UP, f"{site.plan.name}/net")


def _knowing(found: dict[str, Any], router: str) -> dict[str, Any]:
    neighbour = {"address": router, "mac": ROUTER_MAC.hex(":")}
    return found | {"neighbours": [*found["neighbours"], neighbour]}


def from_elsewhere(frame: bytes, port: int) -> bytes:
    """The same datagram, as if it came from another port of the NAT's."""
    packet = IP(Ethernet.parse(frame).payload)
    return _framed(rewritten(packet, sport=port), outside_mac(1))


@asynccontextmanager
async def running_nat_lab(**options: Any) -> AsyncIterator[NatLab]:
    """A started lab with both SAs up, stopped at the end of the block."""
    lab = NatLab(**options)
    await lab.start()
    try:
        async with asyncio.timeout(30):
            await lab.all_up()
            yield lab
    finally:
        await lab.stop()
