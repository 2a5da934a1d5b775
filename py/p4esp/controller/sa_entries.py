"""The table entries of one SA pair."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from p4esp.controller import tables
from p4esp.controller.entries import Entry
from p4esp.controller.numbers import DfMode, Spread
from p4esp.controller.sa_formats import (
    check_diet,
    check_format,
    format_in,
    format_out,
    pipeline_wrap,
    share_of_limit,
)
from p4esp.controller.sa_modes import (
    UnsupportedSaError,
    check_carriable,
    layer4_delta,
    pipeline_mode,
)
from p4esp.controller.selection import Destination
from p4esp.controller.selectors import OnePair, one_pair, packet_matches
from p4esp.controller.tables import OpenWith, PacketMatch, SealWith
from p4esp.ipsec.diet import low_octets
from p4esp.ipsec.formats import Format, Trailer
from p4esp.ipsec.layouts import (
    form_of,
    form_out,
    is_diet,
    is_eesp,
    named_by,
    sends_whole_numbers,
    spis_in,
)
from p4esp.ipsec.sa import ChildSaParams, Layout, Mode
from p4esp.store import SaRecord

LAST_SEQUENCE: Final = (1 << 32) - 1
LAST_EXTENDED_SEQUENCE: Final = (1 << 37) - 1
"""The replay cells' tags end there (design section 4)."""
PLAIN: Final = Layout()
_MULTI: Final = 1
_OF_CLASS: Final = 2
FLOW_LABEL_MAX: Final = (1 << 20) - 1
"""An SA is one flow; its label comes from the SPI, which the peer drew at random (RFC 6437)."""


@dataclass(frozen=True, slots=True)
class Handles:
    """The engine's names for the keys of an SA pair."""

    open: int
    seal: int


@dataclass(frozen=True, slots=True)
class SaSettings:
    """What the operator, not the peer, decides about SAs."""

    window: int = 1024
    """Packets of the anti-replay window (RFC 4303 3.4.3); 0 switches the service off, for SAs
    without ESN only.
    """
    soft_packets: int | None = None
    """Packets after which a rekey starts; None, or where an SA's numbers end before: three quarters
    of the hard limit.
    """
    hard_packets: int | None = None
    """Packets after which the SA sends nothing; None: where sequence numbers end."""
    tunnel_ttl: int = 64
    tfc: int = 0
    """Octets that packets in tunnels are filled up to (RFC 4303 2.7), as far as path MTU and peer
    let them.
    """
    df: DfMode = DfMode.COPY
    """What becomes of DF in the outer header of tunnels over IPv4 (RFC 4301 8.1)."""
    dscp: int | None = None
    """DSCP of the outer headers of tunnels (RFC 4301 5.1.2); None: the inner one."""
    spreads: Mapping[tuple[str, str], Spread] = field(default_factory=dict)
    """What chooses the subspace or sub-SA of a packet, by peer and child; else its flow."""

    def limits(self, *, esn: bool, layout: Layout = PLAIN) -> tuple[int, int]:
        """Soft and hard limit of the numbers of each sequence space of an SA."""
        long = esn or sends_whole_numbers(form_of(layout))
        last = LAST_EXTENDED_SEQUENCE if long else LAST_SEQUENCE
        hard = share_of_limit(min(self.hard_packets or last, last), layout)
        soft = share_of_limit(self.soft_packets, layout) if self.soft_packets else hard
        return (soft if soft < hard else max(hard * 3 // 4, 1)), hard

    def spread_of(self, child: ChildSaParams) -> Spread:
        """What chooses where a packet of a child goes."""
        return self.spreads.get((child.peer, child.name), Spread.FLOW)


@dataclass(frozen=True, slots=True)
class PairEntries:
    """What is written for an SA pair, in the order of installation."""

    inbound: tuple[Entry, ...]
    """`sa_in` first, and what else it needs: its selectors, the repair of checksums, where the
    peer is.
    """
    sad: tuple[Entry, ...]
    """One for each SPI."""
    tunnel: tuple[Entry, ...]
    """What else the outbound SA needs: its outer addresses over IPv6, its format."""
    outbound: Entry

    @property
    def all(self) -> tuple[Entry, ...]:
        """Every entry."""
        return (*self.inbound, *self.sad, *self.tunnel, self.outbound)


def pair_entries(
    record: SaRecord, handles: Handles, local_id: int, settings: SaSettings, label: int = 0
) -> PairEntries:
    """The entries of an SA pair; UnsupportedSelectorError or UnsupportedSaError for what the
    pipeline cannot carry. `label`: the number of its security label.
    """
    place, child = record.placement, record.child
    check_carriable(child)
    check_format(child)
    check_diet(record)
    _check_window(record)
    return PairEntries(
        inbound=(*_inbound(record, handles.open), *_label(record, label)),
        sad=_sad(record, local_id),
        tunnel=(*_tunnel(record), *format_out(record, settings.spread_of(child))),
        outbound=tables.sa_out(place.sa_out, _seal_with(record, handles.seal, settings)),
    )


def _label(record: SaRecord, label: int) -> list[Entry]:
    """Of a gateway without labels an SA has nothing to say of them."""
    return [tables.sa_label(record.placement.sa_in, label)] if label else []


def _sad(record: SaRecord, local_id: int) -> tuple[Entry, ...]:
    """By which SPIs, and under which IP protocol, packets name the SA."""
    place, child = record.placement, record.child
    protocol, sa = named_by(form_of(child.layout)), (place.sa_in, place.generation_in)
    if is_diet(form_of(child.layout)):
        low = low_octets(child.spi_in, child.layout.spi_octets)
        return (tables.diet_sad(place.diet_peer, low, *sa, child.spi_in),)
    return tuple(
        tables.sad(local_id, spi, *sa, protocol=protocol, sub=sub)
        for sub, spi in enumerate(spis_in(child))
    )


def _check_window(record: SaRecord) -> None:
    """The window's top is what tells the high half of an ESN (RFC 4303 3.3.3, A2.2)."""
    if record.child.esn and not record.placement.window:
        raise UnsupportedSaError(
            "extended sequence numbers without an anti-replay window; "
            "accepted: a window, or numbers of 32 bits"
        )


def destinations(record: SaRecord) -> list[Destination]:
    """What the outbound SA serves."""
    prefixes = [net for ts in record.child.remote_ts for net in ts.prefixes()]
    return [(record.policy, net) for net in dict.fromkeys(prefixes)]


def _inbound(record: SaRecord, handle: int) -> tuple[Entry, ...]:
    index, child = record.placement.sa_in, record.child
    matches = packet_matches(child.remote_ts, child.local_ts)
    pair = one_pair(matches)
    sa_in = tables.sa_in(index, _open_with(record, handle, pair))
    delta = layer4_delta(child)
    repair = [tables.layer4_delta(index, delta)] if delta else []
    others = (*format_in(record), *repair, *_watch(record), *_class(record))
    return (sa_in, *_selector_entries(record, pair, matches), *others)


def _class(record: SaRecord) -> list[Entry]:
    """What is not counted as a stray, of an SA for a class of DSCPs."""
    return [tables.in_class(record.placement.sa_in, dscp) for dscp in record.child.share.dscps]


def _watch(record: SaRecord) -> list[Entry]:
    """Where the peer's packets come from, of an SA that follows it (RFC 7296 2.23)."""
    child = record.child
    if child.encapsulation is None or not child.follows:
        return []
    port = child.encapsulation.remote_port
    return [tables.peer(record.placement.sa_in, child.remote, port)]


def _selector_entries(
    record: SaRecord, pair: OnePair | None, matches: Sequence[PacketMatch]
) -> list[Entry]:
    """What of the selectors does not fit into the SA's own entry."""
    index = record.placement.sa_in
    if pair is None:
        return [tables.in_policy(index, match, priority=1) for match in matches]
    if pair.v6 is None:
        return []
    if record.child.mode is Mode.BEET:
        return [tables.beet_v6(index, pair.v6.src[0], pair.v6.dst[0])]
    return [tables.within_v6(index, pair.v6.src, pair.v6.dst)]


def _open_with(record: SaRecord, handle: int, pair: OnePair | None) -> OpenWith:
    place, child = record.placement, record.child
    selector = {} if pair is None else pair.args
    multi = _MULTI * (pair is None) | _OF_CLASS * bool(child.share.dscps)
    return OpenWith(
        generation=place.generation_in,
        key=handle,
        space=place.space_in,
        esn=int(child.esn),
        window=place.window,
        cell_base=place.cell_base,
        cell_mask=max(place.cells_each - 1, 0),
        **_format(child, form_of(child.layout)),
        **(selector | {"sel_multi": multi}),
    )


def _seal_with(record: SaRecord, handle: int, settings: SaSettings) -> SealWith:
    place, child = record.placement, record.child
    soft, hard = settings.limits(esn=child.esn, layout=child.layout)
    return SealWith(
        generation=place.generation_out,
        key=handle,
        space=place.space_out,
        esn=int(child.esn),
        seq_soft=soft,
        seq_hard=hard,
        spi=child.spi_out,
        tunnel_ttl=settings.tunnel_ttl,
        **_of_tunnels(child, settings),
        **_format(child, form_out(child.layout)),
        **_outer(child),
        **_udp(child),
    )


def _of_tunnels(child: ChildSaParams, settings: SaSettings) -> dict[str, int]:
    """What the operator says of tunnels; the other modes keep what the packet has."""
    if child.mode is not Mode.TUNNEL:
        return {}
    tfc = settings.tfc if child.tfc and _fills(form_out(child.layout)) else 0
    dscp = {} if settings.dscp is None else {"dscp_copy": 0, "dscp": settings.dscp}
    return {"tfc_len": tfc, "df_mode": settings.df} | dscp


def _fills(form: Format) -> bool:
    """Whether it has TFC padding: a trailer tells of it, EESP leaves it to IP-TFS, and who
    compresses does not pad.
    """
    return form.trailer is not Trailer.INNER and not is_eesp(form) and not is_diet(form)


def _format(child: ChildSaParams, form: Format) -> dict[str, int]:
    """Mode, wrapping, format and sizes of a direction."""
    wrap = pipeline_wrap(child, form)
    modes = {"mode": pipeline_mode(child), "wrap": wrap, "format": form.number}
    return modes | _sizes(child)


def _sizes(child: ChildSaParams) -> dict[str, int]:
    suite = child.suite
    align = suite.align if child.layout.trailer else 1
    return {"iv_len": suite.iv_size, "icv_len": suite.icv_size, "align": align}


def _outer(child: ChildSaParams) -> dict[str, int]:
    """The outer addresses; in transport mode those of the packets themselves."""
    if isinstance(child.local, IPv4Address):
        return {"tunnel_src": int(child.local), "tunnel_dst": int(child.remote), "outer_v6": 0}
    return {"tunnel_src": 0, "tunnel_dst": 0, "outer_v6": 1}


def _tunnel(record: SaRecord) -> tuple[Entry, ...]:
    child = record.child
    if not isinstance(child.local, IPv6Address) or not isinstance(child.remote, IPv6Address):
        return ()
    label = child.spi_out & FLOW_LABEL_MAX
    return (tables.tunnel_v6(record.placement.sa_out, child.local, child.remote, label),)


def _udp(child: ChildSaParams) -> dict[str, int]:
    udp = child.encapsulation
    if udp is None:
        return {}
    return {"udp_encap": 1, "udp_sport": udp.local_port, "udp_dport": udp.remote_port}
