"""What policy does with later fragments, which show no ports (RFC 4301 7.4).

A rule with ports does not match such a fragment, though it may belong to one of the rule's packets.
The pipeline keeps no state of fragments, so where a bypass rule below would let it pass in clear it
is dropped. Below a rule that protects it is sealed like any other (RFC 4301 7.1).
"""

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import product

from p4esp.ipsec.policy import Action, PolicyRule
from p4esp.ipsec.selectors import ANY_PORTS, OPAQUE_PORTS, TrafficSelector

Pair = tuple[TrafficSelector, TrafficSelector]
"""Local and remote."""


def unseen_by(ranked: Sequence[PolicyRule], *, by_label: bool = False) -> list[list[Pair]]:
    """For each rule, in order, the later fragments of its packets that one below would let pass in
    clear; with `by_label` the rules of other security labels see none of them.
    """
    below: defaultdict[bytes, deque[PolicyRule]] = defaultdict(deque)
    found: list[list[Pair]] = []
    for rule in reversed(ranked):
        beside = below[rule.label if by_label else b""]
        found.append(_unseen(rule, beside))
        if _sees_fragments(rule):
            beside.appendleft(rule)
    return found[::-1]


def _unseen(rule: PolicyRule, below: Iterable[PolicyRule]) -> list[Pair]:
    if rule.action is Action.BYPASS:
        return []
    return [pair for pair in _fragments(rule) if _would_pass(pair, below)]


def _sees_fragments(rule: PolicyRule) -> bool:
    """Whether a rule can match a packet without ports; of thousands, most cannot."""
    portless = (ANY_PORTS, OPAQUE_PORTS)
    sides = (rule.local, rule.remote)
    return all(any(selector.ports in portless for selector in side) for side in sides)


def _fragments(rule: PolicyRule) -> Iterator[Pair]:
    """The later fragments of what a rule matches by its ports."""
    for local, remote in product(rule.local, rule.remote):
        ports = {local.ports, remote.ports}
        if ports != {ANY_PORTS} and OPAQUE_PORTS not in ports:
            yield _without_ports(local), _without_ports(remote)


def _without_ports(selector: TrafficSelector) -> TrafficSelector:
    first, last = OPAQUE_PORTS
    return replace(selector, first_port=first, last_port=last)


def _would_pass(pair: Pair, below: Iterable[PolicyRule]) -> bool:
    """Whether a bypass rule gets some of them, before another rule has taken them all."""
    for rule in below:
        if rule.action is Action.BYPASS:
            if _meet(pair[0], rule.local) and _meet(pair[1], rule.remote):
                return True
        elif rule.covers(*pair):
            return False
    return False


def _meet(one: TrafficSelector, others: Iterable[TrafficSelector]) -> bool:
    return any(one.intersection(other) is not None for other in others)
