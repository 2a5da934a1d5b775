"""Which variables a generated function reads before it assigns them, and their start values."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping

Guards = Mapping[str, frozenset[str]]
"""Validity variables: the variables that are surely assigned where one of them is true."""


def stored_names(function: ast.FunctionDef) -> set[str]:
    """Parameters and names assigned anywhere in the function."""
    names = {a.arg for a in function.args.args}
    nodes = (n for n in ast.walk(function) if isinstance(n, ast.Name))
    return names | {n.id for n in nodes if isinstance(n.ctx, ast.Store)}


def needed_names(function: ast.FunctionDef, variables: set[str], guards: Guards) -> set[str]:
    """Those of ``variables`` that may be read before the function assigns them."""
    search = _Unassigned(variables, guards)
    search.block(function.body, {a.arg for a in function.args.args})
    return search.needed


def initialise(function: ast.FunctionDef, names: Iterable[str], initial: Mapping[str, str]) -> None:
    """Gives variables start values (``initial``, else 0): as defaults of parameters nobody passes.

    The interpreter fills in defaults several times faster than it runs assignments.
    """
    for name in sorted(names):
        function.args.args.append(ast.arg(name))
        function.args.defaults.append(ast.parse(initial.get(name, "0"), mode="eval").body)


class _Unassigned:
    """Forward search for reads that an assignment does not surely precede."""

    def __init__(self, variables: set[str], guards: Guards) -> None:
        self._variables, self._guards = variables, guards
        self._breaks: list[set[str] | None] = []
        self.needed: set[str] = set()

    def block(self, body: list[ast.stmt], assigned: set[str]) -> set[str] | None:
        """What is assigned behind ``body``; ``None`` if control does not come there."""
        current: set[str] | None = set(assigned)
        for statement in body:
            if current is None:
                return None
            current = self._statement(statement, current)
        return current

    def _statement(self, statement: ast.stmt, assigned: set[str]) -> set[str] | None:
        match statement:
            case ast.If():
                self._reads(statement.test, assigned)
                then = self.block(statement.body, assigned | self._implied(statement.test, True))
                orelse = assigned | self._implied(statement.test, False)
                return _either(then, self.block(statement.orelse, orelse))
            case ast.While():
                return self._loop(statement, assigned)
            case ast.For():
                self._reads(statement.iter, assigned)
                self._breaks.append(None)
                self.block(statement.body, assigned | _stores(statement.target))
                self._breaks.pop()
                return assigned
            case ast.Break():
                self._breaks[-1] = _either(self._breaks[-1], assigned)
                return None
            case ast.Return():
                self._reads(statement, assigned)
                return None
            case _:
                self._reads(statement, assigned)
                assigned |= _stores(statement)
                return assigned

    def _loop(self, statement: ast.While, assigned: set[str]) -> set[str] | None:
        self._breaks.append(None)
        self.block(statement.body, assigned)
        return self._breaks.pop()

    def _reads(self, node: ast.AST, assigned: set[str]) -> None:
        match node:
            case ast.Name(id=name, ctx=ast.Load()):
                if name in self._variables and name not in assigned:
                    self.needed.add(name)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                self._reads(test, assigned)
                self._reads(body, assigned | self._implied(test, True))
                self._reads(orelse, assigned | self._implied(test, False))
            case ast.BoolOp(op=op, values=operands):
                for operand in operands:
                    self._reads(operand, assigned)
                    assigned = assigned | self._implied(operand, isinstance(op, ast.And))
            case _:
                for part in ast.iter_child_nodes(node):
                    self._reads(part, assigned)

    def _implied(self, test: ast.expr, holds: bool) -> frozenset[str]:
        """What is surely assigned where a test holds, or does not hold."""
        match test:
            case ast.Name(id=name):
                return self._guards.get(name, frozenset()) if holds else frozenset()
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return self._implied(operand, not holds)
            case ast.BoolOp(op=op, values=operands) if isinstance(op, ast.And) == holds:
                return frozenset().union(*(self._implied(o, holds) for o in operands))
            case _:
                return frozenset()


def _stores(node: ast.AST) -> set[str]:
    names = (n for n in ast.walk(node) if isinstance(n, ast.Name))
    return {n.id for n in names if isinstance(n.ctx, ast.Store)}


def _either(first: set[str] | None, second: set[str] | None) -> set[str] | None:
    if first is None or second is None:
        return second if first is None else first
    return first & second
