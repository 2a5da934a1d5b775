"""ESP by hand (RFC 4303, RFC 4106, RFC 7634): for the packets that scapy does not make, such as
sequence number zero, wrong padding, and a next header that does not fit."""

from __future__ import annotations

import hashlib
import hmac
import struct
from dataclasses import dataclass
from typing import ClassVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from harness.ids import Drop

ALIGN = 4
ICV_LEN = 16
HEAD_LEN = 12  # what the parser looks at: SPI and a sequence number of up to 64 bits


@dataclass(frozen=True, slots=True)
class Key:
    """Key material of one SA, split as RFC 4106 section 8.1 has it."""

    secret: bytes
    salt: bytes
    chacha: bool = False

    iv_len: ClassVar[int] = 8
    icv_len: ClassVar[int] = ICV_LEN
    align: ClassVar[int] = ALIGN
    nonce: ClassVar[bool] = True
    """Whether an IV must not be used twice."""

    @property
    def name(self) -> bytes:
        """What this key material is known by: two handles with the same have one name."""
        return hashlib.sha256(self.secret + self.salt).digest()[:8]

    def aead(self) -> AESGCM | ChaCha20Poly1305:
        """The cipher under this key."""
        return ChaCha20Poly1305(self.secret) if self.chacha else AESGCM(self.secret)

    def seal(self, spi: int, seq: int, iv: bytes, text: bytes, *, esn: bool) -> bytes:
        """Ciphertext and ICV of ``text``, which ends in its trailer."""
        return self.aead().encrypt(self.salt + iv, text, additional_data(spi, seq, esn=esn))

    def open(self, spi: int, seq: int, iv: bytes, sealed: bytes, *, esn: bool) -> bytes:
        """The plaintext, or ``cryptography.exceptions.InvalidTag``."""
        return self.aead().decrypt(self.salt + iv, sealed, additional_data(spi, seq, esn=esn))


@dataclass(frozen=True, slots=True)
class ImplicitIvKey(Key):
    """RFC 8750: the sequence number is the IV."""

    iv_len: ClassVar[int] = 0


@dataclass(frozen=True, slots=True)
class GmacKey(Key):
    """RFC 4543: nothing is encrypted; IV and text are authenticated behind SPI and number."""

    def seal(self, spi: int, seq: int, iv: bytes, text: bytes, *, esn: bool) -> bytes:
        data = additional_data(spi, seq, esn=esn) + iv + text
        return text + self.aead().encrypt(self.salt + iv, b"", data)

    def open(self, spi: int, seq: int, iv: bytes, sealed: bytes, *, esn: bool) -> bytes:
        text, icv = sealed[: -self.icv_len], sealed[-self.icv_len :]
        data = additional_data(spi, seq, esn=esn) + iv + text
        self.aead().decrypt(self.salt + iv, icv, data)
        return text


@dataclass(frozen=True, slots=True)
class NullKey(Key):
    """ENCR_NULL with HMAC-SHA-256-128 (RFC 2410, RFC 4868); ``secret`` is the integrity key."""

    iv_len: ClassVar[int] = 0
    nonce: ClassVar[bool] = False

    def seal(self, spi: int, seq: int, iv: bytes, text: bytes, *, esn: bool) -> bytes:
        return text + self.icv(spi, seq, iv[: self.iv_len] + text, esn=esn)

    def open(self, spi: int, seq: int, iv: bytes, sealed: bytes, *, esn: bool) -> bytes:
        text, icv = sealed[: -self.icv_len], sealed[-self.icv_len :]
        if not hmac.compare_digest(icv, self.icv(spi, seq, iv[: self.iv_len] + text, esn=esn)):
            raise InvalidTag
        return text

    def icv(self, spi: int, seq: int, text: bytes, *, esn: bool) -> bytes:
        """HMAC from SPI to next header; with ESN the high half follows (RFC 4303 2.2.1)."""
        high = (seq >> 32).to_bytes(4) if esn else b""
        octets = struct.pack("!II", spi, seq & 0xFFFF_FFFF) + text + high
        return hmac.digest(self.integrity, octets, "sha256")[: self.icv_len]

    @property
    def integrity(self) -> bytes:
        """The key of the HMAC."""
        return self.secret


@dataclass(frozen=True, slots=True)
class CbcKey(NullKey):
    """AES-CBC with HMAC-SHA-256-128 (RFC 3602): the last 32 octets of ``secret`` are the HMAC's."""

    iv_len: ClassVar[int] = 16
    align: ClassVar[int] = 16

    def seal(self, spi: int, seq: int, iv: bytes, text: bytes, *, esn: bool) -> bytes:
        cipher = Cipher(AES(self.secret[:-32]), CBC(iv)).encryptor()
        sealed = cipher.update(text) + cipher.finalize()
        return sealed + self.icv(spi, seq, iv + sealed, esn=esn)

    def open(self, spi: int, seq: int, iv: bytes, sealed: bytes, *, esn: bool) -> bytes:
        text = NullKey.open(self, spi, seq, iv, sealed, esn=esn)
        cipher = Cipher(AES(self.secret[:-32]), CBC(iv)).decryptor()
        return cipher.update(text) + cipher.finalize()

    @property
    def integrity(self) -> bytes:
        return self.secret[-32:]


def shorter(size: int) -> Drop:
    """Why ``size`` octets of ESP are refused where they are fewer than the SA's packets have."""
    return Drop.RUNT if size < HEAD_LEN else Drop.BAD_LENGTH


def own_key(number: int, *, chacha: bool = False) -> Key:
    """The key of one sender: no two may seal under the same one."""
    octets = hashlib.sha256(f"key {number}".encode()).digest() + hashlib.sha256(b"salt").digest()
    size = 32 if chacha else 16
    return Key(octets[:size], octets[32:36], chacha)


def additional_data(spi: int, seq: int, *, esn: bool) -> bytes:
    """RFC 4106 section 5: SPI and the sequence number, 64 bits of it with ESN."""
    if esn:
        return struct.pack("!IQ", spi, seq)
    return struct.pack("!II", spi, seq & 0xFFFF_FFFF)


def padding(payload_len: int, align: int = ALIGN) -> bytes:
    """The shortest padding, with octets 1, 2, 3, ... (RFC 4303 2.4)."""
    return bytes(range(1, (-(payload_len + 2)) % align + 1))


def with_trailer(
    payload: bytes,
    next_header: int = 4,
    pad: bytes | None = None,
    pad_len: int | None = None,
) -> bytes:
    """Payload, padding, pad length (which may lie) and next header."""
    octets = padding(len(payload)) if pad is None else pad
    length = len(octets) if pad_len is None else pad_len
    return payload + octets + bytes([length, next_header])


def protect(
    key: Key, spi: int, seq: int, plaintext: bytes, *, esn: bool = False, iv: bytes | None = None
) -> bytes:
    """An ESP packet from SPI to ICV; ``plaintext`` ends in its trailer, ``seq`` is the full one.

    ``iv``: 8 octets, by default the sequence number.
    """
    iv = struct.pack("!Q", seq).rjust(key.iv_len, b"\0") if iv is None else iv
    sealed = key.seal(spi, seq, iv, plaintext, esn=esn)
    return struct.pack("!II", spi, seq & 0xFFFF_FFFF) + iv[: key.iv_len] + sealed
