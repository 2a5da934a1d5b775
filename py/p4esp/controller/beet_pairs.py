"""Inner addresses of BEET are not sent, so a pair of them is one child's (design section 10)."""

from collections.abc import Callable, Iterable

from p4esp.ike.state import IntendedSa
from p4esp.ipsec.identity import Identity
from p4esp.ipsec.sa import ChildSaParams, Mode
from p4esp.ipsec.selectors import Address


class BeetPairs:
    """The inner pairs of a gateway's SAs in BEET mode, whoever made them."""

    def __init__(self, live: Callable[[], Iterable[ChildSaParams]]) -> None:
        """`live`: the SAs there are."""
        self._live = live

    def objection(self, wanted: IntendedSa) -> str | None:
        """Whose the pair is already; further SAs of one child with one peer have the same."""
        if wanted.mode is not Mode.BEET:
            return None
        owner = wanted.peer, wanted.child, wanted.remote_id
        pair = wanted.local_ts[0].first, wanted.remote_ts[0].first
        for sa in self._live():
            if sa.mode is Mode.BEET and _pair(sa) == pair and _owner(sa) != owner:
                child = f"{sa.peer}/{sa.name}'s with {sa.remote_id}"
                return f"BEET between {pair[0]} and {pair[1]} is child {child}"
        return None


def _pair(sa: ChildSaParams) -> tuple[Address, Address]:
    return sa.local_ts[0].first, sa.remote_ts[0].first


def _owner(sa: ChildSaParams) -> tuple[str, str, Identity]:
    return sa.peer, sa.name, sa.remote_id
