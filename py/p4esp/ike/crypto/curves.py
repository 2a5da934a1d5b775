"""Elliptic curve Diffie-Hellman: Curve25519 (RFC 8031) and the NIST curves (RFC 5903)."""

from typing import ClassVar

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from p4esp.ike.crypto.keyexchange import DiffieHellman, RandomSource

_SPARE = 8
"""Further random octets, so that reducing modulo the order leaves no bias (FIPS 186-5 A.2.1)."""


class X25519(DiffieHellman):
    """Curve25519; an all-zero result is refused (RFC 7748 6.1)."""

    transform_id = 31
    name = "x25519"
    public_size = 32

    def __init__(self, random: RandomSource) -> None:
        self._private = X25519PrivateKey.from_private_bytes(random(32))
        self.public = self._private.public_key().public_bytes_raw()

    def _shared_secret(self, answer: bytes) -> bytes:
        secret = self._private.exchange(X25519PublicKey.from_public_bytes(answer))
        if not any(secret):
            raise ValueError("all-zero secret")
        return secret


class _Ecp(DiffieHellman):
    """A curve modulo a prime: values are x | y, the secret is x, each padded (RFC 5903 7)."""

    curve: ClassVar[ec.EllipticCurve]

    def __init__(self, random: RandomSource) -> None:
        order, size = self.curve.group_order, self._coordinate_size()
        scalar = int.from_bytes(random(size + _SPARE), "big") % (order - 1) + 1
        self._private = ec.derive_private_key(scalar, self.curve)
        numbers = self._private.public_key().public_numbers()
        self.public = numbers.x.to_bytes(size, "big") + numbers.y.to_bytes(size, "big")

    @classmethod
    def _coordinate_size(cls) -> int:
        return cls.public_size // 2

    def _shared_secret(self, answer: bytes) -> bytes:
        size = self._coordinate_size()
        x, y = int.from_bytes(answer[:size], "big"), int.from_bytes(answer[size:], "big")
        peer = ec.EllipticCurvePublicNumbers(x, y, self.curve).public_key()
        return self._private.exchange(ec.ECDH(), peer)


class Ecp256(_Ecp):
    """NIST P-256."""

    transform_id = 19
    name = "ecp256"
    public_size = 64
    curve = ec.SECP256R1()


class Ecp384(_Ecp):
    """NIST P-384."""

    transform_id = 20
    name = "ecp384"
    public_size = 96
    curve = ec.SECP384R1()


class Ecp521(_Ecp):
    """NIST P-521."""

    transform_id = 21
    name = "ecp521"
    public_size = 132
    curve = ec.SECP521R1()
