"""REDIRECT in IKE_SA_INIT, in IKE_AUTH and later, both ways (RFC 5685)."""

from p4esp.ike.codec.message import parse_message
from p4esp.ike.codec.payload import AnyPayload
from p4esp.ike.codec.payloads import Nonce, Notify
from p4esp.ike.constants import OPENINGS, ExchangeType, NotifyType
from p4esp.ike.crypto.auth import same_secret
from p4esp.ike.errors import ParseError, Refusal
from p4esp.ike.events import Redirected
from p4esp.ike.redirection import Gateway, encode_gateway, is_sent_away, parse_redirect
from p4esp.ike.state import IkeSaState, Phase
from p4esp.ike.tasks.base import Inbound
from p4esp.ike.tasks.redirect import PATIENCE, FollowRedirect, Leave

_SUPPORTED, _FROM = NotifyType.REDIRECT_SUPPORTED, NotifyType.REDIRECTED_FROM


class Redirect:
    """A gateway sends peers to another one; a peer follows where its owner allows it."""

    def received(self, sa: IkeSaState, message: Inbound) -> None:
        """A redirect before IKE_AUTH is not authenticated: the nonce only shows that its sender
        has seen our request.
        """
        if message.header.exchange not in OPENINGS:
            self._later(sa, message)
        elif message.header.response:
            self._refused_at_once(sa, message)
        else:
            self._opening(sa, message)

    def additions(
        self, sa: IkeSaState, exchange: ExchangeType, *, response: bool
    ) -> list[AnyPayload]:
        """That we would follow, in our IKE_SA_INIT; where to go, in a gateway's IKE_AUTH."""
        if exchange in OPENINGS and not response:
            return _support(sa)
        if exchange == ExchangeType.IKE_AUTH and response and is_sent_away(sa):
            sa.deferred.append((sa.now + PATIENCE, Leave()))
            return [Notify(NotifyType.REDIRECT, encode_gateway(sa.config.redirect_to or ""))]
        return []

    @staticmethod
    def _opening(sa: IkeSaState, message: Inbound) -> None:
        """Send an initiator away at once when all it may be are to go to the same gateway."""
        payloads = message.payloads
        kinds = (_SUPPORTED, _FROM)
        sa.redirection.peer_follows = any(payloads.notify(kind) is not None for kind in kinds)
        gateway = _common_gateway(sa)
        if sa.redirection.peer_follows and gateway is not None:
            data = encode_gateway(gateway) + payloads.one(Nonce).data
            raise Refusal(NotifyType.REDIRECT, f"to {gateway}", data=data)

    @staticmethod
    def _refused_at_once(sa: IkeSaState, message: Inbound) -> None:
        notify = message.payloads.notify(NotifyType.REDIRECT)
        if notify is None or not sa.config.follow_redirects:
            return
        gateway, nonce = parse_redirect(notify.data)
        if not same_secret(nonce, parse_message(sa.init_request).clear.one(Nonce).data):
            raise ParseError("N(REDIRECT) does not repeat our nonce")
        sa.events.append(Redirected(sa.info(), gateway, sa.redirection.first_children))
        sa.phase = Phase.DEAD

    @staticmethod
    def _later(sa: IkeSaState, message: Inbound) -> None:
        notify = message.payloads.notify(NotifyType.REDIRECT)
        if notify is None or not sa.mobility.mover or not sa.config.follow_redirects:
            return
        in_auth = message.header.exchange == ExchangeType.IKE_AUTH
        told = in_auth or not message.header.response
        if told:
            sa.ask_next(FollowRedirect(parse_redirect(notify.data)[0]))


def _support(sa: IkeSaState) -> list[AnyPayload]:
    if not sa.config.follow_redirects:
        return []
    if sa.redirection.came_from is not None:
        return [Notify(_FROM, encode_gateway(sa.redirection.came_from))]
    return [Notify(_SUPPORTED)]


def _common_gateway(sa: IkeSaState) -> Gateway | None:
    gateways = {peer.redirect_to for peer in sa.candidates}
    return gateways.pop() if len(gateways) == 1 else None
