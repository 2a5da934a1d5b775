"""Traffic selectors: what an SA may carry (RFC 4301 4.4.1.1, RFC 7296 2.9 and 3.13)."""

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from itertools import product
from typing import Self

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

ANY_PROTOCOL = 0
ANY_PORTS = (0, 65535)
OPAQUE_PORTS = (65535, 0)
"""Ports that cannot be seen (RFC 7296 3.13.1): the start is above the end."""
MAX_NARROWED = 64
"""Selectors that `narrow` keeps; what a peer offers may meet our policy in many more places."""


class SelectorError(ValueError):
    """The selector's values contradict each other; the text says how."""


@dataclass(frozen=True, slots=True)
class TrafficSelector:
    """An inclusive address range, a protocol (0 = any) and an inclusive port range.

    For ICMP the ports hold type << 8 | code. Both addresses are of one family.
    """

    first: Address
    last: Address
    protocol: int = ANY_PROTOCOL
    first_port: int = 0
    last_port: int = 65535

    def __post_init__(self) -> None:
        if self.first.version != self.last.version:
            raise SelectorError(f"{self.first} and {self.last} are of different families")
        if int(self.first) > int(self.last):
            raise SelectorError(f"first address {self.first} is above the last, {self.last}")
        if not 0 <= self.protocol <= 255:
            raise SelectorError(f"protocol {self.protocol} is outside 0..255")
        self._check_ports()

    def _check_ports(self) -> None:
        if not (0 <= self.first_port <= 65535 and 0 <= self.last_port <= 65535):
            raise SelectorError(f"ports {self.first_port}..{self.last_port} exceed 0..65535")
        if self.first_port > self.last_port and self.ports != OPAQUE_PORTS:
            raise SelectorError(f"first port {self.first_port} is above {self.last_port}")
        if self.protocol == ANY_PROTOCOL and self.ports not in (ANY_PORTS, OPAQUE_PORTS):
            raise SelectorError("protocol 0 (any) allows no port restriction")

    @classmethod
    def of_network(
        cls, network: str | Network, protocol: int = 0, ports: tuple[int, int] = ANY_PORTS
    ) -> Self:
        """The selector that covers a prefix such as `10.1.0.0/16`."""
        net = ipaddress.ip_network(network)
        return cls(net[0], net[-1], protocol, *ports)

    @property
    def ports(self) -> tuple[int, int]:
        """First and last port; `OPAQUE_PORTS` when ports are not visible."""
        return self.first_port, self.last_port

    @property
    def version(self) -> int:
        """IP version, 4 or 6."""
        return self.first.version

    def contains(self, other: "TrafficSelector") -> bool:
        """Whether every packet that `other` matches is matched by this selector too."""
        return (
            self.version == other.version
            and self.protocol in (ANY_PROTOCOL, other.protocol)
            and int(self.first) <= int(other.first)
            and int(other.last) <= int(self.last)
            and _common_ports(self.ports, other.ports) == other.ports
        )

    def intersection(self, other: "TrafficSelector") -> "TrafficSelector | None":
        """The packets both match, or None (RFC 7296 2.9: per selector, families apart)."""
        ports = _common_ports(self.ports, other.ports)
        if self.version != other.version or ports is None or not self._protocols_meet(other):
            return None
        first, last = max(self.first, other.first, key=int), min(self.last, other.last, key=int)
        if int(first) > int(last):
            return None
        return TrafficSelector(first, last, self.protocol or other.protocol, *ports)

    def _protocols_meet(self, other: "TrafficSelector") -> bool:
        return self.protocol == other.protocol or ANY_PROTOCOL in (self.protocol, other.protocol)

    def prefixes(self) -> tuple[Network, ...]:
        """The fewest prefixes that cover exactly the address range, for LPM and ternary keys."""
        return tuple(ipaddress.summarize_address_range(self.first, self.last))

    def __str__(self) -> str:
        size = int(self.last) - int(self.first) + 1
        is_prefix = size & (size - 1) == 0 and int(self.first) % size == 0
        length = self.first.max_prefixlen - size.bit_length() + 1
        where = f"{self.first}/{length}" if is_prefix else f"{self.first}-{self.last}"
        if self.protocol == ANY_PROTOCOL and self.ports == ANY_PORTS:
            return where
        return f"{where}[{self.protocol or 'any'}/{self._ports_text()}]"

    def _ports_text(self) -> str:
        if self.ports == ANY_PORTS:
            return "any"
        if self.ports == OPAQUE_PORTS:
            return "opaque"
        return f"{self.first_port}-{self.last_port}"


def _common_ports(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int] | None:
    if OPAQUE_PORTS in (a, b):
        other = b if a == OPAQUE_PORTS else a
        return OPAQUE_PORTS if other in (ANY_PORTS, OPAQUE_PORTS) else None
    first, last = max(a[0], b[0]), min(a[1], b[1])
    return (first, last) if first <= last else None


def narrow(
    offered: Iterable[TrafficSelector], policy: Sequence[TrafficSelector]
) -> tuple[TrafficSelector, ...]:
    """The part of an offer that policy allows, in the offer's order (RFC 7296 2.9).

    Never wider than either side; selectors that another one covers are left out, and those after
    the first `MAX_NARROWED`. Empty means TS_UNACCEPTABLE.
    """
    kept: list[TrafficSelector] = []
    for offer, allowed in product(offered, policy):
        common = offer.intersection(allowed)
        if common is not None and not any(have.contains(common) for have in kept):
            kept.append(common)
        if len(kept) == MAX_NARROWED:
            break
    return tuple(ts for ts in kept if not any(_wider(other, ts) for other in kept))


def _wider(other: TrafficSelector, ts: TrafficSelector) -> bool:
    return other != ts and other.contains(ts)


def is_subset(inner: Iterable[TrafficSelector], outer: Sequence[TrafficSelector]) -> bool:
    """Whether each selector of `inner` lies within one selector of `outer`."""
    return all(any(whole.contains(part) for whole in outer) for part in inner)
