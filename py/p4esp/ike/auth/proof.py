"""Making our AUTH payload and checking the peer's, by whatever method (RFC 7296 2.15)."""

from cryptography.hazmat.primitives.serialization import Encoding

from p4esp.ike.auth.certificates import CertifiedKey, TrustedCertificates
from p4esp.ike.auth.certified import check_certified
from p4esp.ike.auth.choice import own_credential
from p4esp.ike.auth.credentials import Anonymous, PresharedKey, Requirement
from p4esp.ike.auth.schemes import SignatureError
from p4esp.ike.auth.signatures import sign, sign_the_old_way
from p4esp.ike.auth.transcript import IdPayload, own_octets, peer_octets
from p4esp.ike.codec.certificates import Certificate
from p4esp.ike.codec.message import PayloadSet
from p4esp.ike.codec.payload import AnyPayload
from p4esp.ike.codec.payloads import Authentication
from p4esp.ike.config import PeerConfig
from p4esp.ike.constants import AuthMethod, CertEncoding
from p4esp.ike.crypto.auth import same_secret, shared_key_auth
from p4esp.ike.errors import AuthenticationError
from p4esp.ike.state import IkeSaState


def own_proof(sa: IkeSaState, identity: IdPayload) -> list[AnyPayload]:
    """What proves that we are `identity`: CERT payloads where we have any, and AUTH.

    `AuthenticationError` when we have no signature algorithm that the peer takes.
    """
    octets = own_octets(sa, identity)
    match own_credential(sa):
        case PresharedKey(secret):
            return [_shared_key(sa, AuthMethod.SHARED_KEY, secret, octets)]
        case CertifiedKey() as certified:
            return [*_sent(certified), _signature(sa, certified, octets)]
        case Anonymous():
            return [_shared_key(sa, AuthMethod.NULL, _own_key(sa), octets)]


def _sent(certified: CertifiedKey) -> list[AnyPayload]:
    return [
        Certificate(CertEncoding.X509_SIGNATURE, certificate.public_bytes(Encoding.DER))
        for certificate in certified.certificates
    ]


def _signature(sa: IkeSaState, certified: CertifiedKey, octets: bytes) -> Authentication:
    """Method 14 when both sides announced hash algorithms (RFC 7427 3)."""
    schemes = certified.usable_schemes
    try:
        if sa.announced.digital_signatures:
            return sign(certified.key, octets, schemes, sa.announced.peer_hashes)
        return sign_the_old_way(certified.key, octets, schemes)
    except SignatureError as error:
        raise AuthenticationError(str(error)) from None


def _shared_key(sa: IkeSaState, method: AuthMethod, secret: bytes, octets: bytes) -> Authentication:
    return Authentication(method, shared_key_auth(sa.secrets[0].prf, secret, octets))


def _own_key(sa: IkeSaState) -> bytes:
    """The key that stands for a shared secret in NULL authentication (RFC 7619 2.1)."""
    keys = sa.secrets[1]
    return bytes(keys.pi if sa.initiator else keys.pr)


def _peer_key(sa: IkeSaState) -> bytes:
    keys = sa.secrets[1]
    return bytes(keys.pr if sa.initiator else keys.pi)


def check_proof(
    sa: IkeSaState, peer: PeerConfig, identity: IdPayload, payloads: PayloadSet
) -> Requirement:
    """How the peer proved that it is `identity`: one of what its configuration accepts.

    `AuthenticationError` says why not; the peer never learns it.
    """
    auth = payloads.optional(Authentication)
    if auth is None:
        raise AuthenticationError("no AUTH payload: the peer wants EAP, which is not supported")
    octets = peer_octets(sa, identity)
    requirement = peer.auth.requirement(auth.method)
    match requirement:
        case PresharedKey(secret):
            _check_shared_key(sa, auth, secret, octets, f"{identity.identity}: the keys differ")
        case TrustedCertificates() as trust:
            check_certified(sa, trust, identity, payloads, octets)
        case Anonymous():
            _check_shared_key(sa, auth, _peer_key(sa), octets, "an anonymous peer")
        case None:
            accepted = peer.auth.methods
            raise AuthenticationError(
                f"the peer uses AUTH method {auth.method}, accepted is {accepted}"
            )
    sa.resumption.peer_method = auth.method
    return requirement


def _check_shared_key(
    sa: IkeSaState, auth: Authentication, secret: bytes, octets: bytes, whose: str
) -> None:
    expected = shared_key_auth(sa.secrets[0].prf, secret, octets)
    if not same_secret(expected, auth.data):
        raise AuthenticationError(f"AUTH does not verify for {whose}")
