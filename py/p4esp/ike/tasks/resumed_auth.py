"""IKE_AUTH after IKE_SESSION_RESUME (RFC 5723 4.3.3): who both ends are follows from the ticket."""

from p4esp.ike.auth.peers import find_peer
from p4esp.ike.auth.resumed import check_resumed, resumed_proof, session_of
from p4esp.ike.codec.message import PayloadSet
from p4esp.ike.codec.payload import AnyPayload
from p4esp.ike.codec.payloads import IdInitiator, IdResponder
from p4esp.ike.errors import AuthenticationError
from p4esp.ike.state import IkeSaState
from p4esp.ike.tasks.ike_auth import IkeAuth, IkeAuthResponder
from p4esp.ike.tickets import TicketError


class ResumedAuth(IkeAuth):
    """Our half."""

    def _prove(self, sa: IkeSaState) -> list[AnyPayload]:
        return [resumed_proof(sa, IdInitiator(sa.config.local_id))]

    def _verify(self, sa: IkeSaState, identity: IdResponder, payloads: PayloadSet) -> None:
        check_resumed(sa, identity, payloads)
        sa.remote_id = session_of(sa).remote_id


class ResumedAuthResponder(IkeAuthResponder):
    """The peer's half. A ticket counts as used from here on."""

    def _authenticate(self, sa: IkeSaState, payloads: PayloadSet) -> PayloadSet:
        peer = find_peer(sa, payloads)
        check_resumed(sa, payloads.one(IdInitiator), payloads)
        _spend_ticket(sa)
        sa.peer, sa.remote_id = peer, session_of(sa).remote_id
        return payloads

    def _prove(self, sa: IkeSaState, own: IdResponder) -> list[AnyPayload]:
        return [resumed_proof(sa, own)]


def _spend_ticket(sa: IkeSaState) -> None:
    """Another IKE SA may have been resumed with it meanwhile."""
    serial = sa.resumption.presented
    if serial is None:
        raise RuntimeError("an IKE SA was resumed without a ticket")
    try:
        sa.env.tickets.check(serial, sa.now)
    except TicketError as error:
        raise AuthenticationError(str(error)) from None
    sa.env.tickets.spend(serial, sa.now)
