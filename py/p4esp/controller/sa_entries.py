"""The table entries of one SA pair."""

from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Final

from p4esp.controller import tables
from p4esp.controller.entries import Entry
from p4esp.controller.errors import ControllerError
from p4esp.controller.selection import Destination
from p4esp.controller.selectors import (
    ipv4_prefixes,
    packet_matches,
    selector_args,
    single_match,
)
from p4esp.controller.tables import OpenWith, SealWith
from p4esp.ipsec.algorithms import Suite
from p4esp.ipsec.selectors import Address
from p4esp.store import SaRecord

LAST_SEQUENCE: Final = (1 << 32) - 1
LAST_EXTENDED_SEQUENCE: Final = (1 << 37) - 1
"""The replay cells' tags end there (design section 4)."""


@dataclass(frozen=True, slots=True)
class Handles:
    """The engine's names for the keys of an SA pair."""

    open: int
    seal: int


@dataclass(frozen=True, slots=True)
class SaSettings:
    """What the operator, not the peer, decides about SAs."""

    window: int = 1024
    """Packets of the anti-replay window (RFC 4303 3.4.3); 0 switches the service off."""
    soft_packets: int | None = None
    """Packets after which a rekey starts; None, or where an SA's numbers end before: three quarters
    of the hard limit.
    """
    hard_packets: int | None = None
    """Packets after which the SA sends nothing; None: where sequence numbers end."""
    tunnel_ttl: int = 64

    def limits(self, *, esn: bool) -> tuple[int, int]:
        """Soft and hard limit of an SA's sequence numbers."""
        last = LAST_EXTENDED_SEQUENCE if esn else LAST_SEQUENCE
        hard = min(self.hard_packets or last, last)
        soft = self.soft_packets or hard
        return (soft if soft < hard else hard * 3 // 4), hard


@dataclass(frozen=True, slots=True)
class PairEntries:
    """What is written for an SA pair, in the order of installation."""

    inbound: tuple[Entry, ...]
    """`sa_in`, and `in_policy` where one selector pair is not enough."""
    sad: Entry
    outbound: Entry

    @property
    def all(self) -> tuple[Entry, ...]:
        """Every entry."""
        return (*self.inbound, self.sad, self.outbound)


def pair_entries(
    record: SaRecord, handles: Handles, local_id: int, settings: SaSettings
) -> PairEntries:
    """The entries of an SA pair; UnsupportedSelectorError for what the pipeline cannot match."""
    place, child = record.placement, record.child
    matches = packet_matches(child.remote_ts, child.local_ts)
    single = single_match(matches)
    inbound = [tables.sa_in(place.sa_in, _open_with(record, handles.open, selector_args(single)))]
    if single is None:
        inbound += [tables.in_policy(place.sa_in, match, priority=1) for match in matches]
    sad = tables.sad(local_id, child.spi_in, place.sa_in, place.generation_in)
    seal = _seal_with(record, handles.seal, settings)
    return PairEntries(tuple(inbound), sad, tables.sa_out(place.sa_out, seal))


def destinations(record: SaRecord) -> list[Destination]:
    """What the outbound SA serves."""
    prefixes = [net for ts in record.child.remote_ts for net in ipv4_prefixes(ts)]
    return [(record.policy, net) for net in dict.fromkeys(prefixes)]


def _open_with(record: SaRecord, handle: int, selector: dict[str, int]) -> OpenWith:
    place, child = record.placement, record.child
    return OpenWith(
        generation=place.generation_in,
        key=handle,
        space=place.space_in,
        esn=int(child.esn),
        window=place.window,
        cell_base=place.cell_base,
        cell_mask=max(place.cells - 1, 0),
        **_sizes(child.suite),
        **selector,
    )


def _seal_with(record: SaRecord, handle: int, settings: SaSettings) -> SealWith:
    place, child = record.placement, record.child
    soft, hard = settings.limits(esn=child.esn)
    udp = child.encapsulation
    ports = {"udp_sport": udp.local_port, "udp_dport": udp.remote_port} if udp else {}
    return SealWith(
        generation=place.generation_out,
        key=handle,
        space=place.space_out,
        esn=int(child.esn),
        seq_soft=soft,
        seq_hard=hard,
        spi=child.spi_out,
        tunnel_src=_ipv4(child.local),
        tunnel_dst=_ipv4(child.remote),
        tunnel_ttl=settings.tunnel_ttl,
        udp_encap=int(udp is not None),
        **_sizes(child.suite),
        **ports,
    )


def _sizes(suite: Suite) -> dict[str, int]:
    return {"iv_len": suite.iv_size, "icv_len": suite.icv_size, "align": suite.align}


def _ipv4(address: Address) -> int:
    if not isinstance(address, IPv4Address):
        raise ControllerError(f"tunnel end {address}: the pipeline carries IPv4 only")
    return int(address)
