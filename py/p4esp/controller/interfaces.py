"""The switch's interfaces, addresses and routes as configured: entries, and who is where."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from p4esp.controller import nd, tables
from p4esp.controller.config import GatewayConfig
from p4esp.controller.entries import Entry
from p4esp.controller.errors import ControllerError
from p4esp.controller.labels import LabelNumber, no_labels
from p4esp.controller.link_config import InterfaceConfig
from p4esp.controller.numbers import CPU_PORT, CRYPTO_PORT, Role
from p4esp.ipsec.layouts import is_diet
from p4esp.ipsec.selectors import Address, Network


@dataclass(frozen=True, slots=True)
class Attachment:
    """One of our addresses and the interface it belongs to."""

    address: Address
    network: Network
    interface: InterfaceConfig


class Interfaces:
    """What a gateway's configuration says about its ports."""

    def __init__(self, config: GatewayConfig, label_number: LabelNumber = no_labels) -> None:
        self._config = config
        self._label_number = label_number
        self.attachments = tuple(
            Attachment(address.ip, address.network, interface)
            for interface in config.interfaces
            for address in interface.addresses
        )
        self._local_ids: dict[Address, int] = {}
        children = (child for peer in config.peers for child in peer.children)
        self._diet = any(is_diet(child.wish.form) for child in children)

    def adopt(self, local: Iterable[Entry]) -> None:
        """Keep the ids by which a switch knows our addresses already."""
        self._local_ids = {exact_address(entry, "dst"): entry.arg("local_id") for entry in local}
        self._number_addresses()

    def _number_addresses(self) -> None:
        """A host behind us is numbered like us: the SAD asks whose an SA is, not where it ends."""
        ours = {attachment.address for attachment in self.attachments} | set(self._config.hosts)
        self._local_ids = {ip: number for ip, number in self._local_ids.items() if ip in ours}
        for address in sorted(ours - self._local_ids.keys(), key=_rank):
            used = set(self._local_ids.values())
            self._local_ids[address] = next(n for n in range(1, 65536) if n not in used)

    def local_id(self, address: Address) -> int:
        """The SAD's number of one of our addresses."""
        if address not in self._local_ids:
            known = ", ".join(map(str, self._local_ids)) or "none"
            raise ControllerError(f"{address} is not an address of this gateway; it has {known}")
        return self._local_ids[address]

    def is_ours(self, address: Address) -> bool:
        """Whether an address is one of ours."""
        return any(attachment.address == address for attachment in self.attachments)

    def towards(self, next_hop: Address) -> Attachment | None:
        """The interface on whose link a neighbour must be: the one with the longest prefix, as for
        routes; of equal ones the first.
        """
        fitting = (item for item in self.attachments if next_hop in item.network)
        return max(fitting, key=lambda item: item.network.prefixlen, default=None)

    def is_at(self, neighbour: Address, port: int, vid: int) -> bool:
        """Whether the link of a port and VLAN is the one on which a neighbour must be."""
        attachment = self.towards(neighbour)
        if attachment is None:
            return False
        return (attachment.interface.port, attachment.interface.vlan) == (port, vid)

    def at(self, port: int, vid: int) -> list[Attachment]:
        """Our addresses on a port and VLAN."""
        place = (port, vid)
        return [
            item for item in self.attachments if (item.interface.port, item.interface.vlan) == place
        ]

    def address_at(self, port: int, vid: int, version: int) -> Address | None:
        """Our first address of a family on a port and VLAN."""
        here = (item.address for item in self.at(port, vid))
        return next((address for address in here if address.version == version), None)

    def link_local(self, port: int, vid: int) -> IPv6Address | None:
        """Our link-local address on a port and VLAN; None where we have no IPv6."""
        here = [item for item in self.at(port, vid) if item.address.version == 6]
        return nd.link_local(here[0].interface.mac) if here else None

    def next_hop(self, destination: Address) -> Address | None:
        """The neighbour a packet to a destination goes to; None without a route."""
        routes = [(net, via) for net, via in self._routes() if destination in net]
        if not routes:
            return None
        _, via = max(routes, key=lambda route: route[0].prefixlen)
        return via or destination

    def _routes(self) -> list[tuple[Network, Address | None]]:
        connected: list[tuple[Network, Address | None]] = [
            (item.network, None) for item in self.attachments
        ]
        return [*connected, *((route.destination, route.via) for route in self._config.routes)]

    def entries(self) -> list[Entry]:
        """Labels of hosts, port roles, egress interfaces, addresses, who answers pings, routes."""
        labelled = bool(self._config.label_names)
        return [
            *self._labels(),
            tables.port_role(CPU_PORT, 0, Role.CPU),
            tables.port_role(CRYPTO_PORT, 0, Role.CRYPTO, labelled=labelled),
            *(
                entry
                for item in self._config.interfaces
                for entry in _interface_entries(item, labelled=labelled)
            ),
            *(self._local(address, number) for address, number in self._local_ids.items()),
            *self._echoes(),
            *self._fragments(),
            *(tables.route(net, via) for net, via in dict.fromkeys(self._routes())),
        ]

    def _labels(self) -> Iterator[Entry]:
        """Whose label is which, of what hosts send and of what they get."""
        for item in self._config.labels:
            number = self._label_number(item.label.encode())
            for hosts in item.hosts:
                yield tables.source_label(item.port, item.vlan, hosts, number)
                yield tables.host_label(item.port, item.vlan, hosts, number)

    def _local(self, address: Address, number: int) -> Entry:
        proxied = address in self._config.hosts
        return tables.local(address, number, proxied=proxied, diet=self._diet)

    def _echoes(self) -> list[Entry]:
        """What lets the pipeline answer ESP pings: for us, never for hosts behind us."""
        if not self._config.esp_ping:
            return []
        ours = {attachment.address for attachment in self.attachments}
        return [tables.echo(number) for ip, number in self._local_ids.items() if ip in ours]

    def _fragments(self) -> list[Entry]:
        """What shows us first fragments from outside: where some peer may want to know of them."""
        wanted = any(peer.extensions.mtu_detection for peer in self._config.peers)
        return [tables.fragment(number) for number in self._local_ids.values() if wanted]

    def static_neighbours(self) -> list[Entry]:
        """Neighbours that the configuration names; ControllerError for one on no link of ours."""
        return [self.neighbour(item.address, item.mac) for item in self._config.neighbours]

    def neighbour(self, address: Address, mac: bytes) -> Entry:
        """The entry of a neighbour on one of our links."""
        attachment = self.towards(address)
        if attachment is None:
            nets = ", ".join(str(item.network) for item in self.attachments) or "none"
            raise ControllerError(f"neighbour {address} is on none of our links: {nets}")
        interface = attachment.interface
        number = int.from_bytes(mac, "big")
        return tables.neighbour(address, interface.port, interface.vlan, number)

    def has_link_of(self, neighbour: Entry) -> bool:
        """Whether a neighbour entry points to one of our links."""
        address = exact_address(neighbour, "next_hop")
        return self.is_at(address, neighbour.arg("port"), neighbour.arg("vid"))


def _rank(address: Address) -> tuple[int, int]:
    return address.version, int(address)


def exact_address(entry: Entry, name: str) -> Address:
    """The address that an entry matches exactly, of its table's family."""
    value = entry.field(name)
    if not isinstance(value, int):
        raise TypeError(f"{entry}: {name} is not an exact match")
    return IPv6Address(value) if entry.table.endswith("_v6") else IPv4Address(value)


def _interface_entries(interface: InterfaceConfig, *, labelled: bool) -> Sequence[Entry]:
    port, vid, role = interface.port, interface.vlan, interface.pipeline_role
    mac = int.from_bytes(interface.mac, "big")
    entry = tables.port_role(port, vid, role, mac, labelled=labelled)
    return entry, tables.egress_if(port, vid, role, mac)
