"""CHILDLESS_IKEV2_SUPPORTED in IKE_SA_INIT responses (RFC 6023)."""

from p4esp.ike.codec.payload import AnyPayload
from p4esp.ike.codec.payloads import Notify
from p4esp.ike.config import Childless
from p4esp.ike.constants import OPENINGS, ExchangeType, NotifyType, ProtocolId
from p4esp.ike.state import IkeSaState
from p4esp.ike.tasks.base import Inbound


class ChildlessInitiation:
    """Lets IKE_AUTH make an IKE SA without a child SA, where the responder says so."""

    def received(self, sa: IkeSaState, message: Inbound) -> None:
        """Note what the responder announced."""
        if message.header.exchange in OPENINGS and message.header.response:
            notify = message.payloads.notify(NotifyType.CHILDLESS_IKEV2_SUPPORTED)
            sa.announced.childless = notify is not None

    def additions(
        self, sa: IkeSaState, exchange: ExchangeType, *, response: bool
    ) -> list[AnyPayload]:
        """The notify, unless no peer in question may do without a child SA."""
        if exchange not in OPENINGS or not response:
            return []
        sa.announced.childless = any(
            peer.childless is not Childless.NEVER for peer in sa.candidates
        )
        kind = NotifyType.CHILDLESS_IKEV2_SUPPORTED
        return [Notify(kind, protocol=ProtocolId.IKE)] if sa.announced.childless else []
