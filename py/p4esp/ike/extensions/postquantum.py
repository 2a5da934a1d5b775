"""USE_PPK in IKE_SA_INIT (RFC 8784 3)."""

from p4esp.ike.codec.payload import AnyPayload
from p4esp.ike.codec.payloads import Notify
from p4esp.ike.constants import ExchangeType, NotifyType
from p4esp.ike.state import IkeSaState
from p4esp.ike.tasks.base import Inbound


class PostquantumKeys:
    """Lets both ends mix a postquantum preshared key into the keys that IKE_AUTH begins with."""

    def received(self, sa: IkeSaState, message: Inbound) -> None:
        """Note whether both sides announce one."""
        if message.header.exchange == ExchangeType.IKE_SA_INIT:
            theirs = message.payloads.notify(NotifyType.USE_PPK) is not None
            sa.ppk.announced = theirs and _ours(sa)

    def additions(
        self, sa: IkeSaState, exchange: ExchangeType, *, response: bool
    ) -> list[AnyPayload]:
        """The notify, where we have a PPK for the peer; a responder only answers it."""
        if exchange != ExchangeType.IKE_SA_INIT:
            return []
        wanted = sa.ppk.announced if response else _ours(sa)
        return [Notify(NotifyType.USE_PPK)] if wanted else []


def _ours(sa: IkeSaState) -> bool:
    return any(peer.ppk is not None for peer in sa.in_question)
