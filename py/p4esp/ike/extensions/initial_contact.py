"""INITIAL_CONTACT in IKE_AUTH (RFC 7296 2.4)."""

from p4esp.ike.codec.payload import AnyPayload
from p4esp.ike.codec.payloads import Notify
from p4esp.ike.constants import ExchangeType, NotifyType
from p4esp.ike.state import IkeSaState
from p4esp.ike.tasks.base import Inbound


class InitialContact:
    """Lets a restarted peer replace its forgotten IKE SAs, once it has proved who it is."""

    def received(self, sa: IkeSaState, message: Inbound) -> None:
        """Note the claim; it takes effect only with the event of an authenticated IKE SA."""
        if message.header.exchange == ExchangeType.IKE_AUTH and not message.header.response:
            sa.first_contact = message.payloads.notify(NotifyType.INITIAL_CONTACT) is not None

    def additions(
        self, sa: IkeSaState, exchange: ExchangeType, *, response: bool
    ) -> list[AnyPayload]:
        """The notify, in the first IKE_AUTH request to a peer we have nothing of."""
        if exchange != ExchangeType.IKE_AUTH or response:
            return []
        wanted = sa.first_contact and sa.config.initial_contact
        return [Notify(NotifyType.INITIAL_CONTACT)] if wanted else []
