"""A host behind our gateway, a host behind strongSwan, and the wire between the two.

here 10.1.0.2 -- 10.1.0.1 gateway 192.0.2.1 -- 192.0.2.2 charon 10.2.0.1 -- 10.2.0.2 there
fd99:1::2 ------ fd99:1::1 ------ fd99::1 -- fd99::2 --------- fd99:2::1 -- fd99:2::2
"""

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from charon_daemon import Charon, libipsec
from lab.capture import recorder
from lab.logged_process import LoggedProcess
from lab.netlab import Lab, Namespace, without_offloads
from our_gateway import INSIDE, INSIDE_MAC, OUTSIDE, OUTSIDE_MAC, OurGateway
from pairing import OUR_ID, PSK, THEIR_ID

HERE, THERE = "10.1.0.2", "10.2.0.2"
OUR_NET, THEIR_NET = "10.1.0.0/16", "10.2.0.0/16"
OUR_END, THEIR_END = "192.0.2.1", "192.0.2.2"
TUNNEL_MTU: Final = 1400
"""Of charon's TUN interface."""
IKE, ESP = "aes128gcm16-prfsha256-x25519", "aes128gcm16"


@dataclass(frozen=True, slots=True)
class Side:
    """One family: hosts, the routers' addresses towards them, networks, the tunnel's ends."""

    here: str
    there: str
    routers: tuple[str, str]
    networks: tuple[str, str]
    ends: tuple[str, str]
    host_bits: str
    wire_bits: str


IPV4: Final = Side(
    *(HERE, THERE, ("10.1.0.1", "10.2.0.1"), (OUR_NET, THEIR_NET), (OUR_END, THEIR_END)),
    *("/16", "/24"),
)
IPV6: Final = Side(
    *("fd99:1::2", "fd99:2::2", ("fd99:1::1", "fd99:2::1"), ("fd99:1::/64", "fd99:2::/64")),
    *(("fd99::1", "fd99::2"), "/64", "/64"),
)


@dataclass(frozen=True, slots=True)
class Families:
    """What the tunnel carries, and what carries it."""

    inner: tuple[Side, ...] = (IPV4,)
    outer: Side = IPV4

    @property
    def networks(self) -> tuple[list[str], list[str]]:
        """Ours and theirs."""
        ours, theirs = zip(*(side.networks for side in self.inner), strict=True)
        return list(ours), list(theirs)


@dataclass(slots=True)
class Crossing:
    """Everything runs and the tunnel is up."""

    here: Namespace
    there: Namespace
    gateway: OurGateway
    charon: Charon
    recorder: LoggedProcess
    """Of the wire between the gateways, until it is stopped."""
    capture: Path
    keys: Path
    families: Families

    @property
    def forth(self) -> tuple[tuple[Namespace, str], tuple[Namespace, str]]:
        """From the host behind us to the host behind charon."""
        side = self.families.inner[0]
        return (self.here, side.here), (self.there, side.there)

    @property
    def back(self) -> tuple[tuple[Namespace, str], tuple[Namespace, str]]:
        """The other way."""
        return self.forth[::-1]

    def child(self) -> dict[str, Any]:
        """Our newest child SA."""
        return self.gateway.children()[-1]

    def wait_for_end(self, child: Mapping[str, Any]) -> None:
        """Until our gateway has removed a child SA that was replaced or deleted."""
        self.gateway.controller.wait_for(f"SA removed .*{child['spi_in']}")


def _gateway_section(
    families: Families, peer: Mapping[str, Any], child: Mapping[str, Any]
) -> dict[str, Any]:
    ours, theirs = families.networks
    net = {"local": ours, "remote": theirs}
    children = [{"name": "net", **net, "proposals": [ESP], "start": True, **child}]
    near, far = families.outer.ends
    inside = [f"{side.routers[0]}{side.host_bits}" for side in families.inner]
    outside = [f"{side.ends[0]}{side.wire_bits}" for side in (IPV4, IPV6)]
    return {
        "interfaces": [
            _interface(0, "protected", INSIDE_MAC, inside),
            _interface(1, "unprotected", OUTSIDE_MAC, outside),
        ],
        "routes": [
            {"destination": side.networks[1], "via": side.ends[1]} for side in families.inner
        ],
        "peers": [
            {
                "name": "charon",
                "local": near,
                "remote": far,
                "local_id": OUR_ID,
                "remote_id": THEIR_ID,
                "psk": PSK,
                "proposals": [IKE],
                "children": children,
                **peer,
            }
        ],
        "policies": [{"name": "net", "action": "protect", "child": "charon/net", **net}],
    }


def _interface(port: int, role: str, mac: str, addresses: list[str]) -> dict[str, Any]:
    return {"port": port, "role": role, "mac": mac, "addresses": addresses}


def _connection(families: Families, more: Mapping[str, Any]) -> dict[str, Any]:
    ours, theirs = families.networks
    child = {"local_ts": theirs, "remote_ts": ours, "esp_proposals": [ESP], **more}
    near, far = families.outer.ends
    return {
        "us": {
            "version": "2",
            "local_addrs": [far],
            "remote_addrs": [near],
            "proposals": [IKE],
            "local": {"auth": "psk", "id": THEIR_ID},
            "remote": {"auth": "psk", "id": OUR_ID},
            "children": {"net": child},
        }
    }


@contextmanager
def crossing(
    lab: Lab,
    directory: Path,
    *,
    families: Families = Families(),
    peer: Mapping[str, Any] | None = None,
    child: Mapping[str, Any] | None = None,
    their_child: Mapping[str, Any] | None = None,
    experimental: bool = False,
) -> Iterator[Crossing]:
    """Bring everything up; our gateway begins."""
    here, gate, them, there = _hosts(lab, families)
    with ExitStack() as stack:
        capture, keys = directory / "wire.pcap", directory / "keys" / "profiles" / "p"
        recording = stack.enter_context(recorder(them, "wire", capture))
        charon = stack.enter_context(Charon(them, directory / "charon", libipsec()))
        secret = {"type": "IKE", "data": PSK, "owners": [OUR_ID, THEIR_ID]}
        charon.load(_connection(families, their_child or {}), [secret])
        section = _gateway_section(families, peer or {}, child or {})
        section["experimental"] = experimental
        options = ("--export-keys", str(keys), "--trace", str(directory / "trace.jsonl"))
        gateway = OurGateway(gate, directory / "gateway", section, options)
        stack.enter_context(gateway)
        gateway.controller.wait_for("SA up charon/net")
        yield Crossing(here, there, gateway, charon, recording, capture, keys, families)


def _hosts(lab: Lab, families: Families) -> list[Namespace]:
    """Here, the gateway's place, charon's and there, with cables, addresses and routes."""
    here, gate, them, there = (lab.host(name) for name in ("here", "gate", "them", "there"))
    inner = families.inner
    lab.cable((here, "eth", [f"{s.here}{s.host_bits}" for s in inner]), (gate, INSIDE, []))
    ends = [f"{side.ends[1]}{side.wire_bits}" for side in (IPV4, IPV6)]
    lab.cable((gate, OUTSIDE, []), (them, "wire", ends))
    routers = [f"{side.routers[1]}{side.host_bits}" for side in inner]
    lab.cable((them, "lan", routers), (there, "eth", [f"{s.there}{s.host_bits}" for s in inner]))
    for side in inner:
        mtu = ("mtu", str(TUNNEL_MTU))  # charon's TUN interface tells nobody
        here.route("default", side.routers[0], *mtu)
        there.route("default", side.routers[1])
    them.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
    for host, interface in ((here, "eth"), (them, "wire"), (gate, INSIDE), (gate, OUTSIDE)):
        without_offloads(host, interface)
    return [here, gate, them, there]


def ping(source: Namespace, target: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Echo requests; CalledProcessError when no answer comes."""
    return source.run("ping", "-W", "2", *options, target)
