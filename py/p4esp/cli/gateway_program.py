"""Where the gateway's artefacts are."""

from pathlib import Path

from p4esp.controller.program import Program
from p4esp.p4build.programs import ARTEFACT_DIR, GATEWAY, find_repository


def gateway_program() -> Program:
    """The committed artefacts of the checkout around us; BuildError outside of one."""
    base = find_repository(Path.cwd()) / ARTEFACT_DIR
    return Program(GATEWAY.p4info_path(base), GATEWAY.json_path(base))
