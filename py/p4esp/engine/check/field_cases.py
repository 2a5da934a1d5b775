"""Conformance cases of descriptor fields that few requests use: FILL, MODE, the UDP checksum."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from p4esp.engine.check.bench import Bench, CheckError
from p4esp.engine.check.case import Case
from p4esp.engine.check.requests import open_request, seal_request, vector_open
from p4esp.engine.check.vectors import VECTORS
from p4esp.engine.descriptor import CryptoFrame, Flag, Status
from p4esp.engine.keystore import Direction

_PAYLOAD: Final = VECTORS["D1"].payload
_FILLING: Final = Flag.TRAILER | Flag.FILL
#: IPv6 2001:db8::1 -> 2001:db8::2, next header UDP; the payload length is none of the engine's.
IPV6: Final = bytes.fromhex("60000000 0000 11 40" + "20010db8" + "00" * 11 + "01") + bytes.fromhex(
    "20010db8" + "00" * 11 + "02"
)


def ipv6_udp(length: int, between: bytes = b"") -> bytes:
    """Build an outer header: IPv6, ``between``, UDP 4500 with its length field and no checksum."""
    return IPV6 + between + bytes.fromhex("11941194") + length.to_bytes(2, "big") + bytes(2)


def udp_seal(
    handle: int, seq: int, payload: bytes, between: bytes = b"", **fields: Any
) -> CryptoFrame:
    """Build a seal request for ESP in UDP over IPv6, AES-GCM-16, with the checksum asked for."""
    size = fields.get("plain_len", len(payload))
    sealed = 8 + 8 + 8 + size + 2 + -(size + 2) % 4 + 16
    outer = ipv6_udp(sealed, between)
    return seal_request(handle, seq, payload, outer=outer, **{"pad": len(outer) - 8} | fields)


async def filled(bench: Bench) -> None:
    """What the frame lacks is zeros, from all of the payload to none of it."""
    handle, spec = await bench.fresh()
    for seq, plain_len in enumerate((0, 10, 33, 34, 64, 1400), 1):
        request = seal_request(handle, seq, _PAYLOAD, nh=4, flags=_FILLING, plain_len=plain_len)
        await bench.answered(request, spec)
    empty = seal_request(handle, 100, b"", nh=59, flags=_FILLING, plain_len=64)
    await bench.answered(empty, spec)


async def not_filled(bench: Bench) -> None:
    """Without the flag, with a frame that ends in the headers, or when opening: malformed."""
    handle, _ = await bench.fresh()
    opener = await bench.for_vector(VECTORS["D1"], Direction.OPEN)
    request = seal_request(handle, 1, _PAYLOAD, flags=_FILLING, plain_len=64)
    short = replace(request, packet=request.packet[:35])
    without = replace(request.descriptor, flags=Flag.TRAILER)
    alone = replace(request.descriptor, flags=Flag.FILL)
    for spoilt in (
        short,
        replace(request, descriptor=without),
        replace(request, descriptor=alone),
        vector_open(opener, VECTORS["D1"], flags=_FILLING),
    ):
        await bench.expect(spoilt, Status.BAD_DESCRIPTOR)


async def mode_bits(bench: Bench) -> None:
    """They come back as they were and change nothing."""
    handle, spec = await bench.fresh()
    opener = await bench.for_vector(VECTORS["D1"], Direction.OPEN)
    for number in range(4):
        flags = Flag.TRAILER | number << 4
        await bench.answered(seal_request(handle, number + 1, _PAYLOAD, nh=4, flags=flags), spec)
        reply = await bench.reply(vector_open(opener, VECTORS["D1"], flags=flags))
        if (reply.descriptor.status, reply.descriptor.flags) != (Status.DONE, flags):
            raise CheckError(f"mode {number} comes back with flags {reply.descriptor.flags:#04x}")


async def udp_checksum(bench: Bench) -> None:
    """It is that of the sealed packet, also behind extension headers and with FILL."""
    handle, spec = await bench.fresh()
    options = bytes.fromhex("1100010400000000")
    for seq, size in enumerate((0, 1, 33, 1400), 1):
        payload = bench.random_bytes(size)
        await bench.answered(udp_seal(handle, 4 * seq, payload, nh=59), spec)
        await bench.answered(udp_seal(handle, 4 * seq + 1, payload, options, nh=59), spec)
        longer = udp_seal(handle, 4 * seq + 2, payload, flags=_FILLING, plain_len=size + 100)
        await bench.answered(longer, spec)


async def no_udp_checksum(bench: Bench) -> None:
    """Where there is no such UDP header the request is malformed, and seals nothing."""
    handle, spec = await bench.fresh()
    opener = await bench.for_vector(VECTORS["D1"], Direction.OPEN)
    request = udp_seal(handle, 1, _PAYLOAD)
    for pad in (1, 39, 41, 48, 255):
        spoilt = replace(request, descriptor=replace(request.descriptor, pad=pad))
        await bench.expect(spoilt, Status.BAD_DESCRIPTOR)
    shorter = replace(request.descriptor, plain_len=len(_PAYLOAD) - 4)
    await bench.expect(replace(request, descriptor=shorter), Status.BAD_DESCRIPTOR)
    ipv4 = replace(request, packet=b"\x45" + request.packet[1:])
    await bench.expect(ipv4, Status.BAD_DESCRIPTOR)
    opening = open_request(opener, 7, VECTORS["D1"].esp, outer=ipv6_udp(76), pad=40)
    await bench.expect(opening, Status.BAD_DESCRIPTOR)
    await bench.answered(request, spec)


async def long_headers(bench: Bench) -> None:
    """Headers may reach as far as ``ct_off`` does: 255 bytes."""
    handle, spec = await bench.fresh()
    outer = bench.random_bytes(255 - 16)
    await bench.answered(seal_request(handle, 1, _PAYLOAD, outer=outer), spec)
    opener = await bench.for_vector(VECTORS["D1"], Direction.OPEN)
    reply = await bench.reply(open_request(opener, 7, VECTORS["D1"].esp, outer=outer))
    if (reply.descriptor.status, reply.packet[255:][:33]) != (Status.DONE, _PAYLOAD):
        raise CheckError(f"a text at 255 is not opened: status {reply.descriptor.status:#x}")


CASES: Final = (
    Case("fill.zeros", "what the frame lacks is TFC padding of zeros", filled),
    Case("fill.flag", "FILL is for sealing with TRAILER, and for the payload alone", not_filled),
    Case("flags.mode", "MODE is the pipeline's", mode_bits),
    Case("udp.checksum", "the UDP checksum of the sealed packet", udp_checksum),
    Case("udp.descriptor", "no checksum where there is no fitting UDP header", no_udp_checksum),
    Case("frame.headers", "headers of up to 255 bytes", long_headers),
)
