"""Just enough header reading to see what a frame is: Ethernet, 802.1Q, IPv4, IPv6, ports."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final

_IPV4: Final = 0x0800
_IPV6: Final = 0x86DD
_VLAN: Final = (0x8100, 0x88A8)
_WITH_PORTS: Final = (6, 17, 132)
_ICMP: Final = (1, 58)
_OPTIONS_AND_ROUTING: Final = (0, 43, 60)
_FRAGMENT: Final = 44
ESP: Final = 50
WESP: Final = 141
EESP: Final = 253
HEADER_IN_TRAILER: Final = 254
WESP_MARKER: Final = b"\0\0\0\x02"
UDP: Final = 17
UDP_ENCAPSULATION: Final = 4500
UDP_PSP: Final = 1000


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
    if not at + 20 <= l4_at <= end:
        return None
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
    protocol, l4_at, first = _behind_extensions(frame, frame[at + 6], at + 40, end)
    return Flow(
        IPv6Address(frame[at + 8 : at + 24]),
        IPv6Address(frame[at + 24 : at + 40]),
        protocol,
        *_ports(frame, protocol, l4_at if first else end, end),
        *(at, l4_at, end),
    )


def _behind_extensions(frame: bytes, protocol: int, at: int, end: int) -> tuple[int, int, bool]:
    """Protocol and offset of layer 4, and whether the packet shows its start (RFC 8200 4)."""
    first = True
    while protocol in (*_OPTIONS_AND_ROUTING, _FRAGMENT) and at + 8 <= end:
        size = 8
        if protocol == _FRAGMENT:
            first = first and not int.from_bytes(frame[at + 2 : at + 4], "big") >> 3
        else:
            size += frame[at + 1] * 8
        protocol, at = frame[at], min(at + size, end)
    return protocol, at, first


def _ports(frame: bytes, protocol: int, at: int, end: int) -> tuple[int | None, int | None]:
    if at + 4 > end:
        return None, None
    if protocol in _ICMP:
        type_and_code = int.from_bytes(frame[at : at + 2], "big")
        return type_and_code, type_and_code
    if protocol not in _WITH_PORTS:
        return None, None
    return int.from_bytes(frame[at : at + 2], "big"), int.from_bytes(frame[at + 2 : at + 4], "big")


def esp_at(frame: bytes, flow: Flow) -> int | None:
    """Return where ESP starts (RFC 4303, 3948, 5840), or EESP, or PSP, or what has its header
    behind it; None when the packet is none of them.
    """
    if flow.protocol in (ESP, EESP, HEADER_IN_TRAILER):
        return flow.l4_at
    if flow.protocol == WESP:
        return _behind_wesp(frame, flow.l4_at)
    in_udp = flow.protocol == UDP and UDP_ENCAPSULATION in (flow.source_port, flow.destination_port)
    at = flow.l4_at + 8
    if flow.protocol == UDP and flow.destination_port == UDP_PSP:
        return at
    if not in_udp or at + 8 > flow.end or not any(frame[at : at + 4]):
        return None
    return _behind_wesp(frame, at + 4) if frame[at : at + 4] == WESP_MARKER else at


def _behind_wesp(frame: bytes, at: int) -> int:
    return at + (8 if frame[at + 3 : at + 4] and frame[at + 3] & 0x10 else 4)


def fingerprint(frame: bytes, flow: Flow) -> bytes:
    """Return bytes that a packet keeps on its way: from the addresses into layer 4.

    TOS, TTL, ID and checksum stand before them, so forwarding does not change it. Addresses and
    options alone would be those of the same packet in transport mode, too.
    """
    start = flow.ip_at + (12 if flow.source.version == 4 else 8)
    return frame[start : min(max(start + 32, flow.l4_at + 16), flow.end)]
