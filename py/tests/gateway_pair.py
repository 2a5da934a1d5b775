"""Two gateways that face each other, with an SA pair for every mode, family and wrapping.

    10.1.n.0/24, 2001:db8:1:n::/64 - west - 198.51.100.0/24 - east - 10.2.n.0/24, 2001:db8:2:n::/64

SA number n carries what network or host n of one side sends to that of the other. The hosts of a
transport mode SA stand behind their gateways, which take ESP for them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address, IPv6Address
from itertools import product

from gateway_bed import CPU_PORT, CRYPTO_PORT, Bed, Row, Value

from p4esp.engine import Direction, Engine, KeySpec
from p4esp.engine.datapath import OnSealed
from p4esp.engine.transforms import Transform, lookup

PROTECTED_PORT, UNPROTECTED_PORT = 0, 1
PROTECTED, UNPROTECTED, CRYPTO, CPU = 1, 2, 3, 4
TUNNEL, TRANSPORT, BEET_V4, BEET_V6 = range(4)
PLAIN, ENCRYPTED, VISIBLE = range(3)
WEST, EAST = 1, 2
CELLS = 256
NAT_T = 4500
CLEAR = 250
"""The network whose traffic is bypassed."""
FORBIDDEN = 251
NEVER = (1 << 64) - 1
ALL_ONES = 0xFFFF_FFFF
ALL_ONES6 = (1 << 128) - 1
NET6_MASK = ALL_ONES6 ^ ((1 << 64) - 1)

OWN_MAC = 0x0200_0000_0100
SITE_MAC = 0x0200_0000_0201
ROUTER_MAC = 0x0200_0000_0202


def host4(side: int, number: int, host: int = 5) -> int:
    """A host of a side's network."""
    return int(IPv4Address(f"10.{side}.{number}.{host}"))


def host6(side: int, number: int, host: int = 5) -> int:
    """A host of a side's network."""
    return int(IPv6Address(f"2001:db8:{side}:{number:x}::{host:x}"))


def gateway4(side: int) -> int:
    """The gateway's address on the unprotected side."""
    return int(IPv4Address(f"198.51.100.{side}"))


def gateway6(side: int) -> int:
    """The gateway's address on the unprotected side."""
    return int(IPv6Address(f"2001:db8:ff::{side}"))


@dataclass(frozen=True)
class Sa:
    """One SA pair, the same in both directions; ``outer`` and ``inner`` are IP versions."""

    number: int
    mode: int = TUNNEL
    outer: int = 4
    inner: int = 4
    wrap: int = PLAIN
    udp: bool = False
    esn: bool = False
    suite: str = "AES-GCM-16-128"
    window: int = 64

    @cached_property
    def transform(self) -> Transform:
        """Lengths and cipher."""
        return lookup(self.suite)

    @property
    def space(self) -> int:
        """Sequence space of either direction."""
        return self.number

    @property
    def generation(self) -> int:
        """Generation of the entries."""
        return self.number & 0xFF

    @property
    def cells(self) -> range:
        """The cells of the window: RFC 6479's ring, one block to spare."""
        first = self.number * CELLS
        return range(first, first + (1 << (self.window // 32).bit_length()))

    @property
    def one_host(self) -> bool:
        """Whether it carries what one host sends to one host."""
        return self.mode != TUNNEL

    def local_id(self) -> int:
        """Of the address that its ESP is sent to."""
        return 100 + self.number if self.mode == TRANSPORT else (1 if self.outer == 4 else 2)

    def spi(self, sender: int) -> int:
        """Of the direction from a side."""
        return 0x1000_0000 | sender << 16 | self.number

    def ends(self, sender: int) -> tuple[int, int]:
        """The addresses in the header in front of ESP."""
        if self.mode == TRANSPORT:
            return self.hosts(sender)
        of = gateway4 if self.outer == 4 else gateway6
        return of(sender), of(other(sender))

    def hosts(self, sender: int) -> tuple[int, int]:
        """The two hosts that speak through it."""
        of = host4 if self.inner == 4 else host6
        return of(sender, self.number), of(other(sender), self.number)


def other(side: int) -> int:
    """The side across."""
    return WEST + EAST - side


MODES = (
    *((TUNNEL, outer, inner) for outer, inner in product((4, 6), (4, 6))),
    *((TRANSPORT, version, version) for version in (4, 6)),
    *((BEET_V4, outer, 4) for outer in (4, 6)),
    *((BEET_V6, outer, 6) for outer in (4, 6)),
)
HIDING = ("AES-GCM-16-128", "CHACHA20-POLY1305", "AES-GCM-16-IIV-256", "AES-GCM-12-192")
SHOWING = ("AES-GMAC-128", "AES-GMAC-256")
CBC = "AES-CBC-256-HMAC-SHA2-256-128"


def every_kind() -> tuple[Sa, ...]:
    """SAs of all modes, families and wrappings, with and without UDP, the suites in turn."""
    kinds = list(product(MODES, (PLAIN, ENCRYPTED, VISIBLE), (False, True)))
    return tuple(
        Sa(
            number,
            *mode,
            wrap,
            udp,
            esn=number % 2 == 0,
            suite=_suite(number, wrap),
            window=(32, 64, 128, 1024)[number % 4],
        )
        for number, (mode, wrap, udp) in enumerate(kinds, 1)
    )


def _suite(number: int, wrap: int) -> str:
    if wrap == VISIBLE:
        return SHOWING[number // 2 % 2] if number % 3 else "NULL-HMAC-SHA2-256-128"
    return CBC if number % 5 == 0 else HIDING[number // 2 % 4]


class Gateway(Bed):
    """One side: its switch, its engine and the SAs to the other side."""

    def __init__(
        self,
        side: int,
        sas: tuple[Sa, ...],
        random_bytes: Callable[[int], bytes],
        on_sealed: OnSealed | None = None,
    ) -> None:
        super().__init__()
        self.side, self.sas = side, sas
        self.engine = Engine(random_bytes, on_sealed)
        self.put(*ports(), *addresses(side, sas), *routes(side), *other_policy(side))
        for sa in sas:
            self.put(*outbound(side, sa, self._key(sa, side)))
            self.put(*inbound(side, sa, self._key(sa, other(side))))

    def _key(self, sa: Sa, sender: int) -> int:
        direction = Direction.SEAL if sender == self.side else Direction.OPEN
        return self.engine.install(key_spec(sa, sender, direction))


def key_spec(sa: Sa, sender: int, direction: Direction) -> KeySpec:
    """The key of one direction."""
    octets = hashlib.shake_256(f"{sender} {sa.number}".encode()).digest(128)
    sizes = sa.transform.key_len, sa.transform.salt_len, sa.transform.integrity_len
    key, salt, integrity = octets[: sizes[0]], octets[40 : 40 + sizes[1]], octets[60:][: sizes[2]]
    return KeySpec(direction, sa.suite, key, salt, sa.generation, sa.number, integrity)


# --- entries -------------------------------------------------------------------------------


def ports() -> Iterator[Row]:
    """Roles, interfaces, the way to the engine and the boot mark."""
    roles = {
        PROTECTED_PORT: PROTECTED,
        UNPROTECTED_PORT: UNPROTECTED,
        CRYPTO_PORT: CRYPTO,
        CPU_PORT: CPU,
    }
    for port, role in roles.items():
        args = {"role": role, "mac": OWN_MAC + port}
        yield Row("port_role", {"ingress_port": port, "vid": 0}, "set_role", args)
        if port < CRYPTO_PORT:
            yield Row("egress_if", {"port": port, "vid": 0}, "leave_by", args)
    for path in (2, 4):
        yield Row("crypto_port", {"path": path}, "to_engine")
    yield Row("boot_id", {"op": 16}, "boot", {"boot_id": 1})


def addresses(side: int, sas: tuple[Sa, ...]) -> Iterator[Row]:
    """What is ours, and whose ESP we take."""
    yield Row("local_v4", {"dst": gateway4(side)}, "is_local", {"local_id": 1, "proxied": 0})
    yield Row("local_v6", {"dst": gateway6(side)}, "is_local", {"local_id": 2, "proxied": 0})
    for sa in sas:
        if sa.mode == TRANSPORT:
            table = "local_v4" if sa.inner == 4 else "local_v6"
            args = {"local_id": sa.local_id(), "proxied": 1}
            yield Row(table, {"dst": sa.hosts(side)[0]}, "is_local", args)


def routes(side: int) -> Iterator[Row]:
    """Our networks behind a router of the site, everything else behind one outside."""
    site, router = host4(side, 255, 1), int(IPv4Address("198.51.100.254"))
    site6, router6 = host6(side, 255, 1), int(IPv6Address("2001:db8:ff::fe"))
    for network, hop in ((host4(side, 0, 0), site), (host4(other(side), 0, 0), router)):
        yield Row("route_v4", {"dst": (network, 16)}, "via", {"next_hop": hop})
    yield Row("route_v4", {"dst": (gateway4(0), 24)}, "via", {"next_hop": router})
    for network, hop in ((host6(side, 0, 0), site6), (host6(other(side), 0, 0), router6)):
        yield Row("route_v6", {"dst": (network, 48)}, "via_v6", {"next_hop": hop})
    yield Row("route_v6", {"dst": (gateway6(0), 64)}, "via_v6", {"next_hop": router6})
    inside = {"port": PROTECTED_PORT, "vid": 0, "mac": SITE_MAC}
    outside = {"port": UNPROTECTED_PORT, "vid": 0, "mac": ROUTER_MAC}
    for table, hops in (("neighbour", (site, router)), ("neighbour_v6", (site6, router6))):
        yield Row(table, {"next_hop": hops[0]}, "deliver", inside)
        yield Row(table, {"next_hop": hops[1]}, "deliver", outside)


def other_policy(side: int) -> Iterator[Row]:
    """What passes in clear, what never does, and what must not come in clear."""
    ours, theirs = side, other(side)
    for table, of, mask, wide in _FAMILIES:
        for src, dst, role in ((ours, theirs, PROTECTED), (theirs, ours, UNPROTECTED)):
            match = _between(of(src, CLEAR, 0), of(dst, CLEAR, 0), mask, role)
            yield Row(table, match, "bypass", priority=50)
        match = _between(of(ours, FORBIDDEN, 0), of(theirs, FORBIDDEN, 0), mask, PROTECTED)
        yield Row(table, match, "discard", priority=50)
        match = _between(of(theirs, 0, 0), of(ours, 0, 0), wide, UNPROTECTED)
        yield Row(table, match, "protect", {"policy": 0}, priority=10)


_FAMILIES = (
    ("spd", host4, 0xFFFFFF00, 0xFFFF0000),
    ("spd_v6", host6, NET6_MASK, ALL_ONES6 ^ ((1 << 80) - 1)),
)


def _between(src: int, dst: int, mask: int, role: int) -> dict[str, Value]:
    return {"role": (role, 0xFF), "src": (src & mask, mask), "dst": (dst & mask, mask)}


def _pair(side: int, sa: Sa) -> tuple[int, int, int]:
    """Source and destination from a side, and the mask of both."""
    host_mask, net_mask = (ALL_ONES, 0xFFFFFF00) if sa.inner == 4 else (ALL_ONES6, NET6_MASK)
    mask = host_mask if sa.one_host else net_mask
    src, dst = sa.hosts(side)
    return src & mask, dst & mask, mask


def outbound(side: int, sa: Sa, key: int) -> Iterator[Row]:
    """Policy, selection and the SA from a side."""
    src, dst, mask = _pair(side, sa)
    spd, select = ("spd", "sa_select") if sa.inner == 4 else ("spd_v6", "sa_select_v6")
    match = _between(src, dst, mask, PROTECTED)
    yield Row(spd, match, "protect", {"policy": sa.number}, priority=100)
    prefix = (dst, mask.bit_count())
    yield Row(select, {"policy": sa.number, "dst": prefix}, "use_sa", {"sa": sa.number})
    yield Row("sa_out", {"sa": sa.number}, "seal_with", _seal_with(side, sa, key))
    if sa.outer == 6:
        tunnel = dict(zip(("src", "dst"), sa.ends(side), strict=True))
        yield Row("tunnel_v6", {"sa": sa.number}, "between_v6", tunnel | {"flow_label": 0})


def _common(sa: Sa, key: int) -> dict[str, int]:
    transform = sa.transform
    return {
        "generation": sa.generation,
        "key": key,
        "space": sa.space,
        "esn": int(sa.esn),
        "iv_len": transform.iv_len,
        "icv_len": transform.icv_len,
        "align": max(4, transform.block),
        "mode": sa.mode,
        "wrap": sa.wrap,
        "format": 0,
    }


def _seal_with(side: int, sa: Sa, key: int) -> dict[str, int]:
    src, dst = sa.ends(side) if sa.outer == 4 else (0, 0)
    port = NAT_T if sa.udp else 0
    return _common(sa, key) | {
        "seq_soft": NEVER,
        "seq_hard": NEVER if sa.esn else ALL_ONES,
        "spi": sa.spi(side),
        "tunnel_src": src,
        "tunnel_dst": dst,
        "tunnel_ttl": 64,
        "udp_encap": int(sa.udp),
        "udp_sport": port,
        "udp_dport": port,
        "dscp_copy": 1,
        "dscp": 0,
        "df_mode": 0,
        "outer_v6": int(sa.outer == 6),
        "inner_mtu": 0xFFFF,
        "tfc_len": 0,
    }


def inbound(side: int, sa: Sa, key: int) -> Iterator[Row]:
    """The SA towards a side."""
    sender = other(side)
    match = {"local_id": sa.local_id(), "protocol": 50, "spi": sa.spi(sender)}
    where = {"sa": sa.number, "generation": sa.generation, "sub": 0}
    yield Row("sad", match, "open_by", where)
    yield Row("sa_in", {"sa": sa.number}, "open_with", _open_with(sender, sa, key))
    if sa.inner == 6:
        yield _pair_v6(sender, sa)
    if sa.udp:
        yield _peer(sender, sa)


def _pair_v6(sender: int, sa: Sa) -> Row:
    src, dst, mask = _pair(sender, sa)
    if sa.mode == BEET_V6:
        return Row("pair_v6", {"sa": sa.number}, "beet_v6", {"src": src, "dst": dst})
    args = {"src": src, "src_mask": mask, "dst": dst, "dst_mask": mask}
    return Row("pair_v6", {"sa": sa.number}, "within_v6", args)


def _peer(sender: int, sa: Sa) -> Row:
    address = sa.ends(sender)[0]
    if sa.outer == 4:
        return Row("peer", {"sa": sa.number}, "expect_v4", {"src": address, "port": NAT_T})
    high, low = divmod(address, 1 << 64)
    args = {"src_high": high, "src_low": low, "port": NAT_T}
    return Row("peer", {"sa": sa.number}, "expect_v6", args)


def _open_with(sender: int, sa: Sa, key: int) -> dict[str, int]:
    # No IPv4 packet fits an SA whose pair is IPv6.
    src, dst, mask = _pair(sender, sa) if sa.inner == 4 else (ALL_ONES, ALL_ONES, 0)
    return _common(sa, key) | {
        "window": sa.window,
        "cell_base": sa.cells.start,
        "cell_mask": len(sa.cells) - 1,
        "sel_multi": 0,
        "sel_src": src,
        "sel_src_mask": mask,
        "sel_dst": dst,
        "sel_dst_mask": mask,
        "sel_protocol": 0,
        "sel_sport_low": 0,
        "sel_sport_high": 0xFFFF,
        "sel_dport_low": 0,
        "sel_dport_high": 0xFFFF,
        "trial_from": 0,
        "trial_skip": 0,
    }
