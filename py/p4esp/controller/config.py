"""The controller's configuration: one TOML file.

Every error names the file, the key and what would be accepted.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Final, Literal, Self

from pydantic import Field, field_validator, model_validator

from p4esp.configuration.extensions import check_extensions
from p4esp.configuration.fields import Address, FilePath, Name, Network, Server
from p4esp.configuration.formats import check_experimental, check_window
from p4esp.configuration.peers import (
    ChildSection,
    PeerSection,
    children_of,
    extensions_of,
    ppks_of,
)
from p4esp.configuration.postquantum import check_ppks
from p4esp.configuration.sections import (
    ConfigError,
    Section,
    load_file,
    missing,
    parse_file,
    require_unique,
)
from p4esp.configuration.settings import IkeSection
from p4esp.configuration.shares import DscpClass, check_classes, check_shares
from p4esp.controller.engine_keys import TRANSFORMS
from p4esp.controller.link_config import InterfaceConfig, LabelConfig, NeighbourConfig, RouteConfig
from p4esp.controller.numbers import REPLAY_CELLS
from p4esp.controller.path_mtu_config import PathMtuSection
from p4esp.controller.policy_config import PolicySection, require_one_family
from p4esp.controller.pools import cells_for
from p4esp.controller.sa_config import SaSection
from p4esp.ike.config import ChildConfig
from p4esp.ipsec.selectors import TrafficSelector, is_subset

MAX_LABELS: Final = 127
"""Labels of one gateway: those of the configuration before may be in the switch beside them."""
SA_CELLS: Final = REPLAY_CELLS // 64
"""Replay cells that one SA may take."""


class GatewayChild(ChildSection):
    """A child SA of a gateway."""

    parallel: int = Field(default=1, ge=1, le=32)
    """SAs with equal selectors that carry its traffic together."""
    per_resource: Literal["off", "eager", "on-demand"] = "off"
    """Beside the first SA, `parallel` for a resource each (RFC 9611): at once, or when it sends."""
    resource_idle: float = Field(default=300.0, ge=0)
    """Seconds after which an SA made `on-demand` that carries nothing is deleted; 0: never."""
    spread: Literal["flow", "port", "dscp"] = "flow"
    """What chooses one of several SAs, subspaces or sub-SAs: flow, ingress port or DSCP."""
    dscp_classes: tuple[DscpClass, ...] = ()
    """DSCPs that have an SA of their own, such as `[[46], [34, 36]]`. Experimental."""

    @model_validator(mode="after")
    def _shares_fit(self) -> Self:
        check_shares(self)
        return self

    @model_validator(mode="after")
    def _engine_has_ciphers(self) -> Self:
        for template in self.templates(allow_weak=True):
            for suite in template.suites():
                if suite.name not in TRANSFORMS:
                    accepted = ", ".join(TRANSFORMS)
                    raise ValueError(f"a gateway cannot carry {suite}; accepted: {accepted}")
        return self

    @model_validator(mode="after")
    def _sides_fit(self) -> Self:
        require_one_family(self.local, self.remote)
        return self

    @property
    def resources(self) -> int:
        """Resources with an SA each (RFC 9611)."""
        return 0 if self.per_resource == "off" else self.parallel

    def config(self, allow_weak: bool) -> ChildConfig:
        """The form the IKE core takes."""
        common = super().config(allow_weak)
        return replace(common, resources=self.resources, dscp_classes=self.dscp_classes)

    @property
    def offers_esn(self) -> bool:
        """Whether extended sequence numbers may be agreed on."""
        return any(template.extended for template in self.templates(allow_weak=True))


class GatewayPeer(PeerSection):
    """A peer of a gateway, with fixed addresses."""

    local: Address
    """Our address towards it: one of an interface, or one of its `hosts`."""
    remote: Address
    """Its address, of the same family."""
    children: tuple[GatewayChild, ...] = ()
    """The child SAs of this peer."""

    @model_validator(mode="after")
    def _ends_fit(self) -> Self:
        if self.local.version != self.remote.version:
            raise ValueError(
                f"local {self.local} and remote {self.remote} are of different families; "
                "accepted: both IPv4 or both IPv6"
            )
        for child in self.transport_children:
            _require_host(child.name, "local", child.local, self.local)
            _require_host(child.name, "remote", child.remote, self.remote)
        return self

    @property
    def transport_children(self) -> list[GatewayChild]:
        """Those whose packets keep their own IP header."""
        return [child for child in self.children if child.mode == "transport"]


def _require_host(child: str, side: str, nets: tuple[Network, ...], host: Address) -> None:
    """A transport mode SA carries what its two ends say, and nothing else."""
    if nets != (ip_network(host),):
        raise ValueError(
            f"child {child}: in transport mode {side} is the peer's {side} address; "
            f"accepted: {ip_network(host)}"
        )


class GatewayConfig(Section):
    """One switch and all it does."""

    address: Server
    """P4Runtime server of the switch, `host:port`."""
    device_id: int = Field(default=1, ge=1, le=(1 << 64) - 1)
    """P4Runtime device id."""
    engine: FilePath | None = None
    """Unix socket of the engine's key service. The engine belongs to this gateway alone."""
    interfaces: tuple[InterfaceConfig, ...] = Field(min_length=1)
    """Ports of the switch; at least one."""
    routes: tuple[RouteConfig, ...] = ()
    """Routes; networks of interfaces need none."""
    neighbours: tuple[NeighbourConfig, ...] = ()
    """Neighbours that are not asked for by ARP or neighbour discovery."""
    labels: tuple[LabelConfig, ...] = ()
    """Security labels of hosts (RFC 9478); what comes from others has none."""
    experimental: bool = False
    """Admit formats of ESP and extensions of IKE that are no standard, under our vendor ID."""
    esp_ping: bool = False
    """Answer ESP pings to our own addresses (SPI 7): whoever asks learns that ESP arrives."""
    esp_ping_rate: int = Field(default=10, ge=1, le=100_000)
    """Answers to ESP pings, a second, of all who ask."""
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
        check_experimental(children_of(self.peers), allowed=self.experimental)
        check_extensions(extensions_of(self.peers), allowed=self.experimental)
        check_classes(self._children.items(), allowed=self.experimental)
        check_ppks(ppks_of(self.peers), allowed=self.experimental)
        self._check_hosts()
        self._check_children()
        self._check_windows()
        self._check_cells()
        self._check_addresses()
        self._check_links()
        self._check_labels()
        return self

    @property
    def own_addresses(self) -> list[Address]:
        """Ours, without those of hosts behind us."""
        return [address.ip for item in self.interfaces for address in item.addresses]

    @property
    def hosts(self) -> list[Address]:
        """Hosts behind us whose IKE and ESP are ours."""
        return [host for item in self.interfaces for host in item.hosts]

    @property
    def _children(self) -> dict[str, GatewayChild]:
        """The child SAs of all peers, by `peer/child`."""
        return {
            f"{peer.name}/{child.name}": child for peer in self.peers for child in peer.children
        }

    @property
    def label_names(self) -> set[bytes]:
        """All security labels of hosts and rules."""
        of_rules = {rule.label for rule in self.policies if rule.label}
        return {label.encode() for label in of_rules | {item.label for item in self.labels}}

    def _check_labels(self) -> None:
        """A host has one label, where its traffic comes in."""
        protected = [(i.port, i.vlan) for i in self.interfaces if i.role == "protected"]
        for item in self.labels:
            if (item.port, item.vlan) not in protected:
                accepted = ", ".join(f"{port}.{vlan}" for port, vlan in protected) or "none"
                where = f"{item.port}.{item.vlan}"
                raise ValueError(f"labels: {where} is no protected interface; accepted: {accepted}")
        require_unique(
            "labelled", [f"{i.port}.{i.vlan} {net}" for i in self.labels for net in i.hosts]
        )
        if len(self.label_names) > MAX_LABELS:
            raise ValueError(f"{len(self.label_names)} security labels; accepted: {MAX_LABELS}")

    def _check_hosts(self) -> None:
        require_unique("host", list(map(str, self.hosts)))
        for item in self.interfaces:
            for host in item.hosts:
                self._check_host(item, host)

    def _check_host(self, interface: InterfaceConfig, host: Address) -> None:
        if host in self.own_addresses:
            raise ValueError(f"host {host} is the gateway itself; accepted: hosts behind it")
        behind = list(self._behind(interface))
        if not any(host in net for net in behind):
            accepted = _join(behind) or "none: the interface has no address"
            where = f"{interface.port}.{interface.vlan}"
            raise ValueError(f"host {host} is not behind interface {where}; accepted: {accepted}")

    def _behind(self, interface: InterfaceConfig) -> Iterator[Network]:
        """The networks of an interface, and those routed by way of it."""
        links = [address.network for address in interface.addresses]
        yield from links
        for route in self.routes:
            if any(route.via in link for link in links):
                yield route.destination

    def _check_children(self) -> None:
        known = self._children
        for policy in self.policies:
            if policy.child is not None and policy.child not in known:
                accepted = ", ".join(known) or "none: there are no children"
                raise ValueError(
                    f"policy {policy.name}: child {policy.child!r}; accepted: {accepted}"
                )
            if policy.child is not None:
                _check_carries(known[policy.child], policy)
                _check_label(known[policy.child], policy)

    def _check_cells(self) -> None:
        """One SA must not take the replay cells of all others."""
        each = cells_for(self.sa.window) if self.sa.window else 0
        for name, child in self._children.items():
            subs, most = child.wish.subs, SA_CELLS // max(each, 1)
            if subs * each > SA_CELLS:
                raise ValueError(
                    f"child {name}: {subs} subs with windows of {self.sa.window} packets; "
                    f"accepted: {most} subs or less, or a smaller window"
                )

    def _check_windows(self) -> None:
        """Without a window nothing tells the high half of an ESN (RFC 4303 3.3.3)."""
        for name, child in self._children.items():
            check_window(name, child, self.sa.window)
            if self.sa.window == 0 and child.offers_esn:
                raise ValueError(
                    f"child {name}: its proposals offer ESN, which takes an anti-replay window, "
                    "and sa.window is 0; accepted: proposals without esn, such as "
                    "aes256gcm16-noesn, or a window of 32..4096 packets"
                )

    def _check_addresses(self) -> None:
        for peer in self.peers:
            _require_end(peer.name, peer.local, [*self.own_addresses, *self.hosts])
            if peer.remote in self.own_addresses:
                raise _own_address(f"peer {peer.name}: remote", peer.remote)
            if peer.transport_children and peer.local not in self.hosts:
                accepted = _join(self.hosts) or "none: no interface has hosts"
                raise ValueError(
                    f"peer {peer.name}: transport mode is for hosts behind us, "
                    f"not for local {peer.local}; accepted: {accepted}"
                )

    def _check_links(self) -> None:
        """What is said twice the switch would refuse; what leads nowhere nobody would notice."""
        require_unique("address", list(map(str, self.own_addresses)))
        links = [{address.network for address in item.addresses} for item in self.interfaces]
        networks = [network for link in links for network in link]
        for network in networks:
            if networks.count(network) > 1:
                raise ValueError(f"network {network} is on two interfaces; accepted: one link each")
        places = [*networks, *(route.destination for route in self.routes)]
        require_unique("route", list(map(str, places)))
        require_unique("neighbour", [str(item.address) for item in self.neighbours])
        self._check_next_hops(networks)

    def _check_next_hops(self, networks: list[Network]) -> None:
        hops = [(f"route {route.destination}: via", route.via) for route in self.routes]
        for what, hop in [*hops, *(("neighbour", item.address) for item in self.neighbours)]:
            if hop in self.own_addresses:
                raise _own_address(what, hop)
            if not any(hop in network for network in networks):
                accepted = _join(networks) or "nothing: no interface has an address"
                raise ValueError(f"{what} {hop} is on no link; accepted: within {accepted}")


def _require_end(peer: str, local: Address, ours: list[Address]) -> None:
    if local not in ours:
        accepted = _join(ours) or "none: no interface has an address"
        raise ValueError(f"peer {peer}: local {local}; accepted: {accepted}")


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

    @field_validator("election_id")
    @classmethod
    def _fits_p4runtime(cls, number: int) -> int:
        if number >> 128:
            raise ValueError("accepted: 1..2^128 - 1")
        return number

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
    rule, (local, remote) = policy.rule(), child.selectors()
    for side, wanted, carried in (("local", rule.local, local), ("remote", rule.remote, remote)):
        if not is_subset(wanted, carried):
            raise ValueError(
                f"policy {policy.name}: {side} {_join(wanted)} is more than child {policy.child} "
                f"carries; accepted: within {_join(carried)}"
            )


def _check_label(child: GatewayChild, policy: PolicySection) -> None:
    """One rule has one child, so both have the same label."""
    if child.labels != ((policy.label,) if policy.label else ()):
        accepted = child.labels[0] if len(child.labels) == 1 else "one label, in both, or none"
        raise ValueError(
            f"policy {policy.name}: label {policy.label or '(none)'} with child {policy.child}, "
            f"which has {', '.join(child.labels) or 'none'}; accepted: {accepted}"
        )


def _own_address(what: str, address: Address) -> ValueError:
    return ValueError(f"{what} {address} is our own address; accepted: another one")


def _join(items: Iterable[Network | Address | TrafficSelector]) -> str:
    return ", ".join(map(str, items))
