"""Our vendor ID in IKE_SA_INIT, without which our private numbers mean nothing to anybody
(RFC 7296 3.12). The AUTH payloads cover it.
"""

from typing import Final

from p4esp.ike.codec.payload import AnyPayload
from p4esp.ike.codec.payloads import VendorId
from p4esp.ike.config import PeerConfig
from p4esp.ike.constants import OPENINGS, ExchangeType
from p4esp.ike.state import IkeSaState
from p4esp.ike.tasks.base import Inbound
from p4esp.ipsec.layouts import is_standard

P4ESP: Final = VendorId(bytes.fromhex("da20edb2200cfd6fad9ae8e8c5259533"))
"""The first half of SHA-256 of `p4esp: experimental numbers, version 1`."""


class ExperimentalNumbers:
    """Lets both ends agree on what is no standard, where both allow it."""

    def received(self, sa: IkeSaState, message: Inbound) -> None:
        """Note whether the peer knows the numbers."""
        if message.header.exchange in OPENINGS:
            sa.announced.peer_experimental = P4ESP in message.payloads.every(VendorId)

    def additions(
        self, sa: IkeSaState, exchange: ExchangeType, *, response: bool
    ) -> list[AnyPayload]:
        """The vendor ID, where a peer in question has such formats, classes or extensions; a
        responder only answers it.
        """
        if exchange not in OPENINGS:
            return []
        wanted = sa.env.settings.experimental and any(map(_needs_it, sa.in_question))
        sa.announced.own_experimental = wanted and (not response or sa.announced.peer_experimental)
        return [P4ESP] if sa.announced.own_experimental else []


def _needs_it(peer: PeerConfig) -> bool:
    if peer.extensions.experimental:
        return True
    return any(child.dscp_classes or not is_standard(child.format.form) for child in peer.children)
