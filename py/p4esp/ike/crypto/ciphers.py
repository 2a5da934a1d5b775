"""Ciphers that protect IKE messages (RFC 7296 3.14, RFC 5282, RFC 7634)."""

import hmac
from collections.abc import Callable
from functools import partial
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import BlockCipherAlgorithm, Cipher, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.ciphers.algorithms import AES

from p4esp.ike.crypto.auth import same_secret
from p4esp.ike.crypto.prf import Key
from p4esp.ike.errors import IntegrityError
from p4esp.ipsec.algorithms import (
    AES_CBC,
    AES_GCM_8,
    AES_GCM_12,
    AES_GCM_16,
    CHACHA20_POLY1305,
    TRIPLE_DES,
    Integrity,
    Suite,
)
from p4esp.truncated_gcm import TruncatedGcm


class MessageCipher(Protocol):
    """Seals and opens the body of an SK payload under one direction's keys.

    The shape fits AEAD and encrypt-then-MAC alike: the ICV covers `associated`, IV and ciphertext.
    """

    block_size: int
    iv_size: int
    icv_size: int
    random_iv: bool
    """Whether IVs must be unpredictable; if not, they must never repeat."""

    def seal(self, associated: bytes, iv: bytes, plaintext: bytes) -> bytes:
        """IV, ciphertext and ICV. `plaintext` is a multiple of `block_size`."""

    def open(self, associated: bytes, body: bytes) -> bytes:
        """The plaintext, or `IntegrityError`."""


def message_cipher(suite: Suite, key: Key, integrity_key: Key = b"") -> MessageCipher:
    """The cipher of one direction: `key` is SK_e, `integrity_key` SK_a (empty with an AEAD)."""
    if suite.integrity is None:
        return AeadCipher(suite, key)
    return CbcCipher(suite, suite.integrity, key, integrity_key)


class _Aead(Protocol):
    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes: ...

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes: ...


_AEADS: dict[int, Callable[[Key], _Aead]] = {
    AES_GCM_16.transform_id: AESGCM,
    AES_GCM_12.transform_id: partial(TruncatedGcm, AES_GCM_12.icv_size),
    AES_GCM_8.transform_id: partial(TruncatedGcm, AES_GCM_8.icv_size),
    CHACHA20_POLY1305.transform_id: ChaCha20Poly1305,
}


class AeadCipher:
    """An AEAD: nonce = salt | IV, no padding needed."""

    __slots__ = ("_aead", "_salt", "block_size", "icv_size", "iv_size", "random_iv")

    def __init__(self, suite: Suite, key: Key) -> None:
        self._salt = bytes(key[suite.key_size :])
        self._aead = _AEADS[suite.encryption.transform_id](key[: suite.key_size])
        self.block_size = suite.block_size
        self.iv_size = suite.iv_size
        self.icv_size = suite.icv_size
        self.random_iv = False

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


_BLOCK_CIPHERS: dict[int, Callable[[Key], BlockCipherAlgorithm]] = {
    AES_CBC.transform_id: AES,
    TRIPLE_DES.transform_id: lambda key: TripleDES(bytes(key)),
}


class CbcCipher:
    """A block cipher in CBC mode, then an HMAC over everything before the ICV."""

    __slots__ = (
        "_algorithm",
        "_integrity",
        "_mac_key",
        "block_size",
        "icv_size",
        "iv_size",
        "random_iv",
    )

    def __init__(self, suite: Suite, integrity: Integrity, key: Key, mac_key: Key) -> None:
        self._algorithm = _BLOCK_CIPHERS[suite.encryption.transform_id](key)
        self._integrity = integrity
        self._mac_key = mac_key
        self.block_size = suite.block_size
        self.iv_size = suite.iv_size
        self.icv_size = suite.icv_size
        self.random_iv = True

    def seal(self, associated: bytes, iv: bytes, plaintext: bytes) -> bytes:
        """IV, ciphertext and ICV."""
        encryptor = Cipher(self._algorithm, modes.CBC(iv)).encryptor()
        sealed = iv + encryptor.update(plaintext) + encryptor.finalize()
        return sealed + self._icv(associated + sealed)

    def open(self, associated: bytes, body: bytes) -> bytes:
        """The plaintext, or `IntegrityError`. Nothing is decrypted before the ICV is right."""
        text_size = len(body) - self.iv_size - self.icv_size
        if text_size < self.block_size or text_size % self.block_size:
            raise IntegrityError(f"SK payload of {len(body)} octets holds no whole blocks")
        sealed, icv = body[: -self.icv_size], body[-self.icv_size :]
        if not same_secret(self._icv(associated + sealed), icv):
            raise IntegrityError("SK payload: integrity check failed")
        mode = modes.CBC(sealed[: self.iv_size])
        decryptor = Cipher(self._algorithm, mode).decryptor()
        return decryptor.update(sealed[self.iv_size :]) + decryptor.finalize()

    def _icv(self, data: bytes) -> bytes:
        return hmac.digest(self._mac_key, data, self._integrity.digest)[: self.icv_size]
