"""One typed builder for each table of the gateway program."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Any

from finsy import P4TableAction, P4TableEntry, P4TableMatch

from harness.ids import Op, Path, Role

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


def port_role(port: int, role: Role, vid: int = 0, mac: str = NO_MAC) -> P4TableEntry:
    """``vid`` 0: untagged frames. ``mac``: the only destination that is taken."""
    key = {"ingress_port": port, "vid": vid}
    return _entry("port_role", key, "set_role", role=int(role), mac=mac)


def egress_if(port: int, role: Role, mac: str, vid: int = 0) -> P4TableEntry:
    """What we are on the wire behind ``port``."""
    return _entry("egress_if", {"port": port, "vid": vid}, "leave_by", role=int(role), mac=mac)


def local_v4(address: str, local_id: int) -> P4TableEntry:
    """An address of ours."""
    return _entry("local_v4", {"dst": address}, "is_local", local_id=local_id)


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


def route_via(prefix: str, next_hop: str) -> P4TableEntry:
    """A route through a router."""
    return _entry("route_v4", {"dst": IPv4Network(prefix)}, "via", next_hop=next_hop)


def route_on_link(prefix: str) -> P4TableEntry:
    """A directly connected network."""
    return _entry("route_v4", {"dst": IPv4Network(prefix)}, "on_link")


def neighbour(address: str, port: int, mac: str, vid: int = 0) -> P4TableEntry:
    """A resolved next hop."""
    return _entry("neighbour", {"next_hop": address}, "deliver", port=port, vid=vid, mac=mac)


def sa_select(policy: int, prefix: str, sa: int) -> P4TableEntry:
    """The outbound SA of a policy for a destination."""
    return _entry("sa_select", {"policy": policy, "dst": IPv4Network(prefix)}, "use_sa", sa=sa)


def sad(local_id: int, spi: int, sa: int, generation: int) -> P4TableEntry:
    """Destination and SPI to inbound SA."""
    match = {"local_id": local_id, "protocol": 50, "spi": spi}
    return _entry("sad", match, "open_by", sa=sa, generation=generation)


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
            fields[name] = None if prefix is None else IPv4Network(prefix)
        for name, ports in (("sport", self.sport), ("dport", self.dport)):
            fields[name] = None if ports == ANY_PORT else ports
        return {name: value for name, value in fields.items() if value is not None}


def spd(
    traffic: Traffic,
    action: str,
    *,
    role: Role | None = None,
    version: int | None = None,
    priority: int = 100,
    **params: int,
) -> P4TableEntry:
    """An SPD rule; ``action`` is protect (with ``policy``), bypass or discard."""
    match = traffic.match()
    if role is not None:
        match["role"] = int(role)
    if version is not None:
        match["version"] = version
    return _entry("spd", match, action, priority=priority, **params)


def in_policy(sa: int, traffic: Traffic, *, priority: int = 100) -> P4TableEntry:
    """One pair of selectors of an inbound SA that has several."""
    match = {"sa": sa, **traffic.match()}
    return _entry("in_policy", match, "in_selector", priority=priority)
