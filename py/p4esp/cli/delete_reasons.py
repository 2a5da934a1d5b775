"""Options that say why an SA is deleted, and what peers said of theirs."""

from __future__ import annotations

from typing import Annotated, Any

import typer

ReasonOption = Annotated[
    str, typer.Option("--reason", help="Told to the peer, such as administratively-down.")
]
TextOption = Annotated[str, typer.Option("--text", help="Told to the peer's operator.")]
LanguageOption = Annotated[str, typer.Option("--language", help="Language tag of the text.")]
DowntimeOption = Annotated[
    str, typer.Option("--downtime", help="Seconds until we are back, told in the old layout.")
]


def print_deletes(facts: dict[str, Any], prefix: str = "") -> None:
    """Why peers deleted SAs last, and what is not made again for now."""
    for peer, told in facts["told"].items():
        typer.echo(f"{prefix}{peer} deleted an SA: {_words(told)}")
    for child in facts["held"]:
        typer.echo(f"{prefix}{child} is held back")


def _words(told: dict[str, Any]) -> str:
    downtime = f"down for {told['downtime']} s" if told["downtime"] else None
    text = f'"{told["text"]}"' if told["text"] else None
    return ", ".join(filter(None, (told["type"], downtime, text))) or "no reason"
