"""ML-KEM as a key exchange method (FIPS 203, draft-ietf-ipsecme-ikev2-mlkem).

The initiator sends an encapsulation key, the responder a ciphertext. A ciphertext that was
tampered with yields another secret, not an error (FIPS 203 6.3): the keys then differ.
"""

from typing import ClassVar

from cryptography.hazmat.primitives.asymmetric import mlkem

from p4esp.ike.crypto.keyexchange import Answered, KeyExchangeMethod, RandomSource

_SEED_SIZE = 64


class _MlKem(KeyExchangeMethod):
    """One parameter set."""

    private: ClassVar[type[mlkem.MLKEM768PrivateKey] | type[mlkem.MLKEM1024PrivateKey]]
    encapsulation_key: ClassVar[type[mlkem.MLKEM768PublicKey] | type[mlkem.MLKEM1024PublicKey]]

    def __init__(self, random: RandomSource) -> None:
        self._private = self.private.from_seed_bytes(random(_SEED_SIZE))
        self.public = self._private.public_key().public_bytes_raw()

    def _shared_secret(self, answer: bytes) -> bytes:
        return self._private.decapsulate(answer)

    @classmethod
    def _respond(cls, random: RandomSource, public: bytes) -> Answered:
        """`random` is not asked: the library draws the message that it encapsulates itself. It
        refuses a key that fails the modulus check of FIPS 203 7.2.
        """
        secret, ciphertext = cls.encapsulation_key.from_public_bytes(public).encapsulate()
        return Answered(ciphertext, secret)


class MlKem768(_MlKem):
    """ML-KEM-768."""

    transform_id = 36
    name = "mlkem768"
    public_size = 1184
    answer_size = 1088
    private = mlkem.MLKEM768PrivateKey
    encapsulation_key = mlkem.MLKEM768PublicKey


class MlKem1024(_MlKem):
    """ML-KEM-1024."""

    transform_id = 37
    name = "mlkem1024"
    public_size = 1568
    answer_size = 1568
    private = mlkem.MLKEM1024PrivateKey
    encapsulation_key = mlkem.MLKEM1024PublicKey
