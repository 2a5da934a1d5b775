"""Certificates in both roles: what we sign with, and what a peer's must be like."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from p4esp.ike.auth.keys import own_schemes, usable_private
from p4esp.ike.auth.revocation import Revocation
from p4esp.ike.auth.schemes import STRONG, PrivateKey, SignatureScheme
from p4esp.ike.auth.signatures import METHODS


class CredentialError(ValueError):
    """Key and certificates of ours that cannot be used together."""


@dataclass(frozen=True, slots=True)
class CertifiedKey:
    """A private key with its certificate, by which we sign."""

    key: PrivateKey = field(repr=False, compare=False)
    certificates: tuple[x509.Certificate, ...]
    """Ours first, then intermediate CAs for peers that do not have them."""
    schemes: tuple[SignatureScheme, ...] = ()
    """How to sign, best first; empty: every way that suits the key."""

    def __post_init__(self) -> None:
        usable_private(self.key)
        if not self.certificates:
            raise CredentialError("a key without certificate; accepted: the key's certificate")
        if self.certificates[0].public_key() != self.key.public_key():
            subject = self.certificates[0].subject.rfc4514_string()
            raise CredentialError(f"the key is not that of certificate {subject}")

    @property
    def usable_schemes(self) -> tuple[SignatureScheme, ...]:
        """How to sign, best first."""
        return self.schemes or own_schemes(self.key)


@dataclass(frozen=True, slots=True)
class TrustedCertificates:
    """A peer proves its identity by a signature and a certificate that we trust."""

    anchors: tuple[x509.Certificate, ...] = ()
    """CAs that are trusted."""
    intermediates: tuple[x509.Certificate, ...] = ()
    """CAs that a peer may leave out; they are trusted only under an anchor."""
    pinned: tuple[x509.Certificate, ...] = ()
    """Certificates that are trusted as they are, with no CA above them, for any identity that
    this peer's configuration accepts. A peer need not send its only one.
    """
    schemes: tuple[SignatureScheme, ...] = STRONG
    """Signature algorithms that are accepted."""
    revocation: Revocation | None = None
    """Revocation lists to consult; None: none."""
    addresses_roam: bool = False
    """Accept an address as identity from a peer that is elsewhere (RFC 4945 3.1.1)."""

    def accepts(self, method: int) -> bool:
        """Whether an AUTH payload of this method can be such a proof."""
        return method in METHODS

    def __str__(self) -> str:
        return "14, 1, 9, 10, 11 (signature)"


def authority_names(anchors: Sequence[x509.Certificate]) -> list[bytes]:
    """What CERTREQ calls authorities: SHA-1 of their SubjectPublicKeyInfo (RFC 7296 3.7)."""
    return [hashlib.sha1(_public_key_info(anchor)).digest() for anchor in anchors]


def _public_key_info(certificate: x509.Certificate) -> bytes:
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
