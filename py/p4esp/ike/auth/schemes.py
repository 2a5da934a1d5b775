"""Signature algorithms of AUTH method 14 and their AlgorithmIdentifiers (RFC 7427, RFC 8420)."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from p4esp.ike.auth import identifiers
from p4esp.ike.constants import HashAlgorithm

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

_HASHES: dict[HashAlgorithm, hashes.HashAlgorithm] = {
    HashAlgorithm.SHA1: hashes.SHA1(),
    HashAlgorithm.SHA2_256: hashes.SHA256(),
    HashAlgorithm.SHA2_384: hashes.SHA384(),
    HashAlgorithm.SHA2_512: hashes.SHA512(),
}


class SignatureError(ValueError):
    """A signature that does not verify, or a key of another kind than the algorithm's."""


@dataclass(frozen=True, slots=True)
class SignatureScheme(ABC):
    """A way to sign. `identifiers` are the DER forms of its name: we send the first, take all."""

    name: str
    hash_id: HashAlgorithm
    identifiers: tuple[bytes, ...]

    @abstractmethod
    def fits(self, key: PublicKey) -> bool:
        """Whether a key is of the kind this algorithm uses."""

    @abstractmethod
    def sign(self, key: PrivateKey, octets: bytes) -> bytes:
        """The signature as method 14 carries it."""

    def verify(self, key: PublicKey, signature: bytes, octets: bytes) -> None:
        """`SignatureError` unless the key made this signature over these octets."""
        try:
            self._verify(key, signature, octets)
        except InvalidSignature:
            raise SignatureError(f"the {self.name} signature does not verify") from None

    @abstractmethod
    def _verify(self, key: PublicKey, signature: bytes, octets: bytes) -> None:
        """`InvalidSignature`, or `SignatureError` for another kind of key."""

    def __str__(self) -> str:
        return self.name

    def _other_key(self, key: object) -> SignatureError:
        return SignatureError(f"{self.name} does not go with a {type(key).__name__}")


@dataclass(frozen=True, slots=True)
class RsaPkcs1(SignatureScheme):
    """RSASSA-PKCS1-v1_5."""

    def fits(self, key: PublicKey) -> bool:
        """RSA keys."""
        return isinstance(key, rsa.RSAPublicKey)

    def sign(self, key: PrivateKey, octets: bytes) -> bytes:
        """As many octets as the modulus has."""
        if not isinstance(key, rsa.RSAPrivateKey):
            raise self._other_key(key)
        return key.sign(octets, padding.PKCS1v15(), _HASHES[self.hash_id])

    def _verify(self, key: PublicKey, signature: bytes, octets: bytes) -> None:
        if not isinstance(key, rsa.RSAPublicKey):
            raise self._other_key(key)
        key.verify(signature, octets, padding.PKCS1v15(), _HASHES[self.hash_id])


@dataclass(frozen=True, slots=True)
class RsaPss(SignatureScheme):
    """RSASSA-PSS with MGF1 of the same hash and a salt of the hash's length."""

    def fits(self, key: PublicKey) -> bool:
        """RSA keys."""
        return isinstance(key, rsa.RSAPublicKey)

    @property
    def _padding(self) -> padding.PSS:
        digest = _HASHES[self.hash_id]
        return padding.PSS(padding.MGF1(digest), digest.digest_size)

    def sign(self, key: PrivateKey, octets: bytes) -> bytes:
        """As many octets as the modulus has."""
        if not isinstance(key, rsa.RSAPrivateKey):
            raise self._other_key(key)
        return key.sign(octets, self._padding, _HASHES[self.hash_id])

    def _verify(self, key: PublicKey, signature: bytes, octets: bytes) -> None:
        if not isinstance(key, rsa.RSAPublicKey):
            raise self._other_key(key)
        key.verify(signature, octets, self._padding, _HASHES[self.hash_id])


@dataclass(frozen=True, slots=True)
class Ecdsa(SignatureScheme):
    """ECDSA; the signature is a DER ECDSA-Sig-Value. Any of our curves goes with any hash."""

    def fits(self, key: PublicKey) -> bool:
        """Keys on elliptic curves."""
        return isinstance(key, ec.EllipticCurvePublicKey)

    def sign(self, key: PrivateKey, octets: bytes) -> bytes:
        """DER of r and s."""
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise self._other_key(key)
        return key.sign(octets, ec.ECDSA(_HASHES[self.hash_id]))

    def _verify(self, key: PublicKey, signature: bytes, octets: bytes) -> None:
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise self._other_key(key)
        key.verify(signature, octets, ec.ECDSA(_HASHES[self.hash_id]))


@dataclass(frozen=True, slots=True)
class Ed25519(SignatureScheme):
    """Ed25519 over the octets themselves (RFC 8420 2)."""

    def fits(self, key: PublicKey) -> bool:
        """Ed25519 keys."""
        return isinstance(key, ed25519.Ed25519PublicKey)

    def sign(self, key: PrivateKey, octets: bytes) -> bytes:
        """64 octets."""
        if not isinstance(key, ed25519.Ed25519PrivateKey):
            raise self._other_key(key)
        return key.sign(octets)

    def _verify(self, key: PublicKey, signature: bytes, octets: bytes) -> None:
        if not isinstance(key, ed25519.Ed25519PublicKey):
            raise self._other_key(key)
        key.verify(signature, octets)


_SHA2 = {
    "sha256": HashAlgorithm.SHA2_256,
    "sha384": HashAlgorithm.SHA2_384,
    "sha512": HashAlgorithm.SHA2_512,
}

STRONG: tuple[SignatureScheme, ...] = (
    Ed25519("ed25519", HashAlgorithm.IDENTITY, identifiers.ED25519),
    *(Ecdsa(f"ecdsa-{name}", hash_id, identifiers.ecdsa(name)) for name, hash_id in _SHA2.items()),
    *(
        RsaPss(f"rsa-pss-{name}", hash_id, identifiers.rsa_pss(name))
        for name, hash_id in _SHA2.items()
    ),
    *(
        RsaPkcs1(f"rsa-{name}", hash_id, identifiers.rsa_pkcs1(name))
        for name, hash_id in _SHA2.items()
    ),
)
"""What is accepted unless a peer's configuration says otherwise, best first (RFC 8247 3.2)."""

RSA_SHA1 = RsaPkcs1("rsa-sha1", HashAlgorithm.SHA1, identifiers.rsa_pkcs1("sha1"))
"""MUST NOT be used (RFC 8247 3.2): only where it is configured by name, for old peers."""

SCHEMES = {scheme.name: scheme for scheme in (*STRONG, RSA_SHA1)}
"""All signature algorithms by the name operators use."""
