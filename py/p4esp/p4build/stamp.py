"""The stamp beside the artefacts: from which sources, by which p4c."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from p4esp.p4build.programs import (
    ARTEFACT_DIR,
    PROGRAMS,
    BuildError,
    hash_files,
    source_files,
)

STAMP_FILE = ARTEFACT_DIR / "stamp.json"


@dataclass(frozen=True, slots=True)
class Stamp:
    """``sources`` and ``artefacts`` map relative paths to SHA-256."""

    compiler: str
    sources: dict[str, str]
    artefacts: dict[str, str]

    def write(self, repository: Path) -> None:
        """Writes ``bmv2-configs/stamp.json``."""
        text = json.dumps(
            {"compiler": self.compiler, "sources": self.sources, "artefacts": self.artefacts},
            indent=2,
        )
        (repository / STAMP_FILE).write_text(text + "\n")


def artefact_files() -> list[Path]:
    """Every committed compiler output, relative to the repository."""
    return [
        path
        for program in PROGRAMS
        for path in (program.json_path(ARTEFACT_DIR), program.p4info_path(ARTEFACT_DIR))
    ]


def take_stamp(repository: Path, compiler: str) -> Stamp:
    """The stamp of the tree as it is now."""
    return Stamp(
        compiler=compiler,
        sources=hash_files(repository, source_files(repository)),
        artefacts=hash_files(repository, artefact_files()),
    )


def read_stamp(repository: Path) -> Stamp:
    """The committed stamp; ``BuildError`` when it is missing or not one."""
    try:
        return Stamp(**json.loads((repository / STAMP_FILE).read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise BuildError(f"{STAMP_FILE}: not a readable stamp ({error}); run: make p4") from error


def differences(committed: Stamp, current: Stamp) -> list[str]:
    """What changed between two stamps, a line for each file; empty when nothing did."""
    found: list[str] = []
    for kind in ("sources", "artefacts"):
        before: dict[str, str] = getattr(committed, kind)
        after: dict[str, str] = getattr(current, kind)
        found.extend(
            f"{path}: {_verb(path, before, after)} since the stamp was made"
            for path in sorted(before.keys() | after.keys())
            if before.get(path) != after.get(path)
        )
    return found


def _verb(path: str, before: dict[str, str], after: dict[str, str]) -> str:
    if path not in after:
        return "removed"
    return "changed" if path in before else "added"
