"""The controller's configuration: one TOML file.

Every error names the file, the key and what would be accepted.
"""

import tomllib
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails

from p4esp.controller.numbers import CPU_PORT, CRYPTO_PORT, Role
from p4esp.controller.sa_entries import SaSettings
from p4esp.ike.config import DEFAULT_ESP, DEFAULT_IKE, ChildConfig, PeerConfig
from p4esp.ike.errors import ProposalError
from p4esp.ike.proposals import Template
from p4esp.ipsec.identity import Identity
from p4esp.ipsec.policy import Action, PolicyRule
from p4esp.ipsec.selectors import TrafficSelector


class ConfigError(ValueError):
    """The configuration is not usable; one line for each fault."""


def _mac(value: Any) -> Any:
    octets = value.split(":") if isinstance(value, str) else []
    if len(octets) != 6 or any(len(octet) != 2 for octet in octets):
        raise ValueError("accepted: a MAC address such as 02:00:00:00:00:01")
    address = bytes.fromhex("".join(octets))
    if address[0] & 1:
        raise ValueError("a group address is no station's; accepted: an even first octet")
    return address


def _network(value: Any) -> Any:
    try:
        return IPv4Network(value)
    except ValueError as error:
        raise ValueError(f"{error}; accepted: an IPv4 prefix such as 10.1.0.0/16") from None


def _identity(value: str) -> str:
    try:
        Identity.parse(value)
    except ValueError:
        raise ValueError("accepted: an address, a@b, @# and hex digits, or a name") from None
    return value


def _proposal(parse: Callable[[str], Template]) -> Callable[[str], str]:
    def check(text: str) -> str:
        try:
            parse(text)
        except ProposalError as error:
            raise ValueError(str(error)) from None
        return text

    return check


Mac = Annotated[bytes, BeforeValidator(_mac)]
Port = Annotated[int, Field(ge=0, le=0x1FF)]
Vid = Annotated[int, Field(ge=0, le=4094)]
Network = Annotated[IPv4Network, BeforeValidator(_network)]
Id = Annotated[str, Field(min_length=1), AfterValidator(_identity)]
IkeProposal = Annotated[str, AfterValidator(_proposal(Template.ike))]
EspProposal = Annotated[str, AfterValidator(_proposal(Template.esp))]
Name = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.-]+$")]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class InterfaceConfig(_Section):
    """A port (and VLAN) of the switch, with our addresses there."""

    port: Port
    vlan: Vid = 0
    role: Literal["protected", "unprotected"]
    mac: Mac
    addresses: tuple[IPv4Interface, ...] = ()

    @model_validator(mode="after")
    def _port_is_free(self) -> Self:
        if self.port in (CPU_PORT, CRYPTO_PORT):
            raise ValueError(f"port {self.port} is the pipeline's own; accepted: 0..508")
        return self

    @property
    def pipeline_role(self) -> Role:
        """The role as the pipeline numbers it."""
        return Role.PROTECTED if self.role == "protected" else Role.UNPROTECTED


class RouteConfig(_Section):
    """A route by way of a next hop."""

    destination: Network
    via: IPv4Address


class NeighbourConfig(_Section):
    """A neighbour that is not asked for by ARP."""

    address: IPv4Address
    mac: Mac


class ChildSection(_Section):
    """A child SA: which addresses on our side, which on the peer's."""

    name: Name
    local: tuple[Network, ...] = Field(min_length=1)
    remote: tuple[Network, ...] = Field(min_length=1)
    proposals: tuple[EspProposal, ...] = ()
    start: bool = False
    """Bring it up at start, and again whenever it is lost."""

    def config(self) -> ChildConfig:
        """The form the IKE core takes."""
        proposals = tuple(Template.esp(text) for text in self.proposals) or DEFAULT_ESP
        return ChildConfig(self.name, _selectors(self.local), _selectors(self.remote), proposals)


class PeerSection(_Section):
    """An IKE peer with a pre-shared key, either in place or in a file."""

    name: Name
    local: IPv4Address
    remote: IPv4Address
    local_id: Id
    remote_id: Id
    psk: str | None = Field(default=None, min_length=8, repr=False)
    psk_file: Path | None = None
    proposals: tuple[IkeProposal, ...] = ()
    dpd_delay: float | None = Field(default=None, gt=0)
    force_encapsulation: bool = False
    children: tuple[ChildSection, ...] = ()

    @model_validator(mode="after")
    def _is_usable(self) -> Self:
        if (self.psk is None) == (self.psk_file is None):
            raise ValueError("accepted: exactly one of psk and psk_file")
        _unique("child", [child.name for child in self.children])
        return self

    def _templates(self) -> tuple[Template, ...]:
        return tuple(Template.ike(text) for text in self.proposals) or DEFAULT_IKE

    def config(self) -> PeerConfig:
        """The form the IKE core takes; OSError when the key's file cannot be read."""
        return PeerConfig(
            name=self.name,
            local_id=Identity.parse(self.local_id),
            remote_id=Identity.parse(self.remote_id),
            psk=self._psk(),
            local=self.local,
            remote=self.remote,
            proposals=self._templates(),
            children=tuple(child.config() for child in self.children),
            dpd_delay=self.dpd_delay,
            force_encapsulation=self.force_encapsulation,
        )

    def _psk(self) -> bytes:
        if self.psk_file is not None:
            return self.psk_file.read_bytes().rstrip(b"\r\n")
        return (self.psk or "").encode()


class PolicySection(_Section):
    """A rule of the SPD. `child` is written `peer/child` and goes with protect."""

    name: Name
    action: Literal["protect", "bypass", "discard"]
    local: tuple[Network, ...] = Field(min_length=1)
    remote: tuple[Network, ...] = Field(min_length=1)
    protocol: int = Field(default=0, ge=0, le=255)
    priority: int = Field(default=0, ge=0)
    child: str | None = None

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        self.rule()
        return self

    def rule(self) -> PolicyRule:
        """The rule in IPsec's vocabulary; PolicyError when it contradicts itself."""
        local, remote = (_selectors(nets, self.protocol) for nets in (self.local, self.remote))
        return PolicyRule(self.name, Action(self.action), local, remote, self.priority, self.child)


class SaSection(_Section):
    """Limits of every SA of a gateway. Packets and seconds."""

    window: int = Field(default=1024, ge=0, le=4096)
    soft_packets: int | None = Field(default=None, gt=0)
    hard_packets: int | None = Field(default=None, gt=0)
    tunnel_ttl: int = Field(default=64, ge=1, le=255)
    grace: float = Field(default=1.0, ge=0)

    @model_validator(mode="after")
    def _window_is_usable(self) -> Self:
        if 0 < self.window < 64:
            raise ValueError(f"window {self.window}: accepted are 0 (none) and 64..4096 packets")
        return self

    def settings(self) -> SaSettings:
        """The form the installer takes."""
        return SaSettings(self.window, self.soft_packets, self.hard_packets, self.tunnel_ttl)


class GatewayConfig(_Section):
    """One switch and all it does."""

    address: str = Field(pattern=r"^.+:\d+$")
    """P4Runtime server, host:port."""
    device_id: int = Field(default=1, ge=1)
    engine: Path | None = None
    """Socket of the key service. The engine belongs to this gateway alone."""
    interfaces: tuple[InterfaceConfig, ...] = Field(min_length=1)
    routes: tuple[RouteConfig, ...] = ()
    neighbours: tuple[NeighbourConfig, ...] = ()
    peers: tuple[PeerSection, ...] = ()
    policies: tuple[PolicySection, ...] = ()
    sa: SaSection = SaSection()

    @model_validator(mode="after")
    def _names_fit(self) -> Self:
        _unique("interface", [f"{item.port}.{item.vlan}" for item in self.interfaces])
        _unique("peer", [peer.name for peer in self.peers])
        _unique("policy", [policy.name for policy in self.policies])
        self._check_children()
        self._check_addresses()
        return self

    def _check_children(self) -> None:
        known = [f"{peer.name}/{child.name}" for peer in self.peers for child in peer.children]
        for policy in self.policies:
            if policy.child is not None and policy.child not in known:
                accepted = ", ".join(known) or "none: there are no children"
                raise ValueError(f"policy {policy.name}: child {policy.child!r}; {accepted=!s}")

    def _check_addresses(self) -> None:
        ours = [address.ip for item in self.interfaces for address in item.addresses]
        for peer in self.peers:
            if peer.local not in ours:
                accepted = ", ".join(map(str, ours)) or "none: no interface has an address"
                raise ValueError(f"peer {peer.name}: local {peer.local}; {accepted=!s}")


class ControllerConfig(_Section):
    """The whole file."""

    store: Path = Path("p4esp.db")
    key_file: Path = Path("p4esp.key")
    election_id: int = Field(default=10, ge=1)
    metrics_port: int | None = Field(default=None, ge=1, le=65535)
    """TCP port on loopback for Prometheus; None: no metrics."""
    gateways: dict[Name, GatewayConfig] = Field(min_length=1)


def parse_config(data: dict[str, Any], source: str) -> ControllerConfig:
    """Check a configuration that is already in memory; `source` names it in errors."""
    try:
        return ControllerConfig.model_validate(data)
    except ValidationError as error:
        lines = [_explain(source, detail) for detail in error.errors()]
        raise ConfigError("\n".join(lines)) from None


def load_config(path: Path) -> ControllerConfig:
    """Read a TOML file; ConfigError for whatever is wrong with it."""
    try:
        return parse_config(tomllib.loads(path.read_text()), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not TOML: {error}") from None


def _explain(source: str, detail: ErrorDetails) -> str:
    key = ".".join(str(part) for part in detail["loc"]) or "(top level)"
    message = detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "extra_forbidden":
        message = f"unknown key; accepted: {', '.join(_known_keys(detail['loc']))}"
    elif detail["type"] == "missing":
        message = "is missing"
    elif isinstance(detail["input"], str | int | float) and "psk" not in key:
        message = f"{detail['input']!r}: {message}"
    return f"{source}: {key}: {message}"


_SECTIONS: dict[str, type[_Section]] = {
    "interfaces": InterfaceConfig,
    "routes": RouteConfig,
    "neighbours": NeighbourConfig,
    "peers": PeerSection,
    "policies": PolicySection,
    "children": ChildSection,
    "sa": SaSection,
    "gateways": GatewayConfig,
}


def _known_keys(location: tuple[int | str, ...]) -> list[str]:
    sections = [_SECTIONS[part] for part in location[:-1] if part in _SECTIONS]
    return list((sections[-1] if sections else ControllerConfig).model_fields)


def _selectors(nets: tuple[IPv4Network, ...], protocol: int = 0) -> tuple[TrafficSelector, ...]:
    return tuple(TrafficSelector.of_network(net, protocol) for net in nets)


def _unique(what: str, names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{what} {name} occurs twice; accepted: each name once")
