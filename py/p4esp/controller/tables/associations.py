"""Tables of SAs, each by its index: what it does, between whom, and for whom."""

from dataclasses import dataclass, fields
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from p4esp.controller.entries import Entry
from p4esp.controller.numbers import PROTO_ESP, DfMode, Format, Mode, Spread, Wrap
from p4esp.controller.tables.matches import PacketMatch, of_family
from p4esp.ipsec.diet import DietRule
from p4esp.ipsec.selectors import Address, Network

PORT_MAX: Final = 0xFFFF
MTU_MAX: Final = 0xFFFF
"""Of an SA whose path takes whatever an IP packet can hold."""
NO_IPV4: Final = {"sel_src": 0xFFFFFFFF, "sel_src_mask": 0}
"""The selector of an inbound SA that no IPv4 packet meets."""
_LOW_64: Final = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class SealWith:
    """Arguments of `seal_with`: an outbound SA. Field names are the action's parameters."""

    generation: int
    key: int
    space: int
    esn: int
    seq_soft: int
    seq_hard: int
    iv_len: int
    icv_len: int
    align: int
    spi: int
    tunnel_src: int
    tunnel_dst: int
    tunnel_ttl: int = 64
    udp_encap: int = 0
    udp_sport: int = 0
    udp_dport: int = 0
    dscp_copy: int = 1
    dscp: int = 0
    df_mode: int = DfMode.COPY
    mode: int = Mode.TUNNEL
    wrap: int = Wrap.NONE
    outer_v6: int = 0
    """1: the outer addresses are those of `tunnel_v6`."""
    inner_mtu: int = MTU_MAX
    tfc_len: int = 0
    format: int = Format.PLAIN


@dataclass(frozen=True, slots=True)
class OpenWith:
    """Arguments of `open_with`: an inbound SA. Field names are the action's parameters."""

    generation: int
    key: int
    space: int
    esn: int
    window: int
    cell_base: int
    cell_mask: int
    iv_len: int
    icv_len: int
    align: int
    sel_multi: int = 0
    """1: `in_policy` has the selectors; 2: `in_class` has a class; 3: both."""
    sel_src: int = 0
    sel_src_mask: int = 0
    sel_dst: int = 0
    sel_dst_mask: int = 0
    sel_protocol: int = 0
    sel_sport_low: int = 0
    sel_sport_high: int = PORT_MAX
    sel_dport_low: int = 0
    sel_dport_high: int = PORT_MAX
    mode: int = Mode.TUNNEL
    wrap: int = Wrap.NONE
    trial_from: int = 0
    trial_skip: int = 0
    format: int = Format.PLAIN


@dataclass(frozen=True, slots=True)
class SendAs:
    """Arguments of `send_as`: what a format adds to an outbound SA. `last_sub` + 1 is a power of
    two.
    """

    last_sub: int
    spread: int = Spread.FLOW
    key_step: int = 0
    """1: each sub has a key of its own, whose handles follow each other."""
    shown: int = 0
    no_seq: int = 0
    options_len: int = 0
    iv_base: int = 0


@dataclass(frozen=True, slots=True)
class ReadAs:
    """Arguments of `read_as`: what a format adds to an inbound SA."""

    last_sub: int
    cell_shift: int
    """The binary logarithm of the replay cells of one sub."""
    key_step: int = 0
    shown: int = 0
    no_seq: int = 0


def _args(action: SealWith | OpenWith | SendAs | ReadAs) -> dict[str, int]:
    return {field.name: int(getattr(action, field.name)) for field in fields(action)}


def sa_out(index: int, sa: SealWith) -> Entry:
    """The outbound SA of an index."""
    return Entry.make("sa_out", {"sa": index}, "seal_with", _args(sa))


def sa_in(index: int, sa: OpenWith) -> Entry:
    """The inbound SA of an index."""
    return Entry.make("sa_in", {"sa": index}, "open_with", _args(sa))


def format_out(index: int, how: SendAs) -> Entry:
    """How an outbound SA with a format sends."""
    return Entry.make("format_out", {"sa": index}, "send_as", _args(how))


def format_in(index: int, how: ReadAs) -> Entry:
    """How an inbound SA with a format reads."""
    return Entry.make("format_in", {"sa": index}, "read_as", _args(how))


def sad(
    local_id: int,
    spi: int,
    index: int,
    generation: int,
    *,
    protocol: int = PROTO_ESP,
    sub: int = 0,
) -> Entry:
    """Which inbound SA, and which sub-SA, a packet to one of our addresses names by its SPI."""
    match = {"local_id": local_id, "protocol": protocol, "spi": spi}
    args = {"sa": index, "generation": generation, "sub": sub}
    return Entry.make("sad", match, "open_by", args)


def diet_peer(local_id: int, peer: Address, number: int, spi_octets: int, sn_octets: int) -> Entry:
    """A peer that compresses what it sends to one of our addresses, and how much of SPI and number
    it sends.
    """
    match = {"local_id": local_id, "src": int(peer)}
    args = {"peer": number, "spi_octets": spi_octets, "sn_octets": sn_octets}
    return Entry.make(f"diet_peer_v{peer.version}", match, "diet_peer", args)


def diet_sad(peer: int, low_spi: int, index: int, generation: int, spi: int) -> Entry:
    """Which inbound SA a packet of such a peer names, by what it sends of the SPI."""
    args = {"sa": index, "generation": generation, "spi": spi}
    return Entry.make("diet_sad", {"peer": peer, "spi": low_spi}, "open_diet", args)


def diet_template(table: str, index: int, rule: DietRule) -> Entry:
    """What an SA knows of its packets, in `diet_out` or `diet_in`."""
    args = {
        "template": int(rule.template),
        "trailer": int(rule.trailer),
        "spi_octets": rule.spi_octets,
        "sn_octets": rule.sn_octets,
        "src": int(rule.src.network_address),
        "dst": int(rule.dst.network_address),
        "sport": rule.sport,
        "dport": rule.dport,
    }
    return Entry.make(table, {"sa": index}, f"diet_v{rule.template.version}", args)


def tunnel_v6(index: int, src: IPv6Address, dst: IPv6Address, flow_label: int) -> Entry:
    """The outer addresses of an outbound SA over IPv6, and the flow label of its packets."""
    args = {"src": int(src), "dst": int(dst), "flow_label": flow_label}
    return Entry.make("tunnel_v6", {"sa": index}, "between_v6", args)


def within_v6(index: int, src: Network, dst: Network) -> Entry:
    """The IPv6 selector of an inbound SA that has one pair."""
    args = {
        "src": int(src.network_address),
        "src_mask": int(src.netmask),
        "dst": int(dst.network_address),
        "dst_mask": int(dst.netmask),
    }
    return Entry.make("pair_v6", {"sa": index}, "within_v6", args)


def beet_v6(index: int, src: Address, dst: Address) -> Entry:
    """The inner addresses that a BEET packet gets when it is opened (RFC 7402 B.1.6)."""
    return Entry.make("pair_v6", {"sa": index}, "beet_v6", {"src": int(src), "dst": int(dst)})


def in_policy(index: int, selector: PacketMatch, priority: int) -> Entry:
    """One selector pair of an inbound SA that has several."""
    match = {"sa": (index, 0xFFFF)} | selector.fields()
    table = of_family("in_policy", selector.version)
    return Entry.make(table, match, "in_selector", {}, priority=priority)


def in_class(index: int, dscp: int) -> Entry:
    """One code point of the class of an inbound SA."""
    return Entry.make("in_class", {"sa": index, "dscp": dscp}, "of_class", {})


def sa_label(index: int, label: int) -> Entry:
    """The security label of what comes out of an inbound SA (RFC 9478)."""
    return Entry.make("sa_label", {"sa": index}, "set_label", {"label": label})


def layer4_delta(index: int, delta: int) -> Entry:
    """What a NAT's new addresses add to the checksums behind them (RFC 3948 3.1.2 a)."""
    return Entry.make("layer4_delta", {"sa": index}, "repair", {"delta": delta})


def peer(index: int, address: Address, port: int) -> Entry:
    """Where an inbound SA's UDP packets come from; another place raises PEER_MOVED."""
    if isinstance(address, IPv4Address):
        args = {"src": int(address), "port": port}
        return Entry.make("peer", {"sa": index}, "expect_v4", args)
    high, low = int(address) >> 64, int(address) & _LOW_64
    args = {"src_high": high, "src_low": low, "port": port}
    return Entry.make("peer", {"sa": index}, "expect_v6", args)
