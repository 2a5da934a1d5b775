"""The IV guard: the last defence against sealing two packets with one nonce.

It watches the IVs that are really used. IVs that share their upper 16 bits are one sequence
space: plain ESP counters (at most 2^37) stay in prefix zero, and formats with a 16-bit subspace
id put it there. So the ``space`` field of a descriptor, which a broken pipeline may get wrong,
decides nothing here.
"""

from __future__ import annotations

import hmac
import threading
from collections import OrderedDict
from typing import Final

#: How far behind the highest IV of its space a late packet may be, in packets.
REORDER_WINDOW: Final = 1024
#: Keys that are no longer installed and whose high-water marks are kept.
MAX_RETIRED: Final = 1 << 20
_MASK: Final = (1 << REORDER_WINDOW) - 1
_PREFIX_SHIFT: Final = 48


class Window:
    """IVs of one space: the highest one sealed and a bitmap of those below it still free.

    Bit i of ``free`` says that ``top - i`` has not been sealed. An empty bitmap, the state of
    a space that sees its packets in order, makes the common case two comparisons.
    """

    __slots__ = ("free", "top")

    def __init__(self, first: int) -> None:
        self.top = first
        self.free = _MASK & ~1 & ((2 << first) - 1 if first < REORDER_WINDOW else _MASK)

    def take(self, iv: int) -> bool:
        """Mark ``iv`` as sealed; False when it was, or when it is left of the window."""
        ahead = iv - self.top
        if ahead == 1 and not self.free:
            self.top = iv
            return True
        return self._advance(ahead) if ahead > 0 else self._fill(-ahead)

    def _advance(self, ahead: int) -> bool:
        if ahead < REORDER_WINDOW:
            self.free = (self.free << ahead | (1 << ahead) - 2) & _MASK
        else:
            self.free = _MASK & ~1
        self.top += ahead
        return True

    def _fill(self, behind: int) -> bool:
        if behind >= REORDER_WINDOW or not self.free >> behind & 1:
            return False
        self.free ^= 1 << behind
        return True


class NonceGuard:
    """All IVs sealed under one (key, salt), whatever the number of handles that hold it.

    Safe to call from several threads: two of them never both take the same IV.
    """

    __slots__ = ("_acquire", "_closed", "_release", "_windows", "handles", "key_id")

    def __init__(self, key_id: bytes, sealed_up_to: dict[int, int]) -> None:
        self.key_id = key_id
        self.handles = 0
        self._closed = False
        lock = threading.Lock()
        # Bound methods and try/finally take half the time of a with statement (CPython 3.11).
        self._acquire, self._release = lock.acquire, lock.release
        self._windows = {prefix: _sealed_window(top) for prefix, top in sealed_up_to.items()}

    def take(self, iv: int) -> bool:
        """Claim an IV (64 bits, as a number); False when it may have been sealed before."""
        self._acquire()
        try:
            window = self._windows.get(iv >> _PREFIX_SHIFT)
            if window is not None:
                return window.take(iv)
            if not self._closed:
                self._windows[iv >> _PREFIX_SHIFT] = Window(iv)
            return not self._closed
        finally:
            self._release()

    def close(self) -> dict[int, int]:
        """Refuse every IV from now on; return the highest one sealed in each space."""
        self._acquire()
        try:
            tops = {prefix: window.top for prefix, window in self._windows.items()}
            self._windows.clear()
            self._closed = True
            return tops
        finally:
            self._release()


def _sealed_window(top: int) -> Window:
    window = Window(top)
    window.free = 0
    return window


class GuardBook:
    """Every seal key of this engine's life and its guard, found by a keyed fingerprint.

    A key that comes back, under any handle, transform or generation, resumes its guard. For a
    key without handles only the high-water marks are kept. The oldest are forgotten after
    ``MAX_RETIRED`` keys; ``forgotten`` counts them.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._live: dict[bytes, NonceGuard] = {}
        # To take the first one out of a dict again and again takes longer and longer.
        self._retired: OrderedDict[bytes, dict[int, int]] = OrderedDict()
        self.forgotten = 0

    def acquire(self, key: bytes | bytearray, salt: bytes | bytearray) -> NonceGuard:
        """Return the guard of this (key, salt), one more handle counted on it."""
        key_id = self.fingerprint(key, salt)
        guard = self._live.get(key_id) or self._resume(key_id)
        guard.handles += 1
        return guard

    def release(self, guard: NonceGuard) -> None:
        """Take back one handle; with the last one only the marks stay."""
        guard.handles -= 1
        if guard.handles:
            return
        del self._live[guard.key_id]
        if tops := guard.close():
            self._retired[guard.key_id] = tops
            self._forget_oldest()

    def _resume(self, key_id: bytes) -> NonceGuard:
        guard = self._live[key_id] = NonceGuard(key_id, self._retired.pop(key_id, {}))
        return guard

    def _forget_oldest(self) -> None:
        while len(self._retired) > MAX_RETIRED:
            self._retired.popitem(last=False)
            self.forgotten += 1

    def fingerprint(self, key: bytes | bytearray, salt: bytes | bytearray) -> bytes:
        """Return a name of (key, salt) that gives neither away and ends with this life."""
        digest = hmac.new(self._secret, digestmod="sha256")
        # Key length first: (key, salt) pairs that concatenate alike stay apart.
        for part in (len(key).to_bytes(2, "big"), key, salt):
            digest.update(part)
        return digest.digest()[:16]
