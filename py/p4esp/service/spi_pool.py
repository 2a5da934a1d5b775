"""Inbound ESP SPIs."""

from collections.abc import Callable
from typing import Final

MIN_SPI: Final = 256
"""Lower ones are reserved (RFC 4303 2.1)."""


class SpiPool:
    """Inbound SPIs of one host: random, unique while in use (RFC 4301 4.1)."""

    def __init__(self, random_bits: Callable[[int], int]) -> None:
        self._random_bits = random_bits
        self._used: set[int] = set()
        self._blocks: dict[int, int] = {}
        """How many SPIs there are in each block, by its first one."""

    def allocate(self, count: int = 1) -> int:
        """A fresh SPI of 256 or more; of a block, `count` of them, a power of two, the first, which
        is aligned to the block's size.
        """
        while not self._is_free(first := self._random_bits(32) & -count, count):
            pass
        self.reserve(first, count)
        return first

    def _is_free(self, first: int, count: int) -> bool:
        return first >= MIN_SPI and self._used.isdisjoint(range(first, first + count))

    def reserve(self, spi: int, count: int = 1) -> None:
        """Mark an SPI, or a block of them, as used."""
        self._used.update(range(spi, spi + count))
        if count > 1:
            self._blocks[spi] = count

    def release(self, spi: int) -> None:
        """Give an SPI back, and the block it is the first of; unknown ones are ignored."""
        self._used.difference_update(range(spi, spi + self._blocks.pop(spi, 1)))
