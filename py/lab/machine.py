"""What stands for the images: programs, volumes and users, in a mount namespace of our own."""

import os
import sys
from pathlib import Path
from typing import Final

from lab.container import PROGRAMS, REPOSITORY, USER
from lab.targets import BMV2, bmv2_binary
from lab.ways import open_ways

VOLUMES: Final = Path("/run/volumes")


def have_users() -> bool:
    """Whether there are users beside root: not in a user namespace that maps root alone."""
    ranges = [line.split() for line in Path("/proc/self/uid_map").read_text().splitlines()]
    return any(int(first) <= USER < int(first) + int(size) for first, _, size in ranges)


def prepare_machine() -> None:
    """Once, before containers are made."""
    python = Path(sys.executable).resolve().parents[1]
    open_ways(REPOSITORY, python)
    PROGRAMS.mkdir()
    bmv2 = bmv2_binary()
    if bmv2 is not None:
        (PROGRAMS / BMV2).symlink_to(bmv2.resolve())
    if not have_users():
        _put(PROGRAMS / "as-p4esp", '#!/bin/sh\nexec "$@"\n')


def _put(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def make_volume(name: str) -> Path:
    """An empty one; it belongs to the image's user, as the Dockerfile has it."""
    path = VOLUMES / name
    path.mkdir(parents=True)
    path.chmod(0o700)
    if have_users():
        os.chown(path, USER, USER)
    return path
