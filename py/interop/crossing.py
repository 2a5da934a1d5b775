"""A host behind our gateway, a host behind strongSwan, and the wire between the two.

here 10.1.0.2 -- 10.1.0.1 gateway 192.0.2.1 -- 192.0.2.2 charon 10.2.0.1 -- 10.2.0.2 there
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

    @property
    def forth(self) -> tuple[tuple[Namespace, str], tuple[Namespace, str]]:
        """From the host behind us to the host behind charon."""
        return (self.here, HERE), (self.there, THERE)

    @property
    def back(self) -> tuple[tuple[Namespace, str], tuple[Namespace, str]]:
        """The other way."""
        return (self.there, THERE), (self.here, HERE)

    def child(self) -> dict[str, Any]:
        """Our newest child SA."""
        return self.gateway.children()[-1]

    def wait_for_end(self, child: Mapping[str, Any]) -> None:
        """Until our gateway has removed a child SA that was replaced or deleted."""
        self.gateway.controller.wait_for(f"SA removed .*{child['spi_in']}")


def _gateway_section(peer: Mapping[str, Any], child: Mapping[str, Any]) -> dict[str, Any]:
    net = {"local": [OUR_NET], "remote": [THEIR_NET]}
    children = [{"name": "net", **net, "proposals": [ESP], "start": True, **child}]
    return {
        "interfaces": [
            _interface(0, "protected", INSIDE_MAC, "10.1.0.1/16"),
            _interface(1, "unprotected", OUTSIDE_MAC, f"{OUR_END}/24"),
        ],
        "routes": [{"destination": THEIR_NET, "via": THEIR_END}],
        "peers": [
            {
                "name": "charon",
                "local": OUR_END,
                "remote": THEIR_END,
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


def _interface(port: int, role: str, mac: str, address: str) -> dict[str, Any]:
    return {"port": port, "role": role, "mac": mac, "addresses": [address]}


def _connection() -> dict[str, Any]:
    child = {"local_ts": [THEIR_NET], "remote_ts": [OUR_NET], "esp_proposals": [ESP]}
    return {
        "us": {
            "version": "2",
            "local_addrs": [THEIR_END],
            "remote_addrs": [OUR_END],
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
    peer: Mapping[str, Any] | None = None,
    child: Mapping[str, Any] | None = None,
) -> Iterator[Crossing]:
    """Bring everything up; our gateway begins."""
    here, gate, them, there = (lab.host(name) for name in ("here", "gate", "them", "there"))
    lab.cable((here, "eth", [f"{HERE}/16"]), (gate, INSIDE, []))
    lab.cable((gate, OUTSIDE, []), (them, "wire", [f"{THEIR_END}/24"]))
    lab.cable((them, "lan", ["10.2.0.1/16"]), (there, "eth", [f"{THERE}/16"]))
    here.route("default", "10.1.0.1", "mtu", str(TUNNEL_MTU))  # our gateway finds no path MTU
    there.route("default", "10.2.0.1")
    them.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
    for host, interface in ((here, "eth"), (them, "wire"), (gate, INSIDE), (gate, OUTSIDE)):
        without_offloads(host, interface)
    with ExitStack() as stack:
        capture, keys = directory / "wire.pcap", directory / "keys" / "profiles" / "p"
        recording = stack.enter_context(recorder(them, "wire", capture))
        charon = stack.enter_context(Charon(them, directory / "charon", libipsec()))
        secret = {"type": "IKE", "data": PSK, "owners": [OUR_ID, THEIR_ID]}
        charon.load(_connection(), [secret])
        section = _gateway_section(peer or {}, child or {})
        options = ("--export-keys", str(keys), "--trace", str(directory / "trace.jsonl"))
        gateway = OurGateway(gate, directory / "gateway", section, options)
        stack.enter_context(gateway)
        gateway.controller.wait_for("SA up charon/net")
        yield Crossing(here, there, gateway, charon, recording, capture, keys)


def ping(source: Namespace, target: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Echo requests; CalledProcessError when no answer comes."""
    return source.run("ping", "-W", "2", *options, target)
