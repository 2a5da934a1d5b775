"""``p4esp dpmux``: one dp-grpc stream of a switch, shared by port."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated

import grpc
import typer

from p4esp.cli.switch_cmd import stop_signals
from p4esp.p4rt.server import AddressInUseError, new_grpc_server
from p4esp.switch.ports.dataplane_rpc import add_dataplane_service
from p4esp.switch.ports.dpmux import DataplaneMux, MuxOptions


def dpmux_command(
    switch: Annotated[str, typer.Argument(help="dp-grpc address of the switch.")],
    listen: Annotated[str, typer.Option(help="Address for clients.")] = "127.0.0.1:9561",
    device_id: Annotated[int, typer.Option(min=0, help="Device id of the switch.")] = 1,
    window: Annotated[
        int, typer.Option(min=0, help="Packets in flight towards the switch; 0: no limit.")
    ] = 32,
    cpu_port: Annotated[
        int, typer.Option(min=0, help="The switch's CPU port, which is the controller's alone.")
    ] = 510,
) -> None:
    """Share the packet stream of bmv2 or the embedded switch between clients, by port."""
    options = MuxOptions(device_id, window, cpu_port=cpu_port)
    try:
        asyncio.run(run_dpmux(switch, listen, options))
    except AddressInUseError as error:
        typer.echo(f"p4esp dpmux: {error}", err=True)
        raise typer.Exit(1) from None


async def run_dpmux(switch: str, listen: str, options: MuxOptions) -> None:
    """Run until SIGTERM or SIGINT."""
    with stop_signals() as stopped:
        async with grpc.aio.insecure_channel(switch) as channel:
            mux = DataplaneMux(channel, options, time.monotonic_ns)
            server, port = new_grpc_server(listen)
            add_dataplane_service(server, mux)
            await server.start()
            relay = asyncio.create_task(mux.run())
            typer.echo(f"ready: packets of {switch} at {listen.rpartition(':')[0]}:{port}")
            await asyncio.wait(
                (asyncio.create_task(stopped.wait()), relay), return_when=asyncio.FIRST_COMPLETED
            )
            relay.cancel()
            await server.stop(0.5)
