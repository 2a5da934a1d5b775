"""Command lines of a compose file: what they run, and whether our own command takes them."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import typer
import typer.main
from typer.core import TyperGroup

from p4esp.cli.main import COMMANDS, build_app

WRAPPERS: Final[Mapping[str, int]] = {"as-p4esp": 1, "with-psk": 2}
"""Scripts that run another command: how many words of their own they have."""
P4ESP: Final = "p4esp"


def simple_commands(words: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """The commands of a line: those of a pipeline of the shell, and what wrappers run."""
    if tuple(words[:2]) == ("/bin/sh", "-c"):
        for part in words[2].split("|"):
            yield from simple_commands(shlex.split(part))
        return
    yield tuple(words)
    own = WRAPPERS.get(words[0])
    if own is not None:
        yield from simple_commands(words[own:])


def usage_fault(words: Sequence[str]) -> str:
    """Why `p4esp WORDS...` is no command line of ours; empty when it is one."""
    known = {command.name for command in COMMANDS}
    if not words or words[0] not in known:
        return f"there is no such command; accepted: {', '.join(sorted(known))}"
    try:
        return _fault(typer.main.get_command(build_app(words)), words)
    except typer.TyperException as error:
        return str(error)


def _fault(command: Any, words: Sequence[str]) -> str:
    if not isinstance(command, TyperGroup):
        command.make_context(P4ESP, list(words))
        return ""
    found = command.commands.get(words[0]) if words else None
    if found is None:
        return f"there is no such command; accepted: {', '.join(command.commands)}"
    return _fault(found, words[1:])


def configuration_of(words: Sequence[str]) -> tuple[Path, str] | None:
    """(configuration, key file) of `with-psk KEY p4esp up CONFIGURATION`; None for other lines."""
    if words[0] == "with-psk" and tuple(words[2:4]) == (P4ESP, "up"):
        return Path(words[4]), words[1]
    return None
