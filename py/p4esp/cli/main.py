"""The ``p4esp`` command. Only the module of the command that runs is imported."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import typer


@dataclass(frozen=True, slots=True)
class Command:
    """Where a command is, and its line in the overview."""

    name: str
    module: str
    attribute: str
    summary: str


COMMANDS = (
    Command("demo", "demo_cmd", "demo_command", "Two gateways, IKEv2, ESP and seven attacks."),
    Command("up", "up_cmd", "up_command", "Run the controller of a configuration."),
    Command("ike", "ike_cmd", "app", "IKEv2 on UDP sockets, without a switch."),
    Command("ppk", "ppk_cmd", "app", "Postquantum preshared keys: a sealed store of them."),
    Command("ready", "ready_cmd", "app", "Readiness of a switch, an engine or a controller."),
    Command("status", "status_cmd", "status_command", "What a running switch holds."),
    Command("counters", "status_cmd", "counters_command", "Drops, punts and outcomes by name."),
    Command("sa", "sa_cmd", "app", "Security associations of a running switch."),
    Command("doctor", "doctor_cmd", "doctor_command", "What has failed, why, and what helps."),
    Command("ping", "ping_cmd", "ping_command", "Whether ESP gets to a peer and back."),
    Command("trace", "trace_cmd", "trace_command", "One packet's way through a pipeline."),
    Command("switch", "switch_cmd", "switch_command", "The embedded P4 switch."),
    Command("dpmux", "dpmux_cmd", "dpmux_command", "Share a switch's packet stream by port."),
    Command("engine", "engine_cmd", "engine_command", "The crypto engine as its own process."),
    Command("engine-check", "engine_cmd", "engine_check_command", "Test any engine."),
    Command("p4", "p4_cmd", "app", "Build, check and weigh the P4 programs."),
    Command("formats", "formats_cmd", "app", "The ESP formats: what each is, costs and buys."),
    Command("bench", "bench_cmd", "bench_command", "Benchmarks next to their peers."),
)


def build_app(arguments: Sequence[str]) -> typer.Typer:
    """The application for a command line: one real command, the others by name alone."""
    app = typer.Typer(
        help="IPsec ESP offload: P4 pipelines, IKEv2 controller, embedded switch, crypto engine.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
    )
    app.callback()(_overview)
    chosen = next((word for word in arguments if not word.startswith("-")), None)
    for command in COMMANDS:
        _register(app, command, chosen)
    return app


def _overview() -> None:
    """IPsec ESP offload: P4 pipelines, IKEv2 controller, embedded switch, crypto engine."""


def _register(app: typer.Typer, command: Command, chosen: str | None) -> None:
    target: Any = _load(command) if command.name == chosen else _placeholder(command)
    if isinstance(target, typer.Typer):
        app.add_typer(target, name=command.name)
    else:
        app.command(command.name)(target)


def _load(command: Command) -> Any:
    module = importlib.import_module(f"p4esp.cli.{command.module}")
    return getattr(module, command.attribute)


def _placeholder(command: Command) -> Callable[[], None]:
    def unloaded() -> None:
        raise RuntimeError(f"{command.name} was not loaded")

    unloaded.__doc__ = command.summary
    return unloaded


def main() -> None:
    """Entry point of the console script."""
    try:
        build_app(sys.argv[1:])()
    except KeyboardInterrupt:
        sys.exit(130)
