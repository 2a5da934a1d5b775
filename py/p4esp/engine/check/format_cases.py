"""Conformance cases of the formats that are not RFC 4303's (docs/crypto-port.md, section 3)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any, Final

from p4esp.engine.check.bench import Bench, CheckError
from p4esp.engine.check.case import Case
from p4esp.engine.check.layouts import (
    INNER,
    KEY,
    LAYOUTS,
    ROOT,
    SALT,
    VECTORS,
    FormatVector,
    Layout,
    ipv4,
    ipv6,
    tih_of,
)
from p4esp.engine.check.requests import open_request, seal_request
from p4esp.engine.check.transform_cases import CBC, GMAC, NULL
from p4esp.engine.descriptor import CryptoFrame, Flag, Status
from p4esp.engine.features import LONG_HEADER, NO_TRAILER, SHOWN, SUB_KEYS, TIH
from p4esp.engine.keystore import Direction, KeySpec
from p4esp.engine.subkeys import HKDF_SHA2_256

_NH: Final = 4


async def round_trip(bench: Bench, layout: Layout) -> None:
    """Seal as the judge does, open again: with 32-bit numbers, then with ESN or a subspace."""
    handle, spec = await bench.fresh(transform=layout.transform)
    opener = await bench.install(replace(spec, direction=Direction.OPEN))
    longer = (1 << 32, Flag.ESN) if layout.width == 8 else (3 << 48, Flag(0))
    for high, flag in ((0, Flag(0)), longer):
        fields: dict[str, Any] = {"flags": int(layout.flags | flag)}
        for seq, size in enumerate((8, 9, 10, 11, 12, 33, 1380), high + 1):
            packet = ipv4(bench.random_bytes(size))
            request = layout.seal(handle, seq, packet, **fields)
            esp = (await bench.answered(request, spec)).packet[20:]
            esp = esp[: _sealed_length(request)]
            reply = await bench.reply(layout.open(opener, seq, esp, **fields))
            _comes_back(request, reply)


def _sealed_length(request: CryptoFrame) -> int:
    asked = request.descriptor
    behind = 2 if asked.flags & Flag.TRAILER else 0
    pad = -(asked.plain_len + behind) % asked.align
    return asked.ct_off - 20 + asked.plain_len + pad + behind + asked.icv


def _comes_back(request: CryptoFrame, reply: CryptoFrame) -> None:
    found = reply.descriptor
    text = reply.packet[: len(request.packet)]
    length = request.descriptor.plain_len
    if (found.status, found.nh, found.plain_len, text) != (0, _NH, length, request.packet):
        raise CheckError(f"{request.packet.hex()} comes back as {text.hex()}: {found}")


async def _vector_handle(bench: Bench, vector: FormatVector) -> int:
    transform = vector.layout.transform
    if vector.sub is None:
        return await bench.install(KeySpec(Direction.OPEN, transform, KEY, SALT))
    spec = KeySpec(Direction.OPEN, transform, ROOT, b"", subs=vector.sub + 1, kdf=HKDF_SHA2_256)
    return await bench.install(spec) + vector.sub


async def open_vector(bench: Bench, vector: FormatVector) -> None:
    """The packet of the digest holds its payload."""
    request = vector.layout.open(await _vector_handle(bench, vector), vector.seq, vector.esp)
    reply = await bench.reply(request)
    text = vector.layout.text(tih_of(vector.nh, 0), vector.packet)
    expected = request.packet[: request.descriptor.ct_off] + text
    found = reply.descriptor
    if (found.status, found.nh, found.plain_len) != (Status.DONE, vector.nh, len(text)):
        raise CheckError(f"{vector.name} is opened as {found}")
    if reply.packet[: len(expected)] != expected:
        raise CheckError(f"{vector.name} holds {reply.packet.hex()}, expected {expected.hex()}")


async def tampering(bench: Bench, vector: FormatVector) -> None:
    """A flipped bit in any byte is BAD_ICV: all of it is authenticated."""
    handle = await _vector_handle(bench, vector)
    for position in range(len(vector.esp)):
        esp = bytearray(vector.esp)
        esp[position] ^= 1
        await bench.expect(vector.layout.open(handle, vector.seq, bytes(esp)), Status.BAD_ICV)


# --- how a text ends -----------------------------------------------------------------------


async def _opened(bench: Bench, request: CryptoFrame, nh: int, pad: int, plain_len: int) -> None:
    found = (await bench.reply(request)).descriptor
    got = (found.status, found.nh, found.pad, found.plain_len)
    if got != (Status.DONE, nh, pad, plain_len):
        raise CheckError(
            f"nh {nh}, {pad} bytes of padding and {plain_len} of text expected: {found}"
        )


async def tih_read(bench: Bench, name: str) -> None:
    """Next header and padding go by the TIH; a wrong one is refused behind a right ICV."""
    layout, word = LAYOUTS[name], 4 if LAYOUTS[name].tih_inside else 0
    handle, spec = await bench.fresh(Direction.OPEN, transform=layout.transform)
    packet, trim = ipv4(bytes(20)), layout.flags | Flag.TRIM

    def asked(
        tih: bytes, behind: bytes, body: bytes = packet, flags: Flag = layout.flags
    ) -> CryptoFrame:
        header, text = layout.header(9, tih, body), layout.text(tih, body)
        return layout.crafted(handle, spec, 9, header, text + behind, flags=int(flags))

    rest = len(packet) - layout.shown
    await _opened(bench, asked(tih_of(17, 0), b""), 17, 0, word + rest)
    await _opened(bench, asked(tih_of(4, 255), bytes(255)), 4, 255, word + rest)
    await _opened(bench, asked(tih_of(4, 0), bytes(64), flags=trim), 4, 0, word + rest)
    for tih in (b"\x10\0\x04\0", b"\0\x01\x04\0", b"\x01\0\x04\0", b"\x80\0\x04\0"):
        await bench.expect(asked(tih, b""), Status.BAD_PAD)
    await bench.expect(asked(tih_of(4, 3), b"\0\x01\0"), Status.BAD_PAD)
    await bench.expect(asked(tih_of(4, rest + 1), b""), Status.BAD_PADLEN)
    await bench.expect(asked(tih_of(41, 0), b"", flags=trim), Status.BAD_INNER)
    longer = packet[:3] + b"\xff" + packet[4:]
    await bench.expect(asked(tih_of(4, 0), b"", longer, trim), Status.BAD_INNER)


async def packet_read(bench: Bench, name: str) -> None:
    """Without a trailer the IP header tells kind and length; the rest is zeros."""
    layout = LAYOUTS[name]
    handle, spec = await bench.fresh(Direction.OPEN, transform=layout.transform)
    fill = {"flags": int(layout.flags | Flag.FILL)}

    def asked(packet: bytes, behind: bytes, **fields: int) -> CryptoFrame:
        text = layout.text(b"", packet) + behind
        return layout.crafted(handle, spec, 9, layout.header(9, b"", packet), text, **fields)

    four, six = ipv4(b"four" * 3), ipv6(b"six")
    for packet, nh in ((four, 4), (six, 41)):
        rest = len(packet) - layout.shown
        for pad in range(4):
            await _opened(bench, asked(packet, bytes(pad)), nh, 0, rest)
        await _opened(bench, asked(packet, bytes(300), **fill), nh, 0, rest)
        await bench.expect(asked(packet, bytes(4)), Status.BAD_INNER)
        await bench.expect(asked(packet, b"\0\x01"), Status.BAD_PAD)
        await bench.expect(asked(packet, bytes(9) + b"\x01", **fill), Status.BAD_PAD)
        await bench.expect(asked(packet[:-1], b""), Status.BAD_INNER)
    for first in (b"\0", b"\x44", b"\x55", b"\x7f", b"\xff"):
        await bench.expect(asked(first + four[1:], b""), Status.BAD_INNER)
    if not layout.shown:
        await bench.expect(asked(b"", b"", **fill), Status.BAD_INNER)


async def shown_read(bench: Bench) -> None:
    """With all of the packet shown the text may be empty; a packet ends in the text at least."""
    layout = LAYOUTS["crypt-offset"]
    handle, spec = await bench.fresh(Direction.OPEN)
    trim = {"flags": int(layout.flags | Flag.TRIM)}
    whole, short = ipv4(bytes(8)), ipv4(bytes(7)) + b"\0"
    behind = bytes((1, 2, 2, _NH))
    request = layout.crafted(handle, spec, 9, layout.header(9, b"", whole), behind, **trim)
    await _opened(bench, request, _NH, 2, 0)
    request = layout.crafted(handle, spec, 9, layout.header(9, b"", short), behind, **trim)
    await bench.expect(request, Status.BAD_INNER)
    request = layout.crafted(handle, spec, 9, layout.header(9, b"", whole), b"\1\1\3\4", **trim)
    await bench.expect(request, Status.BAD_PADLEN)


async def tfc_padding(bench: Bench, name: str) -> None:
    """FILL asks for zeros behind the packet, and the other end cuts them off."""
    layout = LAYOUTS[name]
    handle, spec = await bench.fresh(transform=layout.transform)
    opener = await bench.install(replace(spec, direction=Direction.OPEN))
    plain_len = 64 + 4 * layout.tih_inside
    filling = {"flags": int(layout.flags | Flag.FILL), "plain_len": plain_len}
    request = layout.seal(handle, 1, INNER, tih_of(_NH, 0), **filling)
    esp = (await bench.answered(request, spec)).packet[20:]
    trim = Flag.TRIM if layout.flags & (Flag.TRAILER | Flag.TIH) else Flag.FILL
    esp = esp[: _sealed_length(request)]
    reply = await bench.reply(layout.open(opener, 1, esp, flags=int(layout.flags | trim)))
    if reply.packet[: len(request.packet)] != request.packet:
        raise CheckError(f"behind TFC padding of zeros: {reply.descriptor}")


# --- one nonce, once, and what is malformed ------------------------------------------------


async def shown_nonce(bench: Bench) -> None:
    """The guard sees the IV in the AAD, and the same one in another format."""
    layout = LAYOUTS["crypt-offset"]
    handle, spec = await bench.fresh()
    first, second = (layout.seal(handle, seq, INNER) for seq in (50, 51))
    await bench.answered(first, spec)
    iv_at = first.descriptor.aad_off + 8
    stolen = second.packet[:iv_at] + first.packet[iv_at:][:8] + second.packet[iv_at + 8 :]
    await bench.expect(replace(second, packet=stolen), Status.NONCE_REFUSED)
    await bench.expect(seal_request(handle, 50, INNER, nh=_NH), Status.NONCE_REFUSED)
    await bench.answered(second, spec)


async def subspace_nonce(bench: Bench) -> None:
    """Equal numbers of two subspaces are two IVs, one number of one subspace is one."""
    layout = LAYOUTS["subspaces"]
    handle, spec = await bench.fresh(transform=layout.transform)
    for subspace in (3, 4):
        await bench.answered(layout.seal(handle, subspace << 48 | 1, INNER), spec)
    await bench.expect(layout.seal(handle, 3 << 48 | 1, INNER), Status.NONCE_REFUSED)


_MALFORMED: Final[dict[str, tuple[dict[str, int], ...]]] = {
    "subspaces": ({"flags": 3}, {"aad_len": 8}, {"aad_len": 16}, {"aad_len": 11}, {"ct_off": 28}),
    "trailer-in-header": ({"flags": 0x82}, {"flags": 0x84}, {"plain_len": 3}, {"seq": 1 << 32}),
    "trailer-in-clear": (
        *({"aad_len": 4, "ct_off": 36}, {"aad_len": 9, "ct_off": 41}, {"ct_off": 41}),
        *({"ct_off": 35}, {"ct_off": 32}, {"aad_len": 16}, {"aad_len": 0, "ct_off": 28}),
        *({"flags": 0xC2}, {"flags": 0xC4}, {"seq": 1 << 32}),
    ),
    "crypt-offset": ({"aad_len": 10, "ct_off": 66}, {"ct_off": 62}, {"iv_len": 0}),
    "eesp-optimized": ({"flags": 0x45}, {"aad_len": 20}, {"aad_len": 15}, {"ct_off": 46}),
    "no-trailer": ({"flags": 6}, {"plain_len": 200}, {"pad": 1}),
}


async def malformed(bench: Bench, name: str) -> None:
    """Offsets and flags that contradict each other are refused, and seal nothing."""
    layout = LAYOUTS[name]
    handle, spec = await bench.fresh(transform=layout.transform)
    request = layout.seal(handle, 1, INNER)
    for fields in _MALFORMED[name]:
        spoilt = replace(request, descriptor=replace(request.descriptor, **fields))
        await bench.expect(spoilt, Status.BAD_DESCRIPTOR)
    await bench.answered(request, spec)


async def error_replies(bench: Bench) -> None:
    """An error reply has the clear bytes and nothing behind them."""
    layout = LAYOUTS["crypt-offset"]
    handle, _ = await bench.fresh(generation=3)
    await bench.expect(layout.seal(handle, 1, INNER), Status.STALE_GEN)
    await bench.expect(layout.seal(0, 1, INNER), Status.NO_KEY)


async def plain_headers_alone(bench: Bench, transform: str, fields: dict[str, int]) -> None:
    """A transform that builds its AAD itself has the headers of RFC 4303 alone."""
    handle, spec = await bench.fresh(transform=transform)
    request = seal_request(handle, 1, ipv4(bytes(32)), transform=transform, nh=_NH)
    if "aad_len" in fields:
        fields = fields | {"ct_off": 20 + fields["aad_len"] + request.descriptor.iv_len}
    spoilt = replace(request, descriptor=replace(request.descriptor, **fields))
    await bench.expect(spoilt, Status.BAD_DESCRIPTOR)
    await bench.answered(request, spec)


async def no_trailer(bench: Bench, transform: str) -> None:
    """TRIM alone goes with every transform."""
    handle, spec = await bench.fresh(transform=transform)
    opener = await bench.install(replace(spec, direction=Direction.OPEN))
    for seq, size in enumerate((16, 17, 30), 1):
        packet = ipv4(bench.random_bytes(size))
        request = seal_request(handle, seq, packet, transform=transform, flags=4, nh=_NH)
        esp = (await bench.answered(request, spec)).packet[20:][: _sealed_length(request)]
        reply = await bench.reply(open_request(opener, seq, esp, transform=transform, flags=4))
        at = request.descriptor.ct_off
        found = reply.descriptor
        got = (found.status, found.nh, found.plain_len, reply.packet[at:][: len(packet)])
        if got != (Status.DONE, _NH, len(packet), packet):
            raise CheckError(f"{packet.hex()} comes back as {got}")


_FIRST_WITH: Final = {
    LONG_HEADER: LAYOUTS["subspaces-iv"],
    TIH: LAYOUTS["trailer-in-header"],
    SHOWN: LAYOUTS["crypt-offset"],
    NO_TRAILER: LAYOUTS["no-trailer"],
}


async def unoffered(bench: Bench) -> None:
    """What the engine does not say that it has, it refuses."""
    offered = (await bench.keys.health()).features
    handle, spec = await bench.fresh()
    for feature, layout in _FIRST_WITH.items():
        if feature not in offered:
            await bench.expect(layout.seal(handle, 1, INNER), Status.BAD_DESCRIPTOR)
    await bench.sealed(handle, spec, 1, INNER)


def format_cases() -> Iterator[Case]:
    """Yield these cases in the order of the report."""
    for layout in LAYOUTS.values():
        run = partial(round_trip, layout=layout)
        what = "as computed apart"
        yield Case(f"format.{layout.name}", what, run, layout.transform, layout.features)
    for vector in VECTORS.values():
        needs = vector.layout.features + ((SUB_KEYS,) if vector.sub is not None else ())
        rest = (vector.layout.transform, needs)
        what = f"{vector.name}, {vector.layout.name}"
        yield Case(f"open.{vector.name}", what, partial(open_vector, vector=vector), *rest)
        what = f"{vector.name}: a flipped bit in any byte is BAD_ICV"
        yield Case(f"tampered.{vector.name}", what, partial(tampering, vector=vector), *rest)
    yield from _ending_cases()
    yield Case("nonce.shown", "the IV within the AAD counts", shown_nonce, features=(SHOWN,))
    what = "the subspace is part of the IV"
    yield Case(
        "nonce.subspaces", what, subspace_nonce, LAYOUTS["subspaces"].transform, (LONG_HEADER,)
    )
    for name in _MALFORMED:
        what, run = "inconsistent requests are BAD_DESCRIPTOR", partial(malformed, name=name)
        layout = LAYOUTS[name]
        yield Case(f"descriptor.{name}", what, run, layout.transform, layout.features)
    yield Case(
        "shown.errors", "an error reply has clear bytes alone", error_replies, features=(SHOWN,)
    )
    yield from _transform_cases()
    yield Case("features.others", "a feature that is not offered is refused", unoffered)


def _ending_cases() -> Iterator[Case]:
    for name, layout in LAYOUTS.items():
        rest = (layout.transform, layout.features)
        if layout.flags & Flag.TIH:
            what = "next header and padding go by the TIH"
            yield Case(f"ending.{name}", what, partial(tih_read, name=name), *rest)
        elif not layout.flags & Flag.TRAILER:
            what = "the inner packet tells its kind and length"
            yield Case(f"ending.{name}", what, partial(packet_read, name=name), *rest)
        what = "TFC padding of zeros"
        yield Case(f"fill.{name}", what, partial(tfc_padding, name=name), *rest)
    yield Case("ending.shown", "all of the packet may be shown", shown_read, features=(SHOWN,))


def _transform_cases() -> Iterator[Case]:
    fields = {SHOWN: {"flags": 0x42}, TIH: {"flags": 0x80}, LONG_HEADER: {"aad_len": 12}}
    for transform in (GMAC, CBC, NULL):
        for feature, spoilt in fields.items():
            run = partial(plain_headers_alone, transform=transform, fields=spoilt)
            name, what = f"{feature}.{transform}", "headers of RFC 4303 alone"
            yield Case(name, what, run, transform, (feature,))
        run = partial(no_trailer, transform=transform)
        yield Case(f"no-trailer.{transform}", "without a trailer", run, transform, (NO_TRAILER,))
