"""The switch of a lab: bmv2 as the compose file has it, or ours in its place."""

import os
import shutil
from pathlib import Path
from typing import Final

from lab.compose_file import OUR_IMAGE, Service

BMV2: Final = "simple_switch_grpc"
TARGETS: Final = ("embedded", "bmv2")
_OF_BMV2_ALONE: Final = ("--no-p4", "--log-level=off", "--")


def bmv2_binary() -> Path | None:
    """`$SIMPLE_SWITCH_GRPC`, or simple_switch_grpc of PATH."""
    found = shutil.which(os.environ.get("SIMPLE_SWITCH_GRPC") or BMV2)
    return Path(found) if found else None


def command_of(service: Service, target: str) -> tuple[str, ...]:
    """What a service runs; `p4esp switch` takes bmv2's options, apart from some it needs not."""
    if target == "bmv2" or service.image == OUR_IMAGE or service.command[0] != BMV2:
        return service.command
    options = (word for word in service.command[1:] if word not in _OF_BMV2_ALONE)
    return "p4esp", "switch", *options
