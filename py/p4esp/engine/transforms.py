"""Registry of transforms: a name, its lengths and its AEAD (RFC 4106, RFC 7634, RFC 8750).

A further transform is one more ``register`` call; the core reads nothing but the Transform.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from p4esp.engine.errors import TransformError


class Aead(Protocol):
    """An AEAD that holds its key. Nonces have 12 bytes, the tag ends the ciphertext."""

    def encrypt(self, nonce: bytes | bytearray, data: bytes, associated_data: bytes, /) -> bytes:
        """Return ciphertext | tag."""
        ...

    def decrypt(self, nonce: bytes | bytearray, data: bytes, associated_data: bytes, /) -> bytes:
        """Return the plaintext, or raise ``cryptography.exceptions.InvalidTag``."""
        ...


@dataclass(frozen=True, slots=True)
class Transform:
    """One ESP transform; all lengths in bytes. ``iv_len`` 0 means an implicit IV (RFC 8750)."""

    name: str
    key_len: int
    salt_len: int
    iv_len: int
    icv_len: int
    aead: Callable[[bytes | bytearray], Aead]


_REGISTRY: Final[dict[str, Transform]] = {}


def register(transform: Transform) -> Transform:
    """Add a transform under its name; TransformError when the name is taken."""
    if transform.name in _REGISTRY:
        raise TransformError(f"transform {transform.name!r} is already registered")
    _REGISTRY[transform.name] = transform
    return transform


def lookup(name: str) -> Transform:
    """Return the transform of that name; TransformError names the ones there are."""
    if (transform := _REGISTRY.get(name)) is None:
        raise TransformError(f"unknown transform {name!r}; known: {', '.join(names())}")
    return transform


def names() -> tuple[str, ...]:
    """Return the registered names, sorted."""
    return tuple(sorted(_REGISTRY))


def check_material(transform: Transform, key_len: int, salt_len: int) -> None:
    """Raise TransformError unless key and salt have the transform's lengths."""
    if (key_len, salt_len) != (transform.key_len, transform.salt_len):
        raise TransformError(
            f"{transform.name} takes a key of {transform.key_len} and a salt of "
            f"{transform.salt_len} bytes, not {key_len} and {salt_len}"
        )


def _register_gcm(bits: int) -> None:
    register(Transform(f"AES-GCM-16-{bits}", bits // 8, 4, 8, 16, AESGCM))
    register(Transform(f"AES-GCM-16-IIV-{bits}", bits // 8, 4, 0, 16, AESGCM))


for _bits in (128, 192, 256):
    _register_gcm(_bits)
register(Transform("CHACHA20-POLY1305", 32, 4, 8, 16, ChaCha20Poly1305))
register(Transform("CHACHA20-POLY1305-IIV", 32, 4, 0, 16, ChaCha20Poly1305))
