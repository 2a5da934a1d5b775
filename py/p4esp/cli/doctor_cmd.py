"""``p4esp doctor``: what has failed at running gateways or daemons, and what helps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from p4esp.cli.failures import one_line
from p4esp.service.control_client import ask
from p4esp.service.explanations import Finding, as_json, explain

DEFAULT_CONTROL = Path("p4esp.sock")


def doctor_command(
    control: Annotated[
        list[Path] | None,
        typer.Option(help="Control socket of a controller or daemon, once or more."),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="What nothing is known about, too.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Explain what has failed since the process began: the cause, and what to change where."""
    sockets = control or [DEFAULT_CONTROL]
    with one_line("doctor"):
        failures = [failure for socket in sockets for failure in ask(socket, "failures")]
    findings = [found for found in explain(failures) if every or found.explanation]
    if json_output:
        typer.echo(json.dumps([as_json(finding) for finding in findings], indent=2))
        return
    for finding in findings:
        typer.echo(_in_lines(finding))
    if not findings:
        typer.echo("nothing has failed that there is an explanation for")


def _in_lines(finding: Finding) -> str:
    times = f", {finding.count} times" if finding.count > 1 else ""
    head = f"{finding.gateway}: {finding.explanation or 'not explained'}{times}"
    facts = [("cause", finding.cause), ("remedy", finding.remedy), ("seen", finding.seen)]
    return "\n".join([head, *(f"  {name:7} {text}" for name, text in facts if text)])
