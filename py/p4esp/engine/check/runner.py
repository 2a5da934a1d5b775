"""Runs the conformance cases and reports."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass

from p4esp.engine.check.bench import Bench, CheckError
from p4esp.engine.check.case import Case
from p4esp.engine.check.cases import all_cases
from p4esp.engine.check.probe import Probe
from p4esp.engine.check.requests import GCM
from p4esp.engine.errors import EngineUnavailableError, KeyStoreError
from p4esp.engine.keyservice import KeyService


@dataclass(frozen=True, slots=True)
class Result:
    """Outcome of one case; ``detail`` says what was wrong, or why it was left out."""

    name: str
    proves: str
    passed: bool
    detail: str = ""
    left_out: bool = False

    @property
    def failed(self) -> bool:
        """Whether the engine did something wrong."""
        return not (self.passed or self.left_out)

    def as_dict(self) -> dict[str, object]:
        """Return the fields by name, for JSON."""
        return asdict(self)


async def run_cases(
    keys: KeyService,
    probe: Probe,
    cases: Iterable[Case] | None = None,
    random_bytes: Callable[[int], bytes] = os.urandom,
) -> list[Result]:
    """Run the cases one after the other; keys that a case installed are removed after it.

    A case whose transform or features the engine does not offer is left out, but for the transform
    that all have.
    """
    bench = Bench(keys, probe, random_bytes)
    health = await keys.health()
    offered = {GCM, *health.transforms, *health.features}
    return [
        _left_out(case, lacking)
        if (lacking := _lacking(case, offered))
        else await _run(bench, case)
        for case in (all_cases() if cases is None else cases)
    ]


def _lacking(case: Case, offered: set[str]) -> list[str]:
    return [need for need in (case.transform, *case.features) if need not in offered]


def _left_out(case: Case, lacking: list[str]) -> Result:
    why = f"the engine does not offer {', '.join(lacking)}"
    return Result(case.name, case.proves, passed=False, detail=why, left_out=True)


async def _run(bench: Bench, case: Case) -> Result:
    try:
        try:
            await case.run(bench)
        finally:
            await bench.clean()
    except (CheckError, KeyStoreError, EngineUnavailableError) as error:
        return Result(case.name, case.proves, passed=False, detail=str(error))
    return Result(case.name, case.proves, passed=True)
