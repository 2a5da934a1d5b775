"""Lines of Python source with indentation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

Lines = list[tuple[int, str]]
"""Depth and text of each line."""

_CHAIN = ("elif ", "else:")


class Writer:
    """Collects source lines; blocks are opened with ``with writer.block("if x:")``."""

    def __init__(self) -> None:
        self._lines: Lines = []
        self._depth = 0
        self._temporaries = 0

    def line(self, text: str) -> None:
        """Adds one line at the current depth."""
        self._lines.append((self._depth, text))

    def temporary(self, stem: str) -> str:
        """A variable name not used before."""
        self._temporaries += 1
        return f"{stem}_{self._temporaries}"

    @contextmanager
    def block(self, header: str) -> Iterator[None]:
        """An indented block; one that stays empty becomes ``pass``."""
        self.line(header)
        start = len(self._lines)
        self._depth += 1
        yield
        if len(self._lines) == start:
            self.line("pass")
        self._depth -= 1

    def mark(self) -> int:
        """The current position, for ``since`` and ``cut``."""
        return len(self._lines)

    def cut(self, mark: int) -> Lines:
        """Takes away and returns what was written since ``mark``."""
        lines = self._lines[mark:]
        del self._lines[mark:]
        return lines

    def choice(self, condition: str, then: Lines, orelse: Lines) -> None:
        """An ``if``; both arms were cut at the current depth; an empty arm is left out."""
        if not then and not orelse:
            return
        if not then:
            condition, then, orelse = negated(condition), orelse, []
        self.line(f"if {condition}:")
        self._paste(then, 1)
        if orelse and _is_chain(orelse, self._depth):
            depth, first = orelse[0]
            self._lines.append((depth, "el" + first))
            self._paste(orelse[1:], 0)
        elif orelse:
            self.line("else:")
            self._paste(orelse, 1)

    def chain(self, arms: list[tuple[str, Lines]], otherwise: Lines) -> None:
        """``if``, ``elif``... and ``else``; all arms were cut at the current depth."""
        word = "if"
        for condition, lines in arms:
            with self.block(f"{word} {condition}:"):
                self._paste(lines, 1)
            word = "elif"
        if otherwise and arms:
            self.line("else:")
            self._paste(otherwise, 1)
        elif otherwise:
            self._paste(otherwise, 0)

    def _paste(self, lines: Lines, deeper: int) -> None:
        self._lines += [(depth + deeper, text) for depth, text in lines]

    def text(self) -> str:
        """The source so far."""
        return "\n".join(" " * depth + text for depth, text in self._lines) + "\n"


def negated(condition: str) -> str:
    """The condition for the opposite arm."""
    return condition[4:] if condition.startswith("not ") else f"not ({condition})"


def _is_chain(lines: Lines, depth: int) -> bool:
    """Whether the lines are exactly one ``if`` statement, so that it can become ``elif``."""
    top = [text for level, text in lines if level == depth]
    return top[0].startswith("if ") and all(text.startswith(_CHAIN) for text in top[1:])
