"""Conformance cases of each transform, and of what sets GMAC, AES-CBC and NULL apart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any, Final

from p4esp.engine.check.bench import Bench, CheckError
from p4esp.engine.check.case import Case
from p4esp.engine.check.requests import open_request, seal_request, vector_open
from p4esp.engine.check.vectors import VECTORS
from p4esp.engine.descriptor import CryptoFrame, Flag, Status
from p4esp.engine.errors import KeyStoreError
from p4esp.engine.keystore import Direction
from p4esp.engine.transforms import lookup, names

CBC: Final = "AES-CBC-128-HMAC-SHA2-256-128"
NULL: Final = "NULL-HMAC-SHA2-256-128"
GMAC: Final = "AES-GMAC-128"
_PAYLOAD: Final = VECTORS["D1"].payload
_IVS: Final = 64


async def round_trip(bench: Bench, transform: str) -> None:
    """Seal as the judge does, with 32-bit numbers and then with ESN, and open it again."""
    handle, spec = await bench.fresh(transform=transform)
    opener = await bench.install(replace(spec, direction=Direction.OPEN))
    for high, flags in ((0, Flag.TRAILER), (1 << 32, Flag.TRAILER | Flag.ESN)):
        for seq, size in enumerate((1, 2, 13, 14, 15, 16, 33, 1400), high + 1):
            fields: dict[str, Any] = {"transform": transform, "flags": flags}
            payload = bench.random_bytes(size)
            request = seal_request(handle, seq, payload, nh=17, **fields)
            sealed = (await bench.answered(request, spec)).packet[20:]
            sealed = sealed[: _sealed_length(transform, size)]
            asked = open_request(opener, seq, sealed, **fields)
            _comes_back(payload, asked.descriptor.ct_off, await bench.reply(asked))


def _comes_back(payload: bytes, at: int, reply: CryptoFrame) -> None:
    text = reply.packet[at:][: len(payload)]
    if (reply.descriptor.status, reply.descriptor.nh, text) != (Status.DONE, 17, payload):
        raise CheckError(f"{payload.hex()} comes back as {text.hex()}: {reply.descriptor}")


def _sealed_length(transform: str, size: int) -> int:
    sizes = lookup(transform)
    return 8 + sizes.iv_len + size + 2 + -(size + 2) % sizes.align + sizes.icv_len


async def drawn_ivs(bench: Bench) -> None:
    """CBC's IVs are the engine's own, differ, and do not count."""
    handle, _ = await bench.fresh(transform=CBC)
    requests = [seal_request(handle, seq, _PAYLOAD, transform=CBC) for seq in range(1, _IVS + 1)]
    ivs = [int.from_bytes(r.packet[28:44], "big") for r in await bench.replies(requests)]
    if len(set(ivs)) != _IVS or 0 in ivs:
        raise CheckError(f"{_IVS} packets have {len(set(ivs))} IVs")
    # Of random IVs 64 bits differ on the average; of these pairs together within 1 in 20.
    changed = sum((one ^ other).bit_count() for one, other in pairwise(ivs))
    if not 0.45 < changed / 128 / (_IVS - 1) < 0.55:
        raise CheckError(f"of one IV to the next {changed / (_IVS - 1):.0f} of 128 bits change")


async def no_nonce(bench: Bench, transform: str) -> None:
    """A number may be sealed twice where no nonce is made of it."""
    handle, spec = await bench.fresh(transform=transform)
    for _ in range(2):
        await bench.sealed(handle, spec, 5, _PAYLOAD)


async def tampering(bench: Bench, name: str) -> None:
    """A flipped bit in any byte is BAD_ICV; of the padding nothing is told."""
    vector = VECTORS[name]
    handle = await bench.for_vector(vector, Direction.OPEN)
    request = vector_open(handle, vector)
    start = request.descriptor.aad_off
    for position in range(start, len(request.packet)):
        packet = bytearray(request.packet)
        packet[position] ^= 1
        await bench.expect(replace(request, packet=bytes(packet)), Status.BAD_ICV)


async def high_half(bench: Bench, name: str) -> None:
    """With ESN the high half is authenticated, though it is not in the packet."""
    vector = VECTORS[name]
    handle = await bench.for_vector(vector, Direction.OPEN)
    request = vector_open(handle, vector)
    for fields in ({"seq": 7}, {"seq": 2 << 32 | 7}, {"seq": 7, "flags": Flag.TRAILER}):
        wrong = replace(request, descriptor=replace(request.descriptor, **fields))
        await bench.expect(wrong, Status.BAD_ICV)


async def whole_blocks(bench: Bench) -> None:
    """CBC works in blocks of 16 bytes: whatever is none is malformed before any cryptography."""
    handle = await bench.for_vector(VECTORS["D7a"], Direction.OPEN)
    request = open_request(handle, 7, VECTORS["D7a"].esp[:-4], transform=CBC)
    await bench.expect(request, Status.BAD_DESCRIPTOR)
    sealer, _ = await bench.fresh(transform=CBC)
    for fields in ({"flags": 0}, {"align": 8}, {"iv_len": 8, "ct_off": 36}):
        asked = seal_request(sealer, 1, _PAYLOAD, transform=CBC)
        spoilt = replace(asked, descriptor=replace(asked.descriptor, **fields))
        await bench.expect(spoilt, Status.BAD_DESCRIPTOR)


async def key_lengths(bench: Bench) -> None:
    """Each key has one length; a refusal does not show it."""
    vector = VECTORS["D7a"]
    for length in (0, 16, 31, 33):
        integrity = (vector.mac * 2)[:length]
        spec = replace(vector.key_spec(Direction.OPEN), integrity_key=integrity)
        try:
            await bench.install(spec)
        except KeyStoreError as error:
            if length and integrity.hex() in str(error):
                raise CheckError("a refusal shows the integrity key") from None
        else:
            raise CheckError(f"an integrity key of {length} bytes is taken")


def cases() -> Iterator[Case]:
    """Yield these cases in the order of the report."""
    for name in names():
        yield Case(
            f"transform.{name}", "as computed apart", partial(round_trip, transform=name), name
        )
    yield Case("cbc.iv", "the engine draws IVs that cannot be foretold", drawn_ivs, CBC)
    yield Case("cbc.blocks", "texts are whole blocks", whole_blocks, CBC)
    yield Case("cbc.numbers", "no nonce, no guard", partial(no_nonce, transform=CBC), CBC)
    yield Case("null.numbers", "no nonce, no guard", partial(no_nonce, transform=NULL), NULL)
    yield Case("key.integrity", "an integrity key of a wrong length is refused", key_lengths, CBC)
    for name in ("D6a", "D7a", "D8"):
        transform = VECTORS[name].transform
        what = f"{name}: a flipped bit in any byte is BAD_ICV"
        yield Case(f"tampered.{name}", what, partial(tampering, name=name), transform)
    for name in ("D4", "D6b", "D7b"):
        transform = VECTORS[name].transform
        what = f"{name}: a wrong high half is BAD_ICV"
        yield Case(f"esn.{name}", what, partial(high_half, name=name), transform)
