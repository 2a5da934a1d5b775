"""``p4esp ready``: readiness probes, for whoever starts one part of a gateway after the other.

A probe may run every few seconds, so each imports what it needs and nothing more.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    help="Whether a part of a gateway is ready: exit status 0, or 1 and the reason.",
    no_args_is_help=True,
)

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class NotReadyError(Exception):
    """Why a part cannot be used yet, or no more; one line a reason."""


@app.command("switch")
def switch_command(
    address: Annotated[str, typer.Argument(help="P4Runtime address.")] = "127.0.0.1:9559",
    as_json: JsonOption = False,
) -> None:
    """A switch is ready when P4Runtime answers a Capabilities request."""
    with _told("switch"):
        version = _version_at(address)
    _print({"p4runtime": version}, f"{address}: P4Runtime {version}", as_json)


def _version_at(address: str) -> str:
    from p4esp.controller.errors import ControllerError
    from p4esp.controller.target import SwitchAddress, api_version

    try:
        return asyncio.run(api_version(SwitchAddress(address, address)))
    except ControllerError as error:
        raise NotReadyError(str(error)) from None


@app.command("engine")
def engine_command(
    socket: Annotated[Path, typer.Argument(help="Unix socket of the key service.")],
    as_json: JsonOption = False,
) -> None:
    """An engine is ready when it takes keys and its crypto port is attached."""
    with _told("engine"):
        detail = asyncio.run(_attached_to(socket))
    _print({"crypto_port": detail}, f"{socket}: crypto port {detail}", as_json)


async def _attached_to(socket: Path) -> str:
    from p4esp.engine.client import EngineClient
    from p4esp.engine.errors import EngineUnavailableError

    try:
        async with EngineClient(socket) as keys:
            health = await keys.health()
    except EngineUnavailableError as error:
        raise NotReadyError(str(error)) from None
    if not health.ready:
        raise NotReadyError(f"{socket}: no crypto port: {health.detail}")
    return health.detail


@app.command("controller")
def controller_command(
    socket: Annotated[Path, typer.Argument(help="Control socket.")] = Path("p4esp.sock"),
    as_json: JsonOption = False,
) -> None:
    """A controller is ready when each gateway has its switch, and the switch its engine."""
    with _told("controller"):
        facts = _status(socket)
        lacking = [f"{name}: {text}" for name, item in facts.items() if (text := _lacks(item))]
        if lacking:
            raise NotReadyError("\n".join(lacking))
    _print(facts, "\n".join(map(_sa_line, facts.items())), as_json)


def _status(socket: Path) -> dict[str, dict[str, Any]]:
    from p4esp.service.control_client import ControlError, ask

    try:
        facts: dict[str, dict[str, Any]] = ask(socket, "status")
    except ControlError as error:
        raise NotReadyError(str(error)) from None
    return facts


def _lacks(gateway: dict[str, Any]) -> str:
    if not gateway["connected"]:
        return "the switch is not connected"
    return "" if gateway["engine"] else "no engine is in use"


def _sa_line(item: tuple[str, dict[str, Any]]) -> str:
    name, gateway = item
    return f"{name}: {len(gateway['ike_sas'])} IKE SAs, {len(gateway['child_sas'])} child SAs"


@contextmanager
def _told(part: str) -> Iterator[None]:
    try:
        yield
    except NotReadyError as error:
        for line in str(error).splitlines():
            typer.echo(f"p4esp ready {part}: {line}", err=True)
        raise typer.Exit(1) from None


def _print(facts: object, text: str, as_json: bool) -> None:
    typer.echo(json.dumps(facts, indent=2) if as_json else text)
