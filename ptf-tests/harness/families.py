"""Tests that run in every pair of families: outer and inner IP version."""

from __future__ import annotations

import struct
from typing import Any

from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6

from harness import esp, frames
from harness.testcase import GatewayTest
from harness.topology import GATEWAY6, PEER6, UNPROTECTED
from harness.tunnels import InboundTunnel, OutboundTunnel, parsed

FAMILIES = ((4, 4), (4, 6), (6, 4), (6, 6))
"""Outer and inner version."""
INNER6 = ((4, 6), (6, 6))
IP_LEN = {4: 20, 6: 40}
LEAST = {4: 28, 6: 48}
"""An IP header and one of UDP."""
NEXT_HEADER = {4: 4, 6: 41}


def sealed_len(inner_len: int, *, iv_len: int = 8, icv_len: int = 16, align: int = 4) -> int:
    """ESP octets around an inner packet (RFC 4303 2.4), by default of AES-GCM-16."""
    return 8 + iv_len + inner_len + (-(inner_len + 2)) % align + 2 + icv_len


def outgoing(version: int, size: int = 100, **fields: Any) -> bytes:
    """A packet of our site for the remote one."""
    return (frames.outgoing if version == 4 else frames.outgoing6)(size, **fields)


def incoming(version: int, size: int = 100, **fields: Any) -> bytes:
    """A packet of the remote site for ours."""
    return (frames.inner if version == 4 else frames.inner6)(size=size, **fields)


def datagram6(
    payload: bytes,
    *,
    sport: int = 4500,
    dport: int = 4500,
    length: int | None = None,
    checksum: int = 0,
    **ip: Any,
) -> bytes:
    """An IPv6/UDP packet from the peer to us; ``length`` and ``checksum`` may lie."""
    udp_len = 8 + len(payload) if length is None else length
    header = struct.pack("!HHHH", sport, dport, udp_len, checksum)
    fields = {"src": PEER6, "dst": GATEWAY6, "hlim": 64, **ip}
    return frames.ipv6(header + payload, frames.UDP_PROTOCOL, **fields)


def version_of(packet: bytes) -> int:
    """Of an IP packet."""
    return packet[0] >> 4


class FamilyTest(GatewayTest):
    """Protected flows of either family."""

    last = 0x1000

    def send_and_open(self, tunnel: OutboundTunnel, packet: bytes) -> IP | IPv6:
        """Proves that the peer gets ``packet`` with one hop less; the outer packet."""
        wire = self.seal(tunnel, packet)
        self.assertEqual(tunnel.open(wire), frames.rewritten(packet))
        return parsed(wire)

    def sealed(self, tunnel: InboundTunnel, plaintext: bytes, **outer: Any) -> bytes:
        """A frame under the next number; ``plaintext`` ends in its trailer."""
        self.last += 1
        octets = tunnel.esp_by_hand(self.last, plaintext)
        return frames.ethernet(UNPROTECTED, tunnel.around(octets, **outer))

    def carrying(
        self, tunnel: InboundTunnel, packet: bytes, next_header: int | None = None, **outer: Any
    ) -> bytes:
        """The same with an ordinary trailer; the next header fits unless the test names one."""
        number = NEXT_HEADER[version_of(packet)] if next_header is None else next_header
        return self.sealed(tunnel, esp.with_trailer(packet, number), **outer)
