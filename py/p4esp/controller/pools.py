"""Allocators for what the pipeline addresses by number: indexes and replay cells."""

from collections import deque
from collections.abc import Mapping
from typing import Final

from p4esp.controller.numbers import REPLAY_CELLS

BLOCK: Final = 32
"""Sequence numbers in one replay cell."""


class PoolExhaustedError(RuntimeError):
    """Nothing is free; the text says what ran out and how much there is of it."""


class IndexPool:
    """Numbers 0 .. size-1: those never taken first, then whichever has been free for longest.

    That keeps a number and its 8-bit generation apart for as long as possible. Below `_next` every
    number is either used or in `_free`; from there on, free ones are nowhere.
    """

    def __init__(self, name: str, size: int) -> None:
        self._name = name
        self._size = size
        self._next = 0
        self._free: deque[int] = deque()
        self._used: set[int] = set()

    def __len__(self) -> int:
        return len(self._used)

    def acquire(self) -> int:
        """Take a number; PoolExhaustedError when all are in use."""
        index = self._fresh() if self._next < self._size else self._recycled()
        self._used.add(index)
        return index

    def _fresh(self) -> int:
        while self._next in self._used:
            self._next += 1
        if self._next >= self._size:
            return self._recycled()
        self._next += 1
        return self._next - 1

    def _recycled(self) -> int:
        if not self._free:
            raise PoolExhaustedError(f"all {self._size} of {self._name} are in use")
        return self._free.popleft()

    def reserve(self, index: int) -> None:
        """Mark a number as used because the switch holds it; ValueError when it already is."""
        if not 0 <= index < self._size or index in self._used:
            raise ValueError(f"{self._name} {index} is in use or outside 0..{self._size - 1}")
        self._used.add(index)
        if index < self._next:
            self._free.remove(index)

    def release(self, index: int) -> None:
        """Give a number back; KeyError when it was not taken."""
        self._used.remove(index)
        if index < self._next:
            self._free.append(index)


class Generations:
    """The 8-bit generation of each index, so that an old packet never meets a new SA."""

    def __init__(self, last: Mapping[int, int]) -> None:
        """`last`: the generation each index had last."""
        self._last = dict(last)

    def next(self, index: int) -> int:
        """A generation that the index has not had in its last 255 lives."""
        self._last[index] = (self._last.get(index, 0) + 1) & 0xFF
        return self._last[index]


def cells_for(window: int) -> int:
    """Replay cells a window needs: the next power of two at or above window/32 + 1.

    So many blocks a window can touch; with fewer, a fresh packet would meet an old one's cell.
    """
    return 1 << ((window + BLOCK - 2) // BLOCK).bit_length()


def span(count: int) -> int:
    """The power of two that a range of so many takes up in a `CellPool`."""
    return 1 << (count - 1).bit_length()


class CellPool:
    """Buddy allocator: ranges whose size is a power of two, aligned to their size."""

    def __init__(self, size: int = REPLAY_CELLS, name: str = "replay cells") -> None:
        self._name = name
        if size & (size - 1):
            raise ValueError(f"pool size {size} is not a power of two")
        self._size = size
        self._free: dict[int, set[int]] = {size: {0}}
        self._used: dict[int, int] = {}

    @property
    def used(self) -> int:
        """Cells handed out."""
        return sum(self._used.values())

    def acquire(self, count: int) -> int:
        """Take `count` cells (a power of two); returns the first one."""
        size = count
        while size <= self._size and not self._free.get(size):
            size *= 2
        if size > self._size:
            raise PoolExhaustedError(f"no {count} adjacent {self._name} are free of {self._size}")
        base = self._free[size].pop()
        self._split(base, size, count)
        self._used[base] = count
        return base

    def _split(self, base: int, size: int, count: int) -> None:
        while size > count:
            size //= 2
            self._free.setdefault(size, set()).add(base + size)

    def reserve(self, base: int, count: int) -> None:
        """Mark a range as used because the switch holds it; ValueError when part of it is."""
        size, start = count, base
        while size <= self._size and start not in self._free.get(size, ()):
            size *= 2
            start = base & ~(size - 1)
        if size > self._size or base % count:
            raise ValueError(f"{self._name} {base}..{base + count - 1} are not free")
        self._free[size].remove(start)
        self._carve(start, size, base, count)
        self._used[base] = count

    def _carve(self, start: int, size: int, base: int, count: int) -> None:
        while size > count:
            size //= 2
            wanted = start + size if base >= start + size else start
            self._free.setdefault(size, set()).add(start + size if wanted == start else start)
            start = wanted

    def release(self, base: int) -> None:
        """Give a range back and join it with its free neighbours; KeyError if not taken."""
        size = self._used.pop(base)
        while size < self._size and base ^ size in self._free.get(size, ()):
            self._free[size].remove(base ^ size)
            base &= ~size
            size *= 2
        self._free.setdefault(size, set()).add(base)
