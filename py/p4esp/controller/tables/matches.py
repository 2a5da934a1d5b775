"""What the builders of table entries share: matches on packets, and the table of a family."""

from dataclasses import dataclass

from p4esp.controller.entries import Value
from p4esp.ipsec.selectors import ANY_PORTS, OPAQUE_PORTS, Network


@dataclass(frozen=True, slots=True)
class PacketMatch:
    """A ternary selector over one packet, as `spd` and `in_policy` share it.

    Both networks are of one family. Ports are inclusive ranges; `ANY_PORTS` matches fragments too,
    `OPAQUE_PORTS` only them.
    """

    src: Network
    dst: Network
    protocol: int = 0
    sport: tuple[int, int] = ANY_PORTS
    dport: tuple[int, int] = ANY_PORTS

    def __post_init__(self) -> None:
        if self.src.version != self.dst.version:
            raise ValueError(f"{self.src} and {self.dst} are of different families")

    @property
    def version(self) -> int:
        """IP version, 4 or 6."""
        return self.src.version

    def fields(self) -> dict[str, Value]:
        """The match fields; those without a restriction are left out."""
        match: dict[str, Value] = {}
        _put_network(match, "src", self.src)
        _put_network(match, "dst", self.dst)
        if self.protocol:
            match["protocol"] = (self.protocol, 0xFF)
        if OPAQUE_PORTS in (self.sport, self.dport):
            return match | {"l4_known": (0, 1)}
        _put_ports(match, "sport", self.sport)
        _put_ports(match, "dport", self.dport)
        return match


def of_family(table: str, version: int) -> str:
    """The table of an IP version, where IPv4's has the bare name."""
    return f"{table}_v6" if version == 6 else table


def lpm(name: str, network: Network) -> dict[str, Value]:
    """A longest prefix match; a default route has none."""
    if not network.prefixlen:
        return {}
    return {name: (int(network.network_address), network.prefixlen)}


def _put_network(match: dict[str, Value], name: str, network: Network) -> None:
    if network.prefixlen:
        match[name] = (int(network.network_address), int(network.netmask))


def _put_ports(match: dict[str, Value], name: str, ports: tuple[int, int]) -> None:
    if ports != ANY_PORTS:
        match[name] = ports
        match["l4_known"] = (1, 1)
