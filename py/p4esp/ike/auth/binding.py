"""Whether a certificate speaks for an identity (RFC 4945 3.1)."""

from ipaddress import ip_address

from cryptography import x509

from p4esp.ike.auth.path import CertificateError, extension, subject_of
from p4esp.ipsec.identity import Identity, IdType

_ADDRESSES = (IdType.IPV4_ADDR, IdType.IPV6_ADDR)


def check_binding(certificate: x509.Certificate, identity: Identity) -> None:
    """`CertificateError` unless the certificate has this very name. There are no wildcards."""
    named = _subject_is(certificate, identity) or _names_include(certificate, identity)
    if not named:
        raise CertificateError(f"{subject_of(certificate)} does not name {identity}")


def _subject_is(certificate: x509.Certificate, identity: Identity) -> bool:
    """A DN is the whole subject (RFC 4945 3.1.5); an empty one names nobody.

    Its text may be encoded otherwise, against that RFC: a responder that is asked for a DN in
    IDr answers with our octets, not with those of its certificate.
    """
    subject = certificate.subject
    return bool(subject.rdns) and identity.matches(
        Identity(IdType.DER_ASN1_DN, subject.public_bytes())
    )


def _names_include(certificate: x509.Certificate, identity: Identity) -> bool:
    names = extension(certificate, x509.SubjectAlternativeName)
    if names is None:
        return False
    if identity.type in _ADDRESSES:
        return _address_in(names, identity.data)
    text = identity.data.decode("ascii", "replace").lower()
    if identity.type == IdType.FQDN:
        hosts = names.get_values_for_type(x509.DNSName)
        return text in [name.lower() for name in hosts if "*" not in name]
    if identity.type == IdType.RFC822_ADDR:
        return text in [name.lower() for name in names.get_values_for_type(x509.RFC822Name)]
    return False


def _address_in(names: x509.SubjectAlternativeName, data: bytes) -> bool:
    return len(data) in (4, 16) and ip_address(data) in names.get_values_for_type(x509.IPAddress)
