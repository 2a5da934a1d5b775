"""Control-flow graphs to nested code, without copying any block.

Blocks are placed by dominance (Ramsey, "Beyond Relooper", 2022): a block with one way in stands
inside the arm that leads to it; a block with several (a join) stands once, behind the block that
dominates it.  Where control can arrive at that place for more than one join, the joins test a
variable that the jumps set; where only one is possible, nothing is tested.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

Ways = Callable[[str], tuple[str | None, ...]]


@dataclass(slots=True)
class Region:
    """One block with what stands inside and behind it.

    ``inner`` are blocks placed in the arm that leads to them.  ``joins`` follow the block in this
    order; those in ``tested`` are entered only if the jump variable names them.
    """

    block: str
    inner: dict[str, Region] = field(default_factory=dict)
    joins: list[Region] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Plan:
    """The nested form of a graph; ``number`` is what the jump variable holds for a tested join."""

    root: Region
    number: Mapping[str, int]


def successors(ways: tuple[str | None, ...]) -> tuple[str, ...]:
    """The blocks a block can go on with; its way out of the graph does not count."""
    return tuple(w for w in ways if w is not None)


def plan(entry: str, ways: Ways) -> Plan | None:
    """Nests the graph; ``None`` if it has a cycle.

    ``ways(block)`` gives one successor per arm that the caller will write, so a block named twice
    there is a join.
    """
    order = _topological(entry, ways)
    if order is None:
        return None
    edges = _edge_counts(order, ways)
    dominators = _dominators(order, ways)
    root = _nest(order, edges, dominators)
    tested: set[str] = set()
    _find_tested(root, ways, tested)
    return Plan(root, {name: i + 1 for i, name in enumerate(n for n in order if n in tested)})


def _topological(entry: str, ways: Ways) -> list[str] | None:
    """Reachable blocks, each before its successors; ``None`` if there is a cycle."""
    postorder: list[str] = []
    state: dict[str, bool] = {entry: False}
    stack: list[tuple[str, Iterator[str]]] = [(entry, iter(successors(ways(entry))))]
    while stack:
        block, rest = stack[-1]
        following = next(rest, None)
        if following is None:
            stack.pop()
            state[block] = True
            postorder.append(block)
        elif following not in state:
            state[following] = False
            stack.append((following, iter(successors(ways(following)))))
        elif not state[following]:
            return None
    return postorder[::-1]


def _edge_counts(order: list[str], ways: Ways) -> dict[str, int]:
    counts = dict.fromkeys(order, 0)
    for block in order:
        for following in successors(ways(block)):
            counts[following] += 1
    return counts


def _dominators(order: list[str], ways: Ways) -> dict[str, str]:
    """Immediate dominators (Cooper, Harvey, Kennedy); one pass is enough without cycles."""
    rank = {block: i for i, block in enumerate(order)}
    dominator = {order[0]: order[0]}
    for block in order:
        for following in successors(ways(block)):
            known = dominator.get(following)
            dominator[following] = block if known is None else _meet(known, block, dominator, rank)
    return dominator


def _meet(a: str, b: str, dominator: dict[str, str], rank: dict[str, int]) -> str:
    while a != b:
        if rank[a] > rank[b]:
            a = dominator[a]
        else:
            b = dominator[b]
    return a


def _nest(order: list[str], edges: dict[str, int], dominator: dict[str, str]) -> Region:
    regions = {block: Region(block) for block in order}
    for block in order[1:]:
        parent = regions[dominator[block]]
        if edges[block] == 1:
            parent.inner[block] = regions[block]
        else:
            parent.joins.append(regions[block])
    return regions[order[0]]


def _find_tested(region: Region, ways: Ways, tested: set[str]) -> set[str]:
    """The joins outside ``region`` that its code may jump to; finds those that need a test."""
    pending: set[str] = set()
    for following in successors(ways(region.block)):
        inner = region.inner.get(following)
        pending |= {following} if inner is None else _find_tested(inner, ways, tested)
    for join in region.joins:
        if pending != {join.block}:
            tested.add(join.block)
        pending = (pending - {join.block}) | _find_tested(join, ways, tested)
    return pending
