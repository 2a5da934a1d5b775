"""Transforms that are no AEAD of the library, behind the same interface: GMAC, short tags, HMAC.

The nonce is salt | IV as for the others, the associated data SPI | Seql, or SPI | Seqh | Seql with
ESN. What each transform authenticates of it, and in which order, is decided here.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.hashes import HashAlgorithm
from cryptography.hazmat.primitives.hmac import HMAC

from p4esp.truncated_gcm import TruncatedGcm

Key = bytes | bytearray
_SALT_LEN = 4
_TAG_LEN = 16


class Aead(Protocol):
    """An AEAD that holds its keys. The tag ends the ciphertext."""

    def encrypt(self, nonce: Key, data: bytes, associated_data: bytes, /) -> bytes:
        """Return ciphertext | tag."""
        ...

    def decrypt(self, nonce: Key, data: bytes, associated_data: bytes, /) -> bytes:
        """Return the plaintext, or raise ``cryptography.exceptions.InvalidTag``."""
        ...


class KeyGoneError(Exception):
    """The key was overwritten while it was used; there is no result."""


class Gmac:
    """ENCR_NULL_AUTH_AES_GMAC: the text stays readable, the tag covers the IV as well.

    RFC 4543 contradicts itself about the IV; implementations authenticate it.
    """

    def __init__(self, key: Key) -> None:
        self._gcm = AESGCM(key)

    def encrypt(self, nonce: Key, data: bytes, associated_data: bytes, /) -> bytes:
        """Return data | tag (Aead)."""
        return data + self._gcm.encrypt(nonce, b"", self._covered(nonce, data, associated_data))

    def decrypt(self, nonce: Key, data: bytes, associated_data: bytes, /) -> bytes:
        """Return the data without its tag (Aead)."""
        text, tag = data[:-_TAG_LEN], data[-_TAG_LEN:]
        self._gcm.decrypt(nonce, tag, self._covered(nonce, text, associated_data))
        return text

    @staticmethod
    def _covered(nonce: Key, text: bytes, associated_data: bytes) -> bytes:
        return associated_data + nonce[_SALT_LEN:] + text


class OwnKey:
    """Keeps a copy of a key in Python's memory, which ``close`` overwrites.

    A packet may be under way in another thread meanwhile. So each result is looked at once it is
    made: what may have been made of an overwritten key is thrown away.
    """

    def __init__(self, key: Key) -> None:
        self._key = bytearray(key)
        self._closed = False

    def close(self) -> None:
        """Overwrite the key."""
        self._closed = True
        self._key[:] = bytes(len(self._key))

    def _unless_closed(self, result: bytes) -> bytes:
        if self._closed:
            raise KeyGoneError
        return result


class ShortTagGcm(OwnKey):
    """AES-GCM with a tag of 8 or 12 bytes (RFC 4106 section 6)."""

    def __init__(self, tag_len: int, key: Key) -> None:
        super().__init__(key)
        self._gcm = TruncatedGcm(tag_len, self._key)

    def encrypt(self, nonce: Key, data: bytes, associated_data: bytes, /) -> bytes:
        """Return ciphertext | tag (Aead)."""
        return self._unless_closed(self._gcm.encrypt(nonce, data, associated_data))

    def decrypt(self, nonce: Key, data: bytes, associated_data: bytes, /) -> bytes:
        """Return the plaintext (Aead)."""
        return self._unless_closed(self._gcm.decrypt(nonce, data, associated_data))


class Mac:
    """An HMAC whose output is cut to ``icv_len`` bytes (RFC 4868)."""

    def __init__(self, algorithm: HashAlgorithm, icv_len: int, key: Key) -> None:
        self.icv_len = icv_len
        # Keyed once and copied for each packet: that halves the time of a short packet.
        self._keyed = HMAC(key, algorithm)

    def __call__(self, data: bytes) -> bytes:
        """Return the ICV of ``data``."""
        keyed = self._keyed.copy()
        keyed.update(data)
        return keyed.finalize()[: self.icv_len]


class EncryptThenMac(OwnKey):
    """AES-CBC or no cipher, then an HMAC over SPI to text, with ESN over Seqh too (RFC 4303 2.8).

    The ICV is compared before anything is decrypted: an attacker learns nothing of the padding.
    """

    def __init__(self, cipher: type[TextCipher], key: Key, mac: Mac) -> None:
        super().__init__(key)
        self._cipher, self._mac = cipher(self._key), mac
        self._iv_len = self._cipher.iv_len

    def encrypt(self, nonce: Key, data: bytes, associated_data: bytes, /) -> bytes:
        """Return text | ICV (Aead); the nonce is the IV of a cipher that has one."""
        iv = bytes(nonce[: self._iv_len])
        text = self._cipher.encrypt(iv, data)
        return self._unless_closed(text + self._mac(_in_wire_order(associated_data, iv + text)))

    def decrypt(self, nonce: Key, data: bytes, associated_data: bytes, /) -> bytes:
        """Return the plaintext (Aead)."""
        iv = bytes(nonce[: self._iv_len])
        text, icv = data[: -self._mac.icv_len], data[-self._mac.icv_len :]
        expected = self._mac(_in_wire_order(associated_data, iv + text))
        if not hmac.compare_digest(expected, icv):
            raise InvalidTag
        return self._unless_closed(self._cipher.decrypt(iv, text))


def _in_wire_order(associated_data: bytes, iv_and_text: bytes) -> bytes:
    """SPI | Seql | IV | text, and behind it Seqh, which is not on the wire (RFC 4303 2.2.1)."""
    seqh = associated_data[4:-4]
    return associated_data[:4] + associated_data[-4:] + iv_and_text + seqh


class TextCipher(Protocol):
    """Turns whole blocks into as many bytes; authenticates nothing. ``iv_len`` is in bytes."""

    iv_len: int

    def __init__(self, key: Key) -> None: ...

    def encrypt(self, iv: bytes, data: bytes) -> bytes:
        """Return the ciphertext."""
        ...

    def decrypt(self, iv: bytes, data: bytes) -> bytes:
        """Return the plaintext."""
        ...


class AesCbc:
    """AES in CBC mode (RFC 3602); ``data`` has whole blocks of 16 bytes."""

    iv_len = 16

    def __init__(self, key: Key) -> None:
        self._algorithm = AES(key)

    def encrypt(self, iv: bytes, data: bytes) -> bytes:
        """Return the ciphertext (TextCipher)."""
        encryptor = Cipher(self._algorithm, modes.CBC(iv)).encryptor()
        return encryptor.update(data) + encryptor.finalize()

    def decrypt(self, iv: bytes, data: bytes) -> bytes:
        """Return the plaintext (TextCipher)."""
        decryptor = Cipher(self._algorithm, modes.CBC(iv)).decryptor()
        return decryptor.update(data) + decryptor.finalize()


class Clear:
    """ENCR_NULL (RFC 2410)."""

    iv_len = 0

    def __init__(self, key: Key) -> None:
        del key

    def encrypt(self, iv: bytes, data: bytes) -> bytes:
        """Return the data as it is (TextCipher)."""
        del iv
        return data

    decrypt = encrypt


AeadMaker = Callable[[Key, Key], Aead]
"""Makes an Aead of a key and an integrity key."""
