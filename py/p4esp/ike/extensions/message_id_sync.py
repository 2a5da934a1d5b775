"""Announcing RFC 6311 in IKE_AUTH, and counters that a peer raises by an ordinary request."""

from p4esp.ike.codec.payload import AnyPayload
from p4esp.ike.constants import ExchangeType, NotifyType
from p4esp.ike.events import ReplayCountersSkipped
from p4esp.ike.extension_wishes import ExtensionWishes
from p4esp.ike.extensions.mutual import MutualNotify
from p4esp.ike.message_id_sync import SYNC, counter_delta
from p4esp.ike.state import IkeSaState
from p4esp.ike.tasks.base import Inbound


def _is_wanted(wishes: ExtensionWishes) -> bool:
    return wishes.message_id_sync


MESSAGE_IDS = MutualNotify(
    NotifyType.IKEV2_MESSAGE_ID_SYNC_SUPPORTED, ExchangeType.IKE_AUTH, _is_wanted
)


class ReplayCounters(MutualNotify):
    """Where the owner can move the counters of child SAs."""

    def __init__(self) -> None:
        kind = NotifyType.IPSEC_REPLAY_COUNTER_SYNC_SUPPORTED
        super().__init__(kind, ExchangeType.IKE_AUTH, _is_wanted)

    def received(self, sa: IkeSaState, message: Inbound) -> None:
        """Besides, a request may raise counters alone (RFC 6311 5); with message IDs they wait
        until those are found good.
        """
        super().received(sa, message)
        header = message.header
        informational = header.exchange == ExchangeType.INFORMATIONAL and not header.response
        if informational and message.payloads.notify(SYNC) is None:
            skip_counters(sa, counter_delta(sa, message.payloads))

    def additions(
        self, sa: IkeSaState, exchange: ExchangeType, *, response: bool
    ) -> list[AnyPayload]:
        """The announcement, of who can do it."""
        return super().additions(sa, exchange, response=response) if sa.env.moves_counters else []


def skip_counters(sa: IkeSaState, delta: int) -> None:
    """Have the owner raise the outbound counters of all child SAs (RFC 6311 5.2)."""
    spis = tuple(child.params.spi_in for child in sa.children)
    if delta and spis:
        sa.events.append(ReplayCountersSkipped(sa.info(), spis, delta))
