"""Ciphers that protect IKE messages (RFC 5282, RFC 7634)."""

from collections.abc import Callable
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from p4esp.ike.errors import IntegrityError
from p4esp.ipsec.algorithms import AES_GCM_16, CHACHA20_POLY1305, Suite


class MessageCipher(Protocol):
    """Seals and opens the body of an SK payload under one direction's keys.

    The shape fits AEAD and encrypt-then-MAC alike: the ICV covers `associated`, IV and ciphertext.
    """

    block_size: int
    iv_size: int
    icv_size: int

    def seal(self, associated: bytes, iv: bytes, plaintext: bytes) -> bytes:
        """IV, ciphertext and ICV. `plaintext` is a multiple of `block_size`."""

    def open(self, associated: bytes, body: bytes) -> bytes:
        """The plaintext, or `IntegrityError`."""


class _Aead(Protocol):
    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes: ...

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes: ...


_CONSTRUCTORS: dict[int, Callable[[bytes], _Aead]] = {
    AES_GCM_16.transform_id: AESGCM,
    CHACHA20_POLY1305.transform_id: ChaCha20Poly1305,
}


class AeadCipher:
    """An AEAD: nonce = salt | IV, no padding needed."""

    __slots__ = ("_aead", "_salt", "block_size", "icv_size", "iv_size")

    def __init__(self, suite: Suite, keymat: bytes) -> None:
        self._salt = keymat[suite.key_size :]
        self._aead = _CONSTRUCTORS[suite.encryption.transform_id](keymat[: suite.key_size])
        self.block_size = 1
        self.iv_size = suite.iv_size
        self.icv_size = suite.icv_size

    def seal(self, associated: bytes, iv: bytes, plaintext: bytes) -> bytes:
        """IV, ciphertext and ICV."""
        return iv + self._aead.encrypt(self._salt + iv, plaintext, associated)

    def open(self, associated: bytes, body: bytes) -> bytes:
        """The plaintext, or `IntegrityError`."""
        if len(body) < self.iv_size + self.icv_size + 1:
            raise IntegrityError(f"SK payload of {len(body)} octets is too short")
        nonce = self._salt + body[: self.iv_size]
        try:
            return self._aead.decrypt(nonce, body[self.iv_size :], associated)
        except InvalidTag:
            raise IntegrityError("SK payload: integrity check failed") from None
