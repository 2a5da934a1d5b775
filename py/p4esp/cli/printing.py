"""What a long-running command tells while it runs."""

from contextlib import suppress

import typer

from p4esp.service.journal import Entry


def print_entry(entry: Entry) -> None:
    """Print a line of the journal. Where that cannot be done (whoever read it has gone, the disk is
    full) the work goes on: it is worth more than its log.
    """
    with suppress(OSError):
        typer.echo(str(entry))
