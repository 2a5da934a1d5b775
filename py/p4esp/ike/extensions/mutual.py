"""An extension that both ends announce by an empty notify, in one and the same exchange."""

from collections.abc import Callable

from p4esp.ike.codec.payload import AnyPayload
from p4esp.ike.codec.payloads import Notify
from p4esp.ike.constants import ExchangeType, NotifyType
from p4esp.ike.extension_wishes import ExtensionWishes
from p4esp.ike.notifies import usable_data
from p4esp.ike.state import IkeSaState
from p4esp.ike.tasks.base import Inbound


class MutualNotify:
    """`sa.announced.agreed(kind)` tells the outcome. One malformed counts as none."""

    def __init__(
        self,
        kind: NotifyType,
        exchange: ExchangeType,
        wanted: Callable[[ExtensionWishes], bool],
        *,
        private: bool = False,
        strongswans: bool = False,
        unasked: bool = False,
    ) -> None:
        """`private`: the number counts between ends that share our vendor ID only; `strongswans`:
        or with a peer that has strongSwan's, which gives it the same meaning. `unasked`: a
        responder says it to an initiator that has not.
        """
        self._kind, self._exchange, self._wanted = kind, exchange, wanted
        self._private, self._strongswans, self._unasked = private, strongswans, unasked

    def received(self, sa: IkeSaState, message: Inbound) -> None:
        """Note whether the peer has it. One in another exchange is not looked at."""
        if message.header.exchange != self._exchange or not self._means_something(sa):
            return
        if usable_data(sa, self._kind, message.payloads) is None:
            sa.announced.peer.discard(self._kind)
        else:
            sa.announced.peer.add(self._kind)

    def _means_something(self, sa: IkeSaState) -> bool:
        return sa.announced.peer_experimental or not self._private or self._with_strongswan(sa)

    def _with_strongswan(self, sa: IkeSaState) -> bool:
        known = self._strongswans and sa.announced.strongswan
        return known and sa.env.settings.experimental

    def additions(
        self, sa: IkeSaState, exchange: ExchangeType, *, response: bool
    ) -> list[AnyPayload]:
        """The notify, where a peer in question is to use it; a responder only answers it."""
        if exchange != self._exchange or not self._may_say(sa, response=response):
            return []
        sa.announced.own.add(self._kind)
        return [Notify(self._kind)]

    def _may_say(self, sa: IkeSaState, *, response: bool) -> bool:
        asked = self._unasked or not response or self._kind in sa.announced.peer
        wanted = asked and any(self._wanted(peer.extensions) for peer in sa.in_question)
        return wanted and self._is_shared(sa, response=response)

    def _is_shared(self, sa: IkeSaState, *, response: bool) -> bool:
        """Whether the peer knows what we mean; the first request of all can only hope so."""
        if not self._private or self._with_strongswan(sa):
            return True
        first = self._exchange == ExchangeType.IKE_SA_INIT and not response
        return sa.announced.own_experimental and (first or sa.announced.peer_experimental)
