"""``p4esp engine`` and ``p4esp engine-check``."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from p4esp.cli.stopping import until_stopped
from p4esp.engine.attach import Connect
from p4esp.engine.check.probe import LocalProbe, Probe, dataplane_probe, interface_probe
from p4esp.engine.check.runner import Result, run_cases
from p4esp.engine.client import EngineClient
from p4esp.engine.core import Engine
from p4esp.engine.dataplane_port import dataplane_port
from p4esp.engine.errors import AttachmentError, EngineUnavailableError
from p4esp.engine.keyservice import KeyService, LocalKeys
from p4esp.engine.linux_port import linux_port
from p4esp.engine.process import run_engine
from p4esp.unix_socket import SocketPathError

CRYPTO_PORT = 509

PortOption = Annotated[int, typer.Option("--port", min=0, max=511, help="Crypto port number.")]
InterfaceOption = Annotated[
    str | None, typer.Option("--interface", metavar="IFNAME", help="Linux interface (needs root).")
]


def engine_command(
    socket: Annotated[Path, typer.Option("--socket", help="Unix socket of the key service.")],
    dp_grpc: Annotated[
        str | None, typer.Option("--dp-grpc", metavar="ADDR", help="dp-grpc address of a switch.")
    ] = None,
    port: PortOption = CRYPTO_PORT,
    interface: InterfaceOption = None,
    device_id: Annotated[int, typer.Option(help="Device id of the switch (dp-grpc).")] = 1,
) -> None:
    """Run a crypto engine: keys over a unix socket, frames over dp-grpc or an interface."""
    name, connect = _attachment(dp_grpc, port, interface, device_id)
    typer.echo(f"engine: keys on {socket}, crypto port on {name}")
    try:
        asyncio.run(until_stopped(run_engine(socket, name, connect)))
    except SocketPathError as error:
        raise _failure(str(error)) from None


def _attachment(
    dp_grpc: str | None, port: int, interface: str | None, device_id: int
) -> tuple[str, Connect]:
    if (dp_grpc is None) == (interface is None):
        raise typer.BadParameter("give either --dp-grpc ADDR or --interface IFNAME")
    if interface is not None:
        return f"interface {interface}", lambda: linux_port(interface)
    address = str(dp_grpc)
    return f"{address} port {port}", lambda: dataplane_port(address, device_id, port)


def engine_check_command(
    address: Annotated[
        str, typer.Argument(metavar="ADDR", help="Unix socket of the key service, or 'self'.")
    ],
    dp_grpc: Annotated[
        str | None,
        typer.Option("--dp-grpc", metavar="ADDR", help="Address to serve; the engine connects."),
    ] = None,
    port: PortOption = CRYPTO_PORT,
    interface: InterfaceOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check that an engine does what docs/crypto-port.md says; exit status 1 when it does not."""
    try:
        results = asyncio.run(check_engine(address, dp_grpc, port, interface))
    except (AttachmentError, EngineUnavailableError, PermissionError) as error:
        raise _failure(str(error)) from None
    if as_json:
        typer.echo(json.dumps([result.as_dict() for result in results], indent=2))
    else:
        _print_results(results)
    raise typer.Exit(1 if any(result.failed for result in results) else 0)


async def check_engine(
    address: str, dp_grpc: str | None, port: int, interface: str | None
) -> list[Result]:
    """Reach the engine at ``address`` and run every conformance case.

    AttachmentError or EngineUnavailableError when one of its two sides cannot be reached.
    """
    async with AsyncExitStack() as stack:
        if address == "self":
            engine = Engine()
            return await run_cases(LocalKeys(engine), LocalProbe(engine.process))
        keys: KeyService = await stack.enter_async_context(EngineClient(address))
        await keys.health()
        probe = await _probe(stack, dp_grpc, port, interface)
        return await run_cases(keys, probe)


async def _probe(
    stack: AsyncExitStack, dp_grpc: str | None, port: int, interface: str | None
) -> Probe:
    if interface is not None:
        return await stack.enter_async_context(interface_probe(interface))
    if dp_grpc is None:
        raise AttachmentError("give --dp-grpc ADDR or --interface IFNAME to reach the crypto port")
    return await stack.enter_async_context(dataplane_probe(dp_grpc, port))


def _print_results(results: list[Result]) -> None:
    table = Table("", "case", "what it proves", title="engine conformance")
    for result in results:
        table.add_row(_mark(result), result.name, _proves(result))
    passed = sum(result.passed for result in results)
    left_out = sum(result.left_out for result in results)
    console = Console()
    console.print(table)
    console.print(f"{passed} of {len(results)} passed, {left_out} left out")


def _mark(result: Result) -> str:
    if result.left_out:
        return "[yellow]none[/]"
    return "[green]pass[/]" if result.passed else "[red]FAIL[/]"


def _proves(result: Result) -> str:
    if result.passed:
        return result.proves
    colour = "yellow" if result.left_out else "red"
    return f"{result.proves}\n[{colour}]{escape(result.detail)}[/]"


def _failure(text: str) -> typer.Exit:
    typer.echo(f"error: {text}", err=True)
    return typer.Exit(2)
