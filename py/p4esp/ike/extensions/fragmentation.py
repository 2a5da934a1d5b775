"""IKEV2_FRAGMENTATION_SUPPORTED in IKE_SA_INIT (RFC 7383 2.3)."""

from p4esp.ike.codec.payload import AnyPayload
from p4esp.ike.codec.payloads import Notify
from p4esp.ike.constants import OPENINGS, ExchangeType, NotifyType
from p4esp.ike.state import IkeSaState
from p4esp.ike.tasks.base import Inbound

_SUPPORTED = NotifyType.IKEV2_FRAGMENTATION_SUPPORTED


class Fragmentation:
    """Lets both ends cut protected messages into datagrams that IP need not fragment."""

    def received(self, sa: IkeSaState, message: Inbound) -> None:
        """Note that the peer can put fragments together."""
        if message.header.exchange in OPENINGS:
            sa.fragmentation = message.payloads.notify(_SUPPORTED) is not None

    def additions(
        self, sa: IkeSaState, exchange: ExchangeType, *, response: bool
    ) -> list[AnyPayload]:
        """The notify; a responder only answers it."""
        wanted = exchange in OPENINGS and (sa.fragmentation or not response)
        return [Notify(_SUPPORTED)] if wanted else []
