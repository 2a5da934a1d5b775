"""Sets whose SAs have a share of the traffic each: a resource's (RFC 9611), or a class of DSCPs.

Bucket b belongs to resource b modulo their number, and with the spread by DSCP to code point b.
Whoever has the bucket's class comes before those without one, then whoever has its resource; of
equals the one that sends first. What nobody claims is the fallback SA's.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from p4esp.controller.errors import ControllerError
from p4esp.controller.numbers import Spread
from p4esp.ike.extensions.resources import number_of
from p4esp.ipsec.sa import Share

BUCKETS: Final = 256
WANTING: Final = -1
"""In an SA's place: the fallback serves the bucket, and the controller is told when it sends."""

Moves = Mapping[int, tuple[int | None, int | None]]
"""Who served buckets, and who does now: an SA, `WANTING`, or None for the fallback."""


@dataclass(frozen=True, slots=True)
class Division:
    """What the traffic of a set is divided into beside classes."""

    resources: int = 0
    on_demand: bool = False
    """Whether a resource gets an SA when it sends, not before."""

    def resource(self, bucket: int) -> int | None:
        """The resource of a bucket, if there are any."""
        return bucket % self.resources if self.resources else None


class ShareSet:
    """Who serves which bucket of one such set; plans moves, writes nothing."""

    def __init__(self, number: int, spread: Spread, division: Division) -> None:
        self.number, self.spread = number, spread
        self._division = division
        self._members: list[tuple[int, Share]] = []
        self._wanting = set(range(division.resources)) if division.on_demand else set()
        self.owner = [self._best(bucket) for bucket in range(BUCKETS)]

    def take(self, sa: int, share: Share, *, now: bool) -> Moves:
        """An SA more: it serves its share at once, or (`now` false) when others are gone."""
        self._members.insert(0 if now else len(self._members), (sa, share))
        return self._settle()

    def lose(self, sa: int) -> Moves:
        """An SA less."""
        self._members = [member for member in self._members if member[0] != sa]
        return self._settle()

    def want(self, resources: Iterable[int], *, wanting: bool) -> Moves:
        """Have the controller told, or not any more, when resources send that have no SA."""
        if wanting:
            self._wanting.update(resources)
        else:
            self._wanting.difference_update(resources)
        return self._settle()

    def bind(self, sa: int, buckets: Iterable[int]) -> Moves:
        """Shares say who serves what."""
        raise ControllerError("the SAs of this set have shares; accepted: none bound by hand")

    def _settle(self) -> Moves:
        wanted = [self._best(bucket) for bucket in range(BUCKETS)]
        pairs = enumerate(zip(self.owner, wanted, strict=True))
        moves = {at: pair for at, pair in pairs if pair[0] != pair[1]}
        self.owner = wanted
        return moves

    def _best(self, bucket: int) -> int | None:
        ranked = ((self._rank(share, bucket), sa) for sa, share in self._members)
        rank, best = max(ranked, key=lambda item: item[0], default=(0, 0))
        if rank:
            return best
        return WANTING if self._division.resource(bucket) in self._wanting else None

    def _rank(self, share: Share, bucket: int) -> int:
        """How much of a claim an SA has to a bucket; 0: none."""
        resource = number_of(share)
        elsewhere = resource is not None and resource != self._division.resource(bucket)
        if elsewhere or (share.dscps and bucket not in share.dscps):
            return 0
        return 2 * bool(share.dscps) + (resource is not None)
