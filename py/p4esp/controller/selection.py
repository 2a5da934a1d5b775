"""Which outbound SA serves which policy and destination (`sa_select`, `sa_select_v6`).

During a rekey two SAs serve the same traffic. Each destination keeps its candidates in order; the
first one is in the table, and takes over or gives way by one MODIFY.
"""

from collections import defaultdict
from collections.abc import Iterable

from p4esp.controller import tables
from p4esp.controller.entries import Entry, Op, Update
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

    async def add(self, destinations: Iterable[Destination], sa: int, *, first: bool) -> None:
        """Let an SA serve destinations: from now on, or (`first` false) when others are gone."""
        updates = [
            update for place in destinations for update in self._added(place, sa, first=first)
        ]
        await self._writer.write(updates)

    def _added(self, place: Destination, sa: int, *, first: bool) -> list[Update]:
        candidates = self._candidates.setdefault(place, [])
        before = candidates[0] if candidates else None
        candidates.insert(0 if first else len(candidates), sa)
        self._served[sa].append(place)
        return _change(place, before, candidates[0])

    async def withdraw(self, sa: int) -> None:
        """Take an SA away from all its destinations; the next candidate takes over."""
        served = self._served.pop(sa, ())
        updates = [update for place in served for update in self._withdrawn(place, sa)]
        await self._writer.clear(updates)

    def _withdrawn(self, place: Destination, sa: int) -> list[Update]:
        candidates = self._candidates[place]
        before = candidates[0]
        candidates.remove(sa)
        if not candidates:
            del self._candidates[place]
        return _change(place, before, candidates[0] if candidates else None)

    def adopt(self, destinations: Iterable[Destination], sa: int) -> None:
        """Take over what the switch does already, in the order of the calls."""
        for place in destinations:
            self._candidates.setdefault(place, []).append(sa)
            self._served[sa].append(place)

    def entries(self) -> list[Entry]:
        """What the table must hold."""
        return [tables.sa_select(*place, sas[0]) for place, sas in self._candidates.items()]


def _change(place: Destination, before: int | None, after: int | None) -> list[Update]:
    if before == after:
        return []
    if after is None:
        return [] if before is None else [Update(Op.DELETE, tables.sa_select(*place, before))]
    op = Op.INSERT if before is None else Op.MODIFY
    return [Update(op, tables.sa_select(*place, after))]
