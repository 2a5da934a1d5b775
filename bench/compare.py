"""Two revisions in alternating runs: the same benchmarks on the code of another commit.

The benchmarks of the working tree drive both, in child processes with the same interpreter; only
`p4esp` and the P4 artefacts come from the other revision, from a git worktree below `build/`.
Peers stay out: they would be the same twice.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from bench.registry import Benchmark
from bench.row import Row, missing

ROUNDS = 2


class RevisionError(Exception):
    """The revision to compare with cannot be checked out or run."""


def compare(
    repository: Path,
    revision: str,
    benchmarks: Sequence[Benchmark],
    step: Callable[[str], None],
) -> Iterator[list[Row]]:
    """For each benchmark its rows of the working tree, beside those of the revision."""
    with worktree(repository, revision) as other:
        for benchmark in benchmarks:
            best: dict[Path, dict[str, Row]] = {other: {}, repository: {}}
            for tree in (other, repository) * ROUNDS:
                step(f"{benchmark.name} ({revision if tree == other else 'working tree'})")
                for row in run_in(tree, repository, benchmark.name):
                    best[tree][row.name] = row.better(best[tree].get(row.name, row))
            yield list(_beside(best[repository], best[other], revision))


def _beside(ours: dict[str, Row], theirs: dict[str, Row], revision: str) -> Iterator[Row]:
    for name, row in ours.items():
        peer = theirs.get(name, missing(name, row.unit, "has no such figure"))
        note = row.note if peer.value is not None else f"{revision}: {peer.note}"
        yield replace(row, peer=revision, peer_value=peer.value, note=note)


@contextmanager
def worktree(repository: Path, revision: str) -> Iterator[Path]:
    """The revision's files below `build/`, removed afterwards."""
    commit = _git(repository, "rev-parse", "--verify", f"{revision}^{{commit}}").strip()
    path = repository / "build" / f"bench-{commit[:12]}"
    if path.exists():  # left over from a run that was killed
        _git(repository, "worktree", "remove", "--force", str(path))
    _git(repository, "worktree", "add", "--detach", str(path), commit)
    try:
        yield path
    finally:
        _git(repository, "worktree", "remove", "--force", str(path))


def run_in(tree: Path, bench_home: Path, name: str) -> list[Row]:
    """One benchmark on the code of `tree`, in a child process."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tree / "py"), str(bench_home)])}
    argv = [sys.executable, "-m", "bench", str(tree), name]
    result = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    if result.returncode:
        last = (result.stderr.strip().splitlines() or ["no output"])[-1]
        raise RevisionError(f"{name} on {tree}: {last}")
    return [Row.from_dict(fields) for fields in json.loads(result.stdout)]


def _git(repository: Path, *words: str) -> str:
    argv = ["git", "-C", str(repository), *words]
    result = subprocess.run(argv, capture_output=True, text=True, check=False)
    if result.returncode:
        raise RevisionError(f"git {' '.join(words)}: {result.stderr.strip()}")
    return result.stdout
