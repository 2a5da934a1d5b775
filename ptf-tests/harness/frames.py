"""Packets and frames, built by scapy, with every field under the test's control."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Packet, Raw

from harness import topology
from harness.topology import (
    GATEWAY,
    GATEWAY6,
    HOST,
    HOST6,
    MAC_ON,
    PEER,
    PEER6,
    REMOTE_HOST,
    REMOTE_HOST6,
    VID,
)

ESP = 50
WESP = 141
UDP_PROTOCOL = 17
ETHERTYPE_IPV4 = 0x0800
ETHERTYPE_IPV6 = 0x86DD


def ethernet(port: int, packet: bytes | Packet, *, pad: bytes = b"") -> bytes:
    """The frame in which ``packet`` comes in on ``port``, tagged where the port is tagged."""
    return bytes(_link_header(port, topology.ANY_MAC, topology.gateway_mac(port), packet) + pad)


def delivered(port: int, packet: bytes | Packet) -> bytes:
    """The frame in which the gateway sends ``packet`` to the neighbour on ``port``."""
    mac = MAC_ON[port]
    return _link_header(port, topology.gateway_mac(port), mac, packet)


def _link_header(port: int, src: str, dst: str, packet: bytes | Packet) -> bytes:
    kind = ETHERTYPE_IPV6 if bytes(packet)[:1] >= b"\x60" else ETHERTYPE_IPV4
    if port in VID:
        header = Ether(src=src, dst=dst) / Dot1Q(vlan=VID[port], type=kind)
    else:
        header = Ether(src=src, dst=dst, type=kind)
    return bytes(header) + bytes(packet)


def link_header(port: int, version: int = 4) -> bytes:
    """What stands before an IP packet that the gateway sends out by ``port``."""
    return delivered(port, bytes([version << 4]))[:-1]


def inner(src: str = REMOTE_HOST, dst: str = HOST, size: int = 60, **ip: Any) -> bytes:
    """An IPv4/UDP packet of ``size`` octets with a recognisable payload."""
    options = ip.pop("options", b"")
    assert isinstance(options, bytes)
    fields: dict[str, Any] = {"id": 0x1234, "ttl": 64, **ip}
    head = ipv4(b"", options=options, src=src, dst=dst, proto=17, **fields)
    fill = bytes(7 * i + 3 & 0xFF for i in range(size - len(head) - 8))
    datagram = bytes(UDP(sport=5000, dport=5001, chksum=0, len=8 + len(fill)) / Raw(fill))
    return ipv4(datagram, options=options, src=src, dst=dst, proto=17, **fields)


def outgoing(size: int = 60, **ip: Any) -> bytes:
    """An inner packet of our site for the remote one."""
    fields = {"src": HOST, "dst": REMOTE_HOST, **ip}
    return inner(size=size, **fields)


def inner6(src: str = REMOTE_HOST6, dst: str = HOST6, size: int = 80, **ip: Any) -> bytes:
    """An IPv6/UDP packet of ``size`` octets; ``chain``: extension headers by ``ipv6``."""
    chain = ip.pop("chain", ())
    fill = bytes(5 * i + 1 & 0xFF for i in range(size - 48 - sum(map(len, chain))))
    datagram = UDP(sport=5000, dport=5001, chksum=0x1234, len=8 + len(fill)) / Raw(fill)
    fields: dict[str, Any] = {"src": src, "dst": dst, "hlim": 64, **ip}
    return ipv6(bytes(datagram), 17, chain=chain, **fields)


def outgoing6(size: int = 80, **ip: Any) -> bytes:
    """An inner IPv6 packet of our site for the remote one."""
    fields = {"src": HOST6, "dst": REMOTE_HOST6, **ip}
    return inner6(size=size, **fields)


def ipv6(
    payload: bytes, next_header: int, *, chain: Sequence[Extension] = (), **fields: Any
) -> bytes:
    """An IPv6 packet with extension headers in front of ``payload``; lengths may be told to lie."""
    numbers = [*(extension.number for extension in chain), next_header]
    octets = b"".join(
        extension.octets(following) for extension, following in zip(chain, numbers[1:], strict=True)
    )
    first = fields.pop("nh", numbers[0])
    length = fields.pop("plen", len(octets) + len(payload))
    return bytes(IPv6(nh=first, plen=length, **fields))[:40] + octets + payload


@dataclass(frozen=True, slots=True)
class Extension:
    """An IPv6 extension header: its number, and all of it but the next header."""

    number: int
    rest: bytes

    def octets(self, next_header: int) -> bytes:
        """In front of ``next_header``."""
        return bytes([next_header]) + self.rest

    def __len__(self) -> int:
        return 1 + len(self.rest)


def options6(number: int, units: int = 0) -> Extension:
    """Hop-by-hop (0) or destination (60) options of 8 * (units + 1) octets: padding alone."""
    return Extension(number, bytes([units, 1, 4 + 8 * units]) + bytes(4 + 8 * units))


def routing6(units: int = 2) -> Extension:
    """A routing header without segments left."""
    return Extension(43, bytes([units, 2, 0]) + bytes(4 + 8 * units))


def fragment6(offset: int = 0, *, more: bool = True, ident: int = 0x01020304) -> Extension:
    """A fragment header; ``offset`` in units of 8 octets."""
    return Extension(44, b"\0" + struct.pack("!HI", offset << 3 | more, ident))


def ipv4(payload: bytes, *, options: bytes = b"", **fields: Any) -> bytes:
    """An IPv4 packet; ``options`` are raw octets, a multiple of four."""
    ihl = fields.pop("ihl", 5 + len(options) // 4)
    length = fields.pop("len", 20 + len(options) + len(payload))
    checksum = fields.pop("chksum", None)
    header = bytes(IP(ihl=ihl, len=length, chksum=0, **fields)) + options
    header = header[:20] + options
    value = internet_checksum(header) if checksum is None else checksum
    return header[:10] + struct.pack("!H", value) + header[12:] + payload


def internet_checksum(octets: bytes) -> int:
    """RFC 1071, over an even number of octets."""
    total: int = sum(struct.unpack(f"!{len(octets) // 2}H", octets))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def rewritten(packet: bytes, *, ttl_less: int = 1, ecn: int | None = None) -> bytes:
    """What a forwarder makes of a packet: hops, perhaps ECN, and the checksum."""
    if packet[0] >> 4 == 6:
        return _rewritten6(packet, ttl_less, ecn)
    header_len = (packet[0] & 15) * 4
    head = bytearray(packet[:header_len])
    head[8] -= ttl_less
    if ecn is not None:
        head[1] = head[1] & 0xFC | ecn
    head[10:12] = b"\0\0"
    head[10:12] = struct.pack("!H", internet_checksum(bytes(head)))
    return bytes(head) + packet[header_len:]


def _rewritten6(packet: bytes, less: int, ecn: int | None) -> bytes:
    head = bytearray(packet[:8])
    head[7] -= less
    if ecn is not None:
        head[1] = head[1] & 0xCF | ecn << 4
    return bytes(head) + packet[8:]


def outer6(esp: bytes, *, udp: tuple[int, int] | None = None, **fields: Any) -> bytes:
    """The IPv6 tunnel packet around ``esp``, from the peer to us."""
    protocol = fields.pop("proto", ESP)
    if udp is not None:
        sport, dport = udp
        esp = struct.pack("!HHHH", sport, dport, 8 + len(esp), 0) + esp
        protocol = UDP_PROTOCOL
    defaults = {"src": PEER6, "dst": GATEWAY6, "hlim": 64}
    return ipv6(esp, protocol, **{**defaults, **fields})


def outer(esp: bytes, *, udp: tuple[int, int] | None = None, **fields: Any) -> bytes:
    """The tunnel packet around ``esp``, from the peer to us, by default as in vector D12."""
    defaults = {"src": PEER, "dst": GATEWAY, "id": 0xBEEF, "flags": "DF", "ttl": 64, "proto": ESP}
    if udp is not None:
        sport, dport = udp
        esp = struct.pack("!HHHH", sport, dport, 8 + len(esp), 0) + esp
        defaults["proto"] = 17
    return ipv4(esp, **{**defaults, **fields})


def datagram(
    payload: bytes, *, sport: int = 4500, dport: int = 4500, length: int | None = None, **ip: Any
) -> bytes:
    """An IPv4/UDP packet from the peer to us; ``length`` may lie."""
    udp_len = 8 + len(payload) if length is None else length
    fields = {"src": PEER, "dst": GATEWAY, "id": 1, "ttl": 64, "proto": 17, **ip}
    return ipv4(struct.pack("!HHHH", sport, dport, udp_len, 0) + payload, **fields)


def tcp(src: str, dst: str, sport: int, dport: int) -> bytes:
    """A TCP SYN."""
    return bytes(IP(src=src, dst=dst, id=7, ttl=64) / TCP(sport=sport, dport=dport))
