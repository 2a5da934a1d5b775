"""Inner addresses of BEET are not sent, so a pair of them is one child's (design section 10)."""

from collections.abc import Callable, Iterable, Sequence

from p4esp.controller.config import GatewayConfig
from p4esp.ipsec.sa import ChildSaParams, Mode
from p4esp.ipsec.selectors import TrafficSelector


def beet_children(config: GatewayConfig) -> list[tuple[str, str]]:
    """The children in BEET mode, by peer and name."""
    children = [(peer.name, child) for peer in config.peers for child in peer.children]
    return [(peer, child.name) for peer, child in children if child.mode == "beet"]


class BeetPairs:
    """The inner pairs of a gateway's SAs in BEET mode."""

    def __init__(
        self, children: Iterable[tuple[str, str]], live: Callable[[], Iterable[ChildSaParams]]
    ) -> None:
        """`children`: peer and name of those in BEET mode; `live`: the SAs there are."""
        self._children = frozenset(children)
        self._live = live

    def objection(
        self,
        peer: str,
        child: str,
        local: Sequence[TrafficSelector],
        remote: Sequence[TrafficSelector],
    ) -> str | None:
        """Whose the pair is already (see `Environment.objection`); successors have the same."""
        if (peer, child) not in self._children:
            return None
        pair = local[0].first, remote[0].first
        for sa in self._live():
            others = sa.mode is Mode.BEET and (sa.peer, sa.name) != (peer, child)
            if others and (sa.local_ts[0].first, sa.remote_ts[0].first) == pair:
                return f"BEET between {pair[0]} and {pair[1]} is child {sa.peer}/{sa.name}'s"
        return None
