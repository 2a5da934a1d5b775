"""What AUTH payloads cover (RFC 7296 2.15)."""

from p4esp.ike.codec.payloads import IdInitiator, IdResponder
from p4esp.ike.crypto.auth import signed_octets
from p4esp.ike.state import IkeSaState

IdPayload = IdInitiator | IdResponder


def own_octets(sa: IkeSaState, identity: IdPayload) -> bytes:
    """What our AUTH payload covers; `identity` is our ID payload."""
    return _octets(sa, identity, by_initiator=sa.initiator)


def peer_octets(sa: IkeSaState, identity: IdPayload) -> bytes:
    """What the peer's AUTH payload covers; `identity` is its ID payload as received."""
    return _octets(sa, identity, by_initiator=not sa.initiator)


def _octets(sa: IkeSaState, identity: IdPayload, *, by_initiator: bool) -> bytes:
    suite, keys = sa.secrets
    body = identity.encode()
    if by_initiator:
        return signed_octets(suite.prf, sa.init_request, sa.nonces.responder, keys.pi, body)
    return signed_octets(suite.prf, sa.init_response, sa.nonces.initiator, keys.pr, body)
