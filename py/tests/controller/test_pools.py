"""Allocators, against set-based models."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from p4esp.controller.placement import Placements
from p4esp.controller.pools import (
    CellPool,
    Generations,
    IndexPool,
    PoolExhaustedError,
    cells_for,
)
from p4esp.service.spi_pool import SpiPool
from p4esp.store import Sealer, Store

SIZE = 64


@given(st.integers(1, 4096), st.integers(1, 2**37))
def test_a_window_never_touches_two_blocks_of_one_cell(window: int, top: int) -> None:
    count = cells_for(window)
    blocks = {number >> 5 for number in range(max(1, top - window + 1), top + 1)}
    assert count & (count - 1) == 0
    assert len({block & (count - 1) for block in blocks}) == len(blocks)


def test_cells_for_is_the_designs_formula_at_whole_blocks() -> None:
    """Design section 4: the next power of two at or above W/32 + 1."""
    assert [cells_for(window) for window in (32, 64, 96, 128, 1024, 4096)] == [2, 4, 4, 8, 64, 256]


class CellPoolMachine(RuleBasedStateMachine):
    """Ranges never overlap, are aligned, and all of the pool comes back."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = CellPool(SIZE)
        self.held: dict[int, int] = {}

    def _cells(self) -> set[int]:
        return {cell for base, count in self.held.items() for cell in range(base, base + count)}

    @rule(order=st.integers(0, 5))
    def acquire(self, order: int) -> None:
        count = 1 << order
        try:
            base = self.pool.acquire(count)
        except PoolExhaustedError:
            free = set(range(SIZE)) - self._cells()
            starts = range(0, SIZE, count)
            assert not any(free.issuperset(range(at, at + count)) for at in starts)
            return
        assert base % count == 0
        assert not self._cells() & set(range(base, base + count))
        self.held[base] = count

    @rule(order=st.integers(0, 4), place=st.integers(0, SIZE - 1))
    def reserve(self, order: int, place: int) -> None:
        count = 1 << order
        base = place & ~(count - 1)
        wanted = set(range(base, base + count))
        if wanted & self._cells():
            with pytest.raises(ValueError, match="not free"):
                self.pool.reserve(base, count)
        else:
            self.pool.reserve(base, count)
            self.held[base] = count

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        base = data.draw(st.sampled_from(sorted(self.held)))
        del self.held[base]
        self.pool.release(base)

    @invariant()
    def counts(self) -> None:
        assert self.pool.used == len(self._cells())

    def teardown(self) -> None:
        for base in self.held:
            self.pool.release(base)
        assert self.pool.acquire(SIZE) == 0


TestCellPool = CellPoolMachine.TestCase
TestCellPool.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)


class IndexPoolMachine(RuleBasedStateMachine):
    """No index is handed out twice, and a pool is exhausted only when all of them are in use."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = IndexPool("indexes", 8)
        self.held: set[int] = set()

    @rule()
    def acquire(self) -> None:
        if len(self.held) == 8:
            with pytest.raises(PoolExhaustedError):
                self.pool.acquire()
        else:
            index = self.pool.acquire()
            assert index in set(range(8)) - self.held
            self.held.add(index)

    @rule(index=st.integers(0, 7))
    def reserve(self, index: int) -> None:
        if index in self.held:
            with pytest.raises(ValueError, match="in use"):
                self.pool.reserve(index)
        else:
            self.pool.reserve(index)
            self.held.add(index)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        index = data.draw(st.sampled_from(sorted(self.held)))
        self.held.remove(index)
        self.pool.release(index)

    @invariant()
    def counts(self) -> None:
        assert len(self.pool) == len(self.held)


TestIndexPool = IndexPoolMachine.TestCase
TestIndexPool.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_an_index_reserved_ahead_and_released_is_handed_out_once() -> None:
    """A controller that took over has reserved indexes it never handed out itself."""
    pool = IndexPool("indexes", 4)
    pool.reserve(2)
    pool.release(2)
    assert sorted(pool.acquire() for _ in range(4)) == [0, 1, 2, 3]
    with pytest.raises(PoolExhaustedError):
        pool.acquire()


def test_an_index_comes_back_as_late_as_possible() -> None:
    pool = IndexPool("indexes", 4)
    taken = [pool.acquire() for _ in range(2)]
    for index in taken:
        pool.release(index)
    assert [pool.acquire() for _ in range(4)] == [2, 3, *taken]


def test_an_index_in_the_switch_is_not_handed_out() -> None:
    pool = IndexPool("indexes", 3)
    pool.reserve(1)
    assert {pool.acquire(), pool.acquire()} == {0, 2}
    with pytest.raises(PoolExhaustedError, match="all 3 of indexes"):
        pool.acquire()
    with pytest.raises(ValueError, match="in use"):
        pool.reserve(1)


def test_a_recycled_index_can_be_reserved() -> None:
    pool = IndexPool("indexes", 2)
    pool.release(pool.acquire())
    pool.reserve(0)
    assert pool.acquire() == 1


def test_a_place_of_before_a_reset_frees_nothing_of_those_that_came_after() -> None:
    placements = Placements(Store(None, Sealer(bytes(32))), "left", lambda _: 256)
    old = placements.acquire(64)
    placements.reset()
    new = placements.acquire(64)
    placements.release(old)
    assert (new.sa_in, new.cell_base) == (old.sa_in, old.cell_base)
    assert placements.cells_used == new.cells
    assert placements.acquire(64).space_out != new.space_out


def test_generations_repeat_only_after_256_lives() -> None:
    generations = Generations({7: 254})
    seen = [generations.next(7) for _ in range(256)]
    assert seen[:2] == [255, 0]
    assert len(set(seen)) == 256


def test_spis_are_unreserved_and_unique() -> None:
    """RFC 4303 2.1 reserves 1..255; 0 is for local use."""
    numbers = iter([0, 255, 256, 256, 257])
    pool = SpiPool(lambda bits: next(numbers))
    assert [pool.allocate(), pool.allocate()] == [256, 257]
