"""How a command fails: one line that says what is wrong, and exit code 1."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from p4esp.configuration.sections import ConfigError
from p4esp.controller.errors import ControllerError
from p4esp.p4build.programs import BuildError
from p4esp.service.control_client import ControlError
from p4esp.store import StoreError

EXPECTED = (ConfigError, ControllerError, ControlError, BuildError, StoreError, OSError)


@contextmanager
def one_line(command: str) -> Iterator[None]:
    """Turn the errors a user can do something about into a message."""
    try:
        yield
    except (*EXPECTED, ExceptionGroup) as error:
        faults = list(_members(error))
        if not all(isinstance(fault, EXPECTED) for fault in faults):
            raise
        for line in dict.fromkeys("\n".join(map(str, faults)).splitlines()):
            typer.echo(f"p4esp {command}: {line}", err=True)
        raise typer.Exit(1) from None


def _members(error: Exception) -> Iterator[Exception]:
    """The errors of a group of tasks, or the one error there is."""
    if isinstance(error, ExceptionGroup):
        for member in error.exceptions:
            yield from _members(member)
    else:
        yield error


def quiet_finsy() -> None:
    """Keep the P4Runtime client's remarks (no gNMI, reconnecting) out of the output."""
    import logging

    logging.getLogger("finsy").setLevel(logging.CRITICAL)
