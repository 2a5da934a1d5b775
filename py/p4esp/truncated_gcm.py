"""AES-GCM whose tag is cut to 8 or 12 octets (RFC 4106 6, RFC 5282 3)."""

from __future__ import annotations

from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import AES


class TruncatedGcm:
    """What the library's AEAD object cannot do, behind the same two methods.

    ``tag_size`` is in octets; nonces have 12.
    """

    def __init__(self, tag_size: int, key: bytes | bytearray) -> None:
        self._tag_size = tag_size
        self._algorithm = AES(key)

    def encrypt(
        self, nonce: bytes | bytearray, data: bytes, associated_data: bytes | None, /
    ) -> bytes:
        """Return ciphertext | tag."""
        encryptor = Cipher(self._algorithm, modes.GCM(bytes(nonce))).encryptor()
        encryptor.authenticate_additional_data(associated_data or b"")
        text = encryptor.update(data) + encryptor.finalize()
        return text + encryptor.tag[: self._tag_size]

    def decrypt(
        self, nonce: bytes | bytearray, data: bytes, associated_data: bytes | None, /
    ) -> bytes:
        """Return the plaintext, or raise ``cryptography.exceptions.InvalidTag``."""
        text, tag = data[: -self._tag_size], data[-self._tag_size :]
        mode = modes.GCM(bytes(nonce), tag, min_tag_length=self._tag_size)
        decryptor = Cipher(self._algorithm, mode).decryptor()
        decryptor.authenticate_additional_data(associated_data or b"")
        return decryptor.update(text) + decryptor.finalize()
