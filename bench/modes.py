"""Two gateways of one SA each, in every mode and pair of address families: what one seals is what
the other opens.

    site - port 0 - sealing gateway - port 1 ~ port 1 - opening gateway - port 0 - remote site
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address, ip_address

from bench import topology as top
from bench.entries import Entry, crypto_port, open_with, policy_version, ports, seal_with

TUNNEL, TRANSPORT, BEET_V4, BEET_V6 = range(4)
WESP_ENCRYPTED = 1
SA = 1
SPI = 0x1000_0001
WIRE_MAC = top.ROUTER_MAC
"""Where the sealing gateway sends, and the opening one receives."""
UDP_HEADER = struct.Struct("!HHHH")

Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Mode:
    """What an SA does; `name` reads `mode.inner-in-outer`."""

    name: str
    kind: int
    inner: int = 4
    outer: int = 4
    udp: bool = False
    wesp: bool = False

    @property
    def hosts(self) -> tuple[Address, Address]:
        """Who sends, and to whom."""
        texts = ("10.2.0.2", "10.1.0.2") if self.inner == 4 else ("2001:db8:2::2", "2001:db8:1::2")
        return ip_address(texts[0]), ip_address(texts[1])

    @property
    def ends(self) -> tuple[Address, Address]:
        """The outer addresses: in transport mode the hosts themselves."""
        if self.kind == TRANSPORT:
            return self.hosts
        texts = (
            ("198.51.100.2", "192.0.2.1") if self.outer == 4 else ("2001:db8:a::2", "2001:db8:b::1")
        )
        return ip_address(texts[0]), ip_address(texts[1])


def _families(name: str, kinds: tuple[int, int]) -> list[Mode]:
    pairs = ((4, 4), (6, 4), (4, 6), (6, 6))
    return [Mode(f"{name}.{i}in{o}", kinds[i == 6], i, o) for i, o in pairs]


_TUNNELS = _families("tunnel", (TUNNEL, TUNNEL))
MODES = (
    *_TUNNELS,
    replace(_TUNNELS[0], name="tunnel_udp.4in4", udp=True),
    replace(_TUNNELS[3], name="tunnel_udp.6in6", udp=True),
    replace(_TUNNELS[0], name="tunnel_wesp.4in4", wesp=True),
    Mode("transport.4", TRANSPORT, 4, 4),
    Mode("transport.6", TRANSPORT, 6, 6),
    *_families("beet", (BEET_V4, BEET_V6)),
)


def sealing_entries(mode: Mode, key: int) -> Iterator[Entry]:
    """Everything the gateway on the left needs; `key` is its engine's handle."""
    (src, dst), (_, far) = mode.hosts, mode.ends
    yield from _basics(top.GATEWAY_MAC)
    yield from _towards(far, top.UNPROTECTED_PORT)
    yield _of("spd", src, {"priority": 10}, "protect", {"policy": top.POLICY})
    select = "sa_select" if dst.version == 4 else "sa_select_v6"
    prefix = (int(dst), dst.max_prefixlen)
    yield Entry(select, {"policy": top.POLICY, "dst": prefix}, "use_sa", {"sa": SA})
    yield Entry("sa_out", {"sa": SA}, "seal_with", _seal_with(mode, key))
    if mode.outer == 6:
        near, far = mode.ends
        args = {"src": int(near), "dst": int(far), "flow_label": 0}
        yield Entry("tunnel_v6", {"sa": SA}, "between_v6", args)


def opening_entries(mode: Mode, key: int) -> Iterator[Entry]:
    """Everything the gateway on the right needs."""
    (src, dst), (_, far) = mode.hosts, mode.ends
    yield from _basics(WIRE_MAC)
    yield from _towards(dst, top.PROTECTED_PORT)
    local = {"local_id": top.LOCAL_ID, "proxied": int(mode.kind == TRANSPORT)}
    yield Entry(_by_family("local", far), {"dst": int(far)}, "is_local", local)
    sad = {"local_id": top.LOCAL_ID, "protocol": 50, "spi": SPI}
    yield Entry("sad", sad, "open_by", {"sa": SA, "generation": top.GENERATION, "sub": 0})
    yield Entry("sa_in", {"sa": SA}, "open_with", _open_with(mode, key))
    if mode.inner == 6:
        pair = {"src": int(src), "dst": int(dst)}
        masks = {"src_mask": (1 << 128) - 1, "dst_mask": (1 << 128) - 1}
        beet = mode.kind == BEET_V6
        action, args = ("beet_v6", pair) if beet else ("within_v6", pair | masks)
        yield Entry("pair_v6", {"sa": SA}, action, args)


def clear_frame(mode: Mode, flow: int, size: int) -> bytes:
    """A UDP packet of `size` octets, IP header included, for the sealing gateway."""
    src, dst = mode.hosts
    head = 20 if mode.inner == 4 else 40
    udp = UDP_HEADER.pack(1024 + flow, 4000, size - head, 0) + bytes(size - head - 8)
    link = top.GATEWAY_MAC.to_bytes(6) + top.SITE_MAC.to_bytes(6)
    if isinstance(src, IPv4Address):
        from bench.packets import ipv4

        return link + b"\x08\x00" + ipv4(src, IPv4Address(int(dst)), 17, size) + udp
    header = struct.pack("!IHBB", 6 << 28, size - 40, 17, 64) + src.packed + dst.packed
    return link + b"\x86\xdd" + header + udp


def _basics(mac: int) -> Iterator[Entry]:
    """What both gateways have; every port of one has the same address."""
    yield from ports(lambda _: mac)
    yield from crypto_port()
    yield policy_version()


def _towards(address: Address, port: int) -> Iterator[Entry]:
    """A route and the neighbour at its end."""
    on_link = "on_link" if address.version == 4 else "on_link_v6"
    prefix = (int(address), address.max_prefixlen)
    yield Entry(_by_family("route", address), {"dst": prefix}, on_link)
    table = "neighbour" if address.version == 4 else "neighbour_v6"
    where = {"port": port, "vid": 0, "mac": WIRE_MAC}
    yield Entry(table, {"next_hop": int(address)}, "deliver", where)


def _by_family(table: str, address: Address) -> str:
    return f"{table}_v{address.version}"


def _of(
    table: str, src: Address, options: dict[str, int], action: str, args: dict[str, int]
) -> Entry:
    name = table if src.version == 4 else f"{table}_v6"
    mask = (1 << src.max_prefixlen) - 1
    return Entry(name, {"src": (int(src), mask)}, action, args, options["priority"])


def _seal_with(mode: Mode, key: int) -> dict[str, int]:
    near, far = mode.ends
    outer_v4 = mode.outer == 4
    return seal_with(SA, key) | {
        "spi": SPI,
        "tunnel_src": int(near) if outer_v4 else 0,
        "tunnel_dst": int(far) if outer_v4 else 0,
        "udp_encap": int(mode.udp),
        "udp_sport": 4500,
        "udp_dport": 4500,
        "mode": mode.kind,
        "wrap": _wrap(mode),
        "outer_v6": int(not outer_v4),
    }


def _open_with(mode: Mode, key: int) -> dict[str, int]:
    src, dst = (int(host) if host.version == 4 else 0 for host in mode.hosts)
    return open_with(SA, key) | {
        "cell_base": 0,
        "sel_src": src,
        "sel_dst": dst,
        "sel_dst_mask": 0xFFFF_FFFF,
        "mode": mode.kind,
        "wrap": _wrap(mode),
    }


def _wrap(mode: Mode) -> int:
    return WESP_ENCRYPTED if mode.wesp else 0
