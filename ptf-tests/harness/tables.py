"""One typed builder for each table of the gateway program."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv6Address, IPv6Network, ip_network
from typing import Any

from finsy import P4TableAction, P4TableEntry, P4TableMatch

from harness.ids import Op, Path, Role, Spread

ANY_PORT = (0, 0xFFFF)
NO_MAC = "00:00:00:00:00:00"


def _entry(
    table: str, match: dict[str, Any], action: str, *, priority: int = 0, **params: Any
) -> P4TableEntry:
    return P4TableEntry(
        table,
        match=P4TableMatch(match),
        action=P4TableAction(action, **params),
        priority=priority,
    )


def port_role(
    port: int, role: Role, vid: int = 0, mac: str = NO_MAC, *, labelled: bool = False
) -> P4TableEntry:
    """``vid`` 0: untagged frames. ``mac``: the only destination that is taken. ``labelled``: hosts
    have security labels."""
    key = {"ingress_port": port, "vid": vid}
    action = "set_role_labelled" if labelled else "set_role"
    return _entry("port_role", key, action, role=int(role), mac=mac)


def source_label(port: int, hosts: str, label: int, vid: int = 0) -> P4TableEntry:
    """The label of what hosts behind ``port`` send."""
    table = by_family("source_label", "source_label_v6", hosts)
    match = {"port": port, "vid": vid, "host": ip_network(hosts)}
    return _entry(table, match, "set_label", label=label)


def host_label(port: int, hosts: str, label: int, vid: int = 0) -> P4TableEntry:
    """The label of what hosts behind ``port`` get."""
    table = by_family("host_label", "host_label_v6", hosts)
    match = {"port": port, "vid": vid, "host": ip_network(hosts)}
    return _entry(table, match, "expect_label", label=label)


def sa_label(sa: int, label: int) -> P4TableEntry:
    """The label of what comes out of an inbound SA."""
    return _entry("sa_label", {"sa": sa}, "set_label", label=label)


def egress_if(port: int, role: Role, mac: str, vid: int = 0) -> P4TableEntry:
    """What we are on the wire behind ``port``."""
    return _entry("egress_if", {"port": port, "vid": vid}, "leave_by", role=int(role), mac=mac)


def local(
    address: str, local_id: int, *, proxied: bool = False, diet: bool = False
) -> P4TableEntry:
    """An address of ours, or of a host behind us whose ESP and IKE are ours; ``diet``: with peers
    that compress."""
    table = by_family("local_v4", "local_v6", address)
    action = "is_local_diet" if diet else "is_local"
    return _entry(table, {"dst": address}, action, local_id=local_id, proxied=int(proxied))


def diet_peer(
    local_id: int, src: str, number: int, spi_octets: int, sn_octets: int
) -> P4TableEntry:
    """All ESP from an address to us is compressed."""
    table = by_family("diet_peer_v4", "diet_peer_v6", src)
    widths = {"spi_octets": spi_octets, "sn_octets": sn_octets}
    return _entry(table, {"local_id": local_id, "src": src}, "diet_peer", peer=number, **widths)


def diet_sad(peer: int, low: int, sa: int, generation: int, spi: int) -> P4TableEntry:
    """The low octets of an SPI to inbound SA."""
    match = {"peer": peer, "spi": low}
    return _entry("diet_sad", match, "open_diet", sa=sa, generation=generation, spi=spi)


def diet_template(table: str, sa: int, src: str, dst: str, **params: int) -> P4TableEntry:
    """What an SA's packets are; ``table`` is diet_out or diet_in."""
    action = by_family("diet_v4", "diet_v6", src)
    return _entry(table, {"sa": sa}, action, src=src, dst=dst, **params)


def ike_sa(local_spi: int) -> P4TableEntry:
    """A live IKE SA, by the SPI that we chose."""
    return _entry("ike_sa", {"local_spi": local_spi}, "known_ike")


def policy_version(version: int) -> P4TableEntry:
    """The default action that switches the SPD from one version to another (modify only)."""
    action = P4TableAction("set_policy_version", version=version)
    return P4TableEntry("policy_version", action=action, is_default_action=True)


def boot_id(value: int) -> P4TableEntry:
    """The mark of a pipeline that has been set up."""
    return _entry("boot_id", {"op": int(Op.READ_BOOT)}, "boot", boot_id=value)


def crypto_port(path: Path) -> P4TableEntry:
    """The engine is there for one direction."""
    return _entry("crypto_port", {"path": int(path)}, "to_engine")


def by_family(v4: str, v6: str, address: str) -> str:
    """Which of two tables is for this address or prefix."""
    return v4 if ip_network(address, strict=False).version == 4 else v6


def route_via(prefix: str, next_hop: str) -> P4TableEntry:
    """A route through a router."""
    table, action = ("route_v4", "via") if ":" not in prefix else ("route_v6", "via_v6")
    return _entry(table, {"dst": ip_network(prefix)}, action, next_hop=next_hop)


def route_on_link(prefix: str) -> P4TableEntry:
    """A directly connected network."""
    table, action = ("route_v4", "on_link") if ":" not in prefix else ("route_v6", "on_link_v6")
    return _entry(table, {"dst": ip_network(prefix)}, action)


def neighbour(address: str, port: int, mac: str, vid: int = 0) -> P4TableEntry:
    """A resolved next hop."""
    table = by_family("neighbour", "neighbour_v6", address)
    return _entry(table, {"next_hop": address}, "deliver", port=port, vid=vid, mac=mac)


def _selected(policy: int, prefix: str, action: str, **params: int) -> P4TableEntry:
    table = by_family("sa_select", "sa_select_v6", prefix)
    return _entry(table, {"policy": policy, "dst": ip_network(prefix)}, action, **params)


def sa_select(policy: int, prefix: str, sa: int) -> P4TableEntry:
    """The outbound SA of a policy for a destination."""
    return _selected(policy, prefix, "use_sa", sa=sa)


def set_select(
    policy: int, prefix: str, number: int, spread: Spread, fallback: int
) -> P4TableEntry:
    """The set of outbound SAs of a policy for a destination (RFC 9611)."""
    return _selected(policy, prefix, "use_set", set=number, spread=int(spread), fallback=fallback)


def sa_member(number: int, bucket: int, sa: int) -> P4TableEntry:
    """The SA that serves one bucket of a set."""
    return _entry("sa_member", {"set": number, "bucket": bucket}, "member", sa=sa)


def acquire_member(number: int, bucket: int) -> P4TableEntry:
    """The fallback SA serves one bucket of a set, and the controller is told."""
    return _entry("sa_member", {"set": number, "bucket": bucket}, "acquire_member")


def tunnel_v6(sa: int, src: str, dst: str, flow_label: int = 0) -> P4TableEntry:
    """The outer IPv6 addresses of an outbound SA."""
    return _entry("tunnel_v6", {"sa": sa}, "between_v6", src=src, dst=dst, flow_label=flow_label)


def pair_v6(sa: int, src: str, dst: str) -> P4TableEntry:
    """The IPv6 prefixes of an inbound SA's selector pair."""
    source, target = IPv6Network(src), IPv6Network(dst)
    params = {
        "src": int(source.network_address),
        "src_mask": int(source.netmask),
        "dst": int(target.network_address),
        "dst_mask": int(target.netmask),
    }
    return _entry("pair_v6", {"sa": sa}, "within_v6", **params)


def beet_v6(sa: int, src: str, dst: str) -> P4TableEntry:
    """The inner IPv6 addresses of an inbound BEET SA."""
    return _entry("pair_v6", {"sa": sa}, "beet_v6", src=src, dst=dst)


def peer(sa: int, address: str, port: int) -> P4TableEntry:
    """Where the peer of an inbound SA is known to be, behind its NAT."""
    if ":" not in address:
        return _entry("peer", {"sa": sa}, "expect_v4", src=address, port=port)
    high, low = divmod(int(IPv6Address(address)), 1 << 64)
    return _entry("peer", {"sa": sa}, "expect_v6", src_high=high, src_low=low, port=port)


def layer4_delta(sa: int, delta: int) -> P4TableEntry:
    """What a NAT's work on the addresses makes of a layer 4 checksum, undone."""
    return _entry("layer4_delta", {"sa": sa}, "repair", delta=delta)


def sad(
    local_id: int, spi: int, sa: int, generation: int, *, sub: int = 0, protocol: int = 50
) -> P4TableEntry:
    """Destination and SPI to inbound SA, and which of its subs."""
    match = {"local_id": local_id, "protocol": protocol, "spi": spi}
    return _entry("sad", match, "open_by", sa=sa, generation=generation, sub=sub)


def format_out(sa: int, **params: int) -> P4TableEntry:
    """What an outbound SA's format wants to know."""
    return _entry("format_out", {"sa": sa}, "send_as", **params)


def format_in(sa: int, **params: int) -> P4TableEntry:
    """What an inbound SA's format wants to know."""
    return _entry("format_in", {"sa": sa}, "read_as", **params)


def psp_out(sa: int, **params: int) -> P4TableEntry:
    """Version and cookie of an outbound PSP SA."""
    return _entry("psp_out", {"sa": sa}, "send_psp", **params)


def psp_in(sa: int, **params: int) -> P4TableEntry:
    """SPI, version and cookie of an inbound PSP SA."""
    return _entry("psp_in", {"sa": sa}, "read_psp", **params)


def fragment(local_id: int) -> P4TableEntry:
    """First fragments to an address of ours are shown to the controller."""
    return _entry("fragment", {"local_id": local_id}, "tell_fragments")


def echo(local_id: int) -> P4TableEntry:
    """ESP pings to an address of ours are answered."""
    return _entry("echo", {"local_id": local_id}, "answer_echo")


@dataclass(frozen=True, slots=True)
class Traffic:
    """What a rule is about; ``None`` matches anything.  ICMP: type << 8 | code in both ports."""

    src: str | None = None
    dst: str | None = None
    protocol: int | None = None
    sport: tuple[int, int] = ANY_PORT
    dport: tuple[int, int] = ANY_PORT
    l4_known: int | None = None

    def match(self) -> dict[str, Any]:
        """The key fields that are not wild."""
        fields: dict[str, Any] = {"protocol": self.protocol, "l4_known": self.l4_known}
        for name, prefix in (("src", self.src), ("dst", self.dst)):
            fields[name] = None if prefix is None else ip_network(prefix)
        for name, ports in (("sport", self.sport), ("dport", self.dport)):
            fields[name] = None if ports == ANY_PORT else ports
        return {name: value for name, value in fields.items() if value is not None}

    @property
    def v6(self) -> bool:
        """Whether it is about IPv6."""
        return ":" in (self.src or "") + (self.dst or "")


def spd(
    traffic: Traffic,
    action: str,
    *,
    role: Role | None = None,
    version: int | None = None,
    label: int | None = None,
    priority: int = 100,
    **params: int,
) -> P4TableEntry:
    """An SPD rule; ``action`` is protect (with ``policy``), bypass, discard or discard_unseen."""
    match = traffic.match()
    if label is not None:
        match["label"] = label
    if role is not None:
        match["role"] = int(role)
    if version is not None:
        match["version"] = version
    table = "spd_v6" if traffic.v6 else "spd"
    return _entry(table, match, action, priority=priority, **params)


def in_class(sa: int, dscp: int) -> P4TableEntry:
    """One code point of the class of an inbound SA."""
    return _entry("in_class", {"sa": sa, "dscp": dscp}, "of_class")


def in_policy(sa: int, traffic: Traffic, *, priority: int = 100) -> P4TableEntry:
    """One pair of selectors of an inbound SA that has several."""
    match = {"sa": sa, **traffic.match()}
    table = "in_policy_v6" if traffic.v6 else "in_policy"
    return _entry(table, match, "in_selector", priority=priority)
