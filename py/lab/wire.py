"""What was on the wire between two gateways, by a capture that tshark reads."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.capture import fields

_FIELDS: Final = ("eth.type", "ip.src", "ip.dst", "esp.spi", "esp.sequence", "isakmp.exchangetype")
_ARP: Final = 0x0806
SNAP: Final = 128
"""Octets kept of each frame: the headers."""


@dataclass(frozen=True, slots=True)
class Wire:
    """Frames by kind: esp, ike, arp, other."""

    kinds: Counter[str]
    strangers: frozenset[str]
    """Addresses that are not the gateways'."""
    repeated: int
    """ESP packets whose SPI and sequence number had been there before."""
    exchanges: frozenset[int]
    """Types of IKE exchanges."""

    @property
    def faults(self) -> Iterator[str]:
        """Why this is no wire with ESP and nothing else, apart from the IKE and ARP it needs."""
        if self.kinds["other"]:
            yield f"{self.kinds['other']} frames are neither ESP nor IKE nor ARP"
        if self.strangers:
            yield f"addresses of others: {', '.join(sorted(self.strangers))}"
        if self.repeated:
            yield f"{self.repeated} ESP packets with a sequence number for the second time"
        if not self.kinds["esp"]:
            yield "no ESP"

    def __str__(self) -> str:
        return ", ".join(f"{count} {kind}" for kind, count in self.kinds.most_common())


def read_wire(capture: Path, gateways: frozenset[str]) -> Wire:
    """Judge a capture that has ended."""
    rows = fields(capture, "", *_FIELDS)
    addresses = {address for _, source, target, *_ in rows for address in (source, target)}
    sealed = Counter((spi, number) for *_, spi, number, _ in rows if spi)
    return Wire(
        kinds=Counter(map(_kind, rows)),
        strangers=frozenset(addresses - gateways - {""}),
        repeated=sum(count - 1 for count in sealed.values()),
        exchanges=frozenset(int(row[-1]) for row in rows if row[-1]),
    )


def _kind(row: list[str]) -> str:
    ethertype, *_, spi, _, exchange = row
    if spi or exchange:
        return "esp" if spi else "ike"
    return "arp" if int(ethertype or "0", 0) == _ARP else "other"
