"""Control flow: blocks of statements, each with one way out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from p4esp.switch.ir.statements import Stmt
from p4esp.switch.ir.values import Expr


@dataclass(frozen=True, slots=True)
class Jump:
    """Goes on with ``target``."""

    target: str | None


@dataclass(frozen=True, slots=True)
class Branch:
    """Goes on with ``then`` if ``condition`` holds, else with ``orelse``."""

    condition: Expr
    then: str | None
    orelse: str | None


@dataclass(frozen=True, slots=True)
class Apply:
    """Applies a table.

    ``by_action`` maps the number of the action that ran (its place in the table's ``actions``) to
    the next block; ``on_hit`` and ``on_miss``, where set, take precedence.  ``otherwise`` is next
    when no action ran.
    """

    table: str
    by_action: tuple[str | None, ...]
    otherwise: str | None
    hit_miss: bool = False
    on_hit: str | None = None
    on_miss: str | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """One transition of a ``Select``: every ``(value, mask)`` matches its key; mask -1 is exact."""

    matches: tuple[tuple[int, int], ...]
    target: str | None


@dataclass(frozen=True, slots=True)
class Select:
    """Goes on with the first case that matches, else with ``default``."""

    keys: tuple[Expr, ...]
    cases: tuple[Case, ...]
    default: str | None


End = Jump | Branch | Apply | Select


@dataclass(frozen=True, slots=True)
class Block:
    """Statements without control flow, then one way out."""

    body: tuple[Stmt, ...]
    end: End


@dataclass(frozen=True, slots=True)
class Graph:
    """A control-flow graph; ``entry`` is ``None`` for an empty one."""

    entry: str | None
    blocks: Mapping[str, Block]
