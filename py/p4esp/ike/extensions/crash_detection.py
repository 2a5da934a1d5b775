"""QUICK_CRASH_DETECTION under protection: both ends give each other a token for the IKE SA, and a
new one for each IKE SA that replaces it (RFC 6290 4.2-4.4).
"""

from p4esp.ike.codec.message import Message
from p4esp.ike.codec.payload import AnyPayload
from p4esp.ike.constants import ExchangeType, NotifyType
from p4esp.ike.crash_tokens import TOKEN_SIZES, make_token, token_notify
from p4esp.ike.notifies import usable_data
from p4esp.ike.state import IkeSaState
from p4esp.ike.tasks.base import Inbound

_MAKING_SUCCESSORS = (ExchangeType.CREATE_CHILD_SA, ExchangeType.IKE_FOLLOWUP_KE)


class CrashDetection:
    """Each end that wants it is maker and taker; whether the other is shows in what it sends."""

    def received(self, sa: IkeSaState, message: Inbound) -> None:
        """Keep the peer's token. That of an IKE SA that is not authenticated counts for nothing
        yet; one in an answer to a rekey is the new IKE SA's.
        """
        header = message.header
        if header.exchange in (ExchangeType.IKE_AUTH, ExchangeType.INFORMATIONAL):
            token = _token_in(sa, message)
            if token is not None:
                sa.crash.keep(token)
        elif header.exchange in _MAKING_SUCCESSORS and header.response:
            sa.crash.for_successor = _token_in(sa, message)

    def additions(
        self, sa: IkeSaState, exchange: ExchangeType, *, response: bool
    ) -> list[AnyPayload]:
        """Ours in IKE_AUTH, and in the answer to a rekey that of the new IKE SA."""
        if exchange == ExchangeType.IKE_AUTH:
            return tell(sa)
        new = _made_by_peer(sa) if response and exchange in _MAKING_SUCCESSORS else None
        return [] if new is None else tell(new)


def _token_in(sa: IkeSaState, message: Inbound) -> bytes | None:
    kind = NotifyType.QUICK_CRASH_DETECTION
    return usable_data(sa, kind, message.payloads, TOKEN_SIZES)


def _made_by_peer(sa: IkeSaState) -> IkeSaState | None:
    """The successor that this answer makes."""
    new = [one for one in sa.successors if not one.initiator and not one.crash.told]
    return new[-1] if new else None


def makes_tokens(sa: IkeSaState) -> bool:
    """Whether we give the peer a token: we have a secret, and it is wanted."""
    return bool(sa.env.token_secret) and sa.config.extensions.crash_detection


def tell(sa: IkeSaState) -> list[AnyPayload]:
    """The notify with our token of an IKE SA."""
    if not makes_tokens(sa):
        return []
    sa.crash.told = True
    return [token_notify(make_token(sa.env.token_secret, sa.own_spi, sa.peer_spi))]


def is_proved_lost(sa: IkeSaState, message: Message) -> bool:
    """Whether an unprotected message shows that the peer has lost this IKE SA."""
    takes = sa.authenticated and sa.config.extensions.crash_detection
    return takes and sa.crash.are_shown(message, sa.now)
