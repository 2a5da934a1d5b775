"""Packets and frames, built by scapy, with every field under the test's control."""

from __future__ import annotations

import struct
from typing import Any

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Packet, Raw

from harness import topology
from harness.topology import GATEWAY, HOST, NEIGHBOUR_MAC, NEIGHBOUR_ON, PEER, REMOTE_HOST, VID

ESP = 50
ETHERTYPE_IPV4 = 0x0800


def ethernet(port: int, packet: bytes | Packet, *, pad: bytes = b"") -> bytes:
    """The frame in which ``packet`` comes in on ``port``, tagged where the port is tagged."""
    return bytes(_link_header(port, topology.ANY_MAC, topology.gateway_mac(port), packet) + pad)


def delivered(port: int, packet: bytes | Packet) -> bytes:
    """The frame in which the gateway sends ``packet`` to the neighbour on ``port``."""
    mac = NEIGHBOUR_MAC[NEIGHBOUR_ON[port]]
    return _link_header(port, topology.gateway_mac(port), mac, packet)


def _link_header(port: int, src: str, dst: str, packet: bytes | Packet) -> bytes:
    if port in VID:
        header = Ether(src=src, dst=dst) / Dot1Q(vlan=VID[port], type=ETHERTYPE_IPV4)
    else:
        header = Ether(src=src, dst=dst, type=ETHERTYPE_IPV4)
    return bytes(header) + bytes(packet)


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
    """What a forwarder makes of an IPv4 packet: TTL, perhaps ECN, and the checksum."""
    header_len = (packet[0] & 15) * 4
    head = bytearray(packet[:header_len])
    head[8] -= ttl_less
    if ecn is not None:
        head[1] = head[1] & 0xFC | ecn
    head[10:12] = b"\0\0"
    head[10:12] = struct.pack("!H", internet_checksum(bytes(head)))
    return bytes(head) + packet[header_len:]


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
