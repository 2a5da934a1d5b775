"""``p4esp trace``: a packet's way, state by state and table by table."""

from __future__ import annotations

import asyncio
import json
import random
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from p4esp.cli.failures import one_line, quiet_finsy
from p4esp.cli.gateway_program import gateway_program
from p4esp.demo.lab import Lab, running_lab
from p4esp.demo.site import Site
from p4esp.demo.traffic import host_frame, host_packet
from p4esp.switch.device import Device
from p4esp.switch.errors import LoadError
from p4esp.switch.trace import Event, PacketTrace, Recorder, trace_packet

Traces = dict[str, tuple[Event, ...]]


def trace_command(
    program: Annotated[
        Path | None,
        typer.Argument(help="bmv2 JSON, with empty tables; default: the gateways of the demo."),
    ] = None,
    *,
    packet: Annotated[str | None, typer.Option(help="Frame in hexadecimal, for PROGRAM.")] = None,
    port: Annotated[int, typer.Option(min=0, max=511, help="Its ingress port.")] = 0,
    size: Annotated[int, typer.Option(min=0, max=1400, help="Payload octets, in the demo.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Follow one packet through both gateways of the demo, or through any program."""
    quiet_finsy()
    with one_line("trace"):
        if program is None:
            traces = asyncio.run(_trace_lab(size))
        else:
            traces = {program.name: _trace_program(program, port, packet).events}
    _print_json(traces) if as_json else _print(traces)


async def _trace_lab(size: int) -> Traces:
    async with running_lab(gateway_program()) as lab:
        await lab.tunnel_up()
        return _follow(lab, size)


def _follow(lab: Lab, size: int) -> Traces:
    recorders = {site.plan.name: _record(site) for site in lab.sites}
    lab.left.host.send(host_frame(lab.left, host_packet(lab.left, lab.right, bytes(size))))
    lab.wire.deliver()
    return {name: tuple(recorder.events) for name, recorder in recorders.items()}


def _record(site: Site) -> Recorder:
    recorder = Recorder(site.device)
    site.device.process = site.device.traced(recorder)
    return recorder


def _trace_program(program: Path, port: int, packet: str | None) -> PacketTrace:
    if packet is None:
        raise typer.BadParameter("a program needs a packet: --packet HEX")
    try:
        frame = bytes.fromhex(packet)
    except ValueError:
        raise typer.BadParameter("--packet accepts hexadecimal digits") from None
    device = Device(time.monotonic_ns, random.Random())
    try:
        device.load(program.read_bytes())
    except LoadError as error:
        raise OSError(f"{program}: {error}") from None
    return trace_packet(device, port, frame)


def _print(traces: Traces) -> None:
    console = Console(soft_wrap=True)
    for name, events in traces.items():
        console.rule(name, align="left")
        for event in events:
            style, text = event.line()
            console.print(Text(text, style=style))


def _print_json(traces: Traces) -> None:
    plain: dict[str, Any] = {
        name: PacketTrace(events, ()).to_dict()["events"] for name, events in traces.items()
    }
    typer.echo(json.dumps(plain, indent=2))
