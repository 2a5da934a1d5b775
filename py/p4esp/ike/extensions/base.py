"""The hooks of an extension."""

from typing import Protocol

from p4esp.ike.codec.payload import AnyPayload
from p4esp.ike.constants import ExchangeType
from p4esp.ike.state import IkeSaState
from p4esp.ike.tasks.base import Inbound


class Extension(Protocol):
    """A feature of IKE. It holds no state itself: one object serves every IKE SA."""

    def received(self, sa: IkeSaState, message: Inbound) -> None:
        """Read a message before its task processes it.

        In IKE_SA_INIT and IKE_AUTH the sender is not authenticated yet.
        """

    def additions(
        self, sa: IkeSaState, exchange: ExchangeType, *, response: bool
    ) -> list[AnyPayload]:
        """Payloads to append to a message that is about to leave."""
