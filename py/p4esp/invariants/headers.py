"""Just enough header reading to see what a frame is: Ethernet, 802.1Q, IPv4, IPv6, ports."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final

_IPV4: Final = 0x0800
_IPV6: Final = 0x86DD
_VLAN: Final = (0x8100, 0x88A8)
_WITH_PORTS: Final = (6, 17, 132)
_ICMP: Final = 1
ESP: Final = 50
UDP: Final = 17
UDP_ENCAPSULATION: Final = 4500


@dataclass(frozen=True, slots=True)
class Flow:
    """The header fields policy looks at; ports are None where the packet shows none, and ICMP's
    type and code for ICMP.

    ``ip_at`` and ``l4_at`` are offsets in the frame, ``end`` is where the IP packet ends.
    """

    source: IPv4Address | IPv6Address
    destination: IPv4Address | IPv6Address
    protocol: int
    source_port: int | None
    destination_port: int | None
    ip_at: int
    l4_at: int
    end: int


def read_flow(frame: bytes) -> Flow | None:
    """Read the outermost IP header of a frame; None when there is no whole one."""
    ip_at, ethertype = 14, int.from_bytes(frame[12:14], "big")
    while ethertype in _VLAN and len(frame) >= ip_at + 4:
        ethertype = int.from_bytes(frame[ip_at + 2 : ip_at + 4], "big")
        ip_at += 4
    if ethertype == _IPV4:
        return _read_ipv4(frame, ip_at)
    return _read_ipv6(frame, ip_at) if ethertype == _IPV6 else None


def _read_ipv4(frame: bytes, at: int) -> Flow | None:
    if len(frame) < at + 20 or frame[at] >> 4 != 4:
        return None
    l4_at = at + (frame[at] & 15) * 4
    end = min(at + int.from_bytes(frame[at + 2 : at + 4], "big"), len(frame))
    first = not int.from_bytes(frame[at + 6 : at + 8], "big") & 0x1FFF
    return Flow(
        IPv4Address(frame[at + 12 : at + 16]),
        IPv4Address(frame[at + 16 : at + 20]),
        frame[at + 9],
        *_ports(frame, frame[at + 9], l4_at if first else end, end),
        *(at, l4_at, end),
    )


def _read_ipv6(frame: bytes, at: int) -> Flow | None:
    if len(frame) < at + 40 or frame[at] >> 4 != 6:
        return None
    end = min(at + 40 + int.from_bytes(frame[at + 4 : at + 6], "big"), len(frame))
    return Flow(
        IPv6Address(frame[at + 8 : at + 24]),
        IPv6Address(frame[at + 24 : at + 40]),
        frame[at + 6],
        *_ports(frame, frame[at + 6], at + 40, end),
        *(at, at + 40, end),
    )


def _ports(frame: bytes, protocol: int, at: int, end: int) -> tuple[int | None, int | None]:
    if at + 4 > end:
        return None, None
    if protocol == _ICMP:
        type_and_code = int.from_bytes(frame[at : at + 2], "big")
        return type_and_code, type_and_code
    if protocol not in _WITH_PORTS:
        return None, None
    return int.from_bytes(frame[at : at + 2], "big"), int.from_bytes(frame[at + 2 : at + 4], "big")


def esp_at(frame: bytes, flow: Flow) -> int | None:
    """Return where ESP starts (RFC 4303, RFC 3948), None when the packet is no ESP."""
    if flow.protocol == ESP:
        return flow.l4_at
    in_udp = flow.protocol == UDP and UDP_ENCAPSULATION in (flow.source_port, flow.destination_port)
    at = flow.l4_at + 8
    return at if in_udp and at + 8 <= flow.end and any(frame[at : at + 4]) else None


def fingerprint(frame: bytes, flow: Flow) -> bytes:
    """Return up to 32 bytes that a packet keeps on its way: from the addresses onwards.

    TOS, TTL, ID and checksum stand before them, so forwarding does not change it.
    """
    start = flow.ip_at + (12 if flow.source.version == 4 else 8)
    return frame[start : min(start + 32, flow.end)]
