"""Frames for each pass of the gateway, built without any of our own code.

`size` is everywhere the length of the inner (clear) IPv4 packet in octets. What the engine would
have written (ciphertext, ICV) is filler: the pipeline never looks at it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address

from bench import topology as top

IPV4 = struct.Struct("!BBHHHBBHII")
DESCRIPTOR = struct.Struct("!BBBBIQIIBBBBHBB")
ETHERTYPE_IPV4 = 0x0800
ETHERTYPE_CRYPTO = 0x88B5
PROTO_UDP = 17
PROTO_ESP = 50
SEALED, OPENED, DONE = 0x81, 0x82, 0x00
TRAILER, ESN, TRIM = 0x02, 0x01, 0x04
OUTER_LEN = 20 + 8 + top.IV_LEN
FRESH_SEQ = 1 << 31
"""Ahead of every sequence number that a benchmark of pass 2 commits."""
SEQ_AT = 14 + 8
"""Where the sequence number stands in a frame of the crypto port (64 bits)."""


class Pass(Enum):
    """The four ways through the pipeline that a benchmark drives."""

    OUTBOUND_1 = ("outbound", 1)
    OUTBOUND_2 = ("outbound", 2)
    INBOUND_1 = ("inbound", 1)
    INBOUND_2 = ("inbound", 2)


@dataclass(frozen=True, slots=True)
class Traffic:
    """Frames of one pass: they enter at `port`, and each leaves once at `egress`.

    `counter_at` is the offset of a 64-bit sequence number that grows by `step` with each round
    over the frames, because the anti-replay window commits it; None where frames may be repeated.
    """

    port: int
    egress: int
    frames: tuple[bytes, ...]
    counter_at: int | None = None
    step: int = 1

    def round(self, number: int) -> list[bytes]:
        """The frames of round `number` (from 0)."""
        at, ahead = self.counter_at, number * self.step
        if at is None:
            return list(self.frames)
        return [_advanced(frame, at, ahead) for frame in self.frames]


def _advanced(frame: bytes, at: int, ahead: int) -> bytes:
    counter = int.from_bytes(frame[at : at + 8], "big") + ahead
    return frame[:at] + counter.to_bytes(8, "big") + frame[at + 8 :]


def traffic(which: Pass, size: int, flows: int = top.FLOWS, sas: int = top.FLOWS) -> Traffic:
    """`flows` flows of packets of `size` octets, spread evenly over `sas` SAs."""
    build, port, egress = _BUILD[which]
    frames = tuple(build(flow * sas // flows, flow, size) for flow in range(flows))
    if which is not Pass.INBOUND_2:
        return Traffic(port, egress, frames)
    step = max(1, flows // sas)
    numbered = (_advanced(frame, SEQ_AT, flow % step) for flow, frame in enumerate(frames))
    return Traffic(port, egress, tuple(numbered), SEQ_AT, step)


def clear_frame(sa: int, flow: int, size: int) -> bytes:
    """From a host of the site to the remote host of SA `sa`."""
    ethernet = _ethernet(top.GATEWAY_MAC + top.PROTECTED_PORT, top.SITE_MAC, ETHERTYPE_IPV4)
    return ethernet + _inner(top.site_host(flow), top.remote_host(sa), flow, size)


def esp_frame(sa: int, flow: int, size: int, seq: int = FRESH_SEQ) -> bytes:
    """ESP from the peer on SA `sa`."""
    ethernet = _ethernet(top.GATEWAY_MAC + top.UNPROTECTED_PORT, top.ROUTER_MAC, ETHERTYPE_IPV4)
    return ethernet + _esp(top.PEER, top.GATEWAY, sa, size, seq)


def sealed_frame(sa: int, flow: int, size: int) -> bytes:
    """The engine's answer to a SEAL request of SA `sa`."""
    ethernet = _ethernet(top.GATEWAY_MAC + top.PROTECTED_PORT, top.SITE_MAC, ETHERTYPE_CRYPTO)
    descriptor = _descriptor(SEALED, TRAILER | ESN, sa, size, _pad(size))
    return ethernet + descriptor + _esp(top.GATEWAY, top.PEER, sa, size)


def opened_frame(sa: int, flow: int, size: int) -> bytes:
    """The engine's answer to an OPEN request of SA `sa`."""
    ethernet = _ethernet(top.GATEWAY_MAC + top.UNPROTECTED_PORT, top.ROUTER_MAC, ETHERTYPE_CRYPTO)
    descriptor = _descriptor(OPENED, TRAILER | ESN | TRIM, sa, size, _pad(size))
    outer = _esp(top.PEER, top.GATEWAY, sa, size)[:OUTER_LEN]
    inner = _inner(top.remote_host(sa), top.site_host(flow), flow, size)
    return ethernet + descriptor + outer + inner


_BUILD = {
    Pass.OUTBOUND_1: (clear_frame, top.PROTECTED_PORT, top.CRYPTO_PORT),
    Pass.OUTBOUND_2: (sealed_frame, top.CRYPTO_PORT, top.UNPROTECTED_PORT),
    Pass.INBOUND_1: (esp_frame, top.UNPROTECTED_PORT, top.CRYPTO_PORT),
    Pass.INBOUND_2: (opened_frame, top.CRYPTO_PORT, top.PROTECTED_PORT),
}


def _inner(src: IPv4Address, dst: IPv4Address, flow: int, size: int) -> bytes:
    udp = struct.pack("!HHHH", 1024 + flow % 60000, 4000, size - 20, 0)
    return ipv4(src, dst, PROTO_UDP, size) + udp + _filler(size - 28)


def _esp(src: IPv4Address, dst: IPv4Address, sa: int, size: int, seq: int = 1) -> bytes:
    sealed = size + _pad(size) + 2 + top.ICV_LEN
    head = struct.pack("!IIQ", top.spi(sa), seq & 0xFFFF_FFFF, seq)
    return ipv4(src, dst, PROTO_ESP, OUTER_LEN + sealed) + head + _filler(sealed)


def _pad(size: int) -> int:
    return -(size + 2) % top.ALIGN


def _descriptor(op: int, flags: int, sa: int, size: int, pad: int) -> bytes:
    key = top.default_key(sa)
    return DESCRIPTOR.pack(
        *(op, flags, DONE, 4, key, 1, sa << 8 | top.GENERATION, sa << 8 | pad),
        *(20, 8, top.IV_LEN, OUTER_LEN, size, top.ICV_LEN, top.ALIGN),
    )


def _ethernet(dst: int, src: int, ethertype: int) -> bytes:
    return dst.to_bytes(6, "big") + src.to_bytes(6, "big") + ethertype.to_bytes(2, "big")


def ipv4(src: IPv4Address, dst: IPv4Address, protocol: int, length: int) -> bytes:
    fields = (0x45, 0, length, 0, 0x4000, 64, protocol)
    checksum = _checksum(IPV4.pack(*fields, 0, int(src), int(dst)))
    return IPV4.pack(*fields, checksum, int(src), int(dst))


def _checksum(data: bytes) -> int:
    """RFC 1071, over an even number of octets."""
    total = sum(_words(data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _words(data: bytes) -> Iterator[int]:
    return (word for (word,) in struct.iter_unpack("!H", data))


def _filler(length: int) -> bytes:
    return (bytes(range(256)) * (length // 256 + 1))[:length]
