"""BEET by hand (RFC 7402 appendix B, and what Linux fills in where it is silent)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from harness import frames

PSEUDO_HEADER = 94
DF = 0x4000


def pseudo_header(next_header: int, options: bytes) -> bytes:
    """RFC 7402 B.1.7: in front of the options NOPs up to a multiple of 8 octets."""
    pad = b"\1\1\1\1" if len(options) % 8 == 0 else b""
    return bytes([next_header, len(options) // 8, len(pad), 0]) + pad + options


def payload_of(inner: bytes) -> tuple[int, bytes]:
    """Next header and payload of ESP for an inner packet."""
    if inner[0] >> 4 == 6:
        return inner[6], inner[40:]
    head_len = (inner[0] & 15) * 4
    options, payload = inner[20:head_len], inner[head_len:]
    if not options:
        return inner[9], payload
    return PSEUDO_HEADER, pseudo_header(inner[9], options) + payload


def header(inner: bytes, src: str, dst: str) -> bytes:
    """The header in front of ESP: the inner one's fields, between the outer addresses."""
    return _header(_fields(inner), (src, dst), frames.ESP)


def outside(inner: bytes, src: str, dst: str) -> bytes:
    """The packet between the outer addresses, with what ESP would carry in the clear."""
    next_header, payload = payload_of(inner)
    return _header(_fields(inner), (src, dst), next_header, payload)


def inside(outer: bytes, version: int, src: str, dst: str) -> bytes:
    """What becomes of ``outside`` at the other end, without options."""
    next_header, payload = (outer[6], outer[40:]) if outer[0] >> 4 == 6 else (outer[9], outer[20:])
    options = b""
    if next_header == PSEUDO_HEADER and version == 4:
        next_header, units, pad_len = payload[:3]
        size = 8 * units + 8
        options, payload = payload[4 + pad_len : size], payload[size:]
    return _header(_fields(outer), (src, dst), next_header, payload, options)


@dataclass(frozen=True, slots=True)
class Fields:
    """What an inner and an outer header have in common."""

    traffic_class: int
    hops: int
    ident: int
    dont_fragment: bool
    label: int


def _header(
    fields: Fields, ends: tuple[str, str], protocol: int, payload: bytes = b"", options: bytes = b""
) -> bytes:
    """A packet of the family of its two ``ends``."""
    src, dst = ends
    if ":" in src:
        return frames.ipv6(
            payload,
            protocol,
            src=src,
            dst=dst,
            tc=fields.traffic_class,
            fl=fields.label,
            hlim=fields.hops,
        )
    return frames.ipv4(
        payload,
        options=options,
        src=src,
        dst=dst,
        tos=fields.traffic_class,
        ttl=fields.hops,
        id=fields.ident,
        flags="DF" if fields.dont_fragment else 0,
        proto=protocol,
    )


def _fields(packet: bytes) -> Fields:
    """Those of a packet.

    An IPv6 packet stands in IPv4 with ID 0 and DF; an IPv4 one in IPv6 with flow label 0.
    """
    if packet[0] >> 4 == 6:
        word: int = struct.unpack("!I", packet[:4])[0]
        return Fields(word >> 20 & 0xFF, packet[7], 0, True, word & 0xFFFFF)
    ident, fragment = struct.unpack("!HH", packet[4:8])
    return Fields(packet[1], packet[8], ident, bool(fragment & DF), 0)
