"""``p4esp ready``: readiness probes, for whoever starts one part of a gateway after the other."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer

from p4esp.cli.failures import one_line
from p4esp.cli.running_switch import DEFAULT_SWITCH, JsonOption

app = typer.Typer(
    help="Whether a part of a gateway is ready: exit status 0, or 1 and the reason.",
    no_args_is_help=True,
)


@app.command("switch")
def switch_command(
    address: Annotated[str, typer.Argument(help="P4Runtime address.")] = DEFAULT_SWITCH,
    as_json: JsonOption = False,
) -> None:
    """A switch is ready when P4Runtime answers a Capabilities request."""
    from p4esp.controller.target import SwitchAddress, api_version

    version = _ask("switch", api_version(SwitchAddress(address, address)))
    _print({"p4runtime": version}, f"{address}: P4Runtime {version}", as_json)


@app.command("engine")
def engine_command(
    socket: Annotated[Path, typer.Argument(help="Unix socket of the key service.")],
    as_json: JsonOption = False,
) -> None:
    """An engine is ready when it takes keys and its crypto port is attached."""
    detail = _ask("engine", _attached_to(socket))
    _print({"crypto_port": detail}, f"{socket}: crypto port {detail}", as_json)


async def _attached_to(socket: Path) -> str:
    from p4esp.engine.client import EngineClient
    from p4esp.engine.errors import EngineUnavailableError

    async with EngineClient(socket) as keys:
        health = await keys.health()
    if not health.ready:
        raise EngineUnavailableError(f"{socket}: no crypto port: {health.detail}")
    return health.detail


@app.command("controller")
def controller_command(
    socket: Annotated[Path, typer.Argument(help="Control socket of the controller.")] = Path(
        "p4esp.sock"
    ),
    as_json: JsonOption = False,
) -> None:
    """A controller is ready when each gateway has its switch, and the switch its engine."""
    from p4esp.service.control_client import ControlError, ask

    with one_line("ready controller"):
        facts = ask(socket, "status")
        lacking = [f"{name}: {text}" for name, item in facts.items() if (text := _lacks(item))]
        if lacking:
            raise ControlError("\n".join(lacking))
    _print(facts, "\n".join(map(_sa_line, facts.items())), as_json)


def _lacks(gateway: dict[str, Any]) -> str:
    if not gateway["connected"]:
        return "the switch is not connected"
    return "" if gateway["engine"] else "no engine is in use"


def _sa_line(item: tuple[str, dict[str, Any]]) -> str:
    name, gateway = item
    return f"{name}: {len(gateway['ike_sas'])} IKE SAs, {len(gateway['child_sas'])} child SAs"


def _ask(part: str, question: Coroutine[Any, Any, str]) -> str:
    with one_line(f"ready {part}"):
        return asyncio.run(question)


def _print(facts: object, text: str, as_json: bool) -> None:
    typer.echo(json.dumps(facts, indent=2) if as_json else text)
