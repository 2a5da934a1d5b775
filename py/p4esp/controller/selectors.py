"""Traffic selectors as the pipeline matches them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

from p4esp.controller.errors import ControllerError
from p4esp.controller.tables import NO_IPV4, PacketMatch
from p4esp.ipsec.selectors import OPAQUE_PORTS, TrafficSelector

MAX_MATCHES: Final = 256
"""Entries of `in_policy` and `in_policy_v6` that one SA may need: the tables are there for all."""


class UnsupportedSelectorError(ControllerError):
    """The pipeline cannot match this selector; the text says why."""


def packet_matches(
    sources: Iterable[TrafficSelector], destinations: Iterable[TrafficSelector]
) -> list[PacketMatch]:
    """Every packet from one of the sources to one of the destinations, without duplicates.

    Selectors of different families have no packets.
    """
    pairs = product(sources, destinations)
    matches = [match for src, dst in pairs for match in _pair_matches(src, dst)]
    return list(dict.fromkeys(matches))


def check_matchable(
    sources: Sequence[TrafficSelector], destinations: Sequence[TrafficSelector]
) -> None:
    """UnsupportedSelectorError for pairs that the pipeline cannot match, or can only with too many
    entries. Nothing large is computed: a peer may have thought of these selectors.
    """
    needed = sum(
        _prefix_count(sources, version) * _prefix_count(destinations, version) for version in (4, 6)
    )
    if needed > MAX_MATCHES:
        raise UnsupportedSelectorError(
            f"the selectors need up to {needed} table entries; accepted: {MAX_MATCHES}"
        )
    if not packet_matches(sources, destinations):
        raise UnsupportedSelectorError(
            "the families and protocols of the two sides have nothing in common"
        )


def _prefix_count(selectors: Iterable[TrafficSelector], version: int) -> int:
    return sum(len(selector.prefixes()) for selector in selectors if selector.version == version)


def _pair_matches(src: TrafficSelector, dst: TrafficSelector) -> list[PacketMatch]:
    if src.version != dst.version:
        return []
    if src.protocol and dst.protocol and src.protocol != dst.protocol:
        return []
    protocol = src.protocol or dst.protocol
    nets = product(src.prefixes(), dst.prefixes())
    return [PacketMatch(one, other, protocol, src.ports, dst.ports) for one, other in nets]


@dataclass(frozen=True, slots=True)
class OnePair:
    """What fits into an inbound SA's own entry: a pair of networks of either family or of both,
    with one protocol and one pair of port ranges.
    """

    v4: PacketMatch | None
    v6: PacketMatch | None

    @property
    def args(self) -> dict[str, int]:
        """The `sel_*` arguments; the IPv6 networks are for `pair_v6`."""
        some = self.v4 or self.v6
        assert some is not None
        return _ipv4_args(self.v4) | {
            "sel_protocol": some.protocol,
            "sel_sport_low": some.sport[0],
            "sel_sport_high": some.sport[1],
            "sel_dport_low": some.dport[0],
            "sel_dport_high": some.dport[1],
        }


def _ipv4_args(match: PacketMatch | None) -> dict[str, int]:
    if match is None:
        return NO_IPV4
    return {
        "sel_src": int(match.src.network_address),
        "sel_src_mask": int(match.src.netmask),
        "sel_dst": int(match.dst.network_address),
        "sel_dst_mask": int(match.dst.netmask),
    }


def one_pair(matches: Sequence[PacketMatch]) -> OnePair | None:
    """What fits into the SA's own entry; None when `in_policy` is needed."""
    by_family = {match.version: match for match in matches}
    layer4 = {(match.protocol, match.sport, match.dport) for match in matches}
    if len(by_family) != len(matches) or len(layer4) != 1:
        return None
    if OPAQUE_PORTS in (matches[0].sport, matches[0].dport):
        return None
    return OnePair(by_family.get(4), by_family.get(6))
