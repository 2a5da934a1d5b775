"""Inbound ESP SPIs."""

from collections.abc import Callable
from typing import Final

from p4esp.ipsec.diet import Apart
from p4esp.ipsec.selectors import Address

MIN_SPI: Final = 256
"""Lower ones are reserved (RFC 4303 2.1)."""


class SpiPool:
    """Inbound SPIs of one host: random, unique while in use (RFC 4301 4.1)."""

    def __init__(self, random_bits: Callable[[int], int]) -> None:
        self._random_bits = random_bits
        self._used: set[int] = set()
        self._blocks: dict[int, int] = {}
        """How many SPIs there are in each block, by its first one."""
        self._apart: dict[int, tuple[Address, Address]] = {}
        """Between which addresses an SPI is not sent whole."""

    def allocate(self, count: int = 1, apart: Apart | None = None) -> int:
        """A fresh SPI of 256 or more; of a block, `count` of them, a power of two, the first, which
        is aligned to the block's size. With `apart` it differs in its low octets from all others
        between the same addresses; LookupError when none can.
        """
        taken = self._low(apart) if apart else set()
        while not self._is_free(first := self._random_bits(32) & -count, count) or (
            apart is not None and apart.low(first) in taken
        ):
            pass
        self.reserve(first, count, apart)
        return first

    def _low(self, apart: Apart) -> set[int]:
        """What no other SPI may have in its low octets: 0 would look like an ESP ping."""
        same = (spi for spi, ends in self._apart.items() if ends == apart.ends)
        taken = {0, *(apart.low(spi) for spi in same)}
        if len(taken) >= 1 << 8 * apart.octets:
            raise LookupError(
                f"all {8 * apart.octets} low bits of the SPIs from {apart.ends[1]} are in use"
            )
        return taken

    def _is_free(self, first: int, count: int) -> bool:
        return first >= MIN_SPI and self._used.isdisjoint(range(first, first + count))

    def reserve(self, spi: int, count: int = 1, apart: Apart | None = None) -> None:
        """Mark an SPI, or a block of them, as used."""
        self._used.update(range(spi, spi + count))
        if count > 1:
            self._blocks[spi] = count
        if apart is not None:
            self._apart[spi] = apart.ends

    def release(self, spi: int) -> None:
        """Give an SPI back, and the block it is the first of; unknown ones are ignored."""
        self._used.difference_update(range(spi, spi + self._blocks.pop(spi, 1)))
        self._apart.pop(spi, None)
