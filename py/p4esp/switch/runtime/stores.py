"""Where entries are kept and found.

A row is what generated code sees of an entry: (action number, [cell], arguments...).  ``keys`` are
the values looked up: one integer for a table with one key, else a tuple.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from p4esp.switch.entries import Exact, Lpm, Match, OptionalMatch, Range, Ternary
from p4esp.switch.program import KeySpec, MatchKind

Row = tuple[Any, ...]
EntryKey = Any
"""What identifies an entry inside its store."""

Matches = tuple[Match | None, ...]
CACHE_SIZE = 1 << 16


class Store(Protocol):
    """Entries of one table; ``rows`` maps entry keys to rows."""

    rows: dict[EntryKey, Row]

    def key_of(self, match: Matches, priority: int) -> EntryKey: ...
    def match_of(self, key: EntryKey) -> tuple[Matches, int]: ...
    def add(self, key: EntryKey, row: Row) -> None: ...
    def replace(self, key: EntryKey, row: Row) -> None: ...
    def remove(self, key: EntryKey) -> None: ...
    def forget(self) -> None: ...


class ExactStore:
    """Exact keys only: the key looked up is the entry's identity."""

    def __init__(self, keys: tuple[KeySpec, ...]) -> None:
        self._single = len(keys) == 1
        self.rows: dict[EntryKey, Row] = {}

    def key_of(self, match: Matches, priority: int) -> EntryKey:
        """The identity of the entry with this match."""
        if self._single:
            return match[0].value  # type: ignore[union-attr]
        return tuple([m.value for m in match])  # type: ignore[union-attr]

    def match_of(self, key: EntryKey) -> tuple[Matches, int]:
        """The match with this identity; exact entries have no priority."""
        return tuple(Exact(v) for v in ((key,) if self._single else key)), 0

    def add(self, key: EntryKey, row: Row) -> None:
        """Adds or replaces an entry."""
        self.rows[key] = row

    replace = add

    def remove(self, key: EntryKey) -> None:
        """Removes an entry."""
        del self.rows[key]

    def forget(self) -> None:
        """Nothing is cached here."""


@dataclass(slots=True)
class _Group:
    """Entries with the same masks, by masked key; ``top`` is no lower than any rank inside."""

    picks: tuple[tuple[int, int], ...]
    top: int
    buckets: dict[tuple[int, ...], list[_Ranked]] = field(default_factory=dict)


@dataclass(slots=True)
class _Ranked:
    """One entry in a bucket; the higher rank wins.  ``ranges`` are (key place, low, high)."""

    rank: int
    ranges: tuple[tuple[int, int, int], ...]
    row: Row
    key: EntryKey

    def __lt__(self, other: _Ranked) -> bool:
        return self.rank > other.rank

    def accepts(self, values: tuple[int, ...]) -> bool:
        return all(low <= values[place] <= high for place, low, high in self.ranges)


class SearchStore:
    """LPM, ternary, range and optional keys: tuple space search behind a cache of results.

    Entries are grouped by their masks, so a search costs one dictionary lookup per distinct mask,
    not per entry.  Ranges are tried one by one among the entries whose other keys agree.  Among
    equal priorities the older entry wins; P4Runtime leaves it open, and bmv2 decides by the slot
    that an entry was given.
    """

    def __init__(self, keys: tuple[KeySpec, ...], default: list[Row]) -> None:
        self._keys = keys
        self._single = len(keys) == 1
        self._ranged = frozenset(i for i, k in enumerate(keys) if k.kind is MatchKind.RANGE)
        self._by_prefix = all(k.kind in (MatchKind.EXACT, MatchKind.LPM) for k in keys)
        self._default = default
        self._groups: dict[tuple[int, ...], _Group] = {}
        self._ordered: list[_Group] | None = []
        self._age = 0
        self._cache: dict[Any, Row] = {}
        self.cached: Callable[[Any], Row | None] = self._cache.get
        self.rows: dict[EntryKey, Row] = {}

    def key_of(self, match: Matches, priority: int) -> EntryKey:
        """The identity of the entry with this match and priority: plain numbers, quick to hash.

        A range is (low, high), anything else (value, mask), what matches everything ``None``.
        """
        parts = zip(match, self._keys, strict=True)
        return tuple([m if m is None else _PLAIN[k.kind, type(m)](m, k.width) for m, k in parts]), (
            priority
        )

    def match_of(self, key: EntryKey) -> tuple[Matches, int]:
        """The match and priority with this identity."""
        parts, priority = key
        pairs = zip(parts, self._keys, strict=True)
        return tuple(None if p is None else _match_of(p, k) for p, k in pairs), priority

    def search(self, key: Any) -> Row:
        """The row for a looked-up key, else the default; remembers the answer."""
        found = self._search((key,) if self._single else key)
        row = self._default[0] if found is None else found.row
        if len(self._cache) >= CACHE_SIZE:
            self._cache.clear()
        self._cache[key] = row
        return row

    def _search(self, values: tuple[int, ...]) -> _Ranked | None:
        best: _Ranked | None = None
        for group in self._by_top():
            if best is not None and group.top <= best.rank:
                break
            masked = tuple([values[place] & mask for place, mask in group.picks])
            for ranked in group.buckets.get(masked, ()):
                if best is not None and ranked.rank <= best.rank:
                    break
                if ranked.accepts(values):
                    best = ranked
                    break
        return best

    def _by_top(self) -> list[_Group]:
        if self._ordered is None:
            self._ordered = sorted(self._groups.values(), key=lambda g: -g.top)
        return self._ordered

    def add(self, key: EntryKey, row: Row) -> None:
        """Adds an entry."""
        masks, masked, ranges = self._cut(key[0])
        self._age += 1
        rank = (self._priority(key) << 32) - self._age
        group = self._groups.get(masks)
        if group is None:
            picks = tuple((i, m) for i, m in enumerate(masks) if m)
            group = self._groups[masks] = _Group(picks, rank)
            self._ordered = None
        elif rank > group.top:
            group.top, self._ordered = rank, None
        ranked = _Ranked(rank, ranges, row, key)
        bucket = group.buckets.get(masked)
        if bucket is None:
            group.buckets[masked] = [ranked]
        else:
            insort(bucket, ranked)
        self.rows[key] = row
        self._cache.clear()

    def replace(self, key: EntryKey, row: Row) -> None:
        """Replaces an entry's row in place."""
        self._ranked(key).row = row
        self.rows[key] = row
        self._cache.clear()

    def remove(self, key: EntryKey) -> None:
        """Removes an entry."""
        masks, masked, _ = self._cut(key[0])
        group = self._groups[masks]
        bucket = group.buckets[masked]
        bucket.remove(self._ranked(key))
        if not bucket:
            del group.buckets[masked]
        if not group.buckets:
            del self._groups[masks]
            self._ordered = None
        del self.rows[key]
        self._cache.clear()

    def forget(self) -> None:
        """Drops cached results, for a changed default action."""
        self._cache.clear()

    def _ranked(self, key: EntryKey) -> _Ranked:
        masks, masked, _ = self._cut(key[0])
        return next(r for r in self._groups[masks].buckets[masked] if r.key == key)

    def _priority(self, key: EntryKey) -> int:
        """What decides between entries: their priority, or the length of their prefix."""
        if not self._by_prefix:
            return int(key[1])
        return sum(part[1].bit_count() for part in key[0] if part is not None)

    def _cut(
        self, parts: tuple[tuple[int, int] | None, ...]
    ) -> tuple[tuple[int, ...], tuple[int, ...], tuple[tuple[int, int, int], ...]]:
        """Masks of all keys, the values of those that have one, the ranges."""
        masks, masked, ranges = [], [], []
        for place, part in enumerate(parts):
            if part is None:
                masks.append(0)
            elif place not in self._ranged:
                masks.append(part[1])
                masked.append(part[0])
            elif part[0] == part[1]:
                masks.append((1 << self._keys[place].width) - 1)
                masked.append(part[0])
            else:
                masks.append(0)
                ranges.append((place, *part))
        return tuple(masks), tuple(masked), tuple(ranges)


_Part = tuple[int, int] | None


def _plain_exact(match: Any, width: int) -> _Part:
    return match.value, (1 << width) - 1


def _plain_lpm(match: Any, width: int) -> _Part:
    rest = width - match.prefix_len
    return (match.value, (1 << width) - 1 >> rest << rest) if match.prefix_len else None


def _plain_ternary(match: Any, width: int) -> _Part:
    return (match.value & match.mask, match.mask) if match.mask else None


def _plain_range(match: Any, width: int) -> _Part:
    return match.low, match.high


_PLAIN: dict[tuple[MatchKind, type], Callable[[Any, int], _Part]] = {
    (MatchKind.EXACT, Exact): _plain_exact,
    (MatchKind.OPTIONAL, OptionalMatch): _plain_exact,
    (MatchKind.TERNARY, OptionalMatch): _plain_exact,
    (MatchKind.TERNARY, Ternary): _plain_ternary,
    (MatchKind.LPM, Lpm): _plain_lpm,
    (MatchKind.RANGE, Range): _plain_range,
}


def _match_of(part: tuple[int, int], key: KeySpec) -> Match:
    match key.kind:
        case MatchKind.EXACT:
            return Exact(part[0])
        case MatchKind.OPTIONAL:
            return OptionalMatch(part[0])
        case MatchKind.LPM:
            return Lpm(part[0], part[1].bit_count())
        case MatchKind.RANGE:
            return Range(part[0], part[1])
        case MatchKind.TERNARY:
            return Ternary(part[0], part[1])
