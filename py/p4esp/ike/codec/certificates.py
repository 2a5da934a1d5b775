"""CERT and CERTREQ payloads (RFC 7296 3.6, 3.7)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Self

from p4esp.ike.codec.payload import Payload
from p4esp.ike.codec.reader import Reader
from p4esp.ike.constants import CertEncoding, PayloadType
from p4esp.ike.errors import ParseError

AUTHORITY_SIZE = 20
"""Octets of an authority's name in CERTREQ: SHA-1 over its SubjectPublicKeyInfo."""


@dataclass(frozen=True, slots=True)
class Certificate(Payload):
    """CERT payload: one certificate, or what else the encoding says."""

    TYPE: ClassVar[PayloadType] = PayloadType.CERT
    encoding: int
    data: bytes

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read encoding and data; whether the data is a certificate is seen when it is needed."""
        reader = Reader(body, "CERT payload")
        return cls(reader.number(1, "encoding"), reader.rest())

    def encode(self) -> bytes:
        """Encoding, data."""
        return bytes([self.encoding]) + self.data


@dataclass(frozen=True, slots=True)
class CertificateRequest(Payload):
    """CERTREQ payload: which certificates its sender can use."""

    TYPE: ClassVar[PayloadType] = PayloadType.CERTREQ
    encoding: int
    data: bytes
    """For X.509: names of authorities, `AUTHORITY_SIZE` octets each; none means any."""

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read encoding and data; the names of X.509 authorities must be whole."""
        reader = Reader(body, "CERTREQ payload")
        encoding, data = reader.number(1, "encoding"), reader.rest()
        if encoding == CertEncoding.X509_SIGNATURE and len(data) % AUTHORITY_SIZE:
            raise ParseError(
                f"CERTREQ payload: {len(data)} octets are no multiple of {AUTHORITY_SIZE}"
            )
        return cls(encoding, data)

    @classmethod
    def of(cls, authorities: Iterable[bytes]) -> Self:
        """A request for X.509 certificates under some authorities."""
        return cls(CertEncoding.X509_SIGNATURE, b"".join(authorities))

    def encode(self) -> bytes:
        """Encoding, data."""
        return bytes([self.encoding]) + self.data
