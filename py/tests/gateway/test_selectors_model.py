"""Selectors of inbound SAs against a matcher that reads every rule (RFC 4301 4.4.1, 5.2, 7.2)."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from gateway_bed import CRYPTO_PORT, Row, Value
from gateway_packets import FRAGMENT, ICMP, ICMPV6, Packet, Packet4, Packet6, tcp, udp
from gateway_pair import ALL_ONES, ALL_ONES6, EAST, WEST, Gateway, Sa, host4, host6, inbound
from hypothesis import event, given, settings
from hypothesis import strategies as st

from p4esp.engine.descriptor import Descriptor, Flag, Status

ANY_PORT = (0, 0xFFFF)
BY = (-1, 0, 1)
TCP, UDP, GRE, SCTP = 6, 17, 47, 132
SA = Sa(1, window=0)
OTHER = 2
KEY = 9
IPV4, IPV6 = 4, 6


@dataclass(frozen=True)
class Selector:
    """One pair; ``protocol`` None is any, and so are all bits outside a mask."""

    src: int
    src_mask: int
    dst: int
    dst_mask: int
    protocol: int | None = None
    sport: tuple[int, int] = ANY_PORT
    dport: tuple[int, int] = ANY_PORT
    known: int | None = None
    version: int = IPV4

    def addresses_fit(self, packet: Shape) -> bool:
        """Both of them, of the right family."""
        here = (packet.inner.src & self.src_mask, packet.inner.dst & self.dst_mask)
        return packet.version == self.version and here == (self.src, self.dst)

    def fits(self, packet: Shape) -> bool:
        """Field by field, as the table says it."""
        return (
            self.addresses_fit(packet)
            and self.protocol in (None, packet.protocol)
            and self.known in (None, int(packet.known))
            and self.sport[0] <= packet.ports[0] <= self.sport[1]
            and self.dport[0] <= packet.ports[1] <= self.dport[1]
        )

    def one_pair_fits(self, packet: Shape) -> bool:
        """RFC 4301 7.2: ports of a later fragment are unknown, and match ANY alone."""
        asks_ports = (self.sport, self.dport) != (ANY_PORT, ANY_PORT)
        return replace(self, known=None).fits(packet) and (packet.known or not asks_ports)


@dataclass(frozen=True)
class Shape:
    """A packet, and what policy can see of it."""

    inner: Packet
    version: int
    protocol: int
    ports: tuple[int, int]
    known: bool


# --- what is drawn ---------------------------------------------------------------------------

BASES = {
    IPV4: [host4(WEST, 1), host4(WEST, 2), host4(EAST, 1), 0, ALL_ONES],
    IPV6: [host6(WEST, 1), host6(WEST, 2), host6(EAST, 1), 0, ALL_ONES6],
}
ports = st.sampled_from([0, 1, 79, 80, 81, 443, 500, 4500, 0x0800, 0xFFFF])
ranges = st.one_of(
    st.just(ANY_PORT),
    ports.map(lambda port: (port, port)),
    st.tuples(ports, ports).map(lambda pair: (min(pair), max(pair))),
)


def bits(version: int) -> int:
    """Of an address."""
    return 32 if version == IPV4 else 128


@st.composite
def addresses(draw: st.DrawFn, version: int) -> int:
    """One of a few, or one that differs from it in one bit."""
    change = 0 if draw(st.integers(0, 3)) else 1 << draw(st.integers(0, bits(version) - 1))
    return draw(st.sampled_from(BASES[version])) ^ change


@st.composite
def masks(draw: st.DrawFn, version: int) -> int:
    """Mostly prefixes; a selector may be any set of bits to the table."""
    width = bits(version)
    length = draw(st.sampled_from([0, 0, 8, 24, 31, 32, 48, 64, 127, 128]))
    prefix = ((1 << width) - 1) ^ ((1 << max(0, width - length)) - 1)
    return prefix if draw(st.integers(0, 5)) else draw(st.integers(0, (1 << width) - 1))


@st.composite
def selectors(draw: st.DrawFn, version: int) -> Selector:
    """One rule."""
    src_mask, dst_mask = draw(masks(version)), draw(masks(version))
    return Selector(
        *(draw(addresses(version)) & src_mask, src_mask),
        *(draw(addresses(version)) & dst_mask, dst_mask),
        draw(st.sampled_from([None, None, UDP, TCP, ICMP, ICMPV6, GRE, SCTP])),
        *(draw(ranges), draw(ranges), draw(st.sampled_from([None] * 4 + [0, 1])), version),
    )


@st.composite
def shapes(draw: st.DrawFn, version: int) -> Shape:
    """Whole packets, first and later fragments, with ports, type and code, or neither."""
    return draw(near(draw(selectors(version)))) if draw(st.booleans()) else draw(strays(version))


def strays(version: int) -> st.SearchStrategy[Shape]:
    """Packets that no rule had to do with."""
    protocol = st.sampled_from([UDP, TCP, SCTP, ICMP, ICMPV6, GRE])
    pair = st.tuples(addresses(version), addresses(version))
    return st.tuples(protocol, st.tuples(ports, ports), pair).flatmap(lambda p: shaped(version, *p))


@st.composite
def near(draw: st.DrawFn, rule: Selector) -> Shape:
    """A packet that fits a rule, or misses it in one field or two."""
    version = rule.version
    src, dst = draw(addresses(version)), draw(addresses(version))
    if draw(st.integers(0, 5)):
        src = rule.src | src & ~rule.src_mask
    if draw(st.integers(0, 5)):
        dst = rule.dst | dst & ~rule.dst_mask
    protocol = draw(st.sampled_from([rule.protocol or UDP] * 4 + [GRE]))
    beside = (at + by for low, high in (rule.sport, rule.dport) for at in (low, high) for by in BY)
    edges = sorted({min(max(0, port), 0xFFFF) for port in beside})
    pair = draw(st.sampled_from([*edges, *rule.sport])), draw(st.sampled_from(edges))
    return draw(shaped(version, protocol, pair, (src, dst)))


@st.composite
def shaped(
    draw: st.DrawFn, version: int, protocol: int, pair: tuple[int, int], ends: tuple[int, int]
) -> Shape:
    """A packet, whole or in fragments."""
    sport, dport = pair
    payload = {UDP: udp(sport, dport, bytes(4)), TCP: tcp(sport, dport, b"")}.get(
        protocol, sport.to_bytes(2, "big") + dport.to_bytes(2, "big") + bytes(16)
    )
    offset = draw(st.sampled_from([None, None, 0, 5]))
    known = offset in (None, 0)
    inner = _packet(version, (*ends, protocol, payload), offset)
    if not known or protocol == GRE:
        sport = dport = 0
    elif protocol == ICMP or (protocol == ICMPV6 and version == IPV6):
        dport = sport
    elif protocol == ICMPV6:
        sport = dport = 0
    return Shape(inner, version, protocol, (sport, dport), known)


def _packet(version: int, fields: tuple[int, int, int, bytes], offset: int | None) -> Packet:
    more = 0 if offset is None else 1
    if version == IPV4:
        return Packet4(*fields, flags=more << 13 | (offset or 0))
    rest = ((offset or 0) << 3 | more).to_bytes(2, "big") + bytes(4)
    return Packet6(*fields, chain=() if offset is None else ((FRAGMENT, b"\0" + rest),))


# --- the switch --------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def east() -> Gateway:
    """One side without SAs of its own."""
    return Gateway(EAST, (), random.Random(1).randbytes)


def opened(inner: Packet, sa: int) -> bytes:
    """The engine's frame with an authentic packet of a tunnel."""
    octets = inner.octets()
    next_header = 4 if isinstance(inner, Packet4) else 41
    descriptor = Descriptor(
        *(0x82, KEY, 1, len(octets), 36, Flag.TRAILER | Flag.TRIM, Status.DONE, next_header),
        *(sa, SA.generation, SA.space),
        aad_off=20,
    )
    # Before it was opened, the text had a trailer and an ICV.
    outer = Packet4(*SA.ends(WEST), 50, bytes(16) + octets + bytes(18)).octets()[: 36 + len(octets)]
    return bytes(12) + b"\x88\xb5" + descriptor.encode() + outer


def refused(rows: Sequence[Row], packets: Sequence[Shape]) -> list[bool]:
    """Whether the switch says BAD_SELECTOR, with these entries."""
    gateway, verdicts = east(), []
    gateway.put(*rows)
    for packet in packets:
        before = gateway.counts().drops["BAD_SELECTOR"]
        gateway.send(CRYPTO_PORT, opened(packet.inner, SA.number))
        verdicts.append(gateway.counts().drops["BAD_SELECTOR"] > before)
    gateway.remove(*rows)
    return verdicts


def sa_row(**args: int) -> Row:
    """The SA's own entry, some of its parameters changed."""
    row = next(row for row in inbound(EAST, SA, KEY) if row.table == "sa_in")
    return replace(row, args={**row.args, **args})


def policy_row(rule: Selector, priority: int, sa: int) -> Row:
    """A rule of an SA with several pairs."""
    match: dict[str, Value] = {
        "sa": sa,
        "src": (rule.src, rule.src_mask),
        "dst": (rule.dst, rule.dst_mask),
        "sport": rule.sport,
        "dport": rule.dport,
    }
    rest = {"protocol": rule.protocol, "l4_known": rule.known}
    match |= {name: value for name, value in rest.items() if value is not None}
    table = "in_policy" if rule.version == IPV4 else "in_policy_v6"
    return Row(table, match, "in_selector", priority=priority)


def pair_rows(rule: Selector) -> list[Row]:
    """An SA with one pair."""
    v4 = (rule.src, rule.src_mask, rule.dst, rule.dst_mask)
    if rule.version == IPV6:
        v4 = (ALL_ONES, 0, ALL_ONES, 0)
    names = ("sel_src", "sel_src_mask", "sel_dst", "sel_dst_mask")
    args = dict(zip(names, v4, strict=True)) | {
        "sel_protocol": rule.protocol or 0,
        "sel_sport_low": rule.sport[0],
        "sel_sport_high": rule.sport[1],
        "sel_dport_low": rule.dport[0],
        "sel_dport_high": rule.dport[1],
    }
    if rule.version == IPV4:
        return [sa_row(**args)]
    pair = {
        "src": rule.src,
        "src_mask": rule.src_mask,
        "dst": rule.dst,
        "dst_mask": rule.dst_mask,
    }
    return [sa_row(**args), Row("pair_v6", {"sa": SA.number}, "within_v6", pair)]


either = st.sampled_from([IPV4, IPV6])
mostly = st.sampled_from([True, True, True, False])


def around(*rules: Selector) -> st.SearchStrategy[list[Shape]]:
    """Packets near the rules, and others of both families."""
    return st.lists(st.one_of(*map(near, rules), either.flatmap(shapes)), min_size=1, max_size=8)


@settings(max_examples=200, deadline=None)
@given(either.flatmap(selectors).flatmap(lambda rule: st.tuples(st.just(rule), around(rule))))
def test_one_pair_of_an_sa_matches_as_rfc_4301_says(
    case: tuple[Selector, list[Shape]],
) -> None:
    """The pair in the SA's entry, its IPv6 addresses in pair_v6."""
    rule, packets = case
    expected = [not rule.one_pair_fits(packet) for packet in packets]
    event(f"some fit: {not all(expected)}")
    assert refused(pair_rows(rule), packets) == expected


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(either.flatmap(selectors), mostly), min_size=1, max_size=6).flatmap(
        lambda rules: st.tuples(st.just(rules), around(*(rule for rule, _ in rules)))
    )
)
def test_several_pairs_of_an_sa_match_if_one_does(
    case: tuple[list[tuple[Selector, bool]], list[Shape]],
) -> None:
    """Rules of both families, and those of another SA, which count for nothing."""
    rules, packets = case
    rows = [
        policy_row(rule, priority, SA.number if ours else OTHER)
        for priority, (rule, ours) in enumerate(rules, 1)
    ]
    expected = [not any(ours and rule.fits(packet) for rule, ours in rules) for packet in packets]
    event(f"some fit: {not all(expected)}")
    assert refused([sa_row(sel_multi=1), *rows], packets) == expected


@settings(max_examples=100, deadline=None)
@given(either.flatmap(lambda v: st.tuples(selectors(v), shapes(v), addresses(v), addresses(v))))
def test_a_packet_of_the_pair_fits_and_one_changed_bit_does_not(
    case: tuple[Selector, Shape, int, int],
) -> None:
    """Packets that are made to fit, so that both verdicts are common."""
    rule, packet, src, dst = case
    rule = replace(rule, protocol=None, sport=ANY_PORT, dport=ANY_PORT)
    source = rule.src | src & ~rule.src_mask
    target = rule.dst | dst & ~rule.dst_mask
    inside = replace(packet, inner=replace(packet.inner, src=source, dst=target))
    changed = [
        replace(packet, inner=replace(inside.inner, src=source ^ 1 << bit))
        for bit in range(bits(rule.version))
        if rule.src_mask >> bit & 1
    ]
    verdicts = refused(pair_rows(rule), [inside, *changed])
    assert verdicts == [False] + [True] * len(changed)
