"""The walk through the agenda."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable

from p4esp.agenda.differences import agreed_on, table_changes, wire_changes
from p4esp.agenda.model import ORDINARY, Claim, Evidence, Finding, Item
from p4esp.agenda.observing import observe
from p4esp.configuration.sections import ConfigError
from p4esp.controller.errors import ControllerError
from p4esp.controller.program import Program

CARRIED = Claim(
    "packets of both sites arrive as they were",
    lambda before, after: all(run.sent == run.delivered for run in (before, after)),
)
"""Of every item."""


async def walk(program: Program, items: Iterable[Item]) -> AsyncIterator[Finding]:
    """Run the gateways without and with each item; one finding after the other."""
    observer = _Observer(program)
    for item in items:
        yield await _find(observer, item)


class _Observer:
    """Runs the gateways. What the ordinary ones do is looked at once."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._ordinary: Evidence | None = None

    async def lacking(self, item: Item) -> Evidence:
        if item.lacking is not ORDINARY:
            return await observe(self._program, item.lacking)
        if self._ordinary is None:
            self._ordinary = await observe(self._program, ORDINARY)
        return self._ordinary

    async def having(self, item: Item) -> Evidence:
        return await observe(self._program, item.having)


async def _find(observer: _Observer, item: Item) -> Finding:
    finding = Finding(item.name, item.title, item.documents, item.test)
    started = time.perf_counter()
    try:
        before, after = await observer.lacking(item), await observer.having(item)
    except (ConfigError, ControllerError) as error:
        finding.claims[f"the gateways come to their end: {error}"] = False
    else:
        _compare(finding, item, before, after)
    finding.seconds = round(time.perf_counter() - started, 2)
    return finding


def _compare(finding: Finding, item: Item, before: Evidence, after: Evidence) -> None:
    finding.negotiated = (item.negotiated or agreed_on)(after)
    finding.wire_changed = wire_changes(before, after)
    finding.tables_changed = table_changes(before, after)
    for claim in (*item.claims, CARRIED):
        finding.claims[claim.text] = _holds(claim, before, after)


def _holds(claim: Claim, before: Evidence, after: Evidence) -> bool:
    """A claim that cannot even be looked at does not hold."""
    try:
        return claim.holds(before, after)
    except LookupError:
        return False
