"""Private namespaces for programs that change interfaces.

Network, mount and process namespaces are private, so nothing outlives the run, however it ends.
Root is not needed where the kernel allows user namespaces.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NoReturn

_PRIVATE: Final = "P4ESP_PRIVATE"
"""Set for what runs inside."""


def inside() -> bool:
    """Whether we are in private namespaces already."""
    return os.environ.get(_PRIVATE) == "inside"


def isolate(words: Sequence[str]) -> NoReturn:
    """Become `python WORDS...` in private namespaces."""
    os.environ[_PRIVATE] = "inside"
    namespaces = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child"]
    mapping = [] if os.geteuid() == 0 else ["--map-root-user"]
    os.execvp("unshare", [*namespaces, *mapping, sys.executable, *words])


def prepare() -> None:
    """Once inside: a `/run` and a `/proc` of our own, and the loopback interface."""
    for command in (
        ["mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", "/run"],
        ["mount", "-t", "proc", "proc", "/proc"],
        ["ip", "link", "set", "lo", "up"],
    ):
        if os.spawnvp(os.P_WAIT, command[0], command):
            sys.exit(f"{' '.join(command)} failed")
    Path("/run/netns").mkdir()


def require_privacy(command: str) -> None:
    """Who changes interfaces does so nowhere else; `command`: what to start instead."""
    if not inside() or not Path("/run/netns").is_dir():
        raise RuntimeError(f"run this with {command}")
