"""Running p4c: the one on PATH, else the p4lang/p4c container image."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from p4esp.p4build.programs import BuildError, Program

COMMAND = "p4c-bm2-ss"
IMAGE = "p4lang/p4c"


@dataclass(frozen=True, slots=True)
class Compiler:
    """A p4c-bm2-ss that can be run: the words before its options, and its version."""

    command: tuple[str, ...]
    version: str

    def compile(self, program: Program, repository: Path, output: Path) -> None:
        """Compiles with relative paths, so that outputs do not depend on the checkout's place."""
        output.mkdir(parents=True, exist_ok=True)
        relative = output.relative_to(repository)
        _run(
            [
                *self.command,
                "--Werror=invalid-header",
                "--p4runtime-files",
                program.p4info_path(relative).as_posix(),
                "-o",
                program.json_path(relative).as_posix(),
                program.root.as_posix(),
            ],
            repository,
        )


def find_compiler(repository: Path) -> Compiler:
    """The p4c to use; ``BuildError`` says what was looked for."""
    for command in _candidates(repository):
        version = _version(command)
        if version:
            return Compiler(command, version)
    raise BuildError(f"neither {COMMAND} on PATH nor docker with the image {IMAGE}")


def _candidates(repository: Path) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    if path := shutil.which(COMMAND):
        found.append((path,))
    if docker := shutil.which("docker"):
        found.append(
            (docker, "run", "--rm", "-v", f"{repository}:/work", "-w", "/work", IMAGE, COMMAND)
        )
    return found


def _version(command: Sequence[str]) -> str | None:
    try:
        done = subprocess.run(
            [*command, "--version"], capture_output=True, text=True, timeout=120, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r"Version (\d+(?:\.\d+)*)", done.stdout + done.stderr)
    return match.group(1) if match else None


def _run(command: Sequence[str], repository: Path) -> None:
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BuildError(f"{COMMAND} failed:\n{done.stdout}{done.stderr}")
