"""IKE_SESSION_RESUME: an IKE SA from the keys of the one before (RFC 5723 4.3.2, 5.1)."""

from dataclasses import replace

from p4esp.ike.auth.resumed import session_of
from p4esp.ike.codec.payload import AnyPayload
from p4esp.ike.codec.payloads import Nonce, Notify
from p4esp.ike.config import ChildConfig, PeerConfig
from p4esp.ike.constants import NO_SPI, OWN_NONCE_SIZE, ExchangeType, NotifyType, name_of
from p4esp.ike.cookie_demands import CookieDemands
from p4esp.ike.crypto.schedule import Nonces
from p4esp.ike.errors import ParseError, Refusal
from p4esp.ike.establish import check_nonces, derive_resumed
from p4esp.ike.events import InitRefused
from p4esp.ike.notifies import MalformedNotifyError, data_of
from p4esp.ike.sessions import Kept, Session
from p4esp.ike.state import IkeSaState
from p4esp.ike.tasks.base import Inbound, InitiatorTask, ResponderTask, Verdict
from p4esp.ike.tasks.ike_init import IkeInit
from p4esp.ike.tasks.resumed_auth import ResumedAuth
from p4esp.ike.tickets import MAX_TICKET, TicketError


class SessionResume(InitiatorTask):
    """Our half: show the ticket. Where it does not count, IKE_SA_INIT takes its place."""

    exchange = ExchangeType.IKE_SESSION_RESUME

    def __init__(self, sa: IkeSaState, kept: Kept, child: ChildConfig | None) -> None:
        """`child` is asked for in the IKE_AUTH that follows; None: no child SA."""
        self._kept = kept
        self._child = child
        self._nonce = sa.env.random(OWN_NONCE_SIZE)
        self._cookies = CookieDemands()

    def build(self, sa: IkeSaState) -> list[AnyPayload]:
        """N(COOKIE) first when we were given one, then Ni and the ticket."""
        ticket = Notify(NotifyType.TICKET_OPAQUE, self._kept.ticket)
        return [*self._cookies.payloads(sa), Nonce(self._nonce), ticket]

    def process(self, sa: IkeSaState, reply: Inbound) -> Verdict:
        """Conclude, retry, or begin in full: nothing in this message is authenticated yet, and
        whoever forges a refusal makes us authenticate in full.
        """
        payloads = reply.payloads
        if payloads.has(Nonce):
            self._conclude(sa, reply)
            return Verdict.DONE
        if payloads.notify(NotifyType.TICKET_NACK) is not None:
            self._begin_in_full(sa)
            return Verdict.REPLACED
        if (cookie := payloads.notify(NotifyType.COOKIE)) is not None:
            return self._cookies.take(sa, cookie, payloads)
        if (error := payloads.error()) is not None:
            sa.events.append(InitRefused(sa.info(), name_of(NotifyType, error.type)))
        return Verdict.IGNORE

    def _begin_in_full(self, sa: IkeSaState) -> None:
        self._kept.session.wipe()
        sa.resumption.session = None
        sa.tasks.appendleft(IkeInit(sa, self._child))

    def _conclude(self, sa: IkeSaState, reply: Inbound) -> None:
        if reply.header.spi_r == NO_SPI:
            raise ParseError("the answer lacks an SPI")
        nonces = Nonces(self._nonce, reply.payloads.one(Nonce).data)
        session = session_of(sa)
        check_nonces(session.proposal, nonces)
        sa.spi_r, sa.init_response = reply.header.spi_r, reply.raw
        derive_resumed(sa, session.proposal, nonces, session.sk_d)
        session.restore(sa)
        session.wipe()
        if sa.nat is not None and (sa.nat.found or sa.config.mobike):  # RFC 4555 3.3
            sa.use_path(sa.env.settings.ports.float(sa.path))
        sa.tasks.append(ResumedAuth(self._child))

    def abandon(self, sa: IkeSaState) -> None:
        """Without an answer the ticket is not used (RFC 5723 4.3.1)."""
        attempts = self._kept.attempts + 1
        sa.resumption.kept = replace(self._kept, attempts=attempts)


class SessionResumeResponder(ResponderTask):
    """The peer's half; a ticket that does not count leaves no state behind."""

    def __init__(self) -> None:
        self._nonce = b""

    def process(self, sa: IkeSaState, request: Inbound) -> None:
        """Take the ticket, and make the IKE SA's keys."""
        nonce, session = request.payloads.one(Nonce), _take_ticket(sa, request)
        self._nonce = sa.env.random(OWN_NONCE_SIZE)
        sa.init_request = request.raw
        nonces = Nonces(nonce.data, self._nonce)
        derive_resumed(sa, session.proposal, nonces, session.sk_d)
        session.restore(sa)
        session.wipe()
        sa.resumption.session = session

    def build(self, sa: IkeSaState) -> list[AnyPayload]:
        """Nr."""
        return [Nonce(self._nonce)]


def _take_ticket(sa: IkeSaState, request: Inbound) -> Session:
    """The session; `Refusal` with TICKET_NACK for whatever reason it cannot be resumed."""
    sizes = range(1, MAX_TICKET + 1)
    try:
        ticket = data_of(NotifyType.TICKET_OPAQUE, request.payloads, sizes)
        if ticket is None:
            raise TicketError("there is no ticket")
        content, serial = sa.env.tickets.open(ticket, sa.now)
    except (MalformedNotifyError, TicketError) as error:
        raise Refusal(NotifyType.TICKET_NACK, str(error)) from None
    certificates = sa.env.tickets.certificates(serial)
    session = replace(Session.decode(content), certificates=certificates)
    sa.candidates, sa.resumption.presented = (_peer_of(sa, session),), serial
    return session


def _peer_of(sa: IkeSaState, session: Session) -> PeerConfig:
    for peer in sa.candidates:
        if peer.name == session.peer:
            objection = session.objection(peer, sa.env.wall_clock())
            if objection is None:
                return peer
            raise Refusal(NotifyType.TICKET_NACK, objection)
    raise Refusal(NotifyType.TICKET_NACK, f"peer {session.peer} is not on {sa.path}")
