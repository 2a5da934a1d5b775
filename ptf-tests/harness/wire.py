"""IP packets taken apart and put together by hand: where the protocol is named, and what UDP
(RFC 3948) and WESP (RFC 5840) put in front of ESP."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from harness import frames
from harness.esp import Key

ESP, UDP, WESP = frames.ESP, frames.UDP_PROTOCOL, frames.WESP
CHAIN = (0, 43, 60)  # extension headers that may stand in front of ESP
WESP_MARKER = b"\0\0\0\x02"
WESP_ENCRYPTED = 0x20
WESP_PADDED = 0x10


def protocol_at(packet: bytes) -> tuple[int, int]:
    """Where the number of the layer above IP stands, and where that layer begins."""
    if packet[0] >> 4 == 4:
        return 9, (packet[0] & 15) * 4
    place, at = 6, 40
    while packet[place] in CHAIN:
        place, at = at, at + 8 * (packet[at + 1] + 1)
    return place, at


def resized(packet: bytes) -> bytes:
    """The same with the length field, and over IPv4 the checksum, made to fit."""
    if packet[0] >> 4 == 6:
        return packet[:4] + struct.pack("!H", len(packet) - 40) + packet[6:]
    head_len = (packet[0] & 15) * 4
    head = packet[:2] + struct.pack("!H", len(packet)) + packet[4:10] + b"\0\0"
    head += packet[12:head_len]
    value = struct.pack("!H", frames.internet_checksum(head))
    return head[:10] + value + head[12:] + packet[head_len:]


def carrying(packet: bytes, protocol: int, payload: bytes) -> bytes:
    """``packet`` with another protocol and payload behind its headers."""
    place, at = protocol_at(packet)
    return resized(packet[:place] + bytes([protocol]) + packet[place + 1 : at] + payload)


def payload_of(packet: bytes) -> tuple[int, bytes]:
    """Protocol and payload behind the headers that ESP goes behind."""
    place, at = protocol_at(packet)
    return packet[place], packet[at:]


def wesp_header(key: Key, next_header: int, *, visible: bool, padded: bool = False) -> bytes:
    """RFC 5840 2; padded as over IPv6 without UDP."""
    flag, pad = (WESP_PADDED, bytes(4)) if padded else (0, b"")
    if not visible:
        return bytes([0, 0, 0, WESP_ENCRYPTED | flag]) + pad
    header_len = 4 + len(pad) + 8 + key.iv_len
    return bytes([next_header, header_len, key.icv_len, flag]) + pad


def wrapped(packet: bytes, *, wesp: bytes = b"", udp: tuple[int, int] | None = None) -> bytes:
    """An ESP packet put into WESP, and then into UDP without a checksum."""
    protocol, octets = ESP, payload_of(packet)[1]
    if wesp:
        protocol, octets = WESP, wesp + octets
    if udp is not None:
        octets = (WESP_MARKER if wesp else b"") + octets
        protocol = UDP
        octets = struct.pack("!HHHH", *udp, 8 + len(octets), 0) + octets
    return carrying(packet, protocol, octets)


@dataclass(frozen=True, slots=True)
class Unwrapped:
    """An ESP packet as if it had not been wrapped, and what was taken off."""

    packet: bytes
    wesp: bytes
    udp: bytes


def unwrapped(packet: bytes) -> Unwrapped:
    """Takes UDP, marker and WESP off."""
    protocol, octets = payload_of(packet)
    udp = wesp = b""
    if protocol == UDP:
        udp, octets = octets[:8], octets[8:]
        if octets[:4] == WESP_MARKER:
            protocol, octets = WESP, octets[4:]
    if protocol == WESP:
        size = 8 if octets[3] & WESP_PADDED else 4
        wesp, octets = octets[:size], octets[size:]
    return Unwrapped(carrying(packet, ESP, octets), wesp, udp)
