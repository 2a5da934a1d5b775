"""A pass is a part of the control flow: the nodes reachable under what is known of one field."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from p4esp.p4build.graph import Field, Node


@dataclass(frozen=True, slots=True)
class Pass:
    """``field_suffix`` (of the flattened name) takes only these values in this pass."""

    name: str
    field_suffix: str
    values: frozenset[int]


# Values of path_t in p4src/common/ids.p4.
GATEWAY_PASSES = (
    Pass("outbound, before the engine", ".path", frozenset({0, 1, 2})),
    Pass("outbound, after the engine", ".path", frozenset({0, 3})),
    Pass("inbound, before the engine", ".path", frozenset({0, 1, 4})),
    Pass("inbound, after the engine", ".path", frozenset({0, 5})),
)


def reachable(nodes: list[Node], limits: Pass) -> list[Node]:
    """The nodes that a packet of this pass can meet, in the order of ``nodes``."""
    by_name = {node.name: node for node in nodes}
    alive = {nodes[0].name} if nodes else set()
    for node in nodes:
        if node.name in alive:
            alive.update(name for name in _followers(node, limits) if name in by_name)
    return [node for node in nodes if node.name in alive]


def _followers(node: Node, limits: Pass) -> list[str]:
    if node.condition is None:
        return list(node.branches)
    outcomes = _possible(node.condition["expression"], limits)
    edges = {True: node.condition["true_next"], False: node.condition["false_next"]}
    return [edges[outcome] for outcome in outcomes if edges[outcome]]


def _possible(expression: Any, limits: Pass) -> set[bool]:
    """Which truth values a condition can have; both when nothing is known."""
    if not isinstance(expression, dict):
        return {True, False}
    if expression.get("type") == "expression":
        return _possible(expression["value"], limits)
    operator = expression.get("op")
    if operator in ("and", "or"):
        return _combine(operator, expression, limits)
    if operator == "not":
        return {not value for value in _possible(expression["right"], limits)}
    if operator in ("==", "!="):
        return _compare(operator, expression, limits)
    return {True, False}


def _combine(operator: str, expression: dict[str, Any], limits: Pass) -> set[bool]:
    left = _possible(expression["left"], limits)
    right = _possible(expression["right"], limits)
    combine = all if operator == "and" else any
    return {combine(pair) for pair in ((a, b) for a in left for b in right)}


def _compare(operator: str, expression: dict[str, Any], limits: Pass) -> set[bool]:
    name, constant = _field_of(expression["left"]), _constant_of(expression["right"])
    if name is None or constant is None or not name.endswith(limits.field_suffix):
        return {True, False}
    equal = {value == constant for value in limits.values}
    return equal if operator == "==" else {not value for value in equal}


def _field_of(side: dict[str, Any]) -> Field | None:
    return ".".join(side["value"]) if side.get("type") == "field" else None


def _constant_of(side: dict[str, Any]) -> int | None:
    return int(side["value"], 16) if side.get("type") == "hexstr" else None
