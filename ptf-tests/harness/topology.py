"""The gateway's surroundings in every test: ports, addresses, routes, neighbours.

10.2.2.0/24 - port 0 -+         +- port 1 - 198.51.100.1 (router to the peer, 192.0.2.1)
10.2.3.0/24 - port 2 -| gateway |
   (VLAN 100)         +---------+- port 3 - 198.51.101.1 (VLAN 200, router to 192.0.2.128/25)
"""

from __future__ import annotations

from finsy import P4TableEntry

from harness import tables
from harness.ids import CPU_PORT, CRYPTO_PORT, Path, Role

PROTECTED = 0
UNPROTECTED = 1
PROTECTED_VLAN = 2
UNPROTECTED_VLAN = 3
UNCONFIGURED = 4
NO_INTERFACE = 5  # a neighbour is behind it, an egress_if entry is missing
DATA_PORTS = (
    PROTECTED,
    UNPROTECTED,
    PROTECTED_VLAN,
    UNPROTECTED_VLAN,
    UNCONFIGURED,
    NO_INTERFACE,
    CRYPTO_PORT,
)

VID = {PROTECTED_VLAN: 100, UNPROTECTED_VLAN: 200}
ROLE = {
    PROTECTED: Role.PROTECTED,
    PROTECTED_VLAN: Role.PROTECTED,
    UNPROTECTED: Role.UNPROTECTED,
    UNPROTECTED_VLAN: Role.UNPROTECTED,
}

GATEWAY = "198.51.100.2"
GATEWAY_2 = "198.51.100.3"
GATEWAY_INSIDE = "10.2.2.1"
PEER = "192.0.2.1"
PEER_VLAN = "192.0.2.129"
GATEWAY6 = "2001:db8:51::2"
GATEWAY6_INSIDE = "2001:db8:2::1"
PEER6 = "2001:db8:c0::1"
LOCAL_ID = {GATEWAY: 1, GATEWAY_2: 2, GATEWAY_INSIDE: 3, GATEWAY6: 4, GATEWAY6_INSIDE: 5}

SITE = "10.2.2.0/24"
SITE_VLAN = "10.2.3.0/24"
REMOTE = "10.1.1.0/24"
HOST = "10.2.2.2"
HOST_VLAN = "10.2.3.2"
REMOTE_HOST = "10.1.1.1"
SITE6 = "2001:db8:2::/64"
REMOTE6 = "2001:db8:1::/64"
HOST6 = "2001:db8:2::2"
REMOTE_HOST6 = "2001:db8:1::1"
UNRESOLVED_HOST = "10.2.2.77"  # on link, no neighbour entry
NO_INTERFACE_HOST = "10.2.2.88"
UNROUTED_HOST = "172.16.0.1"

BOOT_ID = 0x1122334455667788

ANY_MAC = "02:00:00:00:ff:01"  # sender of the frames that tests inject
NEIGHBOUR_MAC = {
    HOST: "02:00:00:00:02:00",
    HOST_VLAN: "02:00:00:00:02:02",
    "198.51.100.1": "02:00:00:00:02:01",
    "198.51.101.1": "02:00:00:00:02:03",
    NO_INTERFACE_HOST: "02:00:00:00:02:05",
    HOST6: "02:00:00:00:02:00",
    "2001:db8:51::1": "02:00:00:00:02:01",
}
NEIGHBOUR_PORT = {
    HOST: PROTECTED,
    HOST_VLAN: PROTECTED_VLAN,
    "198.51.100.1": UNPROTECTED,
    "198.51.101.1": UNPROTECTED_VLAN,
    NO_INTERFACE_HOST: NO_INTERFACE,
    HOST6: PROTECTED,
    "2001:db8:51::1": UNPROTECTED,
}
MAC_ON = {port: NEIGHBOUR_MAC[address] for address, port in NEIGHBOUR_PORT.items()}
"""Of the neighbour on a port, by whichever family."""


def gateway_mac(port: int) -> str:
    """Our own MAC address on a port."""
    return f"02:00:00:00:01:{port & 0xFF:02x}"


def port_entries() -> list[P4TableEntry]:
    """Roles of all ports and what stands behind the two kinds of wire."""
    roles = [
        tables.port_role(port, role, VID.get(port, 0), gateway_mac(port))
        for port, role in ROLE.items()
    ]
    interfaces = [
        tables.egress_if(port, role, gateway_mac(port), VID.get(port, 0))
        for port, role in ROLE.items()
    ]
    return [
        *roles,
        tables.port_role(CRYPTO_PORT, Role.CRYPTO),
        tables.port_role(CPU_PORT, Role.CPU),
        *interfaces,
        *(tables.local(address, local_id) for address, local_id in LOCAL_ID.items()),
        *engine_entries(),
        tables.boot_id(BOOT_ID),
    ]


def engine_entries() -> list[P4TableEntry]:
    """The way to the engine; a controller withdraws it when the engine is gone."""
    return [tables.crypto_port(Path.SEAL), tables.crypto_port(Path.OPEN)]


def route_entries() -> list[P4TableEntry]:
    """Routes and neighbours."""
    routes = [
        tables.route_on_link(SITE),
        tables.route_on_link(SITE_VLAN),
        tables.route_via("192.0.2.0/24", "198.51.100.1"),
        tables.route_via("192.0.2.128/25", "198.51.101.1"),
        tables.route_via("203.0.113.0/24", "198.51.100.1"),
        tables.route_via(REMOTE, "198.51.100.1"),
        tables.route_on_link(SITE6),
        tables.route_via("2001:db8:c0::/64", "2001:db8:51::1"),
        tables.route_via(REMOTE6, "2001:db8:51::1"),
    ]
    neighbours = [
        tables.neighbour(address, port, NEIGHBOUR_MAC[address], VID.get(port, 0))
        for address, port in NEIGHBOUR_PORT.items()
    ]
    return routes + neighbours
