"""AUTH of a resumed IKE SA: both ends have SK_d of the one before, and nothing else is proved
(RFC 5723 4.3.3).
"""

from p4esp.ike.auth.transcript import IdPayload, own_octets, peer_octets
from p4esp.ike.codec.message import PayloadSet
from p4esp.ike.codec.payloads import Authentication
from p4esp.ike.constants import AuthMethod
from p4esp.ike.crypto.auth import same_secret
from p4esp.ike.errors import AuthenticationError
from p4esp.ike.sessions import Session
from p4esp.ike.state import IkeSaState


def session_of(sa: IkeSaState) -> Session:
    """What an IKE SA is resumed from."""
    if sa.resumption.session is None:
        raise RuntimeError("this IKE SA is not resumed")
    return sa.resumption.session


def resumed_proof(sa: IkeSaState, identity: IdPayload) -> Authentication:
    """AUTH = prf(SK_px, octets): without the pad of a shared secret."""
    suite, keys = sa.secrets
    key = keys.pi if sa.initiator else keys.pr
    return Authentication(AuthMethod.SHARED_KEY, suite.prf(key, own_octets(sa, identity)))


def check_resumed(sa: IkeSaState, identity: IdPayload, payloads: PayloadSet) -> None:
    """`AuthenticationError` unless the peer is who it was, and knows the keys."""
    session, auth = session_of(sa), payloads.one(Authentication)
    if not session.remote_id.matches(identity.identity):
        raise AuthenticationError(f"the ticket is not {identity.identity}'s")
    suite, keys = sa.secrets
    key = keys.pr if sa.initiator else keys.pi
    expected = suite.prf(key, peer_octets(sa, identity))
    if auth.method != AuthMethod.SHARED_KEY or not same_secret(expected, auth.data):
        raise AuthenticationError(f"AUTH does not verify for {identity.identity}, resumed")
