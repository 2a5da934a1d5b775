"""Tickets for IKE SAs: asked for by who began one, given by the other end (RFC 5723 4.1, 4.2)."""

from typing import Final

from p4esp.ike.codec.payload import AnyPayload
from p4esp.ike.codec.payloads import Notify
from p4esp.ike.constants import ExchangeType, NotifyType
from p4esp.ike.notifies import note_ignored, usable_data
from p4esp.ike.resumption import Ticket
from p4esp.ike.sessions import Session
from p4esp.ike.state import IkeSaState, Phase
from p4esp.ike.tasks.base import Inbound
from p4esp.ike.tasks.ticket import RequestTicket
from p4esp.ike.tickets import MAX_TICKET
from p4esp.ipsec.identity import NOBODY

_WITH_REQUESTS: Final = (
    ExchangeType.IKE_AUTH,
    ExchangeType.INFORMATIONAL,
    ExchangeType.CREATE_CHILD_SA,
)
_LIFETIME_SIZE: Final = 4
_SIZES: Final = range(_LIFETIME_SIZE + 1, _LIFETIME_SIZE + MAX_TICKET + 1)
RENEW: Final = 0.75
"""Share of a ticket's life after which another one is asked for."""
LATER: Final = 60.0
"""Seconds until we ask again a peer that has no ticket for us yet."""


class SessionTickets:
    """What a peer says of tickets before it is authenticated counts only once it is."""

    def received(self, sa: IkeSaState, message: Inbound) -> None:
        """Note a request, or take the ticket that we asked for."""
        if message.header.exchange not in _WITH_REQUESTS:
            return
        if message.header.response:
            _take_answer(sa, message)
        else:
            kind = NotifyType.TICKET_REQUEST
            sa.resumption.asked = usable_data(sa, kind, message.payloads) is not None

    def additions(
        self, sa: IkeSaState, exchange: ExchangeType, *, response: bool
    ) -> list[AnyPayload]:
        """The request in our first IKE_AUTH; the answer wherever the peer asks."""
        if response:
            return _answer(sa, exchange) if exchange in _WITH_REQUESTS else []
        if exchange != ExchangeType.IKE_AUTH or not sa.config.extensions.resumption:
            return []
        sa.resumption.wanted = sa.resumption.asking = True
        return [Notify(NotifyType.TICKET_REQUEST)]


def _take_answer(sa: IkeSaState, message: Inbound) -> None:
    asking, sa.resumption.asking = sa.resumption.asking, False
    data = usable_data(sa, NotifyType.TICKET_LT_OPAQUE, message.payloads, _SIZES)
    later = usable_data(sa, NotifyType.TICKET_ACK, message.payloads) is not None
    if (data is not None or later) and not asking:
        note_ignored(sa, "a ticket, or the promise of one, that was not asked for")
    elif data is not None:
        _take(sa, data)
    elif later:
        sa.deferred.append((sa.now + LATER, RequestTicket()))


def _take(sa: IkeSaState, data: bytes) -> None:
    """A peer decides how long its ticket lives, not how often we ask."""
    lifetime = int.from_bytes(data[:_LIFETIME_SIZE], "big")
    renew = sa.now + max(RENEW * lifetime, LATER)
    sa.resumption.ticket = Ticket(data[_LIFETIME_SIZE:], sa.now + lifetime, renew)
    sa.deferred.append((renew, RequestTicket()))


def _answer(sa: IkeSaState, exchange: ExchangeType) -> list[AnyPayload]:
    """A ticket, or why there is none. That of an IKE SA which is being made comes with a request of
    its own (RFC 5723 4.1).
    """
    asked, sa.resumption.asked = sa.resumption.asked, False
    if not asked or not sa.config.extensions.resumption:
        return []
    if exchange == ExchangeType.CREATE_CHILD_SA:
        return [Notify(NotifyType.TICKET_ACK)]
    if sa.phase is not Phase.ESTABLISHED or sa.proven_id == NOBODY:
        return [Notify(NotifyType.TICKET_NACK)]
    return [_issue(sa)]


def _issue(sa: IkeSaState) -> Notify:
    """A ticket that lives no longer than the IKE SA may (RFC 5723 6.2); the one before is void."""
    lifetime, office = _lifetime(sa), sa.env.tickets
    session = Session.of(sa)
    ticket, serial = office.issue(session.encode(), lifetime, sa.now, session.certificates)
    session.wipe()
    if sa.resumption.issued is not None:
        office.spend(sa.resumption.issued, sa.now)
    sa.resumption.issued = serial
    return Notify(NotifyType.TICKET_LT_OPAQUE, lifetime.to_bytes(_LIFETIME_SIZE, "big") + ticket)


def _lifetime(sa: IkeSaState) -> int:
    """Whole seconds."""
    most = sa.env.settings.ticket_lifetime
    if sa.term.end is not None:
        most = min(most, sa.term.end - sa.now)
    elif sa.config.lifetime is not None:
        most = min(most, sa.config.lifetime.hard)
    return max(int(most), 1)
