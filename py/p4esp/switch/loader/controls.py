"""Ingress and egress: tables, conditionals and action calls to a graph of blocks."""

from __future__ import annotations

from p4esp.switch import ir
from p4esp.switch.loader.cursor import Cursor
from p4esp.switch.loader.expressions import load_expression
from p4esp.switch.loader.scope import Scope


def load_control(pipeline: Cursor | None, scope: Scope, tables: dict[str, ir.Table]) -> ir.Graph:
    """The graph of one pipeline; an absent one does nothing."""
    if pipeline is None:
        return ir.Graph(None, {})
    nodes = _nodes(pipeline)
    blocks = {}
    for name, (kind, at) in nodes.items():
        blocks[name] = _LOADERS[kind](at, nodes, scope, tables)
    return ir.Graph(_node(pipeline.get("init_table"), nodes), blocks)


_Nodes = dict[str, tuple[str, Cursor]]


def _nodes(pipeline: Cursor) -> _Nodes:
    nodes: _Nodes = {}
    for kind in ("tables", "conditionals", "action_calls"):
        for at in pipeline.items(kind):
            if at["name"].text() in nodes:
                raise at["name"].malformed("a unique name")
            nodes[at["name"].text()] = (kind, at)
    return nodes


def _node(at: Cursor | None, nodes: _Nodes) -> str | None:
    if at is None:
        return None
    if at.text() not in nodes:
        raise at.malformed("the name of a table, conditional or action call")
    return at.text()


def _conditional(at: Cursor, nodes: _Nodes, scope: Scope, tables: dict[str, ir.Table]) -> ir.Block:
    condition = load_expression(at["expression"], scope)
    then, orelse = _node(at.get("true_next"), nodes), _node(at.get("false_next"), nodes)
    return ir.Block((), ir.Branch(condition, then, orelse))


def _apply(at: Cursor, nodes: _Nodes, scope: Scope, tables: dict[str, ir.Table]) -> ir.Block:
    table = tables[at["name"].text()]
    following = at["next_tables"].expect(dict, "an object")
    otherwise = _node(at.get("base_default_next"), nodes)
    if {"__HIT__", "__MISS__"} & set(following.value):
        return ir.Block((), _hit_miss(table, following, otherwise, nodes))
    names = [scope.actions[a].name for a in table.actions]
    by_action = tuple(
        _node(following.get(n), nodes) if n in following.value else otherwise for n in names
    )
    return ir.Block((), ir.Apply(table.name, by_action, otherwise))


def _hit_miss(table: ir.Table, following: Cursor, otherwise: str | None, nodes: _Nodes) -> ir.Apply:
    ways = following.value
    on_hit = _node(following.get("__HIT__"), nodes) if "__HIT__" in ways else otherwise
    on_miss = _node(following.get("__MISS__"), nodes) if "__MISS__" in ways else otherwise
    return ir.Apply(table.name, (), otherwise, True, on_hit, on_miss)


def _action_call(at: Cursor, nodes: _Nodes, scope: Scope, tables: dict[str, ir.Table]) -> ir.Block:
    raise at.unsupported("action call outside a table")


_LOADERS = {"tables": _apply, "conditionals": _conditional, "action_calls": _action_call}
