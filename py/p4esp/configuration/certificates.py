"""Certificates in a file: those we sign with, and those a peer may sign with."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Self

from cryptography.x509 import Certificate
from pydantic import model_validator

from p4esp.configuration.fields import FilePath, SignatureName
from p4esp.configuration.pem_files import CrlFiles, read_certificates, read_private_key
from p4esp.configuration.sections import Section
from p4esp.ike.auth.binding import check_binding
from p4esp.ike.auth.certificates import CertifiedKey, TrustedCertificates
from p4esp.ike.auth.revocation import Revocation
from p4esp.ike.auth.schemes import SCHEMES, STRONG, SignatureScheme
from p4esp.ipsec.identity import Identity, IdType


class CertificateSection(Section):
    """What we sign with."""

    file: FilePath
    """Our certificate in PEM, with intermediate CAs behind it."""
    key: FilePath
    """Its private key in PEM, mode 0600."""
    passphrase_file: FilePath | None = None
    """File with the passphrase of an encrypted key, mode 0600."""
    signatures: tuple[SignatureName, ...] = ()
    """How to sign, best first, such as `rsa-sha256`; empty: every way that suits the key."""

    @model_validator(mode="after")
    def _is_usable(self) -> Self:
        self.credential()
        return self

    def credential(self) -> CertifiedKey:
        """Key and certificates; ValueError when they cannot be used together."""
        key = read_private_key(self.key, self.passphrase_file)
        return CertifiedKey(key, read_certificates(self.file), schemes(self.signatures))


class TrustSection(Section):
    """Which certificates of the peer's count."""

    authorities: tuple[FilePath, ...] = ()
    """Files of CA certificates that are trusted. Give either these or `pinned`."""
    intermediates: tuple[FilePath, ...] = ()
    """Files of CA certificates that the peer may leave out, trusted only under an authority."""
    pinned: tuple[FilePath, ...] = ()
    """Files of the peer's own certificates, trusted as they are."""
    signatures: tuple[SignatureName, ...] = ()
    """Accepted algorithms, such as `ed25519`; empty: all but `rsa-sha1`."""
    crls: tuple[FilePath, ...] = ()
    """Files of revocation lists, read again when they change."""
    revocation: Literal["strict", "soft"] = "strict"
    """With `crls`: `strict` demands a current list of every CA, `soft` only refuses the revoked."""
    addresses_roam: bool = False
    """Accept an address as identity from a peer that sends from elsewhere."""

    @model_validator(mode="after")
    def _is_usable(self) -> Self:
        if not self.authorities and not self.pinned:
            raise ValueError("nothing is trusted; accepted: authorities or pinned")
        self.requirement()
        return self

    def requirement(self) -> TrustedCertificates:
        """What the peer has to show; ValueError when a file cannot be used."""
        return TrustedCertificates(
            anchors=_certificates(self.authorities),
            intermediates=_certificates(self.intermediates),
            pinned=_certificates(self.pinned),
            schemes=schemes(self.signatures) or STRONG,
            revocation=self._revocation(),
            addresses_roam=self.addresses_roam,
        )

    def _revocation(self) -> Revocation | None:
        if not self.crls:
            return None
        return Revocation(CrlFiles(self.crls), strict=self.revocation == "strict")


def schemes(names: tuple[str, ...]) -> tuple[SignatureScheme, ...]:
    """Signature algorithms by name."""
    return tuple(SCHEMES[name] for name in names)


def _certificates(paths: tuple[Path, ...]) -> tuple[Certificate, ...]:
    return tuple(certificate for path in paths for certificate in read_certificates(path))


def common_identity(certificates: Sequence[Certificate], text: str | None) -> Identity:
    """The identity we claim with each of several certificates; ValueError when there is none."""
    found = [own_identity(certificate, text) for certificate in certificates]
    if len(set(found)) > 1:
        raise ValueError("the certificates have different subjects; accepted: a common local_id")
    return found[0]


def own_identity(certificate: Certificate, text: str | None) -> Identity:
    """The identity we claim; ValueError when our certificate does not have that name.

    Peers that pin the certificate take a key id too.
    """
    subject = Identity(IdType.DER_ASN1_DN, certificate.subject.public_bytes())
    if text is None:
        return subject
    claimed = Identity.parse(text)
    if claimed.matches(subject):
        return subject
    if claimed.type != IdType.KEY_ID:
        check_binding(certificate, claimed)
    return claimed
