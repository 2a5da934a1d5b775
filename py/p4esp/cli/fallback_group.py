"""A command group one of whose commands need not be named."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup


class RunGroup(TyperGroup):
    """`p4esp ike FILE` means `p4esp ike run FILE`: what is no command is an argument of `run`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command's name, the command, and what it is given."""
        if args and args[0] not in self.commands:
            args = ["run", *args]
        return super().resolve_command(ctx, args)
