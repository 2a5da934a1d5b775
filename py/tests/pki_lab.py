"""Certificate authorities, hosts and revocation lists for tests, valid around `TODAY`."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from ipaddress import ip_address
from itertools import count

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID
from ike_lab import TODAY, Lab, east_config, west_config

from p4esp.ike.auth.certificates import CertifiedKey, TrustedCertificates
from p4esp.ike.auth.credentials import PeerAuth

DAY = timedelta(days=1)
_serials = count(1000)

MAKERS = {
    "rsa": lambda: rsa.generate_private_key(65537, 2048),
    "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "p521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
}


@cache
def private_key(kind: str, owner: str = ""):
    """One key of a kind for each owner."""
    return MAKERS[kind]()


def name(common: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "CH"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "p4esp"),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )


def alternative(text: str) -> x509.GeneralName:
    if "@" in text:
        return x509.RFC822Name(text)
    try:
        return x509.IPAddress(ip_address(text))
    except ValueError:
        return x509.DNSName(text)


@dataclass(frozen=True)
class Party:
    """A key and its certificate, with the CA that issued it."""

    key: object
    certificate: x509.Certificate
    issuer: "Party | None" = field(default=None, repr=False)

    @property
    def chain(self) -> tuple[x509.Certificate, ...]:
        """The certificate and the intermediate CAs above it, without the root."""
        if self.issuer is None:
            return ()
        return (self.certificate, *self.issuer.chain)

    @property
    def credential(self) -> CertifiedKey:
        return CertifiedKey(self.key, self.chain)


def digest_for(key: object) -> hashes.HashAlgorithm | None:
    return None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()


def issue(
    common: str,
    issuer: Party | None = None,
    *,
    kind: str = "p256",
    names: tuple[str, ...] = (),
    extensions: tuple[tuple[x509.ExtensionType, bool], ...] = (),
    start: datetime = TODAY - 30 * DAY,
    stop: datetime = TODAY + 300 * DAY,
    digest: hashes.HashAlgorithm | None = None,
    subject: x509.Name | None = None,
) -> Party:
    """A certificate; without issuer a self-signed one. `extensions` come with criticality."""
    key = private_key(kind, common)
    signer = issuer.key if issuer else key
    own = name(common) if subject is None else subject
    builder = (
        x509.CertificateBuilder()
        .subject_name(own)
        .issuer_name(issuer.certificate.subject if issuer else own)
        .public_key(key.public_key())
        .serial_number(next(_serials))
        .not_valid_before(start)
        .not_valid_after(stop)
    )
    if names:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([alternative(text) for text in names]), critical=False
        )
    for value, critical in extensions:
        builder = builder.add_extension(value, critical)
    return Party(key, builder.sign(signer, digest or digest_for(signer)), issuer)


def authority(
    common: str = "root", issuer: Party | None = None, *, length: int | None = None, **more
) -> Party:
    """A CA."""
    constraints = x509.BasicConstraints(ca=True, path_length=length)
    more["extensions"] = ((constraints, True), *more.get("extensions", ()))
    return issue(common, issuer, **more)


def host(
    common: str, issuer: Party | None, *, names: tuple[str, ...] | None = None, **more
) -> Party:
    """An IKE host, named `common`.example unless said otherwise."""
    return issue(common, issuer, names=(f"{common}.example",) if names is None else names, **more)


def usage(*bits: str) -> x509.KeyUsage:
    """A KeyUsage extension with only the named bits set."""
    every = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{bit: bit in bits for bit in every})


def revocation_list(
    issuer: Party,
    *revoked: Party,
    start: datetime = TODAY - DAY,
    stop: datetime = TODAY + DAY,
    extensions: tuple[tuple[x509.ExtensionType, bool], ...] = (),
    signer: Party | None = None,
    digest: hashes.HashAlgorithm | None = None,
) -> x509.CertificateRevocationList:
    """A CRL; `signer` makes it a forged one."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(start)
        .next_update(stop)
    )
    for party in revoked:
        serial = party.certificate.serial_number
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(start)
        builder = builder.add_revoked_certificate(entry.build())
    for value, critical in extensions:
        builder = builder.add_extension(value, critical)
    key = (signer or issuer).key
    return builder.sign(key, digest or digest_for(key))


def trusting(*anchors: Party, **more) -> TrustedCertificates:
    return TrustedCertificates(tuple(anchor.certificate for anchor in anchors), **more)


def certified_lab(west: Party, east: Party, trust: TrustedCertificates, **more) -> Lab:
    """West and east with certificates that both check by the same rules."""
    return Lab(
        west_config(auth=PeerAuth(west.credential, (trust,))),
        east_config(auth=PeerAuth(east.credential, (trust,))),
        **more,
    )


def relayed(config, **changes):
    """A configuration whose credential differs in some fields."""
    own = replace(config.auth.own, **changes)
    return replace(config, auth=replace(config.auth, own=own))
