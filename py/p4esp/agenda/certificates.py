"""Files of keys and self-signed certificates for the two gateways, for as long as the tour runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from p4esp.ike.auth.schemes import PrivateKey

_DAY: Final = timedelta(days=1)


@cache
def _directory() -> TemporaryDirectory[str]:
    return TemporaryDirectory(prefix="p4esp-")


@cache
def certificate(gateway: str, kind: str) -> dict[str, str]:
    """The section of a gateway's certificate with a key of a kind, `rsa` or `ecdsa`."""
    base = Path(_directory().name) / f"{gateway}-{kind}"
    key = _new_key(kind)
    files = {"file": base.with_suffix(".pem"), "key": base.with_suffix(".key")}
    files["file"].write_bytes(_self_signed(gateway, key).public_bytes(Encoding.PEM))
    files["key"].touch(0o600)
    files["key"].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return {name: str(path) for name, path in files.items()}


def _new_key(kind: str) -> PrivateKey:
    if kind == "rsa":
        return rsa.generate_private_key(65537, 2048)
    return ec.generate_private_key(ec.SECP256R1())


def _self_signed(gateway: str, key: PrivateKey) -> x509.Certificate:
    now = datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, gateway)])
    names = x509.SubjectAlternativeName([x509.DNSName(f"{gateway}.example")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _DAY)
        .not_valid_after(now + _DAY)
        .add_extension(names, critical=False)
    )
    return builder.sign(key, hashes.SHA256())
