"""Damage to packets: what a bad line, a bad neighbour and a bad peer do to them."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

from gateway_bed import CPU_PORT, CRYPTO_PORT

from fuzz.pipeline_world import BASE, Insider, Stimulus, World, with_checksum

Edit = Callable[[bytearray, random.Random], None]

OCTETS = (0, 1, 2, 4, 5, 6, 17, 41, 43, 44, 50, 59, 60, 94, 141, 144, 0x40, 0x7F, 0x80, 0x82, 0xFF)
NUMBERS = (0, 1, 7, 8, 19, 20, 28, 39, 40, 48, 255, 256, 500, 4500, 1280, 0x7FFF, 0x8000, 0xFFFF)
BOUNDARIES = (12, 14, 18, 20, 22, 34, 42, 46, 54, 62, 66, 74, 82, 86, 94)
MAX_LEN = 2000
WEIGHTS = {
    "clear": 22,
    "wire": 14,
    "insider": 26,
    "opened": 12,
    "sealed": 8,
    "request": 3,
    "other": 9,
    "out": 8,
}
"""How often each kind is taken, in some hundredths."""


def stimulus(world: World, rng: random.Random) -> Stimulus:
    """A packet for east; one in ten of those that nobody damages is good."""
    kind = rng.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
    if kind == "insider":
        return _by_insider(world, rng)
    good = _fresh(world, rng, kind)
    if rng.random() < 0.1:
        return good
    data = bytearray(good.data)
    if rng.random() < 0.1:
        _splice(data, rng.choice(world.pool[rng.choice(_ALIKE.get(kind, (kind,)))]).data, rng)
    else:
        damage(data, rng)
    if rng.random() < 0.7:
        data = bytearray(with_checksum(bytes(data), _ip_at(good)))
    return Stimulus(kind, good.port, bytes(_tamed(good.port, data)[:MAX_LEN]))


def _fresh(world: World, rng: random.Random, kind: str) -> Stimulus:
    """A good packet; where it has a sequence number from outside, mostly a new one."""
    good = rng.choice(world.pool[kind])
    if rng.random() < 0.15:
        return good
    if kind == "wire":
        insider = rng.choice(world.insiders)
        text = insider.request[BASE + insider.request[41] :]
        made = world.sealed_by_peer(insider, text, insider.request[17], own=False)
        world.pool[kind][rng.randrange(len(world.pool[kind]))] = made
        return replace(made, kind=kind)
    if kind == "opened":
        number = world.next_number().to_bytes(8, "big")
        return replace(good, data=good.data[:22] + number + good.data[30:])
    return good


_ALIKE = {"clear": ("clear", "wire", "other"), "wire": ("clear", "wire", "other")}
"""Whose octets may be mixed. What was sealed must stay apart from what was not."""


def _ip_at(good: Stimulus) -> int:
    if good.port == CRYPTO_PORT:
        return BASE
    at = 20 if good.port == CPU_PORT else 0
    return at + (18 if good.data[at + 12 : at + 14] == b"\x81\0" else 14)


def _tamed(port: int, data: bytearray) -> bytearray:
    """The controller neither sets a sequence back, which the engine refuses to go along with, nor
    wears it out: that SA would be gone for good."""
    if port == CPU_PORT and data[:1] == b"\x12":
        data[0] = 17
    if port == CPU_PORT and len(data) >= 20 and data[0] == 19:
        data[12:18] = bytes(6)
    return data


def _by_insider(world: World, rng: random.Random) -> Stimulus:
    insider: Insider = rng.choice(world.insiders)
    ct_off = insider.request[41]
    text, next_header = bytearray(insider.request[BASE + ct_off :]), insider.request[17]
    kind = rng.randrange(8)
    if kind < 5:
        damage(text, rng)
    if kind == 5:
        other = rng.choice(world.insiders).request
        text = bytearray(other[BASE + other[41] :])
    if kind in (4, 6):
        next_header = rng.choice(OCTETS)
    if rng.random() < 0.5:
        text = bytearray(with_checksum(bytes(text), 0))
    own = kind == 7
    if own:
        text += rng.randbytes(rng.randrange(4)) + bytes(
            [rng.choice((0, 1, 2, 3, 255)), next_header]
        )
        align = insider.request[45]
        text = bytearray(-len(text) % align) + text
    return world.sealed_by_peer(insider, bytes(text[:MAX_LEN]), next_header, own)


# --- edits -----------------------------------------------------------------------------------


def damage(data: bytearray, rng: random.Random) -> None:
    """Some edits, most often in the headers."""
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 5))):
        rng.choice(_EDITS)(data, rng)


def _place(data: bytearray, rng: random.Random) -> int:
    """An offset, most often in the headers."""
    limit = len(data) if rng.random() < 0.3 else min(len(data), 100)
    return rng.randrange(limit) if limit else 0


def _flip(data: bytearray, rng: random.Random) -> None:
    if data:
        data[_place(data, rng)] ^= 1 << rng.randrange(8)


def _set(data: bytearray, rng: random.Random) -> None:
    if data:
        data[_place(data, rng)] = rng.choice(OCTETS)


def _number(data: bytearray, rng: random.Random) -> None:
    at = _place(data, rng)
    number = rng.choice((*NUMBERS, len(data), max(0, len(data) - at), max(0, len(data) - 14)))
    if at + 2 <= len(data):
        data[at : at + 2] = (number & 0xFFFF).to_bytes(2, "big")


def _nudge(data: bytearray, rng: random.Random) -> None:
    """A length that is a little off."""
    at = _place(data, rng)
    if at + 2 <= len(data):
        number = int.from_bytes(data[at : at + 2], "big") + rng.choice((-8, -4, -1, 1, 4, 8))
        data[at : at + 2] = (number & 0xFFFF).to_bytes(2, "big")


def _truncate(data: bytearray, rng: random.Random) -> None:
    del data[rng.choice((_place(data, rng), max(0, len(data) - rng.randint(1, 24)))) :]


def _extend(data: bytearray, rng: random.Random) -> None:
    size = rng.randint(1, 64)
    data += bytes(size) if rng.random() < 0.5 else rng.randbytes(size)


def _cut(data: bytearray, rng: random.Random) -> None:
    at = _place(data, rng)
    del data[at : at + rng.choice((1, 2, 4, 8, 20, 40))]


def _insert(data: bytearray, rng: random.Random) -> None:
    at = _place(data, rng)
    data[at:at] = rng.randbytes(rng.choice((1, 2, 4, 8, 20, 40)))


def _repeat(data: bytearray, rng: random.Random) -> None:
    """A header twice."""
    at, size = rng.choice(BOUNDARIES), rng.choice((4, 8, 16, 20, 40))
    data[at:at] = data[at : at + size]


def _tag(data: bytearray, rng: random.Random) -> None:
    data[12:12] = b"\x81\0" + rng.choice((b"\0\0", b"\0\1", b"\xe0\0"))


_EDITS: tuple[Edit, ...] = (
    *(_flip, _flip, _flip, _set, _set, _number, _number, _nudge, _nudge),
    *(_truncate, _extend, _cut, _insert, _repeat, _tag),
)


def _splice(data: bytearray, tail: bytes, rng: random.Random) -> None:
    """The head of one packet, the rest of another."""
    at = rng.choice(BOUNDARIES) if rng.random() < 0.8 else _place(data, rng)
    data[at:] = tail[at if rng.random() < 0.8 else rng.choice(BOUNDARIES) :]
