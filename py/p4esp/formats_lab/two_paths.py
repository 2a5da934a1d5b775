"""What subspaces buy: packets of one SA that come by two paths of unequal delay.

Which path a packet takes, and which subspace, goes by the port on which it came to the sender.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from p4esp.formats_lab.gateways import Pair, site_frame, udp_packet
from p4esp.formats_lab.sas import SITE_PORTS, WINDOW, WIRE_PORT, LabSa
from p4esp.formats_lab.vectors import digest_sa

PACKETS = 1000
SKEW = 200
"""Packets by which the slow path is late."""
OCTETS = 128


@dataclass(frozen=True, slots=True)
class Arrivals:
    """What became of packets that took two paths in turn."""

    format: str
    spaces: int
    window: int
    skew: int
    sent: int
    delivered: int
    drops: dict[str, int]
    """By reason."""


def arrivals(program: Path, name: str, packets: int = PACKETS, skew: int = SKEW) -> Arrivals:
    """Send packets of an SA of a format over both paths in turn."""
    sa = digest_sa(name)
    pair = Pair(program, [sa])
    sealed = [_sealed(pair, sa, number) for number in range(packets)]
    delivered = pair.opening.carry(WIRE_PORT, _late(sealed[0::2], sealed[1::2], skew // 2))
    spaces = min(sa.subs, 2)
    counts = (packets, len(delivered), dict(pair.opening.dropped()))
    return Arrivals(name, spaces, WINDOW, skew, *counts)


def _sealed(pair: Pair, sa: LabSa, number: int) -> bytes:
    (frame,) = pair.seal([site_frame(udp_packet(sa, number % 2, OCTETS))], SITE_PORTS[number % 2])
    return frame


def _late(fast: Sequence[bytes], slow: Sequence[bytes], by: int) -> list[bytes]:
    """Packets in the order of arrival: of either path in turn, the slow one `by` behind."""
    order = [(at, 0, frame) for at, frame in enumerate(fast)]
    order += [(at + by, 1, frame) for at, frame in enumerate(slow)]
    return [frame for _, _, frame in sorted(order, key=lambda item: item[:2])]
