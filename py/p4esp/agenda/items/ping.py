"""Encrypted ESP ping: both ends say that they answer, and one asks."""

from __future__ import annotations

from typing import Final

from p4esp.agenda.configuring import extension
from p4esp.agenda.model import Claim, Item, Run
from p4esp.controller.errors import ControllerError
from p4esp.demo.lab import Lab
from p4esp.ike.extensions.encrypted_ping import KIND

_WAIT: Final = 10.0
"""Seconds for a reply, on a machine that has much else to do."""


async def _ask(lab: Lab) -> None:
    """The left gateway pings the right one inside their SA."""
    await lab.tunnel_up()
    gateway = lab.gateway(lab.left)
    (live,) = gateway.sas.live.values()
    if await gateway.sealed_ping(live, 1, 56, None, _WAIT) is None:
        raise ControllerError("no reply to an encrypted ESP ping")


ITEMS: Final = (
    Item(
        "encrypted-ping",
        "Encrypted ESP ping: whether an SA carries packets there and back",
        ("draft-antony-ipsecme-encrypted-esp-ping",),
        "py/tests/controller/test_sealed_ping.py"
        "::test_a_ping_tells_whether_its_peer_has_announced_to_answer",
        having=Run(extension(encrypted_ping=True), _ask),
        lacking=Run(drive=_ask),
        claims=(
            Claim(
                f"both ends have announced {KIND.name}",
                lambda before, after: after.agreed(KIND.name) and not before.agreed(KIND.name),
            ),
            Claim(
                "it is in IKE_AUTH",
                lambda _, after: any(
                    KIND.name in " ".join(message.payloads)
                    for message in after.messages_of("IKE_AUTH response")
                ),
            ),
        ),
    ),
)
