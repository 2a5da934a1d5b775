"""Installed keys by 32-bit handle. Their bytes leave this package's key side for AEADs alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from p4esp.engine.ciphers import Aead, OwnKey
from p4esp.engine.descriptor import Op
from p4esp.engine.errors import HandleError, HandlesExhaustedError, KeyStoreError
from p4esp.engine.guard import GuardBook, NonceGuard
from p4esp.engine.psp import MASTER_LEN, MAX_SPI, MasterPair
from p4esp.engine.subkeys import check_root, check_subs, derived
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

    ``transform`` is a name of ``transforms.offered()``; ``generation`` (0..255) and ``sa_index``
    (0..2^24 - 1) name the SA entry the key belongs to. ``integrity_key`` is empty with an AEAD.
    With ``subs`` (up to 65,536) ``key`` is the root of that many sub keys, of 32 bytes, ``salt`` is
    empty and ``kdf`` is ``subkeys.HKDF_SHA2_256``. With PSP ``key`` is two master keys of 32 bytes,
    which open and do not seal, and ``salt`` is empty. Pass bytearrays to overwrite them after.
    """

    direction: Direction
    transform: str
    key: bytes | bytearray = field(repr=False)
    salt: bytes | bytearray = field(repr=False)
    generation: int = 0
    sa_index: int = 0
    integrity_key: bytes | bytearray = field(default=b"", repr=False)
    subs: int = 0
    kdf: str = ""


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


@dataclass(frozen=True, slots=True)
class KeyGroup:
    """What one install gave: a key, or the sub keys of one root under consecutive handles.

    ``subs`` is 0 for an ordinary key.
    """

    entries: tuple[KeyEntry, ...]
    subs: int = 0

    @property
    def handle(self) -> int:
        """The first handle, by which all of them are removed."""
        return self.entries[0].handle


class KeyStore:
    """Handles count upwards from ``first_handle`` and are never used twice."""

    def __init__(self, first_handle: int, guards: GuardBook) -> None:
        self._next = first_handle
        self._guards = guards
        self._groups: dict[int, KeyGroup] = {}

    def install(self, spec: KeySpec) -> KeyGroup:
        """Add a key under a new handle, or sub keys under as many.

        Raises TransformError for an unknown transform or wrong key lengths, KeyStoreError for
        a generation above 255, an SA index above 2^24 - 1, too many sub keys, another KDF, or when
        handles ran out.
        """
        transform = lookup(spec.transform)
        lengths = (len(spec.key), len(spec.salt), len(spec.integrity_key))
        check_subs(spec.subs, spec.kdf)
        (check_root if spec.subs else check_material)(transform, *lengths)
        _check_direction(spec.direction, transform)
        _check_range("generation", spec.generation, MAX_GENERATION)
        _check_range("SA index", spec.sa_index, MAX_SA_INDEX)
        self._check_handles(max(spec.subs, 1))
        group = KeyGroup(tuple(self._entries(spec, transform)), spec.subs)
        self._groups[group.handle] = group
        return group

    def _entries(self, spec: KeySpec, transform: Transform) -> Iterator[KeyEntry]:
        if not spec.subs:
            yield self._entry(spec, transform, spec.key, spec.salt)
            return
        for key, salt in derived(transform, spec.key, spec.subs):
            yield self._entry(spec, transform, key, salt)

    def _entry(
        self,
        spec: KeySpec,
        transform: Transform,
        key: bytes | bytearray,
        salt: bytes | bytearray,
    ) -> KeyEntry:
        guarded = spec.direction == Direction.SEAL and transform.guarded
        guard = self._guards.acquire(key, salt) if guarded else None
        return KeyEntry(
            handle=self._new_handle(),
            direction=Direction(spec.direction),
            transform=transform,
            generation=spec.generation,
            sa_index=spec.sa_index,
            aead=transform.aead(key, spec.integrity_key),
            salt=bytearray(salt),
            key_id=guard.key_id if guard else self._guards.fingerprint(key, salt),
            guard=guard,
        )

    def remove(self, handle: int) -> KeyGroup:
        """Forget and overwrite a key, or all sub keys of a root by the first handle.

        KeyStoreError when the handle is not installed, or a further sub key's.
        """
        if (group := self._groups.pop(handle, None)) is None:
            raise KeyStoreError(f"no key has handle {handle}{self._hint(handle)}")
        for entry in group.entries:
            # The guard closes first: a packet in flight must not be sealed with a wiped salt.
            if entry.guard is not None:
                self._guards.release(entry.guard)
            entry.wipe()
        return group

    def derive(self, handle: int, spi: int) -> bytes:
        """Derive the key of an SPI from PSP master keys.

        KeyStoreError when the handle has none, or the SPI more than 32 bits.
        """
        pair = self._masters(handle)
        _check_range("SPI", spi, MAX_SPI)
        return pair.derive(spi.to_bytes(4, "big"))

    def renew(self, handle: int, half: int, master: bytes | bytearray) -> None:
        """Replace the first (0) or the second (1) of PSP master keys under their handle.

        HandleError when the handle has none, KeyStoreError for a key that has not 32 bytes, or is
        one of the two already.
        """
        pair = self._masters(handle)
        _check_range("half", half, 1)
        if len(master) != MASTER_LEN:
            raise KeyStoreError(f"a master key has {MASTER_LEN} bytes, not {len(master)}")
        if pair.has(master):
            raise KeyStoreError("a renewed master key must be a new one; this one is there already")
        pair.renew(half, master)

    def _masters(self, handle: int) -> MasterPair:
        group = self._groups.get(handle)
        pair = group.entries[0].aead if group else None
        if not isinstance(pair, MasterPair):
            raise HandleError(f"no PSP master keys have handle {handle}")
        return pair

    def _hint(self, handle: int) -> str:
        for group in self.groups():
            if 0 < handle - group.handle < len(group.entries):
                return f" of its own: its sub keys are removed by {group.handle}"
        return ""

    def _check_handles(self, count: int) -> None:
        if self._next + count - 1 > MAX_HANDLE:
            raise HandlesExhaustedError(
                "all 32-bit handles of this engine's life are used: restart it"
            )

    def _new_handle(self) -> int:
        self._next += 1
        return self._next - 1

    def groups(self) -> tuple[KeyGroup, ...]:
        """Return what is installed, by install."""
        return tuple(self._groups.values())

    def __iter__(self) -> Iterator[KeyEntry]:
        return (entry for group in self.groups() for entry in group.entries)

    def __len__(self) -> int:
        return len(self._groups)


def _check_direction(direction: int, transform: Transform) -> None:
    if direction not in (Direction.SEAL, Direction.OPEN):
        raise KeyStoreError(f"direction {direction} is neither SEAL (1) nor OPEN (2)")
    if transform.masters and direction != Direction.OPEN:
        raise KeyStoreError(
            f"{transform.name} opens and does not seal: senders have AES-GCM-16 with the derived "
            "key and the SPI as its salt"
        )


def _check_range(name: str, value: int, limit: int) -> None:
    if not 0 <= value <= limit:
        raise KeyStoreError(f"{name} {value} is outside 0..{limit}")
