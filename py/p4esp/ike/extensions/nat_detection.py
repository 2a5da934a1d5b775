"""NAT detection in IKE_SA_INIT (RFC 7296 2.23)."""

from p4esp.ike.codec.payload import AnyPayload
from p4esp.ike.constants import OPENINGS, ExchangeType
from p4esp.ike.nat_notifies import nat_notifies, nat_status
from p4esp.ike.state import IkeSaState
from p4esp.ike.tasks.base import Inbound


class NatDetection:
    """Finds out who is behind a NAT; a responder answers only who asks."""

    def received(self, sa: IkeSaState, message: Inbound) -> None:
        """Compare the peer's hashes with the addresses the message really has."""
        if message.header.exchange in OPENINGS:
            sa.nat = nat_status(sa, message)

    def additions(
        self, sa: IkeSaState, exchange: ExchangeType, *, response: bool
    ) -> list[AnyPayload]:
        """Both notifies."""
        if exchange not in OPENINGS or (response and sa.nat is None):
            return []
        return nat_notifies(sa, sa.path)
