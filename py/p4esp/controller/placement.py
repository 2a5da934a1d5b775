"""Where SA pairs live in one switch: all allocators of a gateway together."""

from collections.abc import Callable
from contextlib import ExitStack

from p4esp.controller.diet_peers import NOBODY, DietPeers
from p4esp.controller.numbers import SIZE_SA, SPACES
from p4esp.controller.pools import (
    CellPool,
    Generations,
    IndexPool,
    cells_for,
    span,
)
from p4esp.ipsec.sa import ChildSaParams
from p4esp.service.spi_pool import SpiPool
from p4esp.store import Placement, Store


class Placements:
    """Hands out placements. Generations and SPIs outlive a switch, the rest does not."""

    def __init__(self, store: Store, gateway: str, random_bits: Callable[[int], int]) -> None:
        self.spis = SpiPool(random_bits)
        self.diet = DietPeers()
        self._generations_in = Generations(store.generations(gateway, "in"))
        self._generations_out = Generations(store.generations(gateway, "out"))
        self.reset()

    def reset(self) -> None:
        """Everything is free: the switch has lost all its state, or is about to be asked."""
        self._held: set[Placement] = set()
        self._sa_in = IndexPool("inbound SA indexes", SIZE_SA)
        self._sa_out = IndexPool("outbound SA indexes", SIZE_SA)
        self._space_in = CellPool(SPACES, "inbound sequence spaces")
        self._space_out = CellPool(SPACES, "outbound sequence spaces")
        self._cells = CellPool()
        self.diet.reset()

    @property
    def cells_used(self) -> int:
        """Replay cells handed out."""
        return self._cells.used

    def acquire(
        self,
        window: int,
        spaces_in: int = 1,
        spaces_out: int = 1,
        child: ChildSaParams | None = None,
    ) -> Placement:
        """A place for an SA pair with anti-replay windows of so many packets (0: none), one for
        each inbound sequence space.

        PoolExhaustedError when one of the pools is empty; nothing is taken then.
        """
        cells = cells_for(window) * span(spaces_in) if window else 0
        with ExitStack() as taken:
            indexes = {name: _take(taken, pool) for name, pool in self._indexes.items()}
            ranges = {
                "space_in": _take(taken, self._space_in, span(spaces_in)),
                "space_out": _take(taken, self._space_out, span(spaces_out)),
                "cell_base": _take(taken, self._cells, cells) if cells else 0,
            }
            peer = self.diet.join(child) if child else NOBODY
            taken.pop_all()
        place = Placement(
            **indexes,
            **ranges,
            generation_in=self._generations_in.next(indexes["sa_in"]),
            generation_out=self._generations_out.next(indexes["sa_out"]),
            window=window,
            cells=cells,
            spaces_in=spaces_in,
            spaces_out=spaces_out,
            diet_peer=peer,
        )
        self._held.add(place)
        return place

    @property
    def _indexes(self) -> dict[str, IndexPool]:
        return {"sa_in": self._sa_in, "sa_out": self._sa_out}

    def reserve(self, place: Placement, child: ChildSaParams | None = None) -> None:
        """Take a place that the switch holds already; ValueError when it is not free."""
        if child is not None:
            self.diet.adopt(child, place.diet_peer)
        if place.cells:
            self._cells.reserve(place.cell_base, place.cells)
        self._sa_in.reserve(place.sa_in)
        self._sa_out.reserve(place.sa_out)
        self._space_in.reserve(place.space_in, span(place.spaces_in))
        self._space_out.reserve(place.space_out, span(place.spaces_out))
        self._held.add(place)

    def release(self, place: Placement) -> None:
        """Give a place back, once its replay cells are scrubbed.

        One of before the last reset is ignored: its numbers may be another SA's now. Generations
        tell the two apart.
        """
        if place not in self._held:
            return
        self._held.remove(place)
        self.diet.leave(place.diet_peer)
        if place.cells:
            self._cells.release(place.cell_base)
        self._sa_in.release(place.sa_in)
        self._sa_out.release(place.sa_out)
        self._space_in.release(place.space_in)
        self._space_out.release(place.space_out)


def _take(taken: ExitStack, pool: IndexPool | CellPool, *count: int) -> int:
    """Take of a pool what goes back if another one has nothing left."""
    first = pool.acquire(*count)
    taken.callback(pool.release, first)
    return first
