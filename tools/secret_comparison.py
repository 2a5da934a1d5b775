"""Refuses `==` on secrets: only `hmac.compare_digest` compares them in constant time.

    python tools/secret_comparison.py DIRECTORY...

A name is taken for a secret by its words: `expected_icv`, `self._cookie`, `peer.psk`. What is none
after all says why in a comment on the same line: `# not a secret: ...`.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

WORDS = frozenset(
    ("auth", "cookie", "digest", "icv", "key", "mac", "psk", "secret", "tag", "token")
)
EXCUSE = re.compile(r"# not a secret: \S")
_BY_EQUALITY = (ast.Eq, ast.NotEq)
_BY_MEMBERSHIP = (ast.In, ast.NotIn)


@dataclass(frozen=True, slots=True)
class Finding:
    """One comparison that leaks by its time."""

    path: str
    line: int
    name: str

    def __str__(self) -> str:
        return (
            f"{self.path}:{self.line}: {self.name} is compared with == or in; use "
            "hmac.compare_digest, or say '# not a secret: why'"
        )


def findings(source: str, path: str) -> Iterator[Finding]:
    """All such comparisons in a module's source."""
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source, path)):
        if isinstance(node, ast.Compare) and not EXCUSE.search(lines[node.lineno - 1]):
            yield from (Finding(path, node.lineno, name) for name in _secrets_in(node))


def _secrets_in(node: ast.Compare) -> list[str]:
    """Names of secrets among what `node` compares by equality; in `a in (b, c)` all of them."""
    sides = [node.left, *node.comparators]
    compared: list[ast.expr] = []
    for left, operator, right in zip(sides, node.ops, sides[1:], strict=False):
        if isinstance(operator, _BY_EQUALITY):
            compared += [left, right]
        elif isinstance(operator, _BY_MEMBERSHIP) and isinstance(right, ast.Tuple | ast.List):
            compared += [left, *right.elts]
    return [name for side in compared if (name := _name(side)) and _is_secret(name)]


def _name(node: ast.expr) -> str:
    """What a value is called: `key` of `self.key`, of `key[:4]` and of `bytes(key)`; else empty."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Subscript):
        return _name(node.value)
    if isinstance(node, ast.Call) and node.args and _name(node.func) in ("bytes", "bytearray"):
        return _name(node.args[0])
    return ""


def _is_secret(name: str) -> bool:
    """Whether a name's last word is a secret's; constants in capitals are none."""
    return not name.isupper() and name.strip("_").rsplit("_", 1)[-1] in WORDS


def main(directories: Sequence[str]) -> int:
    """Prints the findings of all modules below; the exit status."""
    paths = [path for directory in directories for path in sorted(Path(directory).rglob("*.py"))]
    found = [finding for path in paths for finding in findings(path.read_text(), str(path))]
    for finding in found:
        print(finding)
    return 1 if found or not paths else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
