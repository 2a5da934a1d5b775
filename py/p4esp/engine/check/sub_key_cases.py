"""Conformance cases of sub keys (docs/crypto-port.md, section 9)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from p4esp.engine.check.bench import Bench, CheckError
from p4esp.engine.check.case import Case
from p4esp.engine.check.judge import sub_key
from p4esp.engine.check.requests import GCM, seal_request
from p4esp.engine.check.vectors import VECTORS
from p4esp.engine.descriptor import Status
from p4esp.engine.errors import KeyStoreError
from p4esp.engine.features import SUB_KEYS
from p4esp.engine.keystore import Direction, KeySpec
from p4esp.engine.subkeys import HKDF_SHA2_256, MAX_SUBS, ROOT_LEN

_PAYLOAD: Final = VECTORS["D1"].payload
_SUBS: Final = 5


def _root(bench: Bench, subs: int = _SUBS, **fields: Any) -> KeySpec:
    root = bench.random_bytes(ROOT_LEN)
    spec = KeySpec(Direction.SEAL, GCM, root, b"", subs=subs, kdf=HKDF_SHA2_256)
    return replace(spec, **fields)


def _derived(spec: KeySpec, sub: int) -> KeySpec:
    octets = sub_key(spec.key, sub, 20)
    return KeySpec(Direction.SEAL, GCM, octets[:16], octets[16:])


async def derived(bench: Bench) -> None:
    """Key i of a root is under the first handle plus i, and may be installed by itself."""
    spec = _root(bench)
    first = await bench.install(spec)
    for sub in range(_SUBS):
        await bench.sealed(first + sub, _derived(spec, sub), 1, _PAYLOAD)
    alone = await bench.install(_derived(spec, 3))
    await bench.expect(seal_request(alone, 1, _PAYLOAD, nh=4), Status.NONCE_REFUSED)
    await bench.expect(seal_request(first + 3, 1, _PAYLOAD, nh=4), Status.NONCE_REFUSED)


async def many(bench: Bench) -> None:
    """The sub id goes into the key with both of its bytes."""
    spec = _root(bench, 300)
    first = await bench.install(spec)
    for sub in (0, 1, 255, 256, 258, 299):
        await bench.sealed(first + sub, _derived(spec, sub), 1, _PAYLOAD)
    await bench.expect(seal_request(first + 300, 1, _PAYLOAD), Status.NO_KEY)


async def removed(bench: Bench) -> None:
    """The first handle removes all, another one none."""
    first, (other, other_spec) = await bench.install(_root(bench)), await bench.fresh()
    for sub in range(1, _SUBS):
        try:
            await bench.keys.remove(first + sub)
        except KeyStoreError:
            continue
        raise CheckError(f"sub key {sub} is removed by its own handle")
    for sub in range(_SUBS):
        reply = await bench.reply(seal_request(first + sub, 1, _PAYLOAD))
        if reply.descriptor.status != Status.DONE:
            raise CheckError(f"sub key {sub} is gone")
    await bench.remove(first)
    for sub in range(_SUBS):
        await bench.expect(seal_request(first + sub, 2, _PAYLOAD), Status.NO_KEY)
    await bench.sealed(other, other_spec, 1, _PAYLOAD)


async def counted(bench: Bench) -> None:
    """GetStats has one row, with the number of sub keys and the sums."""
    first = await bench.install(_root(bench))
    for sub, seq in ((0, 1), (2, 1), (2, 2)):
        await bench.reply(seal_request(first + sub, seq, b"four"))
    rows = [k for k in (await bench.keys.stats()).keys if first <= k.handle < first + _SUBS]
    got = [(row.handle, row.subs, row.packets, row.octets) for row in rows]
    if got != [(first, _SUBS, 3, 12)]:
        raise CheckError(f"3 packets of 4 bytes are counted as {got}")


async def refused(bench: Bench) -> None:
    """Another number, KDF, or length is refused, and does not show the root."""
    root = bench.random_bytes(ROOT_LEN)
    for fields in (
        {"subs": MAX_SUBS + 1},
        {"kdf": "HKDF-SHA2-512"},
        {"kdf": ""},
        {"subs": 0},
        {"key": root[:-1]},
        {"key": root + b"\0"},
        {"salt": b"salt"},
        {"integrity_key": root},
        {"transform": "NULL-HMAC-SHA2-256-128"},
    ):
        try:
            await bench.install(replace(_root(bench), **{"key": root} | fields))
        except KeyStoreError as error:
            if root.hex() in str(error):
                raise CheckError("a refusal shows the root") from None
        else:
            raise CheckError(f"sub keys with {sorted(fields)} out of range are installed")


def _case(name: str, proves: str, run: Any) -> Case:
    return Case(f"subs.{name}", proves, run, features=(SUB_KEYS,))


CASES: Final = (
    _case("derived", "HKDF-Expand, consecutive handles, a guard for each key", derived),
    _case("many", "300 sub keys", many),
    _case("removed", "the first handle removes them all", removed),
    _case("counted", "one row of counters", counted),
    _case("refused", "other roots, KDFs and numbers are refused", refused),
)
