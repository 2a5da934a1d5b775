"""The conformance cases: every rule of docs/crypto-port.md that can be seen from outside."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from p4esp.engine.check.bench import Bench, CheckError, same_frame
from p4esp.engine.check.case import Case
from p4esp.engine.check.field_cases import CASES
from p4esp.engine.check.format_cases import format_cases
from p4esp.engine.check.psp_cases import psp_cases
from p4esp.engine.check.requests import (
    ETHERNET,
    OUTER,
    open_request,
    seal_request,
    vector_open,
    vector_seal,
)
from p4esp.engine.check.sub_key_cases import CASES as SUB_KEY_CASES
from p4esp.engine.check.transform_cases import cases
from p4esp.engine.check.vectors import VECTORS, Vector
from p4esp.engine.descriptor import CryptoFrame, Flag, Status
from p4esp.engine.errors import KeyStoreError
from p4esp.engine.keystore import Direction, KeySpec

_FAULTS: Final = {
    "N1": Status.BAD_PAD,
    "N2": Status.BAD_PADLEN,
    "N3": Status.BAD_PADLEN,
    "N4": Status.BAD_INNER,
    "N6": Status.BAD_INNER,
    "N8": Status.BAD_INNER,
    "M12": Status.BAD_PADLEN,
}
_IRRELEVANT_TO_THE_NONCE: Final[tuple[dict[str, int], ...]] = (
    {},
    {"space": 7},
    {"flags": Flag.TRAILER | Flag.MODE},
    {"nh": 41},
    {"sa": 9},
    {"seq": 6},
)
_PAYLOAD: Final = VECTORS["D1"].payload
#: Reordering every engine must tolerate, in packets.
REORDER: Final = 64


# --- vectors -------------------------------------------------------------------------------


async def open_vector(bench: Bench, vector: Vector) -> None:
    """Open a published packet and compare the reply byte for byte."""
    flags = Flag.TRAILER | (Flag.ESN if vector.esn else Flag(0))
    handle = await bench.for_vector(vector, Direction.OPEN)
    request = vector_open(handle, vector, flags=flags)
    descriptor = replace(
        request.descriptor.reply(Status.DONE),
        nh=vector.next_header,
        pad=vector.plain[-2],
        plain_len=len(vector.payload),
    )
    packet = OUTER + vector.esp[: vector.text_at] + vector.payload
    same_frame(await bench.reply(request), CryptoFrame(ETHERNET, descriptor, packet))


async def seal_vector(bench: Bench, vector: Vector) -> None:
    """Seal a published packet; an engine that did so before in its life must refuse."""
    handle = await bench.for_vector(vector, Direction.SEAL)
    request = vector_seal(handle, vector)
    reply = await bench.reply(request)
    if reply.descriptor.status == Status.NONCE_REFUSED:
        return
    descriptor = replace(request.descriptor.reply(Status.DONE), pad=vector.plain[-2])
    same_frame(reply, CryptoFrame(ETHERNET, descriptor, OUTER + vector.esp))


async def fault_vector(bench: Bench, vector: Vector) -> None:
    """Refuse an authentic packet with a bad trailer or inner header."""
    handle = await bench.for_vector(vector, Direction.OPEN)
    await bench.expect(vector_open(handle, vector), _FAULTS[vector.name])


# --- seal and open -------------------------------------------------------------------------


async def sizes(bench: Bench) -> None:
    handle, spec = await bench.fresh()
    for seq, size in enumerate((0, 1, 2, 3, 4, 5, 15, 16, 17, 33, 64, 1400), 1):
        await bench.sealed(handle, spec, seq, bench.random_bytes(size))


async def large_frame(bench: Bench) -> None:
    handle, spec = await bench.fresh()
    # Sealed, this is a packet of 1500 bytes: 20 outer, 16 ESP and IV, 1446 payload, 18 tail.
    await bench.sealed(handle, spec, 1, bench.random_bytes(1446))


async def ethernet_padding(bench: Bench) -> None:
    handle, _ = await bench.fresh()
    opener = await bench.for_vector(VECTORS["D1"], Direction.OPEN)
    request = seal_request(handle, 1, b"short", nh=59)
    sealed = await bench.reply(replace(request, packet=request.packet + b"\xaa" * 20))
    if len(sealed.packet.rstrip(b"\0")) > len(request.packet) + 1 + 2 + 16:
        raise CheckError("bytes behind plain_len were sealed")
    esp = vector_open(opener, VECTORS["D1"])
    opened = await bench.reply(replace(esp, packet=esp.packet + bytes(20)))
    if opened.descriptor.status != Status.DONE:
        raise CheckError("bytes behind the ICV changed the result")


async def traffic_flow_padding(bench: Bench) -> None:
    handle = await bench.for_vector(VECTORS["D11"], Direction.OPEN)
    reply = await bench.reply(vector_open(handle, VECTORS["D11"]))
    if (reply.descriptor.plain_len, reply.packet[36:69]) != (33, _PAYLOAD):
        raise CheckError(f"TRIM left {reply.descriptor.plain_len} bytes, the inner packet has 33")


async def tampering(bench: Bench) -> None:
    vector = VECTORS["D1"]
    handle = await bench.for_vector(vector, Direction.OPEN)
    for position in range(len(vector.esp)):
        esp = bytearray(vector.esp)
        esp[position] ^= 0x80
        await bench.expect(open_request(handle, 7, bytes(esp)), Status.BAD_ICV)


async def extended_numbers(bench: Bench) -> None:
    handle = await bench.for_vector(VECTORS["D2"], Direction.OPEN)
    request = vector_open(handle, VECTORS["D2"])
    for seq in (7, 2 << 32 | 7):
        wrong = replace(request, descriptor=replace(request.descriptor, seq=seq))
        await bench.expect(wrong, Status.BAD_ICV)


# --- one nonce, once -----------------------------------------------------------------------


async def duplicates(bench: Bench) -> None:
    handle, spec = await bench.fresh()
    await bench.sealed(handle, spec, 5, _PAYLOAD)
    request = seal_request(handle, 5, _PAYLOAD, nh=4)
    for fields in _IRRELEVANT_TO_THE_NONCE:
        again = replace(request, descriptor=replace(request.descriptor, **fields))
        await bench.expect(again, Status.NONCE_REFUSED)


async def iv_of_the_packet(bench: Bench) -> None:
    handle, _ = await bench.fresh()
    iv = (50).to_bytes(8, "big")
    await bench.reply(seal_request(handle, 1, _PAYLOAD, iv=iv))
    await bench.expect(seal_request(handle, 2, _PAYLOAD, iv=iv), Status.NONCE_REFUSED)


async def same_key_again(bench: Bench) -> None:
    handle, spec = await bench.fresh()
    await bench.sealed(handle, spec, 5, _PAYLOAD)
    for remove_first in (False, True):
        if remove_first:
            await bench.remove(handle)
        await _refuses_repeat(bench, spec)


async def _refuses_repeat(bench: Bench, spec: KeySpec) -> None:
    try:
        handle = await bench.install(spec)
    except KeyStoreError:
        return
    await bench.expect(seal_request(handle, 5, _PAYLOAD, nh=4), Status.NONCE_REFUSED)


async def reordering(bench: Bench) -> None:
    handle, spec = await bench.fresh()
    for seq in (REORDER + 1, *range(REORDER, 1, -2), *range(3, REORDER, 2)):
        await bench.sealed(handle, spec, seq, _PAYLOAD)
    for seq in (2, 3, REORDER, REORDER + 1):
        request = seal_request(handle, seq, _PAYLOAD, nh=4)
        await bench.expect(request, Status.NONCE_REFUSED)


async def loss(bench: Bench) -> None:
    handle, spec = await bench.fresh()
    for seq in (1, 3, 100, 10_000, (1 << 32) - 1):
        await bench.sealed(handle, spec, seq, _PAYLOAD)
    await bench.expect(seal_request(handle, 1, _PAYLOAD, nh=4), Status.NONCE_REFUSED)


async def burst(bench: Bench) -> None:
    handle, _ = await bench.fresh()
    requests = [seal_request(handle, seq, _PAYLOAD, nh=4) for seq in range(1, 33)]
    for reply in await bench.replies(requests):
        if reply.descriptor.status != Status.DONE:
            raise CheckError(f"one of 32 requests in a row: status {reply.descriptor.status:#x}")


# --- handles -------------------------------------------------------------------------------


async def stale_generation(bench: Bench) -> None:
    handle, _ = await bench.fresh(generation=3)
    for generation in (2, 4, 0):
        request = seal_request(handle, 1, _PAYLOAD, gen=generation)
        await bench.expect(request, Status.STALE_GEN)


async def unknown_handle(bench: Bench) -> None:
    handle, _ = await bench.fresh()
    for unknown in (0, handle + 1 & 0xFFFFFFFF, 0xFFFFFFFF):
        await bench.expect(seal_request(unknown, 1, _PAYLOAD), Status.NO_KEY)


async def removed_handle(bench: Bench) -> None:
    handle, _ = await bench.fresh()
    await bench.remove(handle)
    await bench.expect(seal_request(handle, 1, _PAYLOAD), Status.NO_KEY)


async def wrong_direction(bench: Bench) -> None:
    sealer, _ = await bench.fresh()
    opener, _ = await bench.fresh(Direction.OPEN)
    await bench.expect(open_request(sealer, 7, VECTORS["D1"].esp), Status.NO_KEY)
    await bench.expect(seal_request(opener, 7, _PAYLOAD), Status.NO_KEY)


async def handles_not_reused(bench: Bench) -> None:
    seen = set()
    for _ in range(20):
        handle, _ = await bench.fresh()
        await bench.remove(handle)
        seen.add(handle)
    if len(seen) != 20 or 0 in seen:
        raise CheckError(f"20 installs gave {len(seen)} handles")


# --- descriptors ---------------------------------------------------------------------------

_MALFORMED: Final[tuple[dict[str, int], ...]] = (
    {"op": 3},
    {"flags": Flag.TRAILER | Flag.SHOWN, "aad_len": 4, "ct_off": 32},
    {"flags": Flag.TRAILER | Flag.TIH},
    {"flags": Flag.TRAILER | Flag.TRIM},
    {"pad": 1},
    {"aad_len": 7},
    {"iv_len": 0, "ct_off": 28},
    {"icv": 12},
    {"align": 0},
    {"align": 3},
    {"ct_off": 60},
    {"aad_off": 239, "ct_off": 255},
    {"plain_len": len(_PAYLOAD) + 1},
    {"seq": 1 << 32},
)


async def malformed(bench: Bench) -> None:
    handle, spec = await bench.fresh()
    request = seal_request(handle, 1, _PAYLOAD, nh=4)
    for fields in _MALFORMED:
        spoilt = replace(request, descriptor=replace(request.descriptor, **fields))
        await bench.expect(spoilt, Status.BAD_DESCRIPTOR)
    await bench.sealed(handle, spec, 1, _PAYLOAD)


async def malformed_open(bench: Bench) -> None:
    handle = await bench.for_vector(VECTORS["D1"], Direction.OPEN)
    for fields in ({"flags": Flag.FILL}, {"plain_len": 17}, {"plain_len": 0xFFFF}, {"icv": 8}):
        request = vector_open(handle, VECTORS["D1"])
        spoilt = replace(request, descriptor=replace(request.descriptor, **fields))
        await bench.expect(spoilt, Status.BAD_DESCRIPTOR)


async def no_request(bench: Bench) -> None:
    handle, _ = await bench.fresh()
    request = seal_request(handle, 1, _PAYLOAD)
    reply = await bench.reply(request)
    answered = replace(request, descriptor=replace(request.descriptor, status=Status.DONE))
    foreign = replace(request, ethernet=ETHERNET[:12] + b"\x08\x00")
    frames = [reply.encode(), answered.encode(), foreign.encode(), request.encode()[:45]]
    frames.append(replace(request, descriptor=request.descriptor.reply(Status.REQUEST)).encode())
    await bench.silence(frames)


async def counters(bench: Bench) -> None:
    before = await bench.keys.stats()
    handle, spec = await bench.fresh()
    await bench.sealed(handle, spec, 1, _PAYLOAD)
    await bench.expect(seal_request(handle, 1, _PAYLOAD, nh=4), Status.NONCE_REFUSED)
    await bench.expect(seal_request(handle, 2, _PAYLOAD, gen=1), Status.STALE_GEN)
    after = await bench.keys.stats()
    for status in (Status.DONE, Status.NONCE_REFUSED, Status.STALE_GEN):
        grown = after.replies.get(status.name, 0) - before.replies.get(status.name, 0)
        if grown != 1:
            raise CheckError(f"counter {status.name} grew by {grown}, expected 1")


def all_cases() -> Iterator[Case]:
    """Yield every case in the order of the report."""
    sealed: set[tuple[bytes, bytes, bytes]] = set()
    for vector in VECTORS.values():
        yield from _vector_cases(vector, sealed)
    yield from _RULES
    yield from CASES
    yield from cases()
    yield from format_cases()
    yield from SUB_KEY_CASES
    yield from psp_cases()


def _vector_cases(vector: Vector, sealed: set[tuple[bytes, bytes, bytes]]) -> Iterator[Case]:
    if vector.name in _FAULTS:
        what = f"{vector.name} is refused: {_FAULTS[vector.name].name}"
        yield Case(
            f"open.{vector.name}", what, lambda bench: fault_vector(bench, vector), vector.transform
        )
        return
    what = f"{vector.name}, {vector.transform}"
    yield Case(
        f"open.{vector.name}", what, lambda bench: open_vector(bench, vector), vector.transform
    )
    # Implicit and explicit IVs of one number are one nonce.
    nonce = (vector.key, vector.salt, vector.iv or vector.seq.to_bytes(8, "big"))
    if vector.plain[-2] < 4 and nonce not in sealed and len(vector.iv) <= 8:
        sealed.add(nonce)
        yield Case(
            f"seal.{vector.name}", what, lambda bench: seal_vector(bench, vector), vector.transform
        )


_RULES: Final = (
    Case("seal.sizes", "payloads of 0 to 1400 bytes, minimal padding 1, 2, 3", sizes),
    Case("seal.large", "a sealed packet of 1500 bytes", large_frame),
    Case("frame.padding", "bytes behind the packet are ignored", ethernet_padding),
    Case("open.trim", "TFC padding is cut off", traffic_flow_padding),
    Case("open.tampered", "a flipped bit in any byte is BAD_ICV", tampering),
    Case("open.esn", "a wrong high half is BAD_ICV", extended_numbers),
    Case("nonce.duplicate", "an IV is sealed once, whatever else differs", duplicates),
    Case("nonce.packet", "the IV of the packet counts, not the sequence number", iv_of_the_packet),
    Case("nonce.reinstalled", "a key installed again keeps its guard", same_key_again),
    Case("nonce.reordered", f"reordering by {REORDER} is tolerated", reordering),
    Case("nonce.lost", "gaps are tolerated", loss),
    Case("frame.burst", "32 requests in a row are all answered", burst),
    Case("handle.generation", "another generation is STALE_GEN", stale_generation),
    Case("handle.unknown", "an unknown handle is NO_KEY", unknown_handle),
    Case("handle.removed", "a removed handle is NO_KEY", removed_handle),
    Case("handle.direction", "a key serves one direction", wrong_direction),
    Case("handle.reuse", "handles are never used again", handles_not_reused),
    Case("descriptor.seal", "inconsistent seal requests are BAD_DESCRIPTOR", malformed),
    Case("descriptor.open", "inconsistent open requests are BAD_DESCRIPTOR", malformed_open),
    Case("frame.silence", "what is no request gets no answer", no_request),
    Case("stats.counters", "replies are counted by status", counters),
)
