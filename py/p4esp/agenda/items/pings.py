"""Encrypted ESP pings: whether a peer answers them is known before one is sent."""

from __future__ import annotations

from typing import Any, Final

from p4esp.agenda.configuring import extension
from p4esp.agenda.model import Claim, Evidence, Item, Run
from p4esp.controller.commands import ControllerCommands
from p4esp.demo.lab import Lab
from p4esp.service.event_hub import EventHub

_PING: Final = {"number": "1", "size": "4", "wait": "5000"}


async def _ping(lab: Lab) -> Any:
    """The left gateway pings the right one inside their SA."""
    await lab.tunnel_up()
    commands = ControllerCommands(lab.controller.gateways, EventHub())
    return await commands.sealed_ping("left", str(lab.right.plan.outer), **_PING)


def _answered(evidence: Evidence, *, announced: bool) -> bool:
    return bool(evidence.answer["announced"] is announced and evidence.answer["ms"] > 0)


ITEMS: Final = (
    Item(
        "encrypted-ping",
        "Encrypted ESP ping",
        ("draft-antony-ipsecme-encrypted-esp-ping",),
        "py/tests/controller/test_sealed_ping.py"
        "::test_a_ping_tells_whether_its_peer_has_announced_to_answer",
        having=Run(extension(encrypted_ping=True), _ping),
        lacking=Run(drive=_ping),
        claims=(
            Claim(
                "both ends announce that they answer",
                lambda _, after: after.agreed("ENCRYPTED_PING_SUPPORTED"),
            ),
            Claim(
                "the peer answers inside the SA, and the command knows that it had to",
                lambda before, after: (
                    _answered(before, announced=False) and _answered(after, announced=True)
                ),
            ),
        ),
    ),
)
