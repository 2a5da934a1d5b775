"""The options and the connection of commands that look at a running switch."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer

from p4esp.cli.failures import one_line, quiet_finsy
from p4esp.cli.gateway_program import gateway_program
from p4esp.controller.reading import Reader, open_reader
from p4esp.controller.target import SwitchAddress

T = TypeVar("T")

SwitchOption = Annotated[str, typer.Option("--switch", help="P4Runtime address.")]
DeviceOption = Annotated[int, typer.Option("--device-id", min=1, help="P4Runtime device id.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
DEFAULT_SWITCH = "127.0.0.1:9559"


def look(command: str, switch: str, device_id: int, ask: Callable[[Reader], Awaitable[T]]) -> T:
    """Connect, ask, disconnect; what goes wrong is told in one line."""
    quiet_finsy()
    with one_line(command):
        return asyncio.run(_look(SwitchAddress(switch, switch, device_id), ask))


async def _look(address: SwitchAddress, ask: Callable[[Reader], Awaitable[T]]) -> T:
    async with open_reader(address, gateway_program()) as reader:
        return await ask(reader)
