"""Headers that are seldom there, asked about in groups.

A packet has a handful of the headers that a program knows. Whoever makes one of a group valid notes
it for the group, so that the deparser asks once where none of them is.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping

Groups = Mapping[str, tuple[str, ...]]
"""By the variable of a group, the validity variables of its headers."""


def note_groups(function: ast.FunctionDef, groups: Groups) -> None:
    """Sets the variable of a group wherever a header of it may become valid."""
    by_member = {member: group for group, members in groups.items() for member in members}
    if by_member:
        _Noting(by_member).visit(function)


class _Noting(ast.NodeTransformer):
    def __init__(self, by_member: Mapping[str, str]) -> None:
        self._by_member = by_member

    def visit_Assign(self, node: ast.Assign) -> ast.stmt | list[ast.stmt]:
        """Puts the note behind the assignment."""
        if isinstance(node.value, ast.Constant) and not node.value.value:
            return node
        names = (n for target in node.targets for n in ast.walk(target))
        stored = [n.id for n in names if isinstance(n, ast.Name)]
        found = sorted({self._by_member[name] for name in stored if name in self._by_member})
        return [node, *(ast.parse(f"{group} = True").body[0] for group in found)]
