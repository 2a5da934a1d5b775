"""A peer behind a NAT turns up elsewhere (RFC 7296 2.23).

The pipeline tells where an authentic packet came from that was newer than any before. Whether the
peer is followed there is for its IKE SA to decide: not with MOBIKE, not when we are behind a NAT
ourselves. Outer addresses are not authenticated: who delays packets on the way can move the peer
about, so few moves in a row count.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from p4esp.ike.errors import CommandError
from p4esp.ike.path import UdpAddress
from p4esp.ike.ratelimit import SourceLimits
from p4esp.ipsec.sa import ChildSaParams
from p4esp.service.driver import Driver

RATE: Final = 1.0
"""Moves of one SA a second that count, on average."""
BURST: Final = 5.0
MAX_SAS: Final = 4096
"""SAs whose moves are remembered."""


class PeerMoves:
    """Tells IKE of moves. `clock` is monotonic, in seconds."""

    def __init__(self, ike: Driver, clock: Callable[[], float]) -> None:
        self._ike = ike
        self._clock = clock
        self._limits = SourceLimits(RATE, BURST, MAX_SAS)

    def moved(self, child: ChildSaParams, digest: Mapping[str, int]) -> None:
        """Deal with a PEER_MOVED digest of an SA."""
        seen = seen_at(child, digest)
        spi = child.spi_in.to_bytes(4, "big")
        if not _is_hosts(seen) or not self._limits.allow(spi, self._clock()):
            return
        with suppress(CommandError):  # IKE does not follow, or has given the SA up meanwhile
            self._ike.command(lambda endpoint, now: endpoint.peer_moved(child.spi_in, seen, now))


def seen_at(child: ChildSaParams, digest: Mapping[str, int]) -> UdpAddress:
    """Where a digest says that a packet came from; it came to our address, so it has its family."""
    if child.local.version == 4:
        return UdpAddress(IPv4Address(digest["peer_low"]), digest["peer_port"])
    host = IPv6Address(digest["peer_high"] << 64 | digest["peer_low"])
    return UdpAddress(host, digest["peer_port"])


def _is_hosts(address: UdpAddress) -> bool:
    """Whether a host can have such an address and port."""
    host = address.host
    return address.port != 0 and not (host.is_multicast or host.is_unspecified or host.is_reserved)
