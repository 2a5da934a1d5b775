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

    def allocate(self) -> int:
        """A fresh SPI of 256 or more."""
        while (spi := self._random_bits(32)) < MIN_SPI or spi in self._used:
            pass
        self._used.add(spi)
        return spi

    def reserve(self, spi: int) -> None:
        """Mark an SPI as used."""
        self._used.add(spi)

    def release(self, spi: int) -> None:
        """Give an SPI back; unknown ones are ignored."""
        self._used.discard(spi)
