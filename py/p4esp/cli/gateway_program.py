"""Where the gateway's artefacts are."""

from pathlib import Path

from p4esp.controller.program import Program
from p4esp.p4build.programs import ARTEFACT_DIR, PROGRAMS, find_repository


def gateway_program() -> Program:
    """The committed artefacts of the checkout around us; BuildError outside of one."""
    base = find_repository(Path.cwd()) / ARTEFACT_DIR
    (gateway,) = PROGRAMS
    return Program(gateway.p4info_path(base), gateway.json_path(base))
