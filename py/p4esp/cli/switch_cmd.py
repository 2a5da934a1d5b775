"""``p4esp switch``: the embedded switch as a stand-in for simple_switch_grpc."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Annotated

import typer

from p4esp.engine.process import engine_inside
from p4esp.p4rt.server import AddressInUseError
from p4esp.switch.device import Device
from p4esp.switch.ports.linux import InterfaceError, InterfaceSpec
from p4esp.switch.service import Program, ProgramError, SwitchOptions, running_switch
from p4esp.unix_socket import SocketPathError

NO_CPU_PORT = 0
CRYPTO_PORT = 509


def switch_command(
    json_file: Annotated[
        Path | None,
        typer.Argument(metavar="[JSON]", help="bmv2 JSON; without it a client pushes one."),
    ] = None,
    *,
    p4info: Annotated[
        Path | None, typer.Option(help="p4info of JSON; default: JSON's name with .p4info.txtpb")
    ] = None,
    grpc_server_addr: Annotated[str, typer.Option(help="P4Runtime address.")] = "127.0.0.1:9559",
    dp_grpc_server_addr: Annotated[
        str | None, typer.Option(help="Packet I/O address (p4.bm.DataplaneInterface).")
    ] = None,
    device_id: Annotated[int, typer.Option(min=1, help="P4Runtime device id.")] = 1,
    cpu_port: Annotated[int, typer.Option(min=0, max=510, help="CPU port; 0: none.")] = 510,
    interfaces: Annotated[
        list[str] | None,
        typer.Option("-i", "--interface", metavar="PORT@NAME", help="Linux interface (root)."),
    ] = None,
    engine: Annotated[
        Path | None,
        typer.Option(metavar="SOCKET", help="Run a crypto engine in this process; keys here."),
    ] = None,
) -> None:
    """Run the embedded switch until SIGTERM or Ctrl-C."""
    try:
        options = SwitchOptions(
            grpc_address=grpc_server_addr,
            dataplane_address=dp_grpc_server_addr,
            device_id=device_id,
            cpu_port=None if cpu_port == NO_CPU_PORT else cpu_port,
            interfaces=tuple(InterfaceSpec.parse(text) for text in interfaces or ()),
            program=_read_program(json_file, p4info),
        )
        asyncio.run(run_switch(options, engine))
    except (AddressInUseError, InterfaceError, ProgramError, SocketPathError, OSError) as error:
        typer.echo(f"p4esp switch: {error}", err=True)
        raise typer.Exit(1) from None


async def run_switch(options: SwitchOptions, engine: Path | None = None) -> None:
    """Run until SIGTERM or SIGINT; prints one line when the switch takes connections.

    `engine`: key socket of a crypto engine inside this process; None: there is none.
    """
    with stop_signals() as stopped:
        async with running_switch(options) as switch, _engine(switch.device, engine):
            parts = [f"device {options.device_id}", f"P4Runtime {switch.grpc_address}"]
            if switch.dataplane_address:
                parts.append(f"packets {switch.dataplane_address}")
            parts += [f"port {spec.port} on {spec.interface}" for spec in options.interfaces]
            typer.echo(f"ready: {', '.join(parts)}")
            await stopped.wait()


def _engine(device: Device, socket: Path | None) -> AbstractAsyncContextManager[None]:
    return nullcontext() if socket is None else engine_inside(device, CRYPTO_PORT, socket)


@contextmanager
def stop_signals() -> Iterator[asyncio.Event]:
    """An event that SIGTERM and SIGINT set while the block runs."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    try:
        yield stopped
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


def _read_program(json_file: Path | None, p4info: Path | None) -> Program | None:
    if json_file is None:
        if p4info is not None:
            raise ProgramError("--p4info needs the JSON that it describes")
        return None
    beside = json_file.with_suffix(".p4info.txtpb")
    if p4info is None and beside.exists():
        p4info = beside
    return Program(json_file.read_bytes(), p4info.read_text() if p4info else None)
