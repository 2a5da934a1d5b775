"""Keys of sub-SAs, derived from one root (docs/crypto-port.md, section 9)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from p4esp.engine.errors import KeyStoreError, TransformError
from p4esp.engine.transforms import Transform

HKDF_SHA2_256: Final = "HKDF-SHA2-256"
MAX_SUBS: Final = 1 << 16
ROOT_LEN: Final = 32
SALT_LEN: Final = 4


def check_subs(subs: int, kdf: str) -> None:
    """Raise KeyStoreError unless number and KDF fit: both, or none of both."""
    if not 0 <= subs <= MAX_SUBS:
        raise KeyStoreError(f"{subs} sub keys are outside 0..{MAX_SUBS}")
    wanted = HKDF_SHA2_256 if subs else ""
    if kdf != wanted:
        raise KeyStoreError(f"{subs} sub keys have the KDF {wanted!r}, not {kdf[:40]!r}")


def check_root(transform: Transform, root_len: int, salt_len: int, integrity_len: int) -> None:
    """Raise TransformError unless sub keys of this transform can be made of such material."""
    if transform.salt_len != SALT_LEN or transform.integrity_len:
        raise TransformError(f"{transform.name} has no sub keys: it takes a key without a salt")
    if (root_len, salt_len, integrity_len) != (ROOT_LEN, 0, 0):
        raise TransformError(
            f"sub keys take a root of {ROOT_LEN} bytes, no salt and no integrity key, "
            f"not {root_len}, {salt_len} and {integrity_len} bytes"
        )


def derived(
    transform: Transform, root: bytes | bytearray, subs: int
) -> Iterator[tuple[bytearray, bytearray]]:
    """Yield key and salt of each sub-SA in turn; each pair is overwritten before the next."""
    octets = bytearray(transform.key_len + SALT_LEN)
    for sub in range(subs):
        HKDFExpand(SHA256(), len(octets), sub.to_bytes(2, "big")).derive_into(root, octets)
        key, salt = octets[:-SALT_LEN], octets[-SALT_LEN:]
        try:
            yield key, salt
        finally:
            for secret in (key, salt, octets):
                secret[:] = bytes(len(secret))
