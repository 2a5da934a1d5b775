"""The control flow of a bmv2 JSON pipeline, reduced to which field is read and written where."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

Field = str
"""``header.field``, the name bmv2 JSON gives it."""

WRITES_FIRST = frozenset(
    {"assign", "register_read", "execute_meter", "modify_field_with_hash_based_offset"}
)


@dataclass(slots=True)
class Node:
    """A table or a condition. ``branches`` are the names of the nodes that may follow."""

    name: str
    keyed: bool
    is_condition: bool
    key_reads: frozenset[Field]
    action_reads: frozenset[Field] = frozenset()
    writes: frozenset[Field] = frozenset()
    always_writes: frozenset[Field] = frozenset()
    branches: tuple[str, ...] = ()
    condition: dict[str, Any] | None = field(default=None)


@dataclass(frozen=True, slots=True)
class _ActionUse:
    reads: frozenset[Field]
    writes: frozenset[Field]


def pipeline_nodes(program: dict[str, Any], pipeline: dict[str, Any]) -> list[Node]:
    """The nodes of one gress in topological order (bmv2 pipelines have no cycles)."""
    actions = {action["id"]: _action_use(action) for action in program["actions"]}
    nodes = [_table_node(table, actions) for table in pipeline["tables"]]
    nodes += [_condition_node(item) for item in pipeline["conditionals"]]
    return _topological({node.name: node for node in nodes}, pipeline["init_table"])


def expression_fields(expression: object) -> Iterator[Field]:
    """Every field that an expression of bmv2 JSON reads."""
    if isinstance(expression, dict):
        if expression.get("type") == "field":
            yield ".".join(expression["value"])
        else:
            for value in expression.values():
                yield from expression_fields(value)
    elif isinstance(expression, list):
        for value in expression:
            yield from expression_fields(value)


def _action_use(action: dict[str, Any]) -> _ActionUse:
    reads: set[Field] = set()
    writes: set[Field] = set()
    for primitive in action["primitives"]:
        parameters = primitive["parameters"]
        target = parameters[_target_index(primitive["op"])] if parameters else None
        if primitive["op"] in WRITES_FIRST and target is not None:
            writes.update(expression_fields(target))
            parameters = [item for item in parameters if item is not target]
        reads.update(expression_fields(parameters))
    return _ActionUse(frozenset(reads), frozenset(writes))


def _target_index(op: str) -> int:
    return 2 if op == "execute_meter" else 0


def _table_node(table: dict[str, Any], actions: dict[int, _ActionUse]) -> Node:
    uses = [actions[action_id] for action_id in table["action_ids"]]
    followers = [*table["next_tables"].values(), table.get("base_default_next")]
    return Node(
        name=table["name"],
        keyed=bool(table["key"]),
        is_condition=False,
        key_reads=frozenset(".".join(key["target"]) for key in table["key"]),
        action_reads=frozenset().union(*(use.reads for use in uses)),
        writes=frozenset().union(*(use.writes for use in uses)),
        always_writes=frozenset.intersection(*(use.writes for use in uses)),
        branches=tuple(dict.fromkeys(name for name in followers if name)),
    )


def _condition_node(item: dict[str, Any]) -> Node:
    followers = (item["true_next"], item["false_next"])
    return Node(
        name=item["name"],
        keyed=False,
        is_condition=True,
        key_reads=frozenset(expression_fields(item["expression"])),
        branches=tuple(name for name in followers if name),
        condition=item,
    )


def _topological(nodes: dict[str, Node], start: str | None) -> list[Node]:
    order: list[Node] = []
    seen: set[str] = set()

    def visit(name: str) -> None:
        stack = [(name, iter(nodes[name].branches))]
        seen.add(name)
        while stack:
            current, followers = stack[-1]
            follower = next((item for item in followers if item not in seen), None)
            if follower is None:
                order.append(nodes[current])
                stack.pop()
            else:
                seen.add(follower)
                stack.append((follower, iter(nodes[follower].branches)))

    if start is not None:
        visit(start)
    return order[::-1]
