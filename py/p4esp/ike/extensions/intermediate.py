"""INTERMEDIATE_EXCHANGE_SUPPORTED in IKE_SA_INIT (RFC 9242 3.1)."""

from p4esp.ike.auth.ppk_keys import ppks_usable
from p4esp.ike.codec.payload import AnyPayload
from p4esp.ike.codec.payloads import Notify
from p4esp.ike.constants import ExchangeType, NotifyType
from p4esp.ike.ppk import PpkMode
from p4esp.ike.state import IkeSaState
from p4esp.ike.tasks.base import Inbound

_SUPPORTED = NotifyType.INTERMEDIATE_EXCHANGE_SUPPORTED


class Intermediate:
    """Lets both ends add to the keys between IKE_SA_INIT and IKE_AUTH."""

    def received(self, sa: IkeSaState, message: Inbound) -> None:
        """Note that the peer can; data in the notify has no meaning."""
        if message.header.exchange == ExchangeType.IKE_SA_INIT:
            sa.additional.supported = message.payloads.notify(_SUPPORTED) is not None

    def additions(
        self, sa: IkeSaState, exchange: ExchangeType, *, response: bool
    ) -> list[AnyPayload]:
        """The notify, where our offer or our choice needs such exchanges."""
        if exchange != ExchangeType.IKE_SA_INIT:
            return []
        wanted = bool(sa.additional.rounds) if response else _needed(sa)
        return [Notify(_SUPPORTED)] if wanted else []


def _needed(sa: IkeSaState) -> bool:
    if any(template.additional for template in sa.config.proposals):
        return True
    return ppks_usable(sa, PpkMode.INTERMEDIATE)
