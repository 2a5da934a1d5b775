"""Files of keys, certificates and revocation lists. Refusals name the file and what would do."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from p4esp.configuration.secret_files import read_regular, read_secret
from p4esp.ike.auth.keys import UnusableKeyError, usable_private
from p4esp.ike.auth.schemes import PrivateKey

MAX_KEY_FILE: Final = 65536
MAX_CERTIFICATE_FILE: Final = 1 << 20
MAX_CRL_FILE: Final = 1 << 26


def read_certificates(path: Path) -> tuple[x509.Certificate, ...]:
    """All certificates of a PEM file, or the one of a DER file; ValueError when there is none."""
    data = read_regular(path, MAX_CERTIFICATE_FILE)
    try:
        if b"-----BEGIN" in data:
            return tuple(x509.load_pem_x509_certificates(data))
        return (x509.load_der_x509_certificate(data),)
    except ValueError as error:
        accepted = "accepted: X.509 certificates in PEM, or one in DER"
        raise ValueError(f"{path}: {error}; {accepted}") from None


def read_private_key(path: Path, passphrase: Path | None) -> PrivateKey:
    """The private key of a PEM file; ValueError when it cannot be used."""
    secret = None if passphrase is None else read_secret(passphrase, 4096).rstrip(b"\r\n")
    data = read_secret(path, MAX_KEY_FILE)
    try:
        return usable_private(load_pem_private_key(data, secret))
    except UnusableKeyError as error:
        raise ValueError(f"{path}: {error}") from None
    except TypeError:
        needed = "an unencrypted key" if secret else "a passphrase_file for this encrypted key"
        raise ValueError(f"{path}: accepted: {needed}") from None
    except (ValueError, UnsupportedAlgorithm):
        what = "its passphrase does not open it, or it is no key" if secret else "it holds no key"
        raise ValueError(f"{path}: {what}; accepted: a private key in PEM") from None


def read_crl(path: Path) -> x509.CertificateRevocationList:
    """The revocation list of a PEM or DER file; ValueError when there is none."""
    data = read_regular(path, MAX_CRL_FILE)
    try:
        if b"-----BEGIN" in data:
            return x509.load_pem_x509_crl(data)
        return x509.load_der_x509_crl(data)
    except ValueError as error:
        raise ValueError(f"{path}: {error}; accepted: a CRL in PEM or DER") from None


_Version = tuple[int, int, int]


class CrlFiles:
    """Revocation lists that are read again when their file changes.

    A file that cannot be read any more leaves the list as it was; in time that goes out of date.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        """ValueError when one cannot be used."""
        self._versions = {path: _version(path) for path in paths}
        self._lists = {path: read_crl(path) for path in paths}

    def __call__(self) -> Sequence[x509.CertificateRevocationList]:
        """The lists as they are now."""
        for path, version in self._versions.items():
            current = _version(path)
            if current != version:
                self._versions[path] = current
                self._reload(path)
        return tuple(self._lists.values())

    def _reload(self, path: Path) -> None:
        try:
            self._lists[path] = read_crl(path)
        except ValueError:
            return


def _version(path: Path) -> _Version | None:
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_ino, facts.st_mtime_ns, facts.st_size
