"""Where SA pairs live in one switch: all allocators of a gateway together."""

from collections.abc import Callable

from p4esp.controller.numbers import SIZE_SA, SPACES
from p4esp.controller.pools import (
    CellPool,
    Generations,
    IndexPool,
    PoolExhaustedError,
    cells_for,
)
from p4esp.service.spi_pool import SpiPool
from p4esp.store import Placement, Store


class Placements:
    """Hands out placements. Generations and SPIs outlive a switch, the rest does not."""

    def __init__(self, store: Store, gateway: str, random_bits: Callable[[int], int]) -> None:
        self.spis = SpiPool(random_bits)
        self._generations_in = Generations(store.generations(gateway, "in"))
        self._generations_out = Generations(store.generations(gateway, "out"))
        self.reset()

    def reset(self) -> None:
        """Everything is free: the switch has lost all its state, or is about to be asked."""
        self._held: set[Placement] = set()
        self._sa_in = IndexPool("inbound SA indexes", SIZE_SA)
        self._sa_out = IndexPool("outbound SA indexes", SIZE_SA)
        self._space_in = IndexPool("inbound sequence spaces", SPACES)
        self._space_out = IndexPool("outbound sequence spaces", SPACES)
        self._cells = CellPool()

    @property
    def cells_used(self) -> int:
        """Replay cells handed out."""
        return self._cells.used

    def acquire(self, window: int) -> Placement:
        """A place for an SA pair with an anti-replay window of so many packets (0: none).

        PoolExhaustedError when one of the pools is empty; nothing is taken then.
        """
        cells = cells_for(window) if window else 0
        sa_in = self._sa_in.acquire()  # first: the four index pools are of one size, used alike
        try:
            base = self._cells.acquire(cells) if cells else 0
        except PoolExhaustedError:
            self._sa_in.release(sa_in)
            raise
        sa_out = self._sa_out.acquire()
        place = Placement(
            sa_in=sa_in,
            sa_out=sa_out,
            generation_in=self._generations_in.next(sa_in),
            generation_out=self._generations_out.next(sa_out),
            space_in=self._space_in.acquire(),
            space_out=self._space_out.acquire(),
            window=window,
            cell_base=base,
            cells=cells,
        )
        self._held.add(place)
        return place

    def reserve(self, place: Placement) -> None:
        """Take a place that the switch holds already; ValueError when it is not free."""
        if place.cells:
            self._cells.reserve(place.cell_base, place.cells)
        self._sa_in.reserve(place.sa_in)
        self._sa_out.reserve(place.sa_out)
        self._space_in.reserve(place.space_in)
        self._space_out.reserve(place.space_out)
        self._held.add(place)

    def release(self, place: Placement) -> None:
        """Give a place back, once its replay cells are scrubbed.

        One of before the last reset is ignored: its numbers may be another SA's now. Generations
        tell the two apart.
        """
        if place not in self._held:
            return
        self._held.remove(place)
        if place.cells:
            self._cells.release(place.cell_base)
        self._sa_in.release(place.sa_in)
        self._sa_out.release(place.sa_out)
        self._space_in.release(place.space_in)
        self._space_out.release(place.space_out)
