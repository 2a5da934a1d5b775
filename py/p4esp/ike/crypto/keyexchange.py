"""Key exchange methods (RFC 7296 3.4, RFC 8031, RFC 5903) with the checks of RFC 6989.

The interface is that of a KEM, so that methods whose responder needs the initiator's public value
first fit as well: the initiator starts, the responder answers, the initiator finishes.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from p4esp.ike.errors import KeyExchangeError

RandomSource = Callable[[int], bytes]
"""Returns that many unpredictable octets."""


class KeyExchangeMethod(ABC):
    """One transform of type 4. Each object makes one exchange: private keys are never reused."""

    transform_id: ClassVar[int]
    name: ClassVar[str]
    public_size: ClassVar[int]
    """Octets of KE payload data, each way."""

    public: bytes
    """Our public value."""

    @abstractmethod
    def __init__(self, random: RandomSource) -> None:
        """Make a key pair from fresh random octets."""

    @abstractmethod
    def _shared_secret(self, peer_public: bytes) -> bytes:
        """g^ir for a value of the right length; ValueError when it is not acceptable."""

    def shared_secret(self, peer_public: bytes) -> bytes:
        """g^ir, or `KeyExchangeError` for a value RFC 6989 or RFC 7748 refuses."""
        if len(peer_public) != self.public_size:
            raise KeyExchangeError(
                f"{self.name}: public value of {len(peer_public)} octets, must be "
                f"{self.public_size}"
            )
        try:
            return self._shared_secret(peer_public)
        except ValueError:
            raise KeyExchangeError(f"{self.name}: public value is not acceptable") from None


class X25519(KeyExchangeMethod):
    """Curve25519; an all-zero result is refused (RFC 7748 6.1)."""

    transform_id = 31
    name = "x25519"
    public_size = 32

    def __init__(self, random: RandomSource) -> None:
        self._private = X25519PrivateKey.from_private_bytes(random(32))
        self.public = self._private.public_key().public_bytes_raw()

    def _shared_secret(self, peer_public: bytes) -> bytes:
        secret = self._private.exchange(X25519PublicKey.from_public_bytes(peer_public))
        if not any(secret):
            raise ValueError("all-zero secret")
        return secret


class Ecp256(KeyExchangeMethod):
    """NIST P-256; values are x | y, the secret is x (RFC 5903 7)."""

    transform_id = 19
    name = "ecp256"
    public_size = 64
    _ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551

    def __init__(self, random: RandomSource) -> None:
        scalar = int.from_bytes(random(40), "big") % (self._ORDER - 1) + 1
        self._private = ec.derive_private_key(scalar, ec.SECP256R1())
        numbers = self._private.public_key().public_numbers()
        self.public = numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")

    def _shared_secret(self, peer_public: bytes) -> bytes:
        x, y = int.from_bytes(peer_public[:32], "big"), int.from_bytes(peer_public[32:], "big")
        peer = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
        return self._private.exchange(ec.ECDH(), peer)


KEY_EXCHANGES: dict[int, type[KeyExchangeMethod]] = {
    method.transform_id: method for method in (X25519, Ecp256)
}
