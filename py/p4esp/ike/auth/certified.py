"""Checking a peer that signs with a certificate's key (RFC 7296 2.15, RFC 4945)."""

from collections.abc import Callable, Sequence
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from p4esp.ike.auth.binding import check_binding
from p4esp.ike.auth.certificates import TrustedCertificates
from p4esp.ike.auth.keys import usable_public
from p4esp.ike.auth.path import CertificateError, check_end, find_path
from p4esp.ike.auth.signatures import OLD_METHODS, verify
from p4esp.ike.auth.transcript import IdPayload
from p4esp.ike.codec.certificates import Certificate
from p4esp.ike.codec.message import PayloadSet
from p4esp.ike.codec.payloads import Authentication
from p4esp.ike.constants import CertEncoding
from p4esp.ike.errors import AuthenticationError
from p4esp.ike.state import IkeSaState
from p4esp.ipsec.identity import Identity, IdType

MAX_CERTIFICATES = 8
"""CERT payloads in a message."""
MAX_CERTIFICATE_SIZE = 8192
"""Octets of a certificate."""

_UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What `cryptography` raises for certificates that are no certificates."""
_URLS = (CertEncoding.HASH_AND_URL, CertEncoding.HASH_AND_URL_BUNDLE)
_ADDRESSES = (IdType.IPV4_ADDR, IdType.IPV6_ADDR)


def check_certified(
    sa: IkeSaState,
    trust: TrustedCertificates,
    identity: IdPayload,
    payloads: PayloadSet,
    octets: bytes,
) -> None:
    """`AuthenticationError` unless a trusted certificate speaks for `identity` and its key signed
    `octets`.

    Signature, path and name are all looked at whatever the first of them says, so that the time
    of the refusal tells the peer little.
    """
    auth = payloads.one(Authentication)
    end, others = _certificates(trust, payloads)
    checks: tuple[Callable[[], None], ...] = (
        lambda: _check_method(sa, auth.method),
        lambda: verify(auth, usable_public(end.public_key()), octets, trust.schemes),
        lambda: _check_trust(sa, trust, end, others),
        lambda: _check_name(sa, trust, end, identity.identity),
    )
    faults = [fault for check in checks if (fault := _fault(check))]
    if faults:
        raise AuthenticationError("; ".join(faults))


def distrust(
    trust: TrustedCertificates, certificates: Sequence[x509.Certificate], now: datetime
) -> str:
    """Why certificates that once proved an identity, the peer's own first, would not do so now;
    empty: they would.
    """
    if not certificates:
        return "its certificates are not known any more"
    return _fault(lambda: _trusted_path(trust, certificates[0], certificates[1:], now))


def _fault(check: Callable[[], object]) -> str:
    try:
        check()
    except _UNREADABLE as error:
        return str(error) or type(error).__name__
    return ""


def _check_method(sa: IkeSaState, method: int) -> None:
    if method in OLD_METHODS and sa.announced.digital_signatures:
        raise CertificateError(
            f"AUTH method {method} after both sides announced hashes; accepted: 14 (RFC 7427)"
        )


def _check_trust(
    sa: IkeSaState,
    trust: TrustedCertificates,
    end: x509.Certificate,
    others: Sequence[x509.Certificate],
) -> None:
    path = _trusted_path(trust, end, others, sa.env.wall_clock())
    sa.resumption.certificates = path


def _trusted_path(
    trust: TrustedCertificates,
    end: x509.Certificate,
    others: Sequence[x509.Certificate],
    now: datetime,
) -> tuple[x509.Certificate, ...]:
    if end in trust.pinned:
        check_end(end, now)
        return (end,)
    path = find_path(end, (*trust.intermediates, *others), trust.anchors, now)
    if trust.revocation is not None:
        trust.revocation.check(path, now)
    return path


def _check_name(
    sa: IkeSaState, trust: TrustedCertificates, end: x509.Certificate, identity: Identity
) -> None:
    if end not in trust.pinned:
        check_binding(end, identity)
    elsewhere = identity.data != sa.path.remote.host.packed
    if identity.type in _ADDRESSES and elsewhere and not trust.addresses_roam:
        raise CertificateError(f"{identity} sends from {sa.path.remote.host} (RFC 4945 3.1.1)")


def _certificates(
    trust: TrustedCertificates, payloads: PayloadSet
) -> tuple[x509.Certificate, list[x509.Certificate]]:
    """The peer's own certificate, which comes first, and the others it sent (RFC 7296 3.6)."""
    sent = payloads.every(Certificate)
    _check_bounds(sent)
    data = list(dict.fromkeys(c.data for c in sent if c.encoding == CertEncoding.X509_SIGNATURE))
    if data:
        own = _load(data[0])
        if own is None:
            raise AuthenticationError("the peer's certificate cannot be read")
        return own, [other for other in map(_load, data[1:]) if other is not None]
    if len(trust.pinned) == 1:
        return trust.pinned[0], []
    raise AuthenticationError("the peer sent no X.509 certificate (encoding 4)")


def _check_bounds(sent: Sequence[Certificate]) -> None:
    if len(sent) > MAX_CERTIFICATES:
        raise AuthenticationError(f"{len(sent)} CERT payloads; accepted: {MAX_CERTIFICATES}")
    for payload in sent:
        if payload.encoding in _URLS:
            raise AuthenticationError(
                f"CERT encoding {payload.encoding} (hash and URL) is not supported; accepted: 4"
            )
        if len(payload.data) > MAX_CERTIFICATE_SIZE:
            size = len(payload.data)
            raise AuthenticationError(f"CERT of {size} octets; accepted: {MAX_CERTIFICATE_SIZE}")


def _load(data: bytes) -> x509.Certificate | None:
    """A certificate whose parts can all be read, or None: others do no harm (RFC 4945 3.3.10)."""
    try:
        certificate = x509.load_der_x509_certificate(data)
        _ = certificate.subject, certificate.issuer, certificate.extensions
        certificate.public_key()
    except _UNREADABLE:
        return None
    return certificate
