"""Engines with one key, and what they answer."""

import os
from dataclasses import replace

from p4esp.engine import CryptoFrame, Direction, Engine, KeySpec, Status
from p4esp.engine.check.requests import vector_open
from p4esp.engine.check.vectors import VECTORS, Vector
from p4esp.engine.transforms import lookup

GCM = "AES-GCM-16-128"
KEY, SALT = bytes(range(16)), bytes.fromhex("a0a1a2a3")
INNER = VECTORS["D1"].payload


def engine_with(
    direction: Direction, transform: str = GCM, key: bytes = KEY, salt: bytes = SALT, **spec: int
) -> tuple[Engine, int]:
    engine = Engine()
    return engine, engine.install(KeySpec(direction, transform, key, salt, **spec))


def any_key(
    direction: Direction, transform: str, octets: bytes = bytes(100), **spec: int
) -> KeySpec:
    """A key of a transform, its parts cut from ``octets`` one behind the other."""
    sizes = lookup(transform)
    ends = (sizes.key_len, sizes.salt_len, sizes.integrity_len)
    key, rest = octets[: ends[0]], octets[ends[0] :]
    salt, integrity = rest[: ends[1]], rest[ends[1] : ends[1] + ends[2]]
    return KeySpec(direction, transform, key, salt, integrity_key=integrity, **spec)


def answer(engine: Engine, request: CryptoFrame) -> CryptoFrame:
    reply = engine.process(request.encode())
    assert reply is not None
    return CryptoFrame.decode(reply)


def status_of(engine: Engine, request: CryptoFrame) -> Status:
    return Status(answer(engine, request).descriptor.status)


def for_vector(direction: Direction, vector: Vector) -> tuple[Engine, int]:
    """An engine that draws the vector's IV where it draws one."""
    engine = Engine(random_bytes=lambda count: vector.iv if count == 16 else os.urandom(count))
    return engine, engine.install(vector.key_spec(direction))


def changed(request: CryptoFrame, **fields: int) -> CryptoFrame:
    return replace(request, descriptor=replace(request.descriptor, **fields))


def opened(name: str, **fields: int) -> CryptoFrame:
    engine, handle = for_vector(Direction.OPEN, VECTORS[name])
    return answer(engine, changed(vector_open(handle, VECTORS[name]), **fields))
