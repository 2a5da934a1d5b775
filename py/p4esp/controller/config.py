"""The controller's configuration: one TOML file.

Every error names the file, the key and what would be accepted.
"""

from ipaddress import IPv4Network
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from p4esp.configuration.fields import (
    Address4,
    FilePath,
    Interface4,
    Mac,
    Name,
    Network4,
    Port,
    Server,
    Vid,
)
from p4esp.configuration.peers import ChildSection, PeerSection, selectors
from p4esp.configuration.sections import (
    ConfigError,
    Section,
    load_file,
    missing,
    parse_file,
    require_unique,
)
from p4esp.configuration.settings import IkeSection
from p4esp.controller.engine_keys import TRANSFORMS
from p4esp.controller.numbers import CPU_PORT, CRYPTO_PORT, Role
from p4esp.controller.path_mtu_config import PathMtuSection
from p4esp.controller.sa_entries import LAST_EXTENDED_SEQUENCE, SaSettings
from p4esp.ipsec.policy import Action, PolicyRule
from p4esp.ipsec.selectors import is_subset


class InterfaceConfig(Section):
    """A port (and VLAN) of the switch, with our addresses there."""

    port: Port
    """Port of the switch, 0..508."""
    vlan: Vid = 0
    """802.1Q VLAN on that port; 0: untagged."""
    role: Literal["protected", "unprotected"]
    """`protected` for clear traffic of our site, `unprotected` for the network outside."""
    mac: Mac
    """Our MAC address there, such as `02:00:00:00:00:01`."""
    addresses: tuple[Interface4, ...] = ()
    """Our addresses there with prefix length, such as `10.1.0.1/16`."""
    mtu: int = Field(default=1500, ge=576, le=65535)
    """Octets of the largest IP packet on that link."""

    @model_validator(mode="after")
    def _port_is_free(self) -> Self:
        if self.port in (CPU_PORT, CRYPTO_PORT):
            raise ValueError(f"port {self.port} is the pipeline's own; accepted: 0..508")
        return self

    @property
    def pipeline_role(self) -> Role:
        """The role as the pipeline numbers it."""
        return Role.PROTECTED if self.role == "protected" else Role.UNPROTECTED


class RouteConfig(Section):
    """A route by way of a next hop."""

    destination: Network4
    """Prefix, such as `10.2.0.0/16`."""
    via: Address4
    """Next hop, on the network of an interface."""


class NeighbourConfig(Section):
    """A neighbour that is not asked for by ARP."""

    address: Address4
    """Its IPv4 address."""
    mac: Mac
    """Its MAC address."""


class GatewayChild(ChildSection):
    """A child SA of a gateway: the pipeline carries IPv4."""

    local: tuple[Network4, ...] = Field(min_length=1)
    """Prefixes on our side; at least one."""
    remote: tuple[Network4, ...] = Field(min_length=1)
    """Prefixes on the peer's side; at least one."""

    @field_validator("mode")
    @classmethod
    def _pipeline_has_mode(cls, mode: str) -> str:
        if mode != "tunnel":
            raise ValueError("the pipeline has no transport mode; accepted: tunnel")
        return mode

    @model_validator(mode="after")
    def _engine_has_ciphers(self) -> Self:
        for template in self.templates(allow_weak=True):
            for suite in template.suites():
                if suite.name not in TRANSFORMS:
                    accepted = ", ".join(TRANSFORMS)
                    raise ValueError(f"a gateway cannot carry {suite}; accepted: {accepted}")
        return self


class GatewayPeer(PeerSection):
    """A peer of a gateway, with fixed addresses."""

    local: Address4
    """Our address towards it; one of an interface."""
    remote: Address4
    """Its address."""
    children: tuple[GatewayChild, ...] = ()
    """The child SAs of this peer."""


class PolicySection(Section):
    """A rule of the SPD. `child` is written `peer/child` and goes with protect."""

    name: Name
    """Its name; the store keeps a number for it."""
    action: Literal["protect", "bypass", "discard"]
    """`protect` with ESP, `bypass` in clear, or `discard`."""
    local: tuple[Network4, ...] = Field(min_length=1)
    """Prefixes on our side; at least one."""
    remote: tuple[Network4, ...] = Field(min_length=1)
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
        local, remote = (selectors(nets, self.protocol) for nets in (self.local, self.remote))
        return PolicyRule(self.name, Action(self.action), local, remote, self.priority, self.child)


class SaSection(Section):
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


class GatewayConfig(Section):
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
    peers: tuple[GatewayPeer, ...] = ()
    """IKE peers."""
    policies: tuple[PolicySection, ...] = ()
    """Rules of the SPD; what no rule names is discarded."""
    sa: SaSection = SaSection()
    """Limits of every SA."""
    path_mtu: PathMtuSection = PathMtuSection()
    """What the network says of packets that are too long."""

    @model_validator(mode="after")
    def _names_fit(self) -> Self:
        require_unique("interface", [f"{item.port}.{item.vlan}" for item in self.interfaces])
        require_unique("peer", [peer.name for peer in self.peers])
        require_unique("policy", [policy.name for policy in self.policies])
        require_unique(
            "protect policy of child", [rule.child for rule in self.policies if rule.child]
        )
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


class ControllerConfig(Section):
    """The whole file."""

    store: FilePath = Field(default=Path("p4esp.db"), validate_default=True)
    """Database of SAs, made when missing."""
    key_file: FilePath = Field(default=Path("p4esp.key"), validate_default=True)
    """Key that seals the store, mode 0600, made when missing."""
    control: FilePath = Field(default=Path("p4esp.sock"), validate_default=True)
    """Unix socket for commands, mode 0600."""
    ike: IkeSection = IkeSection()
    """Timers and limits of IKE."""
    election_id: int = Field(default=10, ge=1)
    """P4Runtime election id; the highest controls the switch."""
    metrics_port: int | None = Field(default=None, ge=1, le=65535)
    """TCP port on loopback for Prometheus; unset: no metrics."""
    gateways: dict[Name, GatewayConfig] = Field(min_length=1)
    """The gateways by name; at least one."""

    @model_validator(mode="after")
    def _share_nothing(self) -> Self:
        gateways = self.gateways.values()
        require_unique("switch", [f"{item.address} device {item.device_id}" for item in gateways])
        require_unique("engine", [str(item.engine) for item in gateways if item.engine])
        return self


def parse_config(data: dict[str, Any], source: str, directory: Path = Path()) -> ControllerConfig:
    """Check a configuration that is already in memory; `source` names it in errors.

    Relative paths in it start at `directory`.
    """
    return parse_file(ControllerConfig, data, source, directory)


def load_config(path: Path) -> ControllerConfig:
    """Read a TOML file; ConfigError for whatever is wrong with it."""
    config = load_file(ControllerConfig, path)
    _require_engines(path, config)
    return config


def _require_engines(path: Path, config: ControllerConfig) -> None:
    """A program that embeds the controller brings engines of its own; a file has to name them."""
    lines = [
        f"{path}: gateways.{name}.engine: {missing(GatewayConfig, 'engine')}"
        for name, gateway in config.gateways.items()
        if gateway.engine is None
    ]
    if lines:
        raise ConfigError("\n".join(lines))


def _check_carries(child: GatewayChild, policy: PolicySection) -> None:
    """The child must be able to carry whatever the rule sends to it."""
    for side in ("local", "remote"):
        nets, accepted = getattr(policy, side), getattr(child, side)
        if not is_subset(selectors(nets), selectors(accepted)):
            raise ValueError(
                f"policy {policy.name}: {side} {_join(nets)} is more than child {policy.child} "
                f"carries; accepted: within {_join(accepted)}"
            )


def _join(items: tuple[IPv4Network, ...]) -> str:
    return ", ".join(map(str, items))
