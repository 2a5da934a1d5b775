"""Lookups in a table of any key kinds find what trying every entry one after the other finds."""

from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from p4esp.switch.entries import Exact, Lpm, Match, OptionalMatch, Range, Ternary
from p4esp.switch.program import KeySpec, MatchKind
from p4esp.switch.runtime.stores import SearchStore

WIDTH = 4
VALUES = st.integers(0, (1 << WIDTH) - 1)
MASKS = st.integers(1, (1 << WIDTH) - 1)
K = MatchKind
SHAPES = (
    (K.LPM,),
    (K.EXACT, K.LPM),
    (K.TERNARY,),
    (K.RANGE,),
    (K.OPTIONAL, K.OPTIONAL),
    (K.RANGE, K.RANGE, K.TERNARY),
    (K.EXACT, K.LPM, K.TERNARY, K.RANGE, K.OPTIONAL),
)
PREFIX_LEN = st.integers(1, WIDTH)


def prefix(value: int, length: int) -> Lpm:
    rest = WIDTH - length
    return Lpm(value >> rest << rest, length)


PARTS: dict[MatchKind, st.SearchStrategy[Match | None]] = {
    K.EXACT: VALUES.map(Exact),
    K.LPM: st.none() | st.builds(prefix, VALUES, PREFIX_LEN),
    K.TERNARY: st.none() | st.builds(lambda v, m: Ternary(v & m, m), VALUES, MASKS),
    K.RANGE: st.none() | st.builds(lambda a, b: Range(min(a, b), max(a, b)), VALUES, VALUES),
    K.OPTIONAL: st.none() | VALUES.map(OptionalMatch),
}


def accepts(part: Match | None, value: int) -> bool:
    match part:
        case None:
            return True
        case Exact(wanted) | OptionalMatch(wanted):
            return value == wanted
        case Lpm(wanted, length):
            return value >> (WIDTH - length) == wanted >> (WIDTH - length)
        case Ternary(wanted, mask):
            return value & mask == wanted
        case Range(low, high):
            return low <= value <= high
    raise AssertionError(part)


@dataclass(frozen=True)
class Entry:
    """What an entry is known by."""

    match: tuple[Match | None, ...]
    priority: int

    def accepts(self, values: tuple[int, ...]) -> bool:
        return all(map(accepts, self.match, values))

    @property
    def prefix_len(self) -> int:
        return sum(part.prefix_len for part in self.match if isinstance(part, Lpm))


class StoreMachine(RuleBasedStateMachine):
    """A store, and a list of entries in the order in which they came."""

    entries = Bundle("entries")

    @initialize(shape=st.sampled_from(SHAPES))
    def start(self, shape: tuple[MatchKind, ...]) -> None:
        self.shape = shape
        self.by_prefix = set(shape) <= {K.EXACT, K.LPM}
        self.default: list[tuple[object, ...]] = [("default", 0)]
        keys = tuple(KeySpec(f"k{i}", kind, WIDTH) for i, kind in enumerate(shape))
        self.store = SearchStore(keys, self.default)
        self.model: dict[Entry, tuple[object, ...]] = {}
        self.serial = 0

    def row(self) -> tuple[object, ...]:
        self.serial += 1
        return ("row", self.serial)

    @rule(target=entries, data=st.data(), priority=st.integers(1, 4))
    def think_of_an_entry(self, data: st.DataObject, priority: int) -> Entry:
        match = tuple(data.draw(PARTS[kind]) for kind in self.shape)
        entry = Entry(match, 0 if self.by_prefix else priority)
        key = self.store.key_of(match, entry.priority)
        assert self.store.match_of(key) == (match, entry.priority)
        return entry

    @rule(entry=entries)
    def add_or_remove(self, entry: Entry) -> None:
        key = self.store.key_of(entry.match, entry.priority)
        if self.model.pop(entry, None) is not None:
            self.store.remove(key)
            return
        self.model[entry] = self.row()
        self.store.add(key, self.model[entry])

    @rule(entry=entries)
    def replace(self, entry: Entry) -> None:
        if entry in self.model:
            self.model[entry] = self.row()
            self.store.replace(self.store.key_of(entry.match, entry.priority), self.model[entry])

    @rule()
    def change_the_default(self) -> None:
        self.default[0] = ("default", self.serial)
        self.store.forget()

    @rule(data=st.data())
    def look_up(self, data: st.DataObject) -> None:
        values = tuple(data.draw(VALUES) for _ in self.shape)
        key = values[0] if len(values) == 1 else values
        assert (self.store.cached(key) or self.store.search(key)) == self.expected(values)

    @rule(data=st.data(), entry=entries)
    def look_up_something_it_accepts(self, data: st.DataObject, entry: Entry) -> None:
        values = tuple(data.draw(VALUES.filter(lambda v, p=p: accepts(p, v))) for p in entry.match)
        key = values[0] if len(values) == 1 else values
        assert (self.store.cached(key) or self.store.search(key)) == self.expected(values)

    def expected(self, values: tuple[int, ...]) -> tuple[object, ...]:
        """The longest prefix, or the highest priority; among equals what is there longest."""
        fitting = [entry for entry in self.model if entry.accepts(values)]
        if not fitting:
            return self.default[0]
        rank = (lambda e: e.prefix_len) if self.by_prefix else (lambda e: e.priority)
        return self.model[max(fitting, key=rank)]  # of equals the first

    @invariant()
    def rows_are_those_of_the_model(self) -> None:
        if hasattr(self, "model"):
            keys = {self.store.key_of(entry.match, entry.priority): entry for entry in self.model}
            assert self.store.rows == {key: self.model[entry] for key, entry in keys.items()}


TestSearchStore = StoreMachine.TestCase
TestSearchStore.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
