"""The controller's configuration: one TOML file.

Every error names the file, the key and what would be accepted.
"""

import tomllib
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails

from p4esp.controller.config_fields import (
    PSK_MIN,
    Address,
    EspProposal,
    FilePath,
    Id,
    IkeProposal,
    Interface,
    Mac,
    Name,
    Network,
    Port,
    PskFile,
    Server,
    Vid,
    read_psk,
)
from p4esp.controller.numbers import CPU_PORT, CRYPTO_PORT, Role
from p4esp.controller.sa_entries import LAST_EXTENDED_SEQUENCE, SaSettings
from p4esp.ike.config import DEFAULT_ESP, DEFAULT_IKE, ChildConfig, PeerConfig
from p4esp.ike.proposals import Template
from p4esp.ipsec.identity import Identity
from p4esp.ipsec.policy import Action, PolicyRule
from p4esp.ipsec.selectors import TrafficSelector, is_subset


class ConfigError(ValueError):
    """The configuration is not usable; one line for each fault."""


class _Section(BaseModel):
    """A table of the file. The text under a field is what the operator guide says of the key."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class InterfaceConfig(_Section):
    """A port (and VLAN) of the switch, with our addresses there."""

    port: Port
    """Port of the switch, 0..508."""
    vlan: Vid = 0
    """802.1Q VLAN on that port; 0: untagged."""
    role: Literal["protected", "unprotected"]
    """`protected` for clear traffic of our site, `unprotected` for the network outside."""
    mac: Mac
    """Our MAC address there, such as `02:00:00:00:00:01`."""
    addresses: tuple[Interface, ...] = ()
    """Our addresses there with prefix length, such as `10.1.0.1/16`."""

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
    """Prefix, such as `10.2.0.0/16`."""
    via: Address
    """Next hop, on the network of an interface."""


class NeighbourConfig(_Section):
    """A neighbour that is not asked for by ARP."""

    address: Address
    """Its IPv4 address."""
    mac: Mac
    """Its MAC address."""


class ChildSection(_Section):
    """A child SA: which addresses on our side, which on the peer's."""

    name: Name
    """Policies name it as `peer/name`."""
    local: tuple[Network, ...] = Field(min_length=1)
    """Prefixes on our side; at least one."""
    remote: tuple[Network, ...] = Field(min_length=1)
    """Prefixes on the peer's side; at least one."""
    proposals: tuple[EspProposal, ...] = ()
    """ESP proposals, best first, such as `aes256gcm16-esn`; empty: the built-in ones."""
    start: bool = False
    """Bring it up at start, and again whenever it is lost."""

    def config(self) -> ChildConfig:
        """The form the IKE core takes."""
        proposals = tuple(Template.esp(text) for text in self.proposals) or DEFAULT_ESP
        return ChildConfig(self.name, _selectors(self.local), _selectors(self.remote), proposals)


class PeerSection(_Section):
    """An IKE peer with a pre-shared key, either in place or in a file."""

    name: Name
    """Its name in policies, output and metrics."""
    local: Address
    """Our address towards it; one of an interface."""
    remote: Address
    """Its address."""
    local_id: Id
    """Our identity: an address, `a@b`, `@#` and hex digits, or a domain name."""
    remote_id: Id
    """Its identity, in the same forms."""
    psk: str | None = Field(default=None, min_length=PSK_MIN, repr=False)
    """Pre-shared key, at least 8 octets. Give either this or `psk_file`."""
    psk_file: PskFile | None = None
    """File with the pre-shared key, mode 0600; a line end behind the key does not count."""
    proposals: tuple[IkeProposal, ...] = ()
    """IKE proposals, best first: `aes256gcm16-prfsha256-x25519`; empty: the built-in ones."""
    dpd_delay: float = Field(default=30, ge=0)
    """Seconds of silence before the peer is asked whether it is alive; 0: never."""
    force_encapsulation: bool = False
    """Put ESP into UDP even when there is no NAT."""
    children: tuple[ChildSection, ...] = ()
    """The child SAs of this peer."""

    @model_validator(mode="after")
    def _is_usable(self) -> Self:
        if (self.psk is None) == (self.psk_file is None):
            raise ValueError("accepted: exactly one of psk and psk_file")
        _unique("child", [child.name for child in self.children])
        return self

    def _templates(self) -> tuple[Template, ...]:
        return tuple(Template.ike(text) for text in self.proposals) or DEFAULT_IKE

    def config(self) -> PeerConfig:
        """The form the IKE core takes; ValueError when the key's file can no longer be used."""
        return PeerConfig(
            name=self.name,
            local_id=Identity.parse(self.local_id),
            remote_id=Identity.parse(self.remote_id),
            psk=self._psk(),
            local=self.local,
            remote=self.remote,
            proposals=self._templates(),
            children=tuple(child.config() for child in self.children),
            dpd_delay=self.dpd_delay or None,
            force_encapsulation=self.force_encapsulation,
        )

    def _psk(self) -> bytes:
        if self.psk_file is not None:
            return read_psk(self.psk_file)
        return (self.psk or "").encode()


class PolicySection(_Section):
    """A rule of the SPD. `child` is written `peer/child` and goes with protect."""

    name: Name
    """Its name; the store keeps a number for it."""
    action: Literal["protect", "bypass", "discard"]
    """`protect` with ESP, `bypass` in clear, or `discard`."""
    local: tuple[Network, ...] = Field(min_length=1)
    """Prefixes on our side; at least one."""
    remote: tuple[Network, ...] = Field(min_length=1)
    """Prefixes on the other side; at least one."""
    protocol: int = Field(default=0, ge=0, le=255)
    """IP protocol number; 0: any."""
    priority: int = Field(default=0, ge=0)
    """The highest wins."""
    child: str | None = None
    """`peer/child` that carries the traffic; with `protect` only. One rule for each child."""

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
    """Anti-replay window in packets, 64..4096; 0: none."""
    soft_packets: int | None = Field(default=None, gt=0)
    """Packets after which a new SA is negotiated; unset: three quarters of the hard limit."""
    hard_packets: int | None = Field(default=None, gt=1)
    """Packets after which the SA sends nothing more; unset: the end of its sequence numbers."""
    tunnel_ttl: int = Field(default=64, ge=1, le=255)
    """TTL of outer headers."""
    grace: float = Field(default=1.0, ge=0)
    """Seconds that a replaced SA still receives."""

    @model_validator(mode="after")
    def _window_is_usable(self) -> Self:
        if 0 < self.window < 64:
            raise ValueError(f"window {self.window}: accepted are 0 (none) and 64..4096 packets")
        return self

    @model_validator(mode="after")
    def _soft_limit_is_first(self) -> Self:
        hard = self.hard_packets or LAST_EXTENDED_SEQUENCE
        if self.soft_packets is not None and self.soft_packets >= hard:
            accepted = f"accepted: 1..{hard - 1}, below the hard limit"
            raise ValueError(f"soft_packets {self.soft_packets}: {accepted}")
        return self

    def settings(self) -> SaSettings:
        """The form the installer takes."""
        return SaSettings(self.window, self.soft_packets, self.hard_packets, self.tunnel_ttl)


class GatewayConfig(_Section):
    """One switch and all it does."""

    address: Server
    """P4Runtime server of the switch, `host:port`."""
    device_id: int = Field(default=1, ge=1)
    """P4Runtime device id."""
    engine: FilePath | None = None
    """Unix socket of the engine's key service. The engine belongs to this gateway alone."""
    interfaces: tuple[InterfaceConfig, ...] = Field(min_length=1)
    """Ports of the switch; at least one."""
    routes: tuple[RouteConfig, ...] = ()
    """Routes; networks of interfaces need none."""
    neighbours: tuple[NeighbourConfig, ...] = ()
    """Neighbours that are not asked for by ARP."""
    peers: tuple[PeerSection, ...] = ()
    """IKE peers."""
    policies: tuple[PolicySection, ...] = ()
    """Rules of the SPD; what no rule names is discarded."""
    sa: SaSection = SaSection()
    """Limits of every SA."""

    @model_validator(mode="after")
    def _names_fit(self) -> Self:
        _unique("interface", [f"{item.port}.{item.vlan}" for item in self.interfaces])
        _unique("peer", [peer.name for peer in self.peers])
        _unique("policy", [policy.name for policy in self.policies])
        _unique("protect policy of child", [rule.child for rule in self.policies if rule.child])
        self._check_children()
        self._check_addresses()
        return self

    def _check_children(self) -> None:
        known = {
            f"{peer.name}/{child.name}": child for peer in self.peers for child in peer.children
        }
        for policy in self.policies:
            if policy.child is not None and policy.child not in known:
                accepted = ", ".join(known) or "none: there are no children"
                raise ValueError(f"policy {policy.name}: child {policy.child!r}; {accepted=!s}")
            if policy.child is not None:
                _check_carries(known[policy.child], policy)

    def _check_addresses(self) -> None:
        ours = [address.ip for item in self.interfaces for address in item.addresses]
        for peer in self.peers:
            if peer.local not in ours:
                accepted = ", ".join(map(str, ours)) or "none: no interface has an address"
                raise ValueError(f"peer {peer.name}: local {peer.local}; {accepted=!s}")


class ControllerConfig(_Section):
    """The whole file."""

    store: FilePath = Field(default=Path("p4esp.db"), validate_default=True)
    """Database of SAs, made when missing."""
    key_file: FilePath = Field(default=Path("p4esp.key"), validate_default=True)
    """Key that seals the store, mode 0600, made when missing."""
    election_id: int = Field(default=10, ge=1)
    """P4Runtime election id; the highest controls the switch."""
    metrics_port: int | None = Field(default=None, ge=1, le=65535)
    """TCP port on loopback for Prometheus; unset: no metrics."""
    gateways: dict[Name, GatewayConfig] = Field(min_length=1)
    """The gateways by name; at least one."""

    @model_validator(mode="after")
    def _share_nothing(self) -> Self:
        gateways = self.gateways.values()
        _unique("switch", [f"{item.address} device {item.device_id}" for item in gateways])
        _unique("engine", [str(item.engine) for item in gateways if item.engine])
        return self


def parse_config(data: dict[str, Any], source: str, directory: Path = Path()) -> ControllerConfig:
    """Check a configuration that is already in memory; `source` names it in errors.

    Relative paths in it start at `directory`.
    """
    try:
        return ControllerConfig.model_validate(data, context={"directory": directory})
    except ValidationError as error:
        lines = [_explain(source, detail) for detail in _causes(error.errors())]
        raise ConfigError("\n".join(lines)) from None


def load_config(path: Path) -> ControllerConfig:
    """Read a TOML file; ConfigError for whatever is wrong with it."""
    try:
        config = parse_config(tomllib.loads(path.read_text()), str(path), path.parent)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not TOML: {error}") from None
    _require_engines(path, config)
    return config


def _require_engines(path: Path, config: ControllerConfig) -> None:
    """A program that embeds the controller brings engines of its own; a file has to name them."""
    lines = [
        f"{path}: gateways.{name}.engine: {_missing(GatewayConfig, 'engine')}"
        for name, gateway in config.gateways.items()
        if gateway.engine is None
    ]
    if lines:
        raise ConfigError("\n".join(lines))


def _causes(details: list[ErrorDetails]) -> list[ErrorDetails]:
    """Without lists that are only too short because their items were refused."""
    places = [detail["loc"] for detail in details]
    return [
        detail
        for detail in details
        if detail["type"] != "too_short"
        or not any(_is_inside(place, detail["loc"]) for place in places)
    ]


def _is_inside(place: tuple[int | str, ...], outer: tuple[int | str, ...]) -> bool:
    return len(place) > len(outer) and place[: len(outer)] == outer


def _explain(source: str, detail: ErrorDetails) -> str:
    key = ".".join(str(part) for part in detail["loc"] if part != "[key]") or "(top level)"
    message = detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "extra_forbidden":
        accepted = ", ".join(_section(detail["loc"]).model_fields)
        message = f"unknown key; accepted: {accepted}"
    elif detail["type"] == "missing":
        message = _missing(_section(detail["loc"]), str(detail["loc"][-1]))
    elif isinstance(detail["input"], str | int | float) and "psk" not in key:
        message = f"{detail['input']!r}: {message}"
    return f"{source}: {key}: {message}"


def _missing(section: type[_Section], key: str) -> str:
    accepted = section.model_fields[key].description or ""
    return f"is missing; accepted: {accepted.rstrip('.')}"


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


def _section(location: tuple[int | str, ...]) -> type[_Section]:
    sections = [_SECTIONS[part] for part in location[:-1] if part in _SECTIONS]
    return sections[-1] if sections else ControllerConfig


def _check_carries(child: ChildSection, policy: PolicySection) -> None:
    """The child must be able to carry whatever the rule sends to it."""
    for side in ("local", "remote"):
        nets, accepted = getattr(policy, side), getattr(child, side)
        if not is_subset(_selectors(nets), _selectors(accepted)):
            raise ValueError(
                f"policy {policy.name}: {side} {_join(nets)} is more than child {policy.child} "
                f"carries; accepted: within {_join(accepted)}"
            )


def _join(items: tuple[IPv4Network, ...]) -> str:
    return ", ".join(map(str, items))


def _selectors(nets: tuple[IPv4Network, ...], protocol: int = 0) -> tuple[TrafficSelector, ...]:
    return tuple(TrafficSelector.of_network(net, protocol) for net in nets)


def _unique(what: str, names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{what} {name} occurs twice; accepted: each name once")
