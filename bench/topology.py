"""The gateway's surroundings in every benchmark, and the numbers of its SAs.

    site 10.2.0.0/16 - port 0 - gateway 198.51.100.2 - port 1 - router - peer 192.0.2.1

SA number i protects the traffic of remote host 10.1.0.0 + i, both ways.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

PROTECTED_PORT = 0
UNPROTECTED_PORT = 1
CRYPTO_PORT = 509
CPU_PORT = 510

GATEWAY = IPv4Address("198.51.100.2")
PEER = IPv4Address("192.0.2.1")
ROUTER = IPv4Address("198.51.100.1")
SITE_ROUTER = IPv4Address("10.2.0.1")
SITE = IPv4Network("10.2.0.0/16")
REMOTE = IPv4Network("10.1.0.0/16")
PEER_NET = IPv4Network("192.0.2.0/24")
ANYWHERE = IPv4Network("0.0.0.0/0")

GATEWAY_MAC = 0x0200_0000_0100
ROUTER_MAC = 0x0200_0000_0201
SITE_MAC = 0x0200_0000_0202

LOCAL_ID = 1
POLICY = 7
POLICY_VERSION = 1
GENERATION = 1
WINDOW = 64
CELLS = 4
"""Replay cells of an SA: the power of two that holds WINDOW / 32 blocks and one to spare."""

FLOWS = 256
IV_LEN = 8
ICV_LEN = 16
ALIGN = 4


def remote_host(number: int) -> IPv4Address:
    """The remote host behind SA `number`."""
    return REMOTE.network_address + number


def site_host(number: int) -> IPv4Address:
    """The host of our site in flow `number`."""
    return SITE.network_address + 256 + number % 1024


def spi(number: int) -> int:
    """The SPI of SA `number`, the same in both directions."""
    return 0x1000_0000 + number


def default_key(number: int) -> int:
    """A key handle for SA `number`, where no engine is asked."""
    return number + 1
