"""One builder for each table of the pipeline: typed arguments in, an `Entry` out."""

from dataclasses import dataclass, fields
from ipaddress import IPv4Address, IPv4Network

from p4esp.controller.entries import Entry, Value
from p4esp.controller.numbers import PROTO_ESP, Control, CryptoPath, DfMode, Mode, Role, Wrap
from p4esp.ipsec.selectors import ANY_PORTS, OPAQUE_PORTS

PORT_MAX = 0xFFFF
MTU_MAX = 0xFFFF
"""Of an SA whose path takes whatever an IP packet can hold."""


@dataclass(frozen=True, slots=True)
class PacketMatch:
    """A ternary selector over one packet, as `spd` and `in_policy` share it.

    Ports are inclusive ranges; `ANY_PORTS` matches fragments too, `OPAQUE_PORTS` only them.
    """

    src: IPv4Network
    dst: IPv4Network
    protocol: int = 0
    sport: tuple[int, int] = ANY_PORTS
    dport: tuple[int, int] = ANY_PORTS

    def fields(self) -> dict[str, Value]:
        """The match fields; those without a restriction are left out."""
        match: dict[str, Value] = {}
        _put_network(match, "src", self.src)
        _put_network(match, "dst", self.dst)
        if self.protocol:
            match["protocol"] = (self.protocol, 0xFF)
        if OPAQUE_PORTS in (self.sport, self.dport):
            return match | {"l4_known": (0, 1)}
        _put_ports(match, "sport", self.sport)
        _put_ports(match, "dport", self.dport)
        return match


def _put_network(match: dict[str, Value], name: str, network: IPv4Network) -> None:
    if network.prefixlen:
        match[name] = (int(network.network_address), int(network.netmask))


def _put_ports(match: dict[str, Value], name: str, ports: tuple[int, int]) -> None:
    if ports != ANY_PORTS:
        match[name] = ports
        match["l4_known"] = (1, 1)


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
    inner_mtu: int = MTU_MAX
    tfc_len: int = 0


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


def _args(action: SealWith | OpenWith) -> dict[str, int]:
    return {field.name: int(getattr(action, field.name)) for field in fields(action)}


def sa_out(index: int, sa: SealWith) -> Entry:
    """The outbound SA of an index."""
    return Entry.make("sa_out", {"sa": index}, "seal_with", _args(sa))


def sa_in(index: int, sa: OpenWith) -> Entry:
    """The inbound SA of an index."""
    return Entry.make("sa_in", {"sa": index}, "open_with", _args(sa))


def sad(local_id: int, spi: int, index: int, generation: int) -> Entry:
    """Which inbound SA a packet to one of our addresses names by its SPI."""
    match = {"local_id": local_id, "protocol": PROTO_ESP, "spi": spi}
    return Entry.make("sad", match, "open_by", {"sa": index, "generation": generation})


def sa_select(policy: int, destination: IPv4Network, index: int) -> Entry:
    """Which outbound SA serves a policy for an inner destination."""
    match = _lpm("dst", destination)
    return Entry.make("sa_select", match | {"policy": policy}, "use_sa", {"sa": index})


def in_policy(index: int, selector: PacketMatch, priority: int) -> Entry:
    """One selector pair of an inbound SA that has several."""
    match = {"sa": (index, 0xFFFF)} | selector.fields()
    return Entry.make("in_policy", match, "in_selector", {}, priority=priority)


def spd_protect(
    version: int, role: Role, selector: PacketMatch, priority: int, policy: int
) -> Entry:
    """A rule that protects: its packets need an SA of this policy."""
    match = _spd_match(version, role, selector)
    return Entry.make("spd", match, "protect", {"policy": policy}, priority=priority)


def spd_bypass(version: int, role: Role, selector: PacketMatch, priority: int) -> Entry:
    """A rule that lets packets pass in clear."""
    match = _spd_match(version, role, selector)
    return Entry.make("spd", match, "bypass", {}, priority=priority)


def spd_discard(version: int, role: Role, selector: PacketMatch, priority: int) -> Entry:
    """A rule that drops."""
    match = _spd_match(version, role, selector)
    return Entry.make("spd", match, "discard", {}, priority=priority)


def _spd_match(version: int, role: Role, selector: PacketMatch) -> dict[str, Value]:
    return {"version": (version, 0xFF), "role": (int(role), 0xFF)} | selector.fields()


def policy_version(version: int) -> Entry:
    """Which version of the SPD packets see: the default action, so one write switches all."""
    return Entry.make(
        "policy_version", {}, "set_policy_version", {"version": version}, default=True
    )


def port_role(port: int, vid: int, role: Role, mac: int = 0) -> Entry:
    """What a port is for, and the only MAC address that counts there; `vid` 0 is untagged."""
    return Entry.make(
        "port_role", {"ingress_port": port, "vid": vid}, "set_role", {"role": role, "mac": mac}
    )


def egress_if(port: int, vid: int, role: Role, mac: int) -> Entry:
    """The source MAC of an egress interface, and what it is for."""
    return Entry.make(
        "egress_if", {"port": port, "vid": vid}, "leave_by", {"role": role} | {"mac": mac}
    )


def local_v4(address: IPv4Address, local_id: int) -> Entry:
    """An address of ours; the id stands for it in the SAD."""
    return Entry.make(
        "local_v4", {"dst": int(address)}, "is_local", {"local_id": local_id, "proxied": 0}
    )


def ike_sa(spi: bytes) -> Entry:
    """A live IKE SA, by our SPI (8 octets)."""
    return Entry.make("ike_sa", {"local_spi": int.from_bytes(spi, "big")}, "known_ike", {})


def route(destination: IPv4Network, next_hop: IPv4Address | None) -> Entry:
    """A route; without a next hop the destination is on the link."""
    match = _lpm("dst", destination)
    if next_hop is None:
        return Entry.make("route_v4", match, "on_link", {})
    return Entry.make("route_v4", match, "via", {"next_hop": int(next_hop)})


def neighbour(next_hop: IPv4Address, port: int, vid: int, mac: int) -> Entry:
    """Where a next hop is."""
    args = {"port": port, "vid": vid, "mac": mac}
    return Entry.make("neighbour", {"next_hop": int(next_hop)}, "deliver", args)


def crypto_port(path: CryptoPath) -> Entry:
    """The engine takes packets of one direction."""
    return Entry.make("crypto_port", {"path": path}, "to_engine", {})


def boot_id(value: int) -> Entry:
    """The mark that says: since this was written, no register was lost."""
    return Entry.make("boot_id", {"op": Control.READ_BOOT}, "boot", {"boot_id": value})


def _lpm(name: str, network: IPv4Network) -> dict[str, Value]:
    if not network.prefixlen:
        return {}
    return {name: (int(network.network_address), network.prefixlen)}
