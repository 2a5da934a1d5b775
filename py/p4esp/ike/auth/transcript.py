"""What AUTH payloads cover (RFC 7296 2.15, RFC 9242 3.3)."""

from p4esp.ike.codec.payloads import IdInitiator, IdResponder
from p4esp.ike.crypto.auth import signed_octets
from p4esp.ike.real_message import signed_request
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
    body, more = identity.encode(), sa.additional.int_auth.octets
    if by_initiator:
        first, nonce, key = signed_request(sa), sa.nonces.responder, keys.pi
    else:
        first, nonce, key = sa.init_response, sa.nonces.initiator, keys.pr
    return signed_octets(suite.prf, first, nonce, key, body) + more
