"""Which outbound SA serves which policy and destination (`sa_select`, `sa_select_v6`).

During a rekey two SAs serve the same traffic. Each destination keeps its candidates in order; the
first one is in the table, and takes over or gives way by one MODIFY.
"""

from collections import defaultdict
from collections.abc import Iterable

from p4esp.controller import tables
from p4esp.controller.entries import Entry, Op, Update, modifies
from p4esp.controller.numbers import Spread
from p4esp.controller.sa_sets import SaSets
from p4esp.controller.writer import TableWriter
from p4esp.ipsec.selectors import Network

Destination = tuple[int, Network]
"""A policy id and an inner destination prefix."""


class SaSelection:
    """The candidates of one switch, by destination."""

    def __init__(self, writer: TableWriter) -> None:
        self._writer = writer
        self._candidates: dict[Destination, list[int]] = {}
        self._served: defaultdict[int, list[Destination]] = defaultdict(list)
        self._sets = SaSets(writer)

    async def add(self, destinations: Iterable[Destination], sa: int, *, first: bool) -> None:
        """Let an SA serve destinations: from now on, or (`first` false) when others are gone."""
        served = list(destinations)
        updates = [update for place in served for update in self._added(place, sa, first=first)]
        await self._writer.write(updates)
        for policy in {policy for policy, _ in served}:
            if self._sets.of(policy) is not None and self._places(policy) <= set(served):
                await self._sets.join(policy, sa, now=first)

    def _added(self, place: Destination, sa: int, *, first: bool) -> list[Update]:
        candidates = self._candidates.setdefault(place, [])
        before = candidates[0] if candidates else None
        front = first and self._sets.of(place[0]) is None  # the fallback of a set stays
        candidates.insert(0 if front else len(candidates), sa)
        self._served[sa].append(place)
        return self._change(place, before, candidates[0])

    async def withdraw(self, sa: int) -> None:
        """Take an SA away from all its destinations, and out of its set; others take over."""
        served = self._served.pop(sa, ())
        updates = [update for place in served for update in self._withdrawn(place, sa)]
        await self._writer.clear(updates)
        await self._sets.leave(sa)

    def _withdrawn(self, place: Destination, sa: int) -> list[Update]:
        candidates = self._candidates[place]
        before = candidates[0]
        candidates.remove(sa)
        if not candidates:
            del self._candidates[place]
        return self._change(place, before, candidates[0] if candidates else None)

    def adopt(self, destinations: Iterable[Destination], sa: int) -> None:
        """Take over what the switch does already, in the order of the calls."""
        for place in destinations:
            self._candidates.setdefault(place, []).append(sa)
            self._served[sa].append(place)

    def entries(self) -> list[Entry]:
        """What the table must hold."""
        return [self._entry(place, sas[0]) for place, sas in self._candidates.items()]

    async def form_set(self, policy: int, spread: Spread) -> None:
        """Have the SAs of a policy, present and future ones, serve it together (RFC 9611). One that
        serves some of its destinations only takes no part.
        """
        served = [self._candidates[place] for place in self._places(policy)]
        members = [sa for sa in served[0] if all(sa in sas for sas in served)] if served else []
        await self._sets.form(policy, spread, members)
        await self._rewrite(policy)

    async def dissolve_set(self, policy: int) -> None:
        """Have one SA serve a policy again."""
        clean_up = self._sets.dissolve(policy)
        await self._rewrite(policy)
        await clean_up()

    async def bind(self, policy: int, sa: int, buckets: Iterable[int]) -> None:
        """Have an SA serve certain buckets alone: ports, or DSCPs."""
        await self._sets.bind(policy, sa, buckets)

    async def _rewrite(self, policy: int) -> None:
        places = self._places(policy)
        entries = [self._entry(place, self._candidates[place][0]) for place in places]
        await self._writer.write(modifies(entries))

    def _places(self, policy: int) -> set[Destination]:
        return {place for place in self._candidates if place[0] == policy}

    def _entry(self, place: Destination, sa: int) -> Entry:
        behind = self._sets.of(place[0])
        if behind is None:
            return tables.sa_select(*place, sa)
        return tables.sa_select_set(*place, behind.number, behind.spread, sa)

    def _change(self, place: Destination, before: int | None, after: int | None) -> list[Update]:
        if before == after:
            return []
        if after is None:
            return [] if before is None else [Update(Op.DELETE, self._entry(place, before))]
        op = Op.INSERT if before is None else Op.MODIFY
        return [Update(op, self._entry(place, after))]
