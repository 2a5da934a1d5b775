"""How a command fails: one line that says what is wrong, and exit code 1."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from p4esp.controller.config import ConfigError
from p4esp.controller.errors import ControllerError
from p4esp.p4build.programs import BuildError
from p4esp.store import StoreError

EXPECTED = (ConfigError, ControllerError, BuildError, StoreError, OSError)


@contextmanager
def one_line(command: str) -> Iterator[None]:
    """Turn the errors a user can do something about into a message."""
    try:
        yield
    except EXPECTED as error:
        for line in str(error).splitlines():
            typer.echo(f"p4esp {command}: {line}", err=True)
        raise typer.Exit(1) from None


def quiet_finsy() -> None:
    """Keep the P4Runtime client's remarks (no gNMI, reconnecting) out of the output."""
    import logging

    logging.getLogger("finsy").setLevel(logging.CRITICAL)
