"""A lab whose two sites have addresses of both families, inside and outside.

What is protected, and between whom, a test says by a `Shape`.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from lab_helpers import PROGRAM
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.ipsec import ESP, SecurityAssociation
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw

from p4esp.controller.config import ControllerConfig, parse_config
from p4esp.controller.packets import ETHERTYPE_IPV6, Ethernet
from p4esp.controller.sa_installer import LiveSa
from p4esp.demo.lab import Lab
from p4esp.demo.plan import INSIDE, PSK, Change, Plan
from p4esp.demo.site import Site

ESP_PROPOSAL = "aes256gcm16-noesn"


@dataclass(frozen=True)
class Shape:
    """Outer family, inner families, mode; and whatever else the peer section says."""

    outer: int = 4
    inner: tuple[int, ...] = (4,)
    mode: str = "tunnel"
    encapsulate: bool = False
    proposal: str = ESP_PROPOSAL


def network(number: int, version: int) -> str:
    """The protected network of a site."""
    return f"10.{number}.0.0/16" if version == 4 else f"2001:db8:{number:x}::/48"


def outer(number: int, version: int) -> str:
    """A gateway's address on the wire."""
    return f"192.0.2.{number}" if version == 4 else f"2001:db8:ff::{number:x}"


def host(number: int, version: int) -> str:
    """A host behind a gateway."""
    return f"10.{number}.0.10" if version == 4 else f"2001:db8:{number:x}::10"


def section(plan: Plan, address: str, shape: Shape, change: Change) -> dict[str, Any]:
    """The configuration of one site."""
    end = host if shape.mode == "transport" else outer
    ours, theirs = (_inner(number, shape) for number in (plan.number, plan.peer_number))
    child = {"name": "net", "local": ours, "remote": theirs, "mode": shape.mode}
    peer = {
        "name": plan.peer,
        "local": end(plan.number, shape.outer),
        "remote": end(plan.peer_number, shape.outer),
        "local_id": f"{plan.name}.example",
        "remote_id": f"{plan.peer}.example",
        "psk": PSK,
        "force_encapsulation": shape.encapsulate,
        "children": [child | {"proposals": [shape.proposal], "start": plan.name in change.starts}],
    }
    rule = {"name": "to-peer", "action": "protect", "local": ours, "remote": theirs}
    policies = [rule | {"child": f"{plan.peer}/net"}]
    return _site(plan, address) | {"peers": [peer], "policies": policies, "sa": change.sa}


def _inner(number: int, shape: Shape) -> list[str]:
    if shape.mode != "tunnel":
        versions = (shape.outer,) if shape.mode == "transport" else shape.inner
        return [f"{host(number, v)}/{32 if v == 4 else 128}" for v in versions]
    return [network(number, version) for version in shape.inner]


def _site(plan: Plan, address: str) -> dict[str, Any]:
    number, far = plan.number, plan.peer_number
    inside = {
        "port": 0,
        "role": "protected",
        "mac": plan.mac(0).hex(":"),
        "addresses": [f"10.{number}.0.1/16", f"2001:db8:{number:x}::1/64"],
        "hosts": [host(number, 4), host(number, 6)],
    }
    outside = {
        "port": 1,
        "role": "unprotected",
        "mac": plan.mac(1).hex(":"),
        "addresses": [f"{outer(number, 4)}/24", f"{outer(number, 6)}/64"],
    }
    routes = [{"destination": network(far, v), "via": outer(far, v)} for v in (4, 6)]
    mac = plan.host_mac.hex(":")
    neighbours = [{"address": host(number, v), "mac": mac} for v in (4, 6)]
    return {
        "address": address,
        "interfaces": [inside, outside],
        "routes": routes,
        "neighbours": neighbours,
    }


class FamilyLab(Lab):
    """A lab of a shape; every frame on the wire is kept."""

    def __init__(self, shape: Shape, change: Change) -> None:
        super().__init__(PROGRAM, change)
        self.shape = shape
        self.seen: list[bytes] = []

    def config(self) -> ControllerConfig:
        """The controller's configuration."""
        sections = {
            site.plan.name: section(site.plan, site.address, self.shape, self.change)
            for site in self.sites
        }
        return parse_config({"gateways": sections}, "lab")

    def plug(self) -> None:
        """Connect the outside ports, with an ear on the wire."""
        super().plug()
        self.wire.on_wire = self._hear

    def _hear(self, frame: bytes) -> bytes:
        self.seen.append(frame)
        return frame

    def live(self, site: Site) -> LiveSa:
        """The only SA of a site."""
        (live,) = self.gateway(site).sas.live.values()
        return live

    def esp_on_wire(self) -> list[Packet]:
        """The ESP packets seen, in UDP too, as scapy reads them."""
        return [packet for packet in self._packets() if ESP in packet]

    def _packets(self) -> list[Packet]:
        frames = (frame for frame in self.seen if frame[12:14] in (b"\x08\x00", b"\x86\xdd"))
        return [ip_of(frame) for frame in frames]

    def opened(self, site: Site) -> list[bytes]:
        """What scapy finds in the ESP packets that a site has sent, by the keys of its SA."""
        judge = scapy_sa(self.live(site))
        sent = [p for p in self.esp_on_wire() if p.src == str(self.live(site).record.child.local)]
        return [bytes(judge.decrypt(packet)) for packet in sent]


def ip_of(frame: bytes) -> Packet:
    """The IP packet in a frame."""
    parsed = Ethernet.parse(frame)
    if parsed.ether_type == ETHERTYPE_IPV6:
        return IPv6(parsed.payload)
    return IP(parsed.payload)


def scapy_sa(live: LiveSa) -> SecurityAssociation:
    """scapy's SA for what a gateway sends."""
    child = live.record.child
    keys = child.keymat.outbound
    header = None
    if child.mode.value == "tunnel":
        kind = IPv6 if child.local.version == 6 else IP
        header = kind(src=str(child.local), dst=str(child.remote))
    udp = child.encapsulation
    nat = UDP(sport=udp.local_port, dport=udp.remote_port) if udp else None
    return SecurityAssociation(
        ESP,
        spi=child.spi_out,
        crypt_algo="AES-GCM",
        crypt_key=keys.key + keys.salt,
        tunnel_header=header,
        nat_t_header=nat,
    )


def datagram(source: Site, target: Site, version: int, payload: bytes = b"hello") -> Packet:
    """A UDP packet from host to host, as the host sends it."""
    kind = IPv6 if version == 6 else IP
    ends = (host(site.plan.number, version) for site in (source, target))
    src, dst = ends
    return kind(bytes(kind(src=src, dst=dst) / UDP(sport=1234, dport=4321) / Raw(payload)))


def send(source: Site, packet: Packet) -> None:
    """The host sends a packet by way of its gateway."""
    plan = source.plan
    ether = Ether(dst=plan.mac(INSIDE).hex(":"), src=plan.host_mac.hex(":"))
    source.host.send(bytes(ether / packet))


def fewer_hops(packet: Packet, hops: int) -> bytes:
    """The packet behind so many routers, its checksum computed by scapy."""
    copy = packet.copy()
    if IPv6 in copy:
        copy.hlim -= hops
    else:
        copy.ttl -= hops
        del copy.chksum
    return bytes(copy)


@asynccontextmanager
async def running_family_lab(
    shape: Shape, change: Change | None = None
) -> AsyncIterator[FamilyLab]:
    """A started lab, stopped at the end of the block."""
    lab = FamilyLab(shape, change or Change())
    await lab.start()
    try:
        yield lab
    finally:
        await lab.stop()
