"""Ways that every user may go, in a mount namespace of our own."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

KEPT: Final = Path("/run/ways")


def open_ways(*paths: Path) -> None:
    """Let every user come to each of these directories, whoever owns those above.

    A clone below `/root`, say: a directory that is closed to others is covered by an open one, in
    which there is nothing but the way.
    """
    kept = {path: KEPT / str(number) for number, path in enumerate(paths)}
    for path, place in kept.items():
        _bind(path, place)
    for path in paths:
        for closed in _closed_above(path):
            _mount("-t", "tmpfs", "-o", "mode=0755", "tmpfs", str(closed))
    for path, place in kept.items():
        if not path.exists():
            _bind(place, path)


def _bind(source: Path, target: Path) -> None:
    target.mkdir(parents=True)
    _mount("--bind", str(source), str(target))


def _closed_above(path: Path) -> Sequence[Path]:
    """The topmost directory above that does not let everybody through, if there is one."""
    above = [parent for parent in reversed(path.parents) if parent.exists()]
    return [parent for parent in above if not parent.stat().st_mode & 0o001][:1]


def _mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True)
