"""Fewer local variables, for speed: the interpreter clears every one of them in every call.

Control flow in generated functions only goes forwards, but for real loops.  So a variable matters
from its first to its last mention in the text, a loop counting as one place, and two variables
whose stretches do not touch can be one.
"""

from __future__ import annotations

import ast
import heapq
from collections import Counter
from collections.abc import Iterator

_NOBODY = "_"


def share_locals(function: ast.FunctionDef) -> None:
    """Lets variables that are never of interest at the same time share a name."""
    stretches = _Stretches()
    stretches.block(function.body)
    names = _shared_names(stretches, {a.arg for a in function.args.args})
    for name in _names(function):
        name.id = names.get(name.id, name.id)


def unpack_in_place(function: ast.FunctionDef) -> None:
    """Turns ``_, a, b = entry; x = a; y = b`` into ``_, x, y = entry``, if a and b end there."""
    mentions = Counter(name.id for name in _names(function))
    for body in _bodies(function):
        for place, statement in enumerate(body):
            if _is_unpacking(statement):
                _absorb_copies(body, place, mentions)


class _Stretches:
    """First and last mention of every variable; positions count statements."""

    def __init__(self) -> None:
        self.first: dict[str, int] = {}
        self.last: dict[str, int] = {}
        self.assigned: set[str] = set()
        self._now = 0

    def block(self, body: list[ast.stmt]) -> None:
        """Visits statements in the order of the text."""
        for statement in body:
            self._now += 1
            match statement:
                case ast.If():
                    self._mention(statement.test)
                    self.block(statement.body)
                    self.block(statement.orelse)
                case ast.While() if isinstance(statement.body[-1], ast.Break | ast.Return):
                    self.block(statement.body)
                case _:
                    self._mention(statement)

    def _mention(self, node: ast.AST) -> None:
        for name in _names(node):
            self.first.setdefault(name.id, self._now)
            self.last[name.id] = self._now
            if isinstance(name.ctx, ast.Store):
                self.assigned.add(name.id)


def _shared_names(stretches: _Stretches, parameters: set[str]) -> dict[str, str]:
    """A name for each variable: that of one whose stretch is over, else its own."""
    names: dict[str, str] = {}
    over: list[tuple[int, str]] = []
    ours = stretches.assigned - parameters - {_NOBODY}
    for variable in sorted(ours, key=stretches.first.__getitem__):
        if over and over[0][0] < stretches.first[variable]:
            names[variable] = heapq.heappop(over)[1]
        else:
            names[variable] = variable
        heapq.heappush(over, (stretches.last[variable], names[variable]))
    return names


def _names(node: ast.AST) -> Iterator[ast.Name]:
    return (found for found in ast.walk(node) if isinstance(found, ast.Name))


def _bodies(function: ast.FunctionDef) -> Iterator[list[ast.stmt]]:
    for node in ast.walk(function):
        for field in ("body", "orelse"):
            body = getattr(node, field, None)
            if isinstance(body, list):
                yield body


def _is_unpacking(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Tuple)


def _absorb_copies(body: list[ast.stmt], place: int, mentions: Counter[str]) -> None:
    """Takes the copies right behind an unpacking into it."""
    unpacking = body[place]
    assert isinstance(unpacking, ast.Assign)
    free = {n.id: n for n in _names(unpacking.targets[0]) if mentions[n.id] == 2}
    taken: set[str] = set()
    while place + 1 < len(body) and (copy := _copy_of(body[place + 1], free)) is not None:
        source, target = copy
        if target in taken:
            return
        free.pop(source).id = target
        taken.add(target)
        del body[place + 1]


def _copy_of(statement: ast.stmt, free: dict[str, ast.Name]) -> tuple[str, str] | None:
    """Source and target of a plain copy of one of the unpacked variables."""
    match statement:
        case ast.Assign(targets=[ast.Name(id=target)], value=ast.Name(id=source)):
            return (source, target) if source in free else None
    return None
