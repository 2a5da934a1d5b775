"""Removes stores whose value no way through the function ever reads.

A backward data-flow pass over the syntax tree; the set of live variables is an integer with one
bit per name.  It relies on what the generator guarantees: loops are ``while True`` and ``for``,
assignments are to names, tuples of names or subscripts, and only the calls below have no effect.
"""

from __future__ import annotations

import ast

_PURE = frozenset({"from_bytes", "bytes", "len", "saturate", "shift_left", "shift_right", "min"})
_PURE_PREFIXES = ("unpack_from_", "hash_", "exact_")
_EVERYTHING = -1


def remove_dead_stores(function: ast.FunctionDef) -> None:
    """Drops needless assignments, and the tests of ifs that become empty."""
    _Liveness().block(function.body, 0)


class _Liveness:
    def __init__(self) -> None:
        self._bits: dict[str, int] = {}
        self._behind_loops: list[int] = []

    def block(self, body: list[ast.stmt], live: int) -> int:
        """What is live in front of ``body``, if ``live`` is behind it."""
        for place in range(len(body) - 1, -1, -1):
            kept, live = self._statement(body[place], live)
            if not kept:
                del body[place]
        return live

    def _statement(  # noqa: PLR0911 - one per kind
        self, statement: ast.stmt, live: int
    ) -> tuple[bool, int]:
        """Whether the statement is still needed, and what is live in front of it."""
        match statement:
            case ast.Assign():
                return self._assign(statement, live)
            case ast.If():
                return self._if(statement, live)
            case ast.While():
                return True, self._while(statement, live)
            case ast.For():
                self._behind_loops.append(_EVERYTHING)
                self.block(statement.body, _EVERYTHING)
                self._behind_loops.pop()
                return True, _EVERYTHING
            case ast.Break():
                return True, self._behind_loops[-1]
            case ast.Return():
                return True, self._reads(statement)
            case ast.Pass():
                return False, live
            case _:
                return True, live | self._reads(statement)

    def _assign(self, statement: ast.Assign, live: int) -> tuple[bool, int]:
        pure = _is_pure(statement.value)
        wanted = [t for t in statement.targets if not pure or self._is_wanted(t, live)]
        if not wanted:
            return False, live
        statement.targets = wanted
        for target in wanted:
            for name in _names(target):
                live &= ~self._bit(name.id)
        for target in wanted:
            live |= self._reads(target)
        return True, live | self._reads(statement.value)

    def _is_wanted(self, target: ast.expr, live: int) -> bool:
        names = _names(target)
        if not names:
            return True
        wanted = [n for n in names if self._bit(n.id) & live]
        if isinstance(target, ast.Tuple):
            for name in names:
                if name not in wanted:
                    name.id = "_"
        return bool(wanted)

    def _if(self, statement: ast.If, live: int) -> tuple[bool, int]:
        then = self.block(statement.body, live)
        orelse = self.block(statement.orelse, live)
        if not statement.body and not statement.orelse and _is_pure(statement.test):
            return False, live
        if not statement.body:
            statement.body.append(ast.Pass())
        return True, then | orelse | self._reads(statement.test)

    def _while(self, statement: ast.While, live: int) -> int:
        self._behind_loops.append(live)
        ends = isinstance(statement.body[-1], ast.Break | ast.Return)
        live = self.block(statement.body, 0 if ends else _EVERYTHING)
        self._behind_loops.pop()
        return live if ends else _EVERYTHING

    def _reads(self, node: ast.AST) -> int:
        live = 0
        for name in ast.walk(node):
            if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Load):
                live |= self._bit(name.id)
        return live

    def _bit(self, name: str) -> int:
        if name not in self._bits:
            self._bits[name] = 1 << len(self._bits)
        return self._bits[name]


def _names(target: ast.expr) -> list[ast.Name]:
    if isinstance(target, ast.Name):
        return [target]
    if isinstance(target, ast.Tuple):
        return [e for e in target.elts if isinstance(e, ast.Name)]
    return []


def _is_pure(value: ast.expr) -> bool:
    return all(_is_pure_call(n) for n in ast.walk(value) if isinstance(n, ast.Call))


def _is_pure_call(call: ast.Call) -> bool:
    if isinstance(call.func, ast.Attribute):
        return call.func.attr == "to_bytes"
    if not isinstance(call.func, ast.Name):
        return False
    return call.func.id in _PURE or call.func.id.startswith(_PURE_PREFIXES)
