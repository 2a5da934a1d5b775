"""strongSwan's vendor ID in IKE_SA_INIT, without which its private numbers mean nothing to anybody
(RFC 7296 3.12).
"""

from typing import Final

from p4esp.ike.codec.payload import AnyPayload
from p4esp.ike.codec.payloads import VendorId
from p4esp.ike.config import PeerConfig
from p4esp.ike.constants import OPENINGS, ExchangeType
from p4esp.ike.state import IkeSaState
from p4esp.ike.tasks.base import Inbound
from p4esp.ipsec.sa import Mode

STRONGSWAN: Final = VendorId(bytes.fromhex("882fe56d6fd20dbc2251613b2ebe5beb"))


class PrivateNumbers:
    """Lets both ends use USE_BEET_MODE; so does our own vendor ID (`ExperimentalNumbers`)."""

    def received(self, sa: IkeSaState, message: Inbound) -> None:
        """Note whether the peer knows the numbers."""
        if message.header.exchange in OPENINGS:
            sa.announced.strongswan = STRONGSWAN in message.payloads.every(VendorId)

    def additions(
        self, sa: IkeSaState, exchange: ExchangeType, *, response: bool
    ) -> list[AnyPayload]:
        """The vendor ID, where a peer in question has a child in BEET mode."""
        wanted = exchange in OPENINGS and any(map(_has_beet, sa.in_question))
        return [STRONGSWAN] if wanted else []


def _has_beet(peer: PeerConfig) -> bool:
    return any(child.mode is Mode.BEET for child in peer.children)
