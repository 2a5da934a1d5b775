"""``p4esp ping``: whether ESP gets to a peer and back, without any SA or inside one."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from p4esp.cli.failures import one_line
from p4esp.service.control_client import ask

MAX_COUNT: Final = 10_000
"""Pings of one call."""

_UNANNOUNCED: Final = (
    "{} has not announced ENCRYPTED_PING_SUPPORTED: "
    "without a reply its SA may be alive all the same"
)

Ask = Callable[[int], dict[str, Any]]
"""Has one ping sent, by its number; `ms` of the answer is None without a reply."""


@dataclass(slots=True)
class Outcome:
    """What came of the pings so far, in milliseconds; None: no reply."""

    times: list[float | None] = field(default_factory=list)
    announced: bool | None = None
    """Whether the peer has said that it answers; None: nobody says that of pings outside SAs."""

    @property
    def replies(self) -> list[float]:
        """The times of those that were answered."""
        return [ms for ms in self.times if ms is not None]

    @property
    def loss(self) -> float:
        """Percent without a reply."""
        return 100 * (1 - len(self.replies) / len(self.times)) if self.times else 0.0

    def facts(self) -> dict[str, Any]:
        """As JSON has it."""
        announced = {} if self.announced is None else {"announced": self.announced}
        return announced | {
            "sent": len(self.times),
            "received": len(self.replies),
            "loss_percent": round(self.loss, 1),
            "ms": self.spread(),
            "times_ms": self.times,
        }

    def spread(self) -> dict[str, float] | None:
        """The least, average and greatest time; None without any."""
        times = self.replies
        if not times:
            return None
        return {"min": min(times), "avg": sum(times) / len(times), "max": max(times)}

    def lines(self) -> Iterator[str]:
        """The summary, as ping(8) words it."""
        sent, received = len(self.times), len(self.replies)
        yield f"{sent} requests sent, {received} replies received, {self.loss:.3g}% loss"
        if spread := self.spread():
            yield "round trip min/avg/max = {min:.3f}/{avg:.3f}/{max:.3f} ms".format(**spread)


def ping_command(
    gateway: Annotated[str, typer.Argument(help="Name of one of our gateways.")],
    address: Annotated[str, typer.Argument(metavar="PEER-ADDRESS", help="Whom to ask.")],
    *,
    count: Annotated[int, typer.Option(help="Requests.", min=1, max=MAX_COUNT)] = 5,
    size: Annotated[int, typer.Option(help="Octets of data in each.", min=0)] = 56,
    interval: Annotated[
        float, typer.Option(help="Seconds between two requests.", min=0, max=3600)
    ] = 1.0,
    wait: Annotated[
        float, typer.Option(help="Seconds to wait for a reply.", min=0.001, max=60)
    ] = 1.0,
    encrypted: Annotated[
        bool, typer.Option("--encrypted", help="Ask inside an SA with the peer.")
    ] = False,
    sa: Annotated[
        str, typer.Option("--sa", metavar="SPI", help="With --encrypted: on this SA.")
    ] = "",
    return_sa: Annotated[
        str, typer.Option("--return-sa", metavar="SPI", help="With --encrypted: reply on this SA.")
    ] = "",
    control: Annotated[
        Path, typer.Option("--control", help="Control socket of the running controller.")
    ] = Path("p4esp.sock"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Whether ESP gets to a peer and back, without or inside an SA. Status 1 without any reply."""
    facts = {"gateway": gateway, "address": address, "size": str(size)}
    facts["wait"] = str(max(1, round(wait * 1000)))
    command = "sealed-ping" if encrypted else "ping"
    if encrypted:
        facts |= {"spi": sa, "back": return_sa}
    elif sa or return_sa:
        raise typer.BadParameter("--sa and --return-sa go with --encrypted")

    def one(number: int) -> dict[str, Any]:
        result: dict[str, Any] = ask(control, command, number=str(number), **facts)
        return result

    tell = _nothing if as_json else _teller(address)
    with one_line("ping"):
        outcome = ping_all(one, count, interval, tell)
    _conclude(outcome, gateway, address, as_json)


def ping_all(
    one: Ask,
    count: int,
    interval: float,
    tell: Callable[[dict[str, Any]], None],
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Outcome:
    """Send the pings, one at a time; Ctrl-C ends them early."""
    outcome, begun = Outcome(), clock()
    try:
        for number in range(1, count + 1):
            result = one(number)
            outcome.times.append(result["ms"])
            outcome.announced = result.get("announced")
            tell(result)
            if number < count:
                sleep(max(0.0, begun + number * interval - clock()))
    except KeyboardInterrupt:
        return outcome
    return outcome


def _teller(address: str) -> Callable[[dict[str, Any]], None]:
    def tell(result: dict[str, Any]) -> None:
        what = f"number={result['number']}"
        if result["ms"] is None:
            typer.echo(f"no reply from {address}: {what}")
        else:
            octets = f"{result['octets']} octets from {address}"
            if "spi" in result:
                what = f"SA={result['spi']} {what}"
            typer.echo(f"{octets}: {what} time={result['ms']:.3f} ms")

    return tell


def _nothing(_: dict[str, Any]) -> None:
    return None


def _conclude(outcome: Outcome, gateway: str, address: str, as_json: bool) -> None:
    if as_json:
        facts = {"gateway": gateway, "address": address, **outcome.facts()}
        typer.echo(json.dumps(facts, indent=2))
    else:
        typer.echo(f"--- ESP ping of {address} by {gateway} ---")
        for line in outcome.lines():
            typer.echo(line)
        if outcome.announced is False:
            typer.echo(_UNANNOUNCED.format(address), err=True)
    if not outcome.replies:
        raise typer.Exit(1)
