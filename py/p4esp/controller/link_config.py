"""Interfaces, routes and neighbours of a gateway, as a file describes them."""

from typing import Literal, Self

from pydantic import Field, model_validator

from p4esp.configuration.fields import Address, Interface, Label, Mac, Network, Port, Vid
from p4esp.configuration.sections import Section
from p4esp.controller.numbers import CPU_PORT, CRYPTO_PORT, Role


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
    addresses: tuple[Interface, ...] = ()
    """Our addresses there with prefix length, such as `10.1.0.1/16` or `2001:db8:1::1/64`."""
    mtu: int = Field(default=1500, ge=576, le=65535)
    """Octets of the largest IP packet on that link."""
    hosts: tuple[Address, ...] = ()
    """Hosts behind a `protected` interface whose IKE and ESP are ours: a bump in their wire."""

    @model_validator(mode="after")
    def _port_is_free(self) -> Self:
        if self.port in (CPU_PORT, CRYPTO_PORT):
            raise ValueError(f"port {self.port} is the pipeline's own; accepted: 0..508")
        return self

    @model_validator(mode="after")
    def _addresses_are_for_this(self) -> Self:
        for address in self.addresses:
            _require_global("addresses", address.ip)
        for host in self.hosts:
            _require_global("hosts", host)
        if self.hosts and self.role != "protected":
            raise ValueError("hosts are behind us; accepted: on a protected interface")
        return self

    @property
    def pipeline_role(self) -> Role:
        """The role as the pipeline numbers it."""
        return Role.PROTECTED if self.role == "protected" else Role.UNPROTECTED


def _require_global(key: str, address: Address) -> None:
    if address.version == 6 and address.is_link_local:
        raise ValueError(
            f"{key}: {address} is link-local, which each interface makes of its MAC address; "
            "accepted: addresses that are valid beyond the link"
        )
    if address.is_multicast or address.is_unspecified:
        raise ValueError(f"{key}: {address} is no host's; accepted: unicast addresses")


class RouteConfig(Section):
    """A route by way of a next hop."""

    destination: Network
    """Prefix, such as `10.2.0.0/16` or `2001:db8:2::/48`."""
    via: Address
    """Next hop, on the network of an interface; of IPv6 not its link-local address."""

    @model_validator(mode="after")
    def _next_hop_fits(self) -> Self:
        if self.destination.version != self.via.version:
            raise ValueError(
                f"via {self.via} and {self.destination} are of different families; accepted: one"
            )
        _require_global("via", self.via)
        return self


class LabelConfig(Section):
    """Hosts of our site that have a security label (RFC 9478)."""

    label: Label
    """What they send has it, and nothing else reaches them."""
    port: Port
    """Port of the switch, of a `protected` interface."""
    vlan: Vid = 0
    """802.1Q VLAN on that port; 0: untagged."""
    hosts: tuple[Network, ...] = Field(min_length=1)
    """Prefixes of their addresses; at least one. The longest counts."""


class NeighbourConfig(Section):
    """A neighbour that is not asked for by ARP or neighbour discovery."""

    address: Address
    """Its address."""
    mac: Mac
    """Its MAC address."""
