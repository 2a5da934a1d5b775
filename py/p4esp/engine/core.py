"""The engine: one crypto port frame in, one reply or nothing out."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from p4esp.engine.datapath import KeyPath, OnSealed, is_request
from p4esp.engine.descriptor import BASE, FRAME_PARTS, REPLY_BIT, Op, Status
from p4esp.engine.guard import GuardBook
from p4esp.engine.keystore import Direction, KeyEntry, KeyGroup, KeySpec, KeyStore
from p4esp.engine.shape import headers_fit
from p4esp.engine.steps import Handler

_ERRORS: Final = tuple(status for status in Status if status not in (Status.DONE, Status.REQUEST))


@dataclass(frozen=True, slots=True)
class KeyStats:
    """Counters of one installed key; ``octets`` are payload bytes without the trailer.

    With ``subs`` they are those of all sub keys together, and ``handle`` is the first one.
    """

    handle: int
    direction: Direction
    transform: str
    generation: int
    sa_index: int
    packets: int
    octets: int
    subs: int = 0


@dataclass(frozen=True, slots=True)
class EngineStats:
    """Counters of one engine's life.

    ``replies`` maps every Status name to the number of replies that carried it; together
    with ``not_a_request`` they add up to the frames received. ``guards_forgotten`` counts the
    retired keys whose IV marks had to go (``guard.MAX_RETIRED``).
    """

    epoch: str
    replies: dict[str, int]
    not_a_request: int
    guards_forgotten: int
    keys: tuple[KeyStats, ...]

    @property
    def nonce_refused(self) -> int:
        """Requests refused because their IV may have been sealed before."""
        return self.replies[Status.NONCE_REFUSED.name]


class Engine:
    """An in-process crypto engine.

    ``epoch`` is random for each life: a controller that sees another one knows that the
    handles are gone. ``random_bytes`` must be unpredictable: it makes the IVs of CBC. ``on_sealed``
    is told of every IV that sealed a packet; leave it out where speed counts. ``process`` may run
    in one thread while keys come and go in others.
    """

    def __init__(
        self,
        random_bytes: Callable[[int], bytes] = os.urandom,
        on_sealed: OnSealed | None = None,
    ) -> None:
        self.epoch = random_bytes(8).hex()
        self._guards = GuardBook(random_bytes(32))
        # Random, so that a handle of an earlier life, still in a switch, hits no key of this one.
        first_handle = 1 + int.from_bytes(random_bytes(4), "big") // 2
        self._keys = KeyStore(first_handle, self._guards)
        self._handlers: dict[bytes, Handler] = {}
        self._key_lock = threading.Lock()
        self._random_bytes, self._on_sealed = random_bytes, on_sealed
        self._refused: dict[Status, int] = dict.fromkeys(_ERRORS, 0)
        self._done_by_removed_keys = 0
        self._not_a_request = 0

    @property
    def key_count(self) -> int:
        """How many keys are installed; the sub keys of one root are one."""
        return len(self._keys)

    def install(self, spec: KeySpec) -> int:
        """Install a key, or sub keys, and return its handle, or the first of theirs.

        No reference to key or salt is kept. A key that this engine has sealed with before, even
        under a handle since removed, is taken and resumes its IV guard. Raises as KeyStore.install
        does.
        """
        with self._key_lock:
            group = self._keys.install(spec)
            for entry in group.entries:
                self._handlers[entry.wire_handle] = self._path(entry).handle
            return group.handle

    def _path(self, entry: KeyEntry) -> KeyPath:
        return KeyPath(entry, self._refuse, self._publish, self._random_bytes, self._on_sealed)

    def derive(self, handle: int, spi: int) -> bytes:
        """Derive the key of an SPI from PSP master keys, for whoever sends with that SPI.

        KeyStoreError when the handle has none, or the SPI more than 32 bits.
        """
        with self._key_lock:
            return self._keys.derive(handle, spi)

    def renew(self, handle: int, half: int, master: bytes | bytearray) -> None:
        """Replace the first (0) or the second (1) of PSP master keys under their handle.

        From its return on, no packet is opened with what was derived of the one before. HandleError
        when the handle has none, KeyStoreError for a key that has not 32 bytes or is there already.
        """
        with self._key_lock:
            self._keys.renew(handle, half, master)

    def remove(self, handle: int) -> None:
        """Remove and overwrite a key, or all sub keys by their first handle.

        KeyStoreError when there is none of that handle.
        """
        with self._key_lock:
            for entry in self._keys.remove(handle).entries:
                del self._handlers[entry.wire_handle]
                self._done_by_removed_keys += entry.packets

    def remove_all(self) -> int:
        """Remove every key; returns how many there were, the sub keys of one root being one."""
        handles = [group.handle for group in self._keys.groups()]
        for handle in handles:
            self.remove(handle)
        return len(handles)

    def process(self, frame: bytes) -> bytes | None:
        """Answer one frame of the crypto port; None when it is no request. Never raises."""
        if len(frame) < BASE:
            return self._refuse(frame, None, None)
        parts = FRAME_PARTS.unpack_from(frame)
        handler = self._handlers.get(parts[1])
        if handler is None:
            return self._refuse(frame, None, None)
        return handler(frame, parts)

    def stats(self) -> EngineStats:
        """Return a snapshot of all counters."""
        keys = tuple(map(_key_stats, self._keys.groups()))
        done = self._done_by_removed_keys + sum(key.packets for key in keys)
        replies = {Status.DONE.name: done}
        replies |= {status.name: count for status, count in self._refused.items()}
        return EngineStats(self.epoch, replies, self._not_a_request, self._guards.forgotten, keys)

    def _publish(self, entry: KeyEntry, handler: Handler) -> None:
        # Under the lock: a key that is being removed must not come back.
        with self._key_lock:
            if entry.wire_handle in self._handlers:
                self._handlers[entry.wire_handle] = handler

    def _refuse(self, frame: bytes, entry: KeyEntry | None, status: Status | None) -> bytes | None:
        if status is None:
            status = _verdict(frame, entry)
        if status is None:
            self._not_a_request += 1
            return None
        self._refused[status] += 1
        return error_reply(frame, status)


def _verdict(frame: bytes, entry: KeyEntry | None) -> Status | None:
    """Name the first check that failed before any crypto; None for what is no request."""
    if len(frame) < BASE or not is_request(frame):
        return None
    if frame[14] not in (Op.SEAL, Op.OPEN):
        return Status.BAD_DESCRIPTOR
    if entry is None or entry.direction != frame[14]:
        return Status.NO_KEY
    return Status.STALE_GEN if frame[33] != entry.generation else Status.BAD_DESCRIPTOR


def error_reply(frame: bytes, status: Status) -> bytes:
    """Return the request with ``status`` and without anything that may be clear text.

    The bytes before ``ct_off`` come along only when the descriptor is sound: otherwise
    ``ct_off`` may lie behind the first byte of the payload.
    """
    end = BASE if status is Status.BAD_DESCRIPTOR else _header_end(frame)
    return frame[:14] + bytes((frame[14] | REPLY_BIT, frame[15], status)) + frame[17:end]


def _header_end(frame: bytes) -> int:
    aad_off, aad_len, iv_len, ct_off = frame[38:42]
    fit = iv_len in (0, 8, 16) and headers_fit(frame[15], aad_off, aad_len, iv_len, ct_off)
    return BASE + ct_off if fit and BASE + ct_off <= len(frame) else BASE


def _key_stats(group: KeyGroup) -> KeyStats:
    first = group.entries[0]
    return KeyStats(
        *(first.handle, first.direction, first.transform.name),
        *(first.generation, first.sa_index),
        sum(entry.packets for entry in group.entries),
        sum(entry.octets for entry in group.entries),
        group.subs,
    )
