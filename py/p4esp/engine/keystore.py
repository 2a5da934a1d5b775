"""Installed keys by 32-bit handle. Key bytes never leave this module but into their AEAD."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from p4esp.engine.ciphers import Aead, OwnKey
from p4esp.engine.descriptor import Op
from p4esp.engine.errors import HandlesExhaustedError, KeyStoreError
from p4esp.engine.guard import GuardBook, NonceGuard
from p4esp.engine.transforms import Transform, check_material, lookup

MAX_HANDLE: Final = (1 << 32) - 1
MAX_GENERATION: Final = 0xFF
MAX_SA_INDEX: Final = (1 << 24) - 1


class Direction(IntEnum):
    """What a key may be used for; the values are the descriptor's ``op``."""

    SEAL = Op.SEAL
    OPEN = Op.OPEN


@dataclass(frozen=True, slots=True, eq=False)
class KeySpec:
    """A key to install. Its repr shows no key and no salt.

    ``transform`` is a name of ``transforms.names()``; ``generation`` (0..255) and ``sa_index``
    (0..2^24 - 1) name the SA entry the key belongs to. ``integrity_key`` is empty with an AEAD.
    Pass bytearrays to overwrite them after.
    """

    direction: Direction
    transform: str
    key: bytes | bytearray = field(repr=False)
    salt: bytes | bytearray = field(repr=False)
    generation: int = 0
    sa_index: int = 0
    integrity_key: bytes | bytearray = field(default=b"", repr=False)


@dataclass(slots=True, eq=False)
class KeyEntry:
    """One installed key. Its repr shows no key and no salt.

    ``packets`` and ``octets`` count what was sealed or opened, ``octets`` being the payload
    without trailer. ``guard`` exists for sealing keys of guarded transforms only; ``key_id``
    names (key, salt) without giving them away.
    """

    handle: int
    direction: Direction
    transform: Transform
    generation: int
    sa_index: int
    aead: Aead = field(repr=False)
    salt: bytearray = field(repr=False)
    key_id: bytes = field(repr=False)
    guard: NonceGuard | None = field(repr=False)
    packets: int = 0
    octets: int = 0

    @property
    def wire_handle(self) -> bytes:
        """The handle as it stands in a descriptor."""
        return self.handle.to_bytes(4, "big")

    def wipe(self) -> None:
        """Overwrite salt and keys; what the library holds itself goes when the entry does."""
        # The key first: from then on nothing that meets the wiped salt gets out.
        if isinstance(self.aead, OwnKey):
            self.aead.close()
        self.salt[:] = bytes(len(self.salt))


class KeyStore:
    """Handles count upwards from ``first_handle`` and are never used twice."""

    def __init__(self, first_handle: int, guards: GuardBook) -> None:
        self._next = first_handle
        self._guards = guards
        self._entries: dict[int, KeyEntry] = {}

    def install(self, spec: KeySpec) -> KeyEntry:
        """Add a key under a new handle.

        Raises TransformError for an unknown transform or wrong key lengths, KeyStoreError
        for a generation above 255, an SA index above 2^24 - 1, or when handles ran out.
        """
        transform = lookup(spec.transform)
        check_material(transform, len(spec.key), len(spec.salt), len(spec.integrity_key))
        _check_direction(spec.direction)
        _check_range("generation", spec.generation, MAX_GENERATION)
        _check_range("SA index", spec.sa_index, MAX_SA_INDEX)
        entry = self._entry(spec, transform)
        self._entries[entry.handle] = entry
        return entry

    def _entry(self, spec: KeySpec, transform: Transform) -> KeyEntry:
        return KeyEntry(
            handle=self._new_handle(),
            direction=Direction(spec.direction),
            transform=transform,
            generation=spec.generation,
            sa_index=spec.sa_index,
            aead=transform.aead(spec.key, spec.integrity_key),
            salt=bytearray(spec.salt),
            key_id=self._guards.fingerprint(spec.key, spec.salt),
            guard=self._guard(spec, transform),
        )

    def _guard(self, spec: KeySpec, transform: Transform) -> NonceGuard | None:
        if spec.direction == Direction.OPEN or not transform.guarded:
            return None
        return self._guards.acquire(spec.key, spec.salt)

    def remove(self, handle: int) -> KeyEntry:
        """Forget and overwrite a key; KeyStoreError when the handle is not installed."""
        if (entry := self._entries.pop(handle, None)) is None:
            raise KeyStoreError(f"no key has handle {handle}")
        # The guard closes first: a packet still in flight must not be sealed with a wiped salt.
        if entry.guard is not None:
            self._guards.release(entry.guard)
        entry.wipe()
        return entry

    def _new_handle(self) -> int:
        if self._next > MAX_HANDLE:
            raise HandlesExhaustedError(
                "all 32-bit handles of this engine's life are used: restart it"
            )
        self._next += 1
        return self._next - 1

    def __iter__(self) -> Iterator[KeyEntry]:
        return iter(tuple(self._entries.values()))

    def __len__(self) -> int:
        return len(self._entries)


def _check_direction(direction: int) -> None:
    if direction not in (Direction.SEAL, Direction.OPEN):
        raise KeyStoreError(f"direction {direction} is neither SEAL (1) nor OPEN (2)")


def _check_range(name: str, value: int, limit: int) -> None:
    if not 0 <= value <= limit:
        raise KeyStoreError(f"{name} {value} is outside 0..{limit}")
