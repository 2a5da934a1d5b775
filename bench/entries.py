"""The entries of a working gateway with any number of SAs.

They are spelled out by the names in the p4info instead of taken from the controller: what is
measured must not change when the controller does, and other revisions are measured too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network

from bench import topology as top

Value = int | tuple[int, int]
"""A number (exact), (value, prefix length), (value, mask) or (low, high), by the key's kind."""

KeyOf = Callable[[int], int]
"""The engine's key handle of an SA, by its number."""

PROTECTED, UNPROTECTED, CRYPTO, CPU = 1, 2, 3, 4
SEAL_PATH, OPEN_PATH = 2, 4
PROTO_ESP = 50
NEVER = (1 << 37) - 1
"""A sequence number no benchmark reaches."""

ROLES = {
    top.PROTECTED_PORT: PROTECTED,
    top.UNPROTECTED_PORT: UNPROTECTED,
    top.CRYPTO_PORT: CRYPTO,
    top.CPU_PORT: CPU,
}


@dataclass(frozen=True, slots=True)
class Entry:
    """A table entry, or with `default` the table's default action; all by name."""

    table: str
    match: Mapping[str, Value]
    action: str
    args: Mapping[str, int] = field(default_factory=dict)
    priority: int = 0
    default: bool = False


def gateway_entries() -> list[Entry]:
    """Ports, addresses, policy, routes: everything but SAs."""
    return [
        policy_version(),
        *ports(lambda port: top.GATEWAY_MAC + port),
        Entry(
            "local_v4",
            {"dst": int(top.GATEWAY)},
            "is_local",
            {"local_id": top.LOCAL_ID, "proxied": 0},
        ),
        *_policy(),
        *crypto_port(),
        *_routes(),
    ]


def policy_version() -> Entry:
    """The version of the policy that is in force."""
    version = {"version": top.POLICY_VERSION}
    return Entry("policy_version", {}, "set_policy_version", version, default=True)


def ports(mac_of: Callable[[int], int]) -> Iterator[Entry]:
    """Roles and MAC addresses of all ports."""
    for port, role in ROLES.items():
        own = {"role": role, "mac": mac_of(port)}
        yield Entry("port_role", {"ingress_port": port, "vid": 0}, "set_role", own)
    for port in (top.PROTECTED_PORT, top.UNPROTECTED_PORT):
        interface = {"role": ROLES[port], "mac": mac_of(port)}
        yield Entry("egress_if", {"port": port, "vid": 0}, "leave_by", interface)


def _policy() -> Iterator[Entry]:
    outbound = _rule(PROTECTED, top.SITE, top.REMOTE)
    within = _rule(PROTECTED, top.SITE, top.SITE)
    clear_inbound = _rule(UNPROTECTED, top.REMOTE, top.SITE)
    yield Entry("spd", outbound, "protect", {"policy": top.POLICY}, priority=30)
    yield Entry("spd", within, "bypass", priority=20)
    yield Entry("spd", clear_inbound, "discard", priority=10)


def _rule(role: int, src: IPv4Network, dst: IPv4Network) -> dict[str, Value]:
    return {
        "version": (top.POLICY_VERSION, 0xFF),
        "role": (role, 0xFF),
        "src": (int(src.network_address), int(src.netmask)),
        "dst": (int(dst.network_address), int(dst.netmask)),
    }


def crypto_port() -> Iterator[Entry]:
    """Where packets go to be sealed and opened."""
    for path in (SEAL_PATH, OPEN_PATH):
        yield Entry("crypto_port", {"path": path}, "to_engine")


def _routes() -> Iterator[Entry]:
    yield _route(top.PEER_NET, top.ROUTER)
    yield _route(top.SITE, top.SITE_ROUTER)
    yield _neighbour(top.ROUTER, top.UNPROTECTED_PORT, top.ROUTER_MAC)
    yield _neighbour(top.SITE_ROUTER, top.PROTECTED_PORT, top.SITE_MAC)


def _route(network: IPv4Network, via: IPv4Address) -> Entry:
    prefix = (int(network.network_address), network.prefixlen)
    return Entry("route_v4", {"dst": prefix}, "via", {"next_hop": int(via)})


def _neighbour(address: IPv4Address, port: int, mac: int) -> Entry:
    where = {"port": port, "vid": 0, "mac": mac}
    return Entry("neighbour", {"next_hop": int(address)}, "deliver", where)


def sa_entries(
    count: int, seal_key: KeyOf = top.default_key, open_key: KeyOf = top.default_key
) -> Iterator[Entry]:
    """Four entries an SA: `sa_out`, `sa_select`, `sa_in`, `sad`, for SAs 0..count-1."""
    for number in range(count):
        yield Entry("sa_out", {"sa": number}, "seal_with", seal_with(number, seal_key(number)))
        yield _sa_select(number)
        yield Entry("sa_in", {"sa": number}, "open_with", open_with(number, open_key(number)))
        yield _sad(number)


def _sa_select(number: int) -> Entry:
    match: dict[str, Value] = {"policy": top.POLICY, "dst": (int(top.remote_host(number)), 32)}
    return Entry("sa_select", match, "use_sa", {"sa": number})


def _sad(number: int) -> Entry:
    match = {"local_id": top.LOCAL_ID, "protocol": PROTO_ESP, "spi": top.spi(number)}
    return Entry("sad", match, "open_by", {"sa": number, "generation": top.GENERATION, "sub": 0})


def _common(number: int, key: int) -> dict[str, int]:
    return {
        "generation": top.GENERATION,
        "key": key,
        "space": number,
        "esn": 1,
        "iv_len": top.IV_LEN,
        "icv_len": top.ICV_LEN,
        "align": top.ALIGN,
    }


def seal_with(number: int, key: int) -> dict[str, int]:
    """Arguments of an outbound SA: IPv4 in IPv4 in tunnel mode."""
    return _common(number, key) | {
        "seq_soft": NEVER,
        "seq_hard": NEVER,
        "spi": top.spi(number),
        "tunnel_src": int(top.GATEWAY),
        "tunnel_dst": int(top.PEER),
        "tunnel_ttl": 64,
        "udp_encap": 0,
        "udp_sport": 0,
        "udp_dport": 0,
        "dscp_copy": 1,
        "dscp": 0,
        "df_mode": 0,
        "mode": 0,
        "wrap": 0,
        "outer_v6": 0,
        "inner_mtu": 0xFFFF,
        "tfc_len": 0,
        "format": 0,
    }


def open_with(number: int, key: int) -> dict[str, int]:
    """Arguments of an inbound SA: IPv4 in IPv4 in tunnel mode."""
    return _common(number, key) | {
        "window": top.WINDOW,
        "cell_base": number * top.CELLS,
        "cell_mask": top.CELLS - 1,
        "sel_multi": 0,
        "sel_src": int(top.remote_host(number)),
        "sel_src_mask": 0xFFFF_FFFF,
        "sel_dst": int(top.SITE.network_address),
        "sel_dst_mask": int(top.SITE.netmask),
        "sel_protocol": 0,
        "sel_sport_low": 0,
        "sel_sport_high": 0xFFFF,
        "sel_dport_low": 0,
        "sel_dport_high": 0xFFFF,
        "mode": 0,
        "wrap": 0,
        "trial_from": 0,
        "trial_skip": 0,
        "format": 0,
    }
