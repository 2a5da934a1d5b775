"""Shares of the packet tests that run at the same time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Job:
    """What one target is asked."""

    number: int
    tests: list[str] = field(default_factory=list)
    """PTF test specifications; none: all there are."""
    size: int = 0

    @property
    def suffix(self) -> str:
        """Of its files; the first has none."""
        return f"-{self.number}" if self.number else ""


def split(tests: Sequence[str], directory: Path, jobs: int) -> list[Job]:
    """Every module in one job; the largest first, each to the job that has least.

    Tests that are named stay together, in their order.
    """
    if tests or jobs < 2:
        return [Job(0, list(tests))]
    shares = [Job(number) for number in range(jobs)]
    for module in sorted(directory.glob("test_*.py"), key=_size, reverse=True):
        least = min(shares, key=lambda job: job.size)
        least.tests.append(module.stem)
        least.size += _size(module)
    return [share for share in shares if share.tests]


def _size(module: Path) -> int:
    return module.stat().st_size
