"""One conformance case."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from p4esp.engine.check.bench import Bench
from p4esp.engine.check.requests import GCM


class Case(NamedTuple):
    """One check: a name for the report, what it proves, and the check itself.

    It is left out where the engine does not offer ``transform`` or one of the ``features``.
    """

    name: str
    proves: str
    run: Callable[[Bench], Awaitable[None]]
    transform: str = GCM
    features: tuple[str, ...] = ()
