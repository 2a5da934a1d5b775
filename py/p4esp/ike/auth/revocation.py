"""Certificate revocation lists (RFC 5280 5 and 6.3, RFC 4945 5.2)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from cryptography import x509

from p4esp.ike.auth.path import CertificateError, is_strongly_signed, key_usage, subject_of

CrlSource = Callable[[], Sequence[x509.CertificateRevocationList]]
"""The lists as they are now; whoever provides them reloads files that changed."""


@dataclass(frozen=True, slots=True)
class Revocation:
    """What is asked of revocation lists. A certificate that any of them names is refused."""

    lists: CrlSource
    strict: bool = True
    """Refuse certificates that no complete and current list of their issuer covers."""

    def check(self, chain: Sequence[x509.Certificate], now: datetime) -> None:
        """`CertificateError` for a chain, end entity first and anchor last, that is not good."""
        lists = self.lists()
        for certificate, issuer in pairwise(chain):
            self._check_one(certificate, issuer, lists, now)

    def _check_one(
        self,
        certificate: x509.Certificate,
        issuer: x509.Certificate,
        lists: Sequence[x509.CertificateRevocationList],
        now: datetime,
    ) -> None:
        authentic = [crl for crl in lists if _is_by(crl, issuer)]
        for crl in authentic:
            entry = crl.get_revoked_certificate_by_serial_number(certificate.serial_number)
            if entry is not None:
                raise CertificateError(
                    f"{subject_of(certificate)} was revoked on {entry.revocation_date_utc:%Y-%m-%d}"
                )
        if self.strict and not any(_covers(crl, now) for crl in authentic):
            raise CertificateError(
                f"no current CRL of {subject_of(issuer)} covers {subject_of(certificate)}"
            )


def _is_by(crl: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    """Whether a list is the issuer's own and about its own certificates.

    Delta lists and indirect ones, whose entries mean something else, are left out.
    """
    if crl.issuer != issuer.subject or _is_special(crl):
        return False
    usage = key_usage(issuer)
    if usage is not None and not usage.crl_sign:
        return False
    return crl.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]


def _is_special(crl: x509.CertificateRevocationList) -> bool:
    for extension in crl.extensions:
        if isinstance(extension.value, x509.DeltaCRLIndicator):
            return True
        if isinstance(extension.value, x509.IssuingDistributionPoint):
            return extension.value.indirect_crl
    return False


def _covers(crl: x509.CertificateRevocationList, now: datetime) -> bool:
    """Whether a list is in force and about all certificates, with nothing in it we cannot read. A
    weak signature is enough to refuse a certificate, not to let one pass.
    """
    following = crl.next_update_utc
    current = following is not None and crl.last_update_utc <= now <= following
    return (
        current
        and is_strongly_signed(crl)
        and not any(extension.critical for extension in crl.extensions)
    )
