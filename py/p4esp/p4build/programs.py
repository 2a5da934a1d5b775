"""The P4 programs of the repository and the artefacts p4c makes of them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

SOURCE_DIR = Path("p4src")
ARTEFACT_DIR = Path("bmv2-configs")


class BuildError(Exception):
    """Sources, artefacts or the compiler are not as they must be."""


@dataclass(frozen=True, slots=True)
class Program:
    """One compile root below ``p4src`` and the name of its artefacts."""

    name: str
    root: Path

    def json_path(self, base: Path) -> Path:
        """The bmv2 JSON below ``base``."""
        return base / f"{self.name}.json"

    def p4info_path(self, base: Path) -> Path:
        """The P4Runtime p4info (protobuf text) below ``base``."""
        return base / f"{self.name}.p4info.txtpb"


GATEWAY = Program("esp_gateway", SOURCE_DIR / "arch" / "v1model" / "package.p4")
MIDDLEBOX = Program("exposed_flows", SOURCE_DIR / "middlebox" / "exposed_flows.p4")
PROGRAMS = (GATEWAY, MIDDLEBOX)


def find_repository(start: Path) -> Path:
    """The directory at or above ``start`` that holds ``p4src``."""
    for folder in (start, *start.parents):
        if (folder / SOURCE_DIR).is_dir():
            return folder
    raise BuildError(f"no {SOURCE_DIR}/ at or above {start}: run this inside the repository")


def source_files(repository: Path) -> list[Path]:
    """Every P4 source, relative to the repository, in a stable order."""
    return sorted(path.relative_to(repository) for path in (repository / SOURCE_DIR).rglob("*.p4"))


def hash_files(repository: Path, files: list[Path]) -> dict[str, str]:
    """SHA-256 of each file, by its relative POSIX path."""
    return {
        path.as_posix(): hashlib.sha256((repository / path).read_bytes()).hexdigest()
        for path in files
    }
