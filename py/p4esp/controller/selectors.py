"""Traffic selectors as the pipeline matches them."""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Network
from itertools import product
from typing import Final

from p4esp.controller.errors import ControllerError
from p4esp.controller.tables import PacketMatch
from p4esp.ipsec.selectors import OPAQUE_PORTS, TrafficSelector

MAX_MATCHES: Final = 256
"""Entries of `in_policy` that one SA may need: the table is there for all of them."""


class UnsupportedSelectorError(ControllerError):
    """The pipeline cannot match this selector; the text says why."""


def ipv4_prefixes(selector: TrafficSelector) -> tuple[IPv4Network, ...]:
    """The prefixes of a selector; UnsupportedSelectorError for IPv6."""
    prefixes = tuple(net for net in selector.prefixes() if isinstance(net, IPv4Network))
    if not prefixes:
        raise UnsupportedSelectorError(f"selector {selector}: the pipeline carries IPv4 only")
    return prefixes


def packet_matches(
    sources: Iterable[TrafficSelector], destinations: Iterable[TrafficSelector]
) -> list[PacketMatch]:
    """Every packet from one of the sources to one of the destinations, without duplicates."""
    pairs = product(sources, destinations)
    matches = [match for src, dst in pairs for match in _pair_matches(src, dst)]
    return list(dict.fromkeys(matches))


def check_matchable(
    sources: Sequence[TrafficSelector], destinations: Sequence[TrafficSelector]
) -> None:
    """UnsupportedSelectorError for pairs that the pipeline cannot match, or can only with too many
    entries. Nothing large is computed: a peer may have thought of these selectors.
    """
    needed = _prefix_count(sources) * _prefix_count(destinations)
    if needed > MAX_MATCHES:
        raise UnsupportedSelectorError(
            f"the selectors need up to {needed} table entries; accepted: {MAX_MATCHES}"
        )
    if not packet_matches(sources, destinations):
        raise UnsupportedSelectorError("the protocols of the two sides have nothing in common")


def _prefix_count(selectors: Iterable[TrafficSelector]) -> int:
    return sum(len(ipv4_prefixes(selector)) for selector in selectors)


def _pair_matches(src: TrafficSelector, dst: TrafficSelector) -> list[PacketMatch]:
    if src.protocol and dst.protocol and src.protocol != dst.protocol:
        return []
    protocol = src.protocol or dst.protocol
    nets = product(ipv4_prefixes(src), ipv4_prefixes(dst))
    return [PacketMatch(one, other, protocol, src.ports, dst.ports) for one, other in nets]


def single_match(matches: list[PacketMatch]) -> PacketMatch | None:
    """The one match that fits into the SA's own entry; None when `in_policy` is needed."""
    if len(matches) != 1 or OPAQUE_PORTS in (matches[0].sport, matches[0].dport):
        return None
    return matches[0]


def selector_args(match: PacketMatch | None) -> dict[str, int]:
    """The `sel_*` arguments of an inbound SA; without a match `in_policy` is asked."""
    if match is None:
        return {"sel_multi": 1}
    return {
        "sel_src": int(match.src.network_address),
        "sel_src_mask": int(match.src.netmask),
        "sel_dst": int(match.dst.network_address),
        "sel_dst_mask": int(match.dst.netmask),
        "sel_protocol": match.protocol,
        "sel_sport_low": match.sport[0],
        "sel_sport_high": match.sport[1],
        "sel_dport_low": match.dport[0],
        "sel_dport_high": match.dport[1],
    }
