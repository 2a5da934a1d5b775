"""Two sites and a tunnel between them in network namespaces, from docker-compose.yml.

    python -m lab [--target embedded|bmv2] [--json]

The exit status is 0 when every claim was checked and held.
"""

import argparse
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Final

from rich.console import Console

from lab.container import REPOSITORY
from lab.isolation import inside, isolate, prepare
from lab.machine import prepare_machine
from lab.programs import SYSTEM_PATH, how_to_get, missing
from lab.report import Report
from lab.session import run_lab
from lab.targets import BMV2, TARGETS, bmv2_binary

LEFT_BEHIND: Final = REPOSITORY / "build" / "lab"
"""Logs and the capture."""


def main() -> None:
    """Outside: look whether all is there, and go inside. Inside: run the lab."""
    arguments = _arguments()
    if not inside():
        _require(arguments.target)
        isolate(["-m", "lab", *sys.argv[1:]])
    prepare()
    prepare_machine()
    facts = run_lab(arguments.target, _fresh(LEFT_BEHIND), Report(_console(arguments.json)))
    if arguments.json:
        print(json.dumps(facts.as_json(), indent=2))
    sys.exit(0 if facts.all_held else 1)


def _console(as_json: bool) -> Console:
    return Console(quiet=as_json, soft_wrap=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="lab", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--target", choices=TARGETS, default="embedded", help="the switch")
    parser.add_argument("--json", action="store_true", help="print the facts as JSON")
    return parser.parse_args()


def _require(target: str) -> None:
    os.environ["PATH"] = f"{os.environ.get('PATH', os.defpath)}:{SYSTEM_PATH}"
    if names := missing():
        sys.exit(f"lab: {how_to_get(names)}")
    if target == "bmv2" and bmv2_binary() is None:
        sys.exit(f"lab: {BMV2} not found; accepted: on PATH, or its path in $SIMPLE_SWITCH_GRPC")


def _fresh(directory: Path) -> Path:
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    return directory


if __name__ == "__main__":
    main()
