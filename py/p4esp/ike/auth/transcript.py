"""What AUTH payloads cover (RFC 7296 2.15, RFC 9242 3.3,
draft-ietf-ipsecme-ikev2-downgrade-prevention).
"""

from typing import Final

from p4esp.ike.codec.payloads import IdInitiator, IdResponder
from p4esp.ike.constants import NotifyType
from p4esp.ike.crypto.auth import signed_octets
from p4esp.ike.real_message import signed_request
from p4esp.ike.state import IkeSaState

IdPayload = IdInitiator | IdResponder

_BOTH_MESSAGES: Final = bytes(8)
"""What a transcript of both messages begins with; one of a single message begins with an SPI, which
is never zero.
"""


def own_octets(sa: IkeSaState, identity: IdPayload) -> bytes:
    """What our AUTH payload covers; `identity` is our ID payload."""
    return _octets(sa, identity, by_initiator=sa.initiator)


def peer_octets(sa: IkeSaState, identity: IdPayload) -> bytes:
    """What the peer's AUTH payload covers; `identity` is its ID payload as received."""
    return _octets(sa, identity, by_initiator=not sa.initiator)


def _octets(sa: IkeSaState, identity: IdPayload, *, by_initiator: bool) -> bytes:
    suite, keys = sa.secrets
    body, more = identity.encode(), sa.additional.int_auth.octets
    nonce, key = (sa.nonces.responder, keys.pi) if by_initiator else (sa.nonces.initiator, keys.pr)
    said = _said(sa, by_initiator=by_initiator)
    return signed_octets(suite.prf, said, nonce, key, body) + more


def _said(sa: IkeSaState, *, by_initiator: bool) -> bytes:
    """The signer's own message of IKE_SA_INIT; where both ends can, the other's before it."""
    request, response = signed_request(sa), sa.init_response
    own, other = (request, response) if by_initiator else (response, request)
    if sa.announced.agreed(NotifyType.IKE_SA_INIT_FULL_TRANSCRIPT_AUTH):
        return _BOTH_MESSAGES + other + own
    return own
