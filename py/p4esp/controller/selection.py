"""Which outbound SA serves which policy and destination (`sa_select`, `sa_select_v6`).

During a rekey two SAs serve the same traffic. Each destination keeps its candidates in order; the
first one is in the table, and takes over or gives way by one MODIFY. A set of SAs serves the
destinations that all its members have, and no other: a peer drops what it did not agree to (RFC
4301 4.4.1.2).
"""

from collections.abc import Iterable

from p4esp.controller import tables
from p4esp.controller.entries import Entry, difference, modifies
from p4esp.controller.errors import ControllerError
from p4esp.controller.numbers import Spread
from p4esp.controller.sa_sets import SaSets
from p4esp.controller.share_sets import Division
from p4esp.controller.writer import TableWriter
from p4esp.ipsec.sa import EVERYTHING, Share
from p4esp.ipsec.selectors import Network

Destination = tuple[int, Network]
"""A policy id and an inner destination prefix."""


class SaSelection:
    """The candidates of one switch, by destination."""

    def __init__(self, writer: TableWriter) -> None:
        self._writer = writer
        self._candidates: dict[Destination, list[int]] = {}
        self._served: dict[int, list[Destination]] = {}
        self._shares: dict[int, Share] = {}
        self._sets = SaSets(writer)
        self._in_set: dict[int, set[Destination]] = {}
        """What the set of each policy serves. It begins with what all members have, and never grows
        while there is any of that: a destination that comes later is served by an SA alone.
        """

    async def add(
        self,
        destinations: Iterable[Destination],
        sa: int,
        *,
        first: bool,
        share: Share = EVERYTHING,
    ) -> None:
        """Let an SA serve destinations: from now on, or (`first` false) when others are gone."""
        served = list(destinations)
        self._shares[sa] = share
        before = self._entries(served)
        self._give_to_idle_sets(served)
        for place in served:
            self._rank(place, sa, first=first)
        await self._writer.write(difference(before, self._entries(served)))
        for policy in {policy for policy, _ in served}:
            if self._may_join(policy, sa):
                await self._sets.join(policy, sa, share, now=first)

    def _give_to_idle_sets(self, served: Iterable[Destination]) -> None:
        """A set that serves nothing has no members: the next SA decides anew what it serves."""
        idle = {policy for policy, places in self._in_set.items() if not places}
        for place in served:
            if place[0] in idle:
                self._in_set[place[0]].add(place)

    def _rank(self, place: Destination, sa: int, *, first: bool) -> None:
        candidates = self._candidates.setdefault(place, [])
        front = first and not self._is_in_set(place)  # the fallback of a set stays
        candidates.insert(0 if front else len(candidates), sa)
        self._served.setdefault(sa, []).append(place)

    def _may_join(self, policy: int, sa: int) -> bool:
        """Whether an SA has all that the set of a policy serves."""
        places = self._in_set.get(policy, set())
        return bool(places) and places <= set(self._served.get(sa, ()))

    async def withdraw(self, sa: int) -> None:
        """Take an SA away from all its destinations, and out of its set; others take over."""
        served = self._served.pop(sa, [])
        before = self._entries(served)
        for place in served:
            self._drop(place, sa)
        await self._writer.clear(difference(before, self._entries(served)))
        await self._sets.leave(sa)
        self._shares.pop(sa, None)

    def _drop(self, place: Destination, sa: int) -> None:
        self._candidates[place].remove(sa)
        if not self._candidates[place]:
            del self._candidates[place]
            self._in_set.get(place[0], set()).discard(place)

    def adopt(
        self, destinations: Iterable[Destination], sa: int, share: Share = EVERYTHING
    ) -> None:
        """Take over what the switch does already, in the order of the calls."""
        self._shares[sa] = share
        for place in destinations:
            self._candidates.setdefault(place, []).append(sa)
            self._served.setdefault(sa, []).append(place)

    def entries(self) -> list[Entry]:
        """What the table must hold."""
        return self._entries(self._candidates)

    async def form_set(self, policy: int, spread: Spread, division: Division | None = None) -> None:
        """Have the SAs of a policy, present and future ones, serve it together (RFC 9611): in equal
        parts, or each its share. One that serves some of its destinations only takes no part.
        """
        places = self._places(policy)
        served = [self._candidates[place] for place in places]
        members = [sa for sa in served[0] if all(sa in sas for sas in served)] if served else []
        self._in_set[policy] = set(places) if members else set()
        shares = [(sa, self._share(sa)) for sa in members]
        await self._sets.form(policy, spread, division, shares)
        await self._writer.write(modifies(self._entries(self._places(policy))))

    async def dissolve_set(self, policy: int) -> None:
        """Have one SA serve a policy again. What the switch refuses leaves the set as it is, and
        may be tried again.
        """
        places = self._in_set.pop(policy, set())
        try:
            await self._writer.write(modifies(self._entries(places)))
        except ControllerError:
            self._in_set[policy] = places & self._candidates.keys()
            raise
        await self._sets.dissolve(policy)

    async def want(self, policy: int, resources: Iterable[int], *, wanting: bool) -> None:
        """Have digests sent, or not any more, when resources send that have no SA."""
        await self._sets.want(policy, resources, wanting=wanting)

    async def bind(self, policy: int, sa: int, buckets: Iterable[int]) -> None:
        """Have an SA serve certain buckets alone: ports, or DSCPs."""
        if not self._may_join(policy, sa):
            raise ControllerError(
                f"SA {sa} does not serve all that the set of policy {policy} serves; "
                "accepted: one that does"
            )
        await self._sets.bind(policy, sa, buckets)

    def _places(self, policy: int) -> list[Destination]:
        return [place for place in self._candidates if place[0] == policy]

    def _entries(self, places: Iterable[Destination]) -> list[Entry]:
        """The entries of those destinations that anybody serves."""
        return [self._entry(place) for place in places if place in self._candidates]

    def _fallback(self, place: Destination) -> int:
        """The first that has no share of its own; where all have one, the least particular."""
        return min(self._candidates[place], key=lambda sa: _particular(self._share(sa)))

    def _share(self, sa: int) -> Share:
        return self._shares.get(sa, EVERYTHING)

    def _entry(self, place: Destination) -> Entry:
        fallback, behind = self._fallback(place), self._sets.of(place[0])
        if behind is None or not self._is_in_set(place):
            return tables.sa_select(*place, fallback)
        return tables.sa_select_set(*place, behind.number, behind.spread, fallback)

    def _is_in_set(self, place: Destination) -> bool:
        return place in self._in_set.get(place[0], ())


def _particular(share: Share) -> int:
    """How little it is meant for traffic of others."""
    return 2 * bool(share.dscps) + (share.resource is not None)
