"""Two sites on paper: addresses, and the configuration a gateway has there."""

import tomllib
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from ipaddress import IPv4Address
from typing import Any, Final

INSIDE: Final = 0
OUTSIDE: Final = 1
PSK: Final = "correct horse battery staple"


@dataclass(frozen=True, slots=True)
class Plan:
    """Addresses of one site."""

    name: str
    number: int
    peer: str
    peer_number: int

    @property
    def network(self) -> str:
        """The protected network."""
        return f"10.{self.number}.0.0/16"

    @property
    def outer(self) -> IPv4Address:
        """The gateway's address on the wire."""
        return IPv4Address(f"192.0.2.{self.number}")

    @property
    def host(self) -> IPv4Address:
        """A host behind the gateway."""
        return IPv4Address(f"10.{self.number}.0.10")

    @property
    def host_mac(self) -> bytes:
        """The host's MAC address."""
        return bytes((2, 0, 0, 0, self.number, 0x10))

    def mac(self, port: int) -> bytes:
        """The gateway's MAC address on a port."""
        return bytes((2, 0, 0, 0, self.number, port))


LEFT: Final = Plan("left", 1, "right", 2)
RIGHT: Final = Plan("right", 2, "left", 1)


@dataclass
class Change:
    """How a lab differs from the ordinary one; a test changes what it is about."""

    psk: dict[str, str] = field(default_factory=dict)
    starts: tuple[str, ...] = ("left",)
    """Sites that bring the child up by themselves."""
    sa: dict[str, Any] = field(default_factory=lambda: {"grace": 0.0})
    esp: tuple[str, ...] = ("aes256gcm16-esn",)
    encapsulate: bool = False
    amend: Callable[[str, dict[str, Any]], None] = lambda _, __: None
    """Changes a gateway's section in place: its name, and the section as a TOML file holds it."""
    ike: dict[str, Any] = field(default_factory=dict)
    """Settings of IKE that differ."""


_SECTION: Final = """
address = "{address}"

[[interfaces]]
port = 0
role = "protected"
mac = "02:00:00:00:{number:02x}:00"
addresses = ["10.{number}.0.1/16"]

[[interfaces]]
port = 1
role = "unprotected"
mac = "02:00:00:00:{number:02x}:01"
addresses = ["192.0.2.{number}/24"]

[[routes]]
destination = "10.{peer_number}.0.0/16"
via = "192.0.2.{peer_number}"

[[neighbours]]
address = "10.{number}.0.10"
mac = "02:00:00:00:{number:02x}:10"

[[peers]]
name = "{peer}"
local = "192.0.2.{number}"
remote = "192.0.2.{peer_number}"
local_id = "{name}.example"
remote_id = "{peer}.example"

[[peers.children]]
name = "net"
local = ["10.{number}.0.0/16"]
remote = ["10.{peer_number}.0.0/16"]

[[policies]]
name = "to-{peer}"
action = "protect"
local = ["10.{number}.0.0/16"]
remote = ["10.{peer_number}.0.0/16"]
child = "{peer}/net"
"""


def gateway_section(plan: Plan, address: str, change: Change) -> dict[str, Any]:
    """The configuration of one site, as a TOML file holds it."""
    section = tomllib.loads(_SECTION.format(address=address, **asdict(plan)))
    (peer,) = section["peers"]
    peer["psk"] = change.psk.get(plan.name, PSK)
    peer["force_encapsulation"] = change.encapsulate
    peer["children"][0]["proposals"] = list(change.esp)
    peer["children"][0]["start"] = plan.name in change.starts
    section["sa"] = change.sa
    change.amend(plan.name, section)
    return section
