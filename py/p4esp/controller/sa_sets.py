"""Sets of SAs that serve the same traffic (RFC 4301 4.1, RFC 9611).

Behind a set stand 256 buckets; a packet's flow, ingress port or DSCP chooses one. Each bucket is an
entry of its own, so SAs come and go bucket by bucket, and a flow in another bucket notices nothing.
A bucket of nobody is served by the fallback SA, the one that `sa_select` names.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from p4esp.controller import tables
from p4esp.controller.entries import Entry, Op, Update, deletes
from p4esp.controller.errors import ControllerError
from p4esp.controller.numbers import Spread
from p4esp.controller.share_sets import BUCKETS, WANTING, Division, Moves, ShareSet
from p4esp.controller.writer import TableWriter
from p4esp.ipsec.sa import Share


class SaSet:
    """Who serves which bucket of one set; plans moves, writes nothing."""

    def __init__(self, number: int, spread: Spread) -> None:
        self.number = number
        self.spread = spread
        self.owner: list[int | None] = [None] * BUCKETS
        self.members: list[int] = []
        self._bound: dict[int, int] = {}
        self._waiting: list[int] = []

    def take(self, sa: int, share: Share, *, now: bool) -> Moves:
        """An SA more, whatever its share: at once, or (`now` false) as the heir of the next that
        leaves.
        """
        if now:
            return self.join(sa)
        self._waiting.append(sa)
        return {}

    def lose(self, sa: int) -> Moves:
        """An SA less, if it was there."""
        if sa in self._waiting:
            self._waiting.remove(sa)
            return {}
        if sa not in self.members and sa not in self.owner:
            return {}
        return self.leave(sa, self._waiting.pop(0) if self._waiting else None)

    def want(self, resources: Iterable[int], *, wanting: bool) -> Moves:
        """Nobody asks for an SA here."""
        return {}

    def join(self, sa: int) -> Moves:
        """A member more takes its share from those that have most; no other bucket moves."""
        if sa in self.members:
            return {}
        self.members.append(sa)
        return self._move(self._spare(), sa)

    def _spare(self) -> list[int]:
        """A share of buckets for one more: nobody's first, then every other one of who has most."""
        holders = self._holders()
        spare = holders.pop(None, [])
        share = (len(spare) + sum(map(len, holders.values()))) // len(self.members)
        given: Counter[int | None] = Counter()
        while holders and len(spare) < share:
            most = max(holders, key=lambda owner: len(holders[owner]))
            given[most] += 1
            spare.append(holders[most].pop(min(given[most], len(holders[most]) - 1)))
        return spare

    def _holders(self) -> dict[int | None, list[int]]:
        """The buckets that are bound to nobody, by who serves them."""
        holders: dict[int | None, list[int]] = {}
        for at, owner in enumerate(self.owner):
            if at not in self._bound:
                holders.setdefault(owner, []).append(at)
        return holders

    def leave(self, sa: int, heir: int | None = None) -> Moves:
        """A member less. Its buckets go to an heir; without one the bound ones go to the fallback
        and each other one to whoever has fewest.
        """
        self.members = [member for member in self.members if member not in (sa, heir)]
        left = [at for at, owner in enumerate(self.owner) if owner == sa]
        if heir is not None:
            self.members.append(heir)
            self._bound = {at: heir if owner == sa else owner for at, owner in self._bound.items()}
            return self._move(left, heir)
        bound = [at for at in left if at in self._bound]
        self._bound = {at: owner for at, owner in self._bound.items() if owner != sa}
        rest = [at for at in left if at not in bound]
        return {**self._move(bound, None), **self._spread(rest)}

    def _spread(self, buckets: Iterable[int]) -> Moves:
        held = Counter(owner for owner in self.owner if owner is not None)
        moves: dict[int, tuple[int | None, int | None]] = {}
        for at in buckets:
            least = min(self.members, key=lambda member: held[member], default=None)
            moves.update(self._move((at,), least))
            if least is not None:
                held[least] += 1
        return moves

    def bind(self, sa: int, buckets: Iterable[int]) -> Moves:
        """Give an SA certain buckets for as long as it is there: those of a port or a DSCP."""
        chosen = list(buckets)
        self._bound.update(dict.fromkeys(chosen, sa))
        return self._move(chosen, sa)

    def _move(self, buckets: Iterable[int], sa: int | None) -> Moves:
        moves = {at: (self.owner[at], sa) for at in buckets if self.owner[at] != sa}
        for at in moves:
            self.owner[at] = sa
        return moves


class SaSets:
    """The sets of one switch, by the policy whose traffic they serve."""

    def __init__(self, writer: TableWriter) -> None:
        self._writer = writer
        self._sets: dict[int, SaSet | ShareSet] = {}

    def of(self, policy: int) -> SaSet | ShareSet | None:
        """The set of a policy."""
        return self._sets.get(policy)

    async def form(
        self,
        policy: int,
        spread: Spread,
        division: Division | None,
        members: Sequence[tuple[int, Share]],
    ) -> None:
        """Make a set, or anew what is left of one, and fill its buckets; `sa_select` may name it
        then. Without a division all SAs have equal shares.
        """
        made = SaSet(policy, spread) if division is None else ShareSet(policy, spread, division)
        old = self._sets.get(policy, SaSet(policy, spread))
        self._sets[policy] = made
        for sa, share in members:
            made.take(sa, share, now=True)
        owners = enumerate(zip(old.owner, made.owner, strict=True))
        await self._write(made, {at: move for at, move in owners if move[0] != move[1]})

    async def join(self, policy: int, sa: int, share: Share, *, now: bool) -> None:
        """An SA more: at once, or (`now` false) in the place of one that leaves."""
        joined = self._sets.get(policy)
        if joined is not None:
            await self._write(joined, joined.take(sa, share, now=now))

    async def want(self, policy: int, resources: Iterable[int], *, wanting: bool) -> None:
        """Have digests sent, or not any more, when resources send that have no SA."""
        wanted = self._sets.get(policy)
        if wanted is not None:
            await self._write(wanted, wanted.want(resources, wanting=wanting))

    async def bind(self, policy: int, sa: int, buckets: Iterable[int]) -> None:
        """Have an SA serve certain buckets alone, a port's or a DSCP's (RFC 9611 resources)."""
        bound = self._sets[policy]
        await self._write(bound, bound.bind(sa, buckets))

    async def leave(self, sa: int) -> None:
        """No bucket points to an SA any more when this returns."""
        for left in list(self._sets.values()):
            await self._write(left, left.lose(sa))

    async def dissolve(self, policy: int) -> None:
        """Take the entries of a set away, which nothing names any more, and forget it. What the
        switch refuses leaves it known.
        """
        gone = self._sets.pop(policy)
        owners = [(at, sa) for at, sa in enumerate(gone.owner) if sa is not None]
        try:
            await self._writer.clear(deletes(_entry(policy, *one) for one in owners))
        except ControllerError:
            self._sets[policy] = gone
            raise

    async def _write(self, changed: SaSet | ShareSet, moves: Moves) -> None:
        await self._writer.write([_update(changed.number, at, *moves[at]) for at in moves])


def _update(number: int, bucket: int, before: int | None, after: int | None) -> Update:
    if after is None:
        return Update(Op.DELETE, _entry(number, bucket, before))
    op = Op.INSERT if before is None else Op.MODIFY
    return Update(op, _entry(number, bucket, after))


def _entry(number: int, bucket: int, owner: int | None) -> Entry:
    if owner == WANTING:
        return tables.acquire_member(number, bucket)
    return tables.sa_member(number, bucket, owner or 0)
