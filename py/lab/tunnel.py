"""What the two controllers say of the tunnel."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from lab.container import until
from p4esp.service.control_client import ControlError, ask

TUNNEL_SECONDS: Final = 20.0
"""In which it must come up once the controllers run."""


def tunnel_faults(sockets: dict[str, Path]) -> list[str]:
    """Why two gateways, by name with their control sockets, have no tunnel; none if they have."""
    until(lambda: not list(_faults(sockets)), TUNNEL_SECONDS, pause=0.2)
    return list(_faults(sockets))


def _faults(sockets: dict[str, Path]) -> Iterator[str]:
    facts = {name: _sas(name, socket) for name, socket in sockets.items()}
    for name, (ike, children) in facts.items():
        if (len(ike), len(children)) != (1, 1):
            yield f"{name} has {len(ike)} IKE SAs and {len(children)} child SAs"
    (_, ours), (_, theirs) = facts.values()
    mirrored = [(child["spi_out"], child["spi_in"]) for child in theirs]
    if [(child["spi_in"], child["spi_out"]) for child in ours] != mirrored:
        yield "they do not have the same SPIs"


def _sas(name: str, socket: Path) -> tuple[list[Any], list[Any]]:
    try:
        facts = ask(socket, "status")[name]
    except ControlError:
        return [], []
    return facts["ike_sas"], facts["child_sas"]


def suite_of(name: str, socket: Path) -> str:
    """The algorithms of a gateway's IKE SA and of its child."""
    ike, children = _sas(name, socket)
    return ", ".join(sa["suite"] for sa in (*ike, *children))
