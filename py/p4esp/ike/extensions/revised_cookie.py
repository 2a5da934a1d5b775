"""COOKIE_EXCLUDED: AUTH leaves the cookie out (draft-smyslov-ipsecme-ikev2-cookie-revised).

A responder says it beside the cookie that it asks for, to initiators that have our vendor ID; the
initiator repeats it beside the cookie. Both are unprotected, but what they decide is which octets
AUTH covers: if the ends do not decide alike, AUTH does not verify.
"""

from p4esp.ike.codec.payload import AnyPayload
from p4esp.ike.codec.payloads import Notify
from p4esp.ike.codec.proposal import SecurityAssociation
from p4esp.ike.constants import ExchangeType, NotifyType
from p4esp.ike.notifies import note_ignored, usable_data
from p4esp.ike.state import IkeSaState
from p4esp.ike.tasks.base import Inbound

_EXCLUDED = NotifyType.COOKIE_EXCLUDED


class RevisedCookie:
    """Notes whether both ends do it. The messages that ask for cookies are made elsewhere, without
    state.
    """

    def received(self, sa: IkeSaState, message: Inbound) -> None:
        """Of a request with a cookie, and of the answer that begins an IKE SA."""
        if message.header.exchange != ExchangeType.IKE_SA_INIT:
            return
        if not message.header.response:
            self._asked(sa, message)
        elif message.payloads.has(SecurityAssociation) and sa.announced.peer_experimental:
            sa.announced.peer |= sa.announced.own & {_EXCLUDED}

    @staticmethod
    def _asked(sa: IkeSaState, message: Inbound) -> None:
        known = sa.env.settings.experimental and sa.announced.peer_experimental
        wanted = any(peer.extensions.revised_cookie for peer in sa.in_question)
        if not known or not wanted or usable_data(sa, _EXCLUDED, message.payloads) is None:
            return
        if message.payloads.notify(NotifyType.COOKIE) is None:
            note_ignored(sa, f"{Notify(_EXCLUDED)} without a cookie")
            return
        sa.announced.own.add(_EXCLUDED)
        sa.announced.peer.add(_EXCLUDED)

    def additions(
        self, sa: IkeSaState, exchange: ExchangeType, *, response: bool
    ) -> list[AnyPayload]:
        """None: it stands beside a cookie."""
        return []
