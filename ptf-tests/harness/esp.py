"""ESP by hand (RFC 4303, RFC 4106, RFC 7634): for the packets that scapy does not make, such as
sequence number zero, wrong padding, and a next header that does not fit."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

ALIGN = 4
ICV_LEN = 16


@dataclass(frozen=True, slots=True)
class Key:
    """Key material of one SA, split as RFC 4106 section 8.1 has it."""

    secret: bytes
    salt: bytes
    chacha: bool = False

    @property
    def name(self) -> bytes:
        """What this key material is known by: two handles with the same have one name."""
        return hashlib.sha256(self.secret + self.salt).digest()[:8]

    def aead(self) -> AESGCM | ChaCha20Poly1305:
        """The cipher under this key."""
        return ChaCha20Poly1305(self.secret) if self.chacha else AESGCM(self.secret)


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
    iv = struct.pack("!Q", seq) if iv is None else iv
    aad = additional_data(spi, seq, esn=esn)
    sealed = key.aead().encrypt(key.salt + iv, plaintext, aad)
    return struct.pack("!II", spi, seq & 0xFFFF_FFFF) + iv + sealed
