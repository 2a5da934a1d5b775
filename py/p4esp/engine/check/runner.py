"""Runs the conformance cases and reports."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass

from p4esp.engine.check.bench import Bench, CheckError
from p4esp.engine.check.cases import Case, all_cases
from p4esp.engine.check.probe import Probe
from p4esp.engine.errors import EngineUnavailableError, KeyStoreError
from p4esp.engine.keyservice import KeyService


@dataclass(frozen=True, slots=True)
class Result:
    """Outcome of one case; ``detail`` says what was wrong."""

    name: str
    proves: str
    passed: bool
    detail: str = ""

    def as_dict(self) -> dict[str, object]:
        """Return the fields by name, for JSON."""
        return asdict(self)


async def run_cases(
    keys: KeyService,
    probe: Probe,
    cases: Iterable[Case] | None = None,
    random_bytes: Callable[[int], bytes] = os.urandom,
) -> list[Result]:
    """Run the cases one after the other; keys that a case installed are removed after it."""
    bench = Bench(keys, probe, random_bytes)
    return [await _run(bench, case) for case in (all_cases() if cases is None else cases)]


async def _run(bench: Bench, case: Case) -> Result:
    try:
        try:
            await case.run(bench)
        finally:
            await bench.clean()
    except (CheckError, KeyStoreError, EngineUnavailableError) as error:
        return Result(case.name, case.proves, passed=False, detail=str(error))
    return Result(case.name, case.proves, passed=True)
