"""Certificate paths from an end entity to a trust anchor (RFC 5280 6.1, RFC 4945 5.1).

`cryptography.x509.verification` refuses Ed25519 keys, so the path is walked here, over that
library's certificates and signatures; the tests compare both.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID, SignatureAlgorithmOID

from p4esp.ike.auth.keys import UnusableKeyError, usable_public
from p4esp.ike.auth.name_constraints import NameConstraintError, check_names

MAX_PATH = 8
"""Certificates in a path, both ends included."""
MAX_SIGNATURES = 32
"""Certificate signatures verified in search of a path."""

E = TypeVar("E", bound=x509.ExtensionType)

_HASHES = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
_KNOWN_EXTENSIONS = (
    x509.BasicConstraints,
    x509.KeyUsage,
    x509.ExtendedKeyUsage,
    x509.SubjectAlternativeName,
    x509.IssuerAlternativeName,
    x509.NameConstraints,
    x509.CertificatePolicies,
    x509.AuthorityKeyIdentifier,
    x509.SubjectKeyIdentifier,
    x509.CRLDistributionPoints,
)
_PURPOSES = frozenset(
    (
        ExtendedKeyUsageOID.IPSEC_IKE,
        ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
        ExtendedKeyUsageOID.SERVER_AUTH,
        ExtendedKeyUsageOID.CLIENT_AUTH,
        x509.ObjectIdentifier("1.3.6.1.5.5.8.2.2"),
    )
)
"""RFC 4945 5.1.3.12 asks for the first two; the others are what CAs issue to IKE hosts. The last
is ikeIntermediate.
"""


class CertificateError(ValueError):
    """A certificate that does not prove what it should; the text names it and says why."""


@dataclass(slots=True)
class _Search:
    anchors: Sequence[x509.Certificate]
    others: Sequence[x509.Certificate]
    now: datetime
    signatures_left: int = MAX_SIGNATURES
    fault: str = ""
    """Why the last way that was tried ended."""


def find_path(
    end: x509.Certificate,
    others: Sequence[x509.Certificate],
    anchors: Sequence[x509.Certificate],
    now: datetime,
) -> tuple[x509.Certificate, ...]:
    """The path from `end` to an anchor, both included; `CertificateError` when there is none.

    `others` are certificates nobody vouches for. `now` is aware, on a wall clock.
    """
    check_end(end, now)
    search = _Search(anchors, others, now)
    path = _extend(search, (end,))
    if path is None:
        raise CertificateError(search.fault)
    return path


def _extend(
    search: _Search, path: tuple[x509.Certificate, ...]
) -> tuple[x509.Certificate, ...] | None:
    below = path[-1]
    if len(path) > 1 and below in search.anchors:
        return path if _allows_names(search, path) else None
    for issuer in _issuers(search, path):
        try:
            _check_link(search, path, issuer)
        except CertificateError as error:
            search.fault = str(error)
            continue
        whole = _extend(search, (*path, issuer))
        if whole is not None:
            return whole
    return None


def _allows_names(search: _Search, path: Sequence[x509.Certificate]) -> bool:
    """Whether every CA of a path may give the names below it. Looked at once the path has an
    anchor: anybody can make up CAs with so many constraints that comparing takes minutes.
    """
    for place, issuer in enumerate(path[1:], start=1):
        try:
            check_names(extension(issuer, x509.NameConstraints), path[:place])
        except NameConstraintError as error:
            search.fault = f"{subject_of(issuer)}: {error}"
            return False
    return True


def _issuers(search: _Search, path: tuple[x509.Certificate, ...]) -> Iterator[x509.Certificate]:
    """Who may have issued the path's last certificate, anchors first, each once in a path.

    An anchor issues; as an end entity it would have to be pinned.
    """
    below, found = path[-1], False
    if len(path) == MAX_PATH:
        search.fault = f"the path from {subject_of(path[0])} is longer than {MAX_PATH}"
        return
    for issuer in (*search.anchors, *search.others):
        if issuer.subject == below.issuer and issuer not in path:
            found = True
            yield issuer
    if not found:
        search.fault = f"no trusted path: the issuer of {subject_of(below)} is not known"


def _check_link(
    search: _Search, path: tuple[x509.Certificate, ...], issuer: x509.Certificate
) -> None:
    if search.signatures_left == 0:
        raise CertificateError(f"no path after {MAX_SIGNATURES} certificate signatures")
    search.signatures_left -= 1
    _check_common(issuer, search.now)
    _check_signature(path[-1], issuer)
    _check_authority(issuer, below=path)


def _check_signature(certificate: x509.Certificate, issuer: x509.Certificate) -> None:
    try:
        if not is_strongly_signed(certificate):
            raise CertificateError(f"{subject_of(certificate)} is signed with a weak hash")
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, UnsupportedAlgorithm, TypeError):
        pair = f"{subject_of(certificate)} is not signed by {subject_of(issuer)}"
        raise CertificateError(pair) from None


def is_strongly_signed(item: x509.Certificate | x509.CertificateRevocationList) -> bool:
    """Whether the signature's hash is strong; `UnsupportedAlgorithm` for one nobody knows."""
    ed25519 = item.signature_algorithm_oid == SignatureAlgorithmOID.ED25519
    return ed25519 or isinstance(item.signature_hash_algorithm, _HASHES)


def check_end(certificate: x509.Certificate, now: datetime) -> None:
    """What an end entity's certificate must be by itself (RFC 4945 5.1.3.2, 5.1.3.12)."""
    _check_common(certificate, now)
    usage = key_usage(certificate)
    if usage is not None and not (usage.digital_signature or usage.content_commitment):
        raise CertificateError(f"{subject_of(certificate)}: key usage allows no signatures")
    purposes = extension(certificate, x509.ExtendedKeyUsage)
    if purposes is not None and not _PURPOSES & set(purposes):
        raise CertificateError(f"{subject_of(certificate)}: extended key usage does not allow IKE")


def _check_common(certificate: x509.Certificate, now: datetime) -> None:
    name = subject_of(certificate)
    start, stop = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now < start:
        raise CertificateError(f"{name} is not valid before {start:%Y-%m-%d %H:%M:%S} UTC")
    if now > stop:
        raise CertificateError(f"{name} expired on {stop:%Y-%m-%d %H:%M:%S} UTC")
    try:
        usable_public(certificate.public_key())
    except UnusableKeyError as error:
        raise CertificateError(f"{name}: {error}") from None
    _check_critical(certificate)


def _check_critical(certificate: x509.Certificate) -> None:
    for item in certificate.extensions:
        if item.critical and not isinstance(item.value, _KNOWN_EXTENSIONS):
            oid = item.oid.dotted_string
            raise CertificateError(f"{subject_of(certificate)}: unknown critical extension {oid}")


def _check_authority(issuer: x509.Certificate, below: Sequence[x509.Certificate]) -> None:
    """Whether a certificate may have issued what is below it in the path."""
    name, constraints = subject_of(issuer), extension(issuer, x509.BasicConstraints)
    if constraints is None or not constraints.ca:
        raise CertificateError(f"{name} is not a CA")
    between = sum(certificate.subject != certificate.issuer for certificate in below[1:])
    if constraints.path_length is not None and between > constraints.path_length:
        raise CertificateError(
            f"{name} allows {constraints.path_length} CAs below it, there are {between}"
        )
    usage = key_usage(issuer)
    if usage is not None and not usage.key_cert_sign:
        raise CertificateError(f"{name}: key usage allows no certificate signatures")


def extension(certificate: x509.Certificate, kind: type[E]) -> E | None:
    """The value of an extension, if the certificate has it."""
    values = (item.value for item in certificate.extensions)
    return next((value for value in values if isinstance(value, kind)), None)


def key_usage(certificate: x509.Certificate) -> x509.KeyUsage | None:
    """What the key may be used for; None: anything."""
    return extension(certificate, x509.KeyUsage)


def subject_of(certificate: x509.Certificate) -> str:
    """How errors name a certificate, in printable characters whatever its subject has."""
    name = certificate.subject.rfc4514_string().encode("unicode_escape").decode()
    return f"certificate {name or certificate.serial_number}"
