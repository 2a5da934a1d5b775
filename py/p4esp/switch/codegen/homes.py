"""Where in a function a variable is of interest: the innermost branch that holds all its mentions.

A start value is best given there. A packet that does not come to the branch has no work with it,
and outside of the branch the variable's place is free for another.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass

RARE = 3
"""So many branches within each other are seldom gone into. A start value in one that all packets
come to costs more than the default of a parameter.
"""


@dataclass(frozen=True, slots=True)
class _Place:
    """A statement of a block, by its index."""

    block: list[ast.stmt]
    index: int


def start_in_branches(
    function: ast.FunctionDef, names: set[str], initial: Mapping[str, str], deep: int = RARE
) -> set[str]:
    """Assigns start values (``initial``, else 0) in front of the first mention, of those ``names``
    that one branch holds, within ``deep`` branches or more; returns the others.
    """
    search = _Mentions(names)
    search.block(function.body, ())
    homes = {name: _home(paths, deep) for name, paths in search.found.items()}
    starts: dict[int, list[tuple[int, str]]] = {}
    blocks: dict[int, list[ast.stmt]] = {}
    for name, home in homes.items():
        if home is not None:
            starts.setdefault(id(home.block), []).append((home.index, name))
            blocks[id(home.block)] = home.block
    for key, rows in starts.items():
        for index, name in sorted(rows, reverse=True):
            text = f"{name} = {initial.get(name, '0')}"
            blocks[key].insert(index, ast.parse(text).body[0])
    return {name for name in names if homes.get(name) is None}


def _home(paths: list[tuple[_Place, ...]], deep: int) -> _Place | None:
    """Where all ways to the mentions are still one, within so many branches; None: nowhere."""
    common = min(map(len, paths))
    first = paths[0]
    depth = 0
    while depth < common and all(path[depth].block is first[depth].block for path in paths):
        depth += 1
    if depth <= deep:
        return None
    return min((path[depth - 1] for path in paths), key=lambda place: place.index)


class _Mentions:
    """The blocks around every mention, the function's own first, then those of branches."""

    def __init__(self, names: set[str]) -> None:
        self._names = names
        self.found: dict[str, list[tuple[_Place, ...]]] = {}

    def block(self, body: list[ast.stmt], around: tuple[_Place, ...]) -> None:
        """Visits a block that is run at most once where it stands."""
        for index, statement in enumerate(body):
            here = (*around, _Place(body, index))
            match statement:
                case ast.If():
                    self._note(statement.test, here)
                    self.block(statement.body, here)
                    self.block(statement.orelse, here)
                case ast.While() if isinstance(statement.body[-1], ast.Break | ast.Return):
                    self._inside(statement.body, here)
                case _:
                    self._note(statement, here)

    def _inside(self, body: list[ast.stmt], around: tuple[_Place, ...]) -> None:
        """Of a loop that runs once: its branches count, itself does not."""
        for statement in body:
            if isinstance(statement, ast.If):
                self._note(statement.test, around)
                self.block(statement.body, around)
                self.block(statement.orelse, around)
            else:
                self._note(statement, around)

    def _note(self, node: ast.AST, path: tuple[_Place, ...]) -> None:
        for name in ast.walk(node):
            if isinstance(name, ast.Name) and name.id in self._names:
                self.found.setdefault(name.id, []).append(path)
