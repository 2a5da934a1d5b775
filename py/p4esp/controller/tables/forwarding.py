"""Tables of ports, addresses, routes and neighbours, and what else is there without any SA."""

from p4esp.controller.entries import Entry
from p4esp.controller.numbers import Control, CryptoPath, Role
from p4esp.controller.tables.matches import lpm, of_family
from p4esp.ipsec.selectors import Address, Network


def port_role(port: int, vid: int, role: Role, mac: int = 0, *, labelled: bool = False) -> Entry:
    """What a port is for, and the only MAC address that counts there; `vid` 0 is untagged.
    `labelled`: some hosts of the gateway have security labels.
    """
    action, args = "set_role_labelled" if labelled else "set_role", {"role": role, "mac": mac}
    return Entry.make("port_role", {"ingress_port": port, "vid": vid}, action, args)


def source_label(port: int, vid: int, hosts: Network, label: int) -> Entry:
    """The label of what hosts behind a port send (RFC 9478)."""
    return _host_label("source_label", (port, vid, hosts), "set_label", label)


def host_label(port: int, vid: int, hosts: Network, label: int) -> Entry:
    """The label of what they get."""
    return _host_label("host_label", (port, vid, hosts), "expect_label", label)


def _host_label(table: str, place: tuple[int, int, Network], action: str, label: int) -> Entry:
    port, vid, hosts = place
    match = lpm("host", hosts) | {"port": port, "vid": vid}
    return Entry.make(of_family(table, hosts.version), match, action, {"label": label})


def egress_if(port: int, vid: int, role: Role, mac: int) -> Entry:
    """The source MAC of an egress interface, and what it is for."""
    return Entry.make(
        "egress_if", {"port": port, "vid": vid}, "leave_by", {"role": role} | {"mac": mac}
    )


def local(address: Address, local_id: int, *, proxied: bool = False, diet: bool = False) -> Entry:
    """An address of ours; the id stands for it in the SAD. `proxied`: a host's behind us, of whose
    packets only IKE and ESP are ours. `diet`: some peers may compress what they send to it.
    """
    args = {"local_id": local_id, "proxied": int(proxied)}
    action = "is_local_diet" if diet else "is_local"
    return Entry.make(f"local_v{address.version}", {"dst": int(address)}, action, args)


def echo(local_id: int) -> Entry:
    """An address of ours answers ESP pings."""
    return Entry.make("echo", {"local_id": local_id}, "answer_echo", {})


def fragment(local_id: int) -> Entry:
    """First fragments to an address of ours are shown to us."""
    return Entry.make("fragment", {"local_id": local_id}, "tell_fragments", {})


def ike_sa(spi: bytes) -> Entry:
    """A live IKE SA, by our SPI (8 octets)."""
    return Entry.make("ike_sa", {"local_spi": int.from_bytes(spi, "big")}, "known_ike", {})


def route(destination: Network, next_hop: Address | None) -> Entry:
    """A route; without a next hop the destination is on the link."""
    version = destination.version
    table, match = f"route_v{version}", lpm("dst", destination)
    if next_hop is None:
        return Entry.make(table, match, of_family("on_link", version), {})
    return Entry.make(table, match, of_family("via", version), {"next_hop": int(next_hop)})


def neighbour(next_hop: Address, port: int, vid: int, mac: int) -> Entry:
    """Where a next hop is."""
    args = {"port": port, "vid": vid, "mac": mac}
    table = of_family("neighbour", next_hop.version)
    return Entry.make(table, {"next_hop": int(next_hop)}, "deliver", args)


def crypto_port(path: CryptoPath) -> Entry:
    """The engine takes packets of one direction."""
    return Entry.make("crypto_port", {"path": path}, "to_engine", {})


def boot_id(value: int) -> Entry:
    """The mark that says: since this was written, no register was lost."""
    return Entry.make("boot_id", {"op": Control.READ_BOOT}, "boot", {"boot_id": value})
