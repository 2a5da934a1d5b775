"""The IV guard never lets one (key, IV) through twice; a set of all IVs is the model."""

import sys
import threading

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from p4esp.engine import guard as guard_module
from p4esp.engine.guard import REORDER_WINDOW, GuardBook, NonceGuard

SPACE = 1 << 48
# Numbers around a few anchors, so that jumps, gaps, late packets and repeats all occur.
offsets = st.one_of(st.integers(0, 12), st.integers(1015, 1035), st.integers(0, 5000))
ivs = st.builds(
    lambda prefix, anchor, offset: (prefix * SPACE + anchor + offset) % (1 << 64),
    st.sampled_from([0, 1, 0xFFFF]),
    st.sampled_from([0, 3000, (1 << 37) - 8, SPACE - 6000]),
    offsets,
)


@settings(max_examples=300)
@given(st.lists(ivs, max_size=120))
def test_guard_equals_the_set_model(sequence: list[int]) -> None:
    guard, sealed = NonceGuard(b"", {}), set()
    for iv in sequence:
        same_space = [old for old in sealed if old // SPACE == iv // SPACE]
        in_window = not same_space or iv > max(same_space) - REORDER_WINDOW
        assert guard.take(iv) == (iv not in sealed and in_window)
        if in_window:
            sealed.add(iv)


def test_packets_in_order_all_pass() -> None:
    guard = NonceGuard(b"", {})
    assert all(guard.take(iv) for iv in range(1, 5000))
    assert not any(guard.take(iv) for iv in range(1, 5000))


def test_reordering_within_the_window_passes_and_beyond_it_does_not() -> None:
    guard = NonceGuard(b"", {})
    assert guard.take(10_000)
    assert guard.take(10_000 - REORDER_WINDOW + 1)
    assert not guard.take(10_000 - REORDER_WINDOW)


class Installs(RuleBasedStateMachine):
    """Keys are installed, removed and installed again, under several handles at once."""

    @initialize()
    def start(self) -> None:
        self.book = GuardBook(b"secret")
        self.guards: list[tuple[int, NonceGuard]] = []
        self.sealed: set[tuple[int, int]] = set()

    @rule(key=st.integers(0, 2))
    def install(self, key: int) -> None:
        self.guards.append((key, self.book.acquire(bytes([key]) * 16, b"salt")))

    @rule(pick=st.integers(0, 50))
    def remove(self, pick: int) -> None:
        if self.guards:
            _, guard = self.guards.pop(pick % len(self.guards))
            self.book.release(guard)

    @rule(pick=st.integers(0, 50), iv=st.integers(0, 30))
    def seal(self, pick: int, iv: int) -> None:
        if not self.guards:
            return
        key, guard = self.guards[pick % len(self.guards)]
        if guard.take(iv):
            assert (key, iv) not in self.sealed
            self.sealed.add((key, iv))


TestInstalls = Installs.TestCase
TestInstalls.settings = settings(max_examples=60, stateful_step_count=40)


def test_key_that_comes_back_resumes_above_its_highest_iv() -> None:
    book = GuardBook(b"secret")
    first = book.acquire(b"k" * 16, b"salt")
    assert first.take(100)
    book.release(first)
    again = book.acquire(bytearray(b"k" * 16), bytearray(b"salt"))
    assert [again.take(iv) for iv in (99, 100, 101)] == [False, False, True]


def test_removed_guard_refuses_a_packet_still_in_flight() -> None:
    book = GuardBook(b"secret")
    guard = book.acquire(b"k" * 16, b"salt")
    book.release(guard)
    assert not guard.take(1)


def test_other_salt_or_split_is_another_key() -> None:
    book = GuardBook(b"secret")
    one = book.acquire(b"k" * 16, b"salt")
    assert book.acquire(b"k" * 16, b"salz") is not one
    assert book.acquire(b"k" * 15, b"ksalt") is not one
    assert book.acquire(b"k" * 16, b"salt") is one


def test_retired_marks_are_bounded_and_forgetting_is_counted(monkeypatch) -> None:
    monkeypatch.setattr(guard_module, "MAX_RETIRED", 2)
    book = GuardBook(b"secret")
    for number in range(3):
        guard = book.acquire(bytes([number]) * 16, b"salt")
        guard.take(5)
        book.release(guard)
    assert book.forgotten == 1
    assert not book.acquire(bytes([2]) * 16, b"salt").take(5)


def test_threads_that_race_for_one_iv_get_it_once() -> None:
    guard, wins = NonceGuard(b"", {}), []
    barrier = threading.Barrier(4)

    def race() -> None:
        barrier.wait()
        wins.extend(iv for iv in range(1, 3000) if guard.take(iv))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=race) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert len(wins) == len(set(wins))
    assert set(wins) == set(range(1, 3000))
