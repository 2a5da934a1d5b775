"""Security associations as the pipeline knows them."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network

from finsy import P4TableAction, P4TableEntry, P4TableMatch

from harness import tables
from harness.ids import Df, Format, Mode, Spread, Wrap
from harness.tables import Traffic
from harness.topology import GATEWAY, LOCAL_ID, PEER, REMOTE, REMOTE6, SITE, SITE6

IV_LEN = 8
ICV_LEN = 16
ALIGN = 4
SEQ32_MAX = 0xFFFF_FFFF
SEQ_RANGE = 1 << 37
NEVER = (1 << 64) - 1

ALL_ONES = 0xFFFF_FFFF
LOCAL_IDS6 = frozenset(number for address, number in LOCAL_ID.items() if ":" in address)

TUNNELLED = Traffic(src=REMOTE, dst=SITE)
TUNNELLED6 = Traffic(src=REMOTE6, dst=SITE6)


def cells_for(window: int) -> int:
    """Replay cells of a window: the power of two that holds W/32 blocks and one to spare."""
    blocks = window // 32 + 1
    return 1 << (blocks - 1).bit_length()


@dataclass(frozen=True, slots=True)
class Layout:
    """A packet format, and what it wants to know.  ``key_step``: each sub has a key of its own.

    ``shown``: octets of payload in clear, with EESP the payload information header among them.
    ``no_seq``, ``options_len`` and ``iv_base`` are EESP's; WESPv2 has options over IPv6 alone.
    ``version`` and ``cookie`` are PSP's, whose ``shown`` counts the cookie.
    """

    format: Format = Format.PLAIN
    last_sub: int = 0
    spread: Spread = Spread.FLOW
    key_step: bool = False
    shown: int = 0
    no_seq: bool = False
    options_len: int = 0
    iv_base: int = 0
    version: int = 0
    cookie: int | None = None

    @property
    def protocol(self) -> int:
        """IP protocol."""
        outside = {Format.WESP_V2: 141, Format.PSP: 17}
        return outside.get(self.format, self.sad_protocol)

    @property
    def sad_protocol(self) -> int:
        """The SAD's."""
        if self.format in (Format.EESP_OPTIMIZED, Format.EESP_FULL):
            return 253
        if self.format == Format.PSP:
            return 252
        return 254 if self.format == Format.HEADER_IN_TRAILER else 50

    @property
    def wrap(self) -> Wrap:
        """What stands in front of the SPI."""
        return Wrap.SECOND if self.format == Format.WESP_V2 else Wrap.NONE

    def outbound(self, sa: int) -> list[P4TableEntry]:
        """Entries beside ``sa_out``."""
        if self.format == Format.PLAIN:
            return []
        options_len = 0 if self.format == Format.WESP_V2 else self.options_len  # it knows
        sender = {"spread": int(self.spread), "options_len": options_len}
        entry = tables.format_out(sa, **self._both(), **sender, iv_base=self.iv_base)
        return [entry, *(tables.psp_out(sa, **each) for each in self._psp())]

    def inbound(self, sa: int, cells: int, spi: int) -> list[P4TableEntry]:
        """Entries beside ``sa_in``; ``cells`` are those of one sub."""
        if self.format == Format.PLAIN:
            return []
        entry = tables.format_in(sa, **self._both(), cell_shift=cells.bit_length() - 1)
        return [entry, *(tables.psp_in(sa, spi=spi, **each) for each in self._psp())]

    def _psp(self) -> list[dict[str, int]]:
        if self.format != Format.PSP:
            return []
        with_cookie = int(self.cookie is not None)
        return [{"version": self.version, "with_cookie": with_cookie, "cookie": self.cookie or 0}]

    def _both(self) -> dict[str, int]:
        steps = {"key_step": int(self.key_step), "no_seq": int(self.no_seq)}
        return {"last_sub": self.last_sub, "shown": self.shown, **steps}


@dataclass(frozen=True, slots=True)
class InboundSa:
    """One inbound SA.  ``selectors`` of a multi-pair SA stand in ``in_policy`` instead; ``dscps``:
    its class, of an SA that has one."""

    sa: int
    generation: int
    handle: int
    space: int
    cell_base: int
    spi: int
    window: int = 64
    esn: bool = False
    local_id: int = 1
    selectors: Traffic = TUNNELLED
    multi: bool = False
    dscps: tuple[int, ...] = ()
    mode: Mode = Mode.TUNNEL
    wrap: Wrap = Wrap.NONE
    trial: tuple[int, int] = (0, 0)
    iv_len: int = IV_LEN
    icv_len: int = ICV_LEN
    align: int = ALIGN
    layout: Layout = Layout()

    def sad_entry(self) -> P4TableEntry:
        """The SAD entry that leads here."""
        key = (self.local_id, self.spi, self.sa, self.generation)
        return tables.sad(*key, protocol=self.layout.sad_protocol)

    @property
    def outer_v6(self) -> bool:
        """Whether the peer reaches us over IPv6."""
        return self.local_id in LOCAL_IDS6

    def entries(self) -> list[P4TableEntry]:
        """``sa_in``, what its format needs and, for one pair of IPv6 selectors, ``pair_v6``."""
        entries = [self.entry(), *self.layout.inbound(self.sa, cells_for(self.window), self.spi)]
        entries += [tables.in_class(self.sa, dscp) for dscp in self.dscps]
        if self.multi or not self.selectors.v6:
            return entries
        src, dst = self.selectors.src or "::/0", self.selectors.dst or "::/0"
        if self.mode == Mode.BEET_V6:
            pair = src.removesuffix("/128"), dst.removesuffix("/128")
            return [*entries, tables.beet_v6(self.sa, *pair)]
        return [*entries, tables.pair_v6(self.sa, src, dst)]

    def entry(self) -> P4TableEntry:
        """The entry of ``sa_in``."""
        params = {
            "generation": self.generation,
            "key": self.handle,
            "space": self.space,
            "esn": int(self.esn),
            "window": self.window,
            "cell_base": self.cell_base,
            "cell_mask": cells_for(self.window) - 1,
            "iv_len": self.iv_len,
            "icv_len": self.icv_len,
            "align": self.align,
            "sel_multi": int(self.multi) + 2 * bool(self.dscps),
            **_selector_params(self.selectors),
            "mode": int(self.mode),
            "wrap": int(self.wrap),
            "trial_from": self.trial[0],
            "trial_skip": self.trial[1],
            "format": int(self.layout.format),
        }
        return P4TableEntry(
            "sa_in", match=P4TableMatch(sa=self.sa), action=P4TableAction("open_with", **params)
        )


def _selector_params(traffic: Traffic) -> dict[str, int]:
    return {
        **_pair_params(traffic),
        "sel_protocol": traffic.protocol or 0,
        "sel_sport_low": traffic.sport[0],
        "sel_sport_high": traffic.sport[1],
        "sel_dport_low": traffic.dport[0],
        "sel_dport_high": traffic.dport[1],
    }


def _pair_params(traffic: Traffic) -> dict[str, int]:
    """The IPv4 pair; one of IPv6 stands in ``pair_v6``, and no IPv4 packet fits here then."""
    if traffic.v6:
        never = {"sel_src": ALL_ONES, "sel_src_mask": 0}
        return {**never, "sel_dst": ALL_ONES, "sel_dst_mask": 0}
    src = IPv4Network(traffic.src or "0.0.0.0/0")
    dst = IPv4Network(traffic.dst or "0.0.0.0/0")
    return {
        "sel_src": int(src.network_address),
        "sel_src_mask": int(src.netmask),
        "sel_dst": int(dst.network_address),
        "sel_dst_mask": int(dst.netmask),
    }


@dataclass(frozen=True, slots=True)
class OutboundSa:
    """One outbound SA; its outer header is of the family of ``src`` and ``dst``."""

    sa: int
    generation: int
    handle: int
    space: int
    spi: int
    esn: bool = False
    seq_soft: int = NEVER
    seq_hard: int = SEQ32_MAX
    src: str = GATEWAY
    dst: str = PEER
    ttl: int = 64
    udp: tuple[int, int] | None = None
    dscp: int | None = None
    df: Df = Df.COPY
    mode: Mode = Mode.TUNNEL
    wrap: Wrap = Wrap.NONE
    inner_mtu: int = 0xFFFF
    tfc_len: int = 0
    flow_label: int = 0
    iv_len: int = IV_LEN
    icv_len: int = ICV_LEN
    align: int = ALIGN
    layout: Layout = Layout()

    @property
    def outer_v6(self) -> bool:
        """Whether it goes over IPv6."""
        return ":" in self.dst

    def entries(self) -> list[P4TableEntry]:
        """``sa_out``, what its format needs and, over IPv6, ``tunnel_v6``."""
        entries = [self.entry(), *self.layout.outbound(self.sa)]
        if not self.outer_v6:
            return entries
        return [*entries, tables.tunnel_v6(self.sa, self.src, self.dst, self.flow_label)]

    def entry(self) -> P4TableEntry:
        """The entry of ``sa_out``; ``dscp`` None copies the inner code point."""
        sport, dport = self.udp or (0, 0)
        params = {
            "generation": self.generation,
            "key": self.handle,
            "space": self.space,
            "esn": int(self.esn),
            "seq_soft": self.seq_soft,
            "seq_hard": self.seq_hard,
            "iv_len": self.iv_len,
            "icv_len": self.icv_len,
            "align": self.align,
            "spi": self.spi,
            "tunnel_src": "0.0.0.0" if self.outer_v6 else self.src,
            "tunnel_dst": "0.0.0.0" if self.outer_v6 else self.dst,
            "tunnel_ttl": self.ttl,
            "udp_encap": int(self.udp is not None),
            "udp_sport": sport,
            "udp_dport": dport,
            "dscp_copy": int(self.dscp is None),
            "dscp": self.dscp or 0,
            "df_mode": int(self.df),
            "mode": int(self.mode),
            "wrap": int(self.wrap),
            "outer_v6": int(self.outer_v6),
            "inner_mtu": self.inner_mtu,
            "tfc_len": self.tfc_len,
            "format": int(self.layout.format),
        }
        return P4TableEntry(
            "sa_out", match=P4TableMatch(sa=self.sa), action=P4TableAction("seal_with", **params)
        )
