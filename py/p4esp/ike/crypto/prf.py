"""Pseudo-random functions and prf+ (RFC 7296 2.13, RFC 4868)."""

import hmac
from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

MAX_BLOCKS = 255
_HASHES: dict[str, hashes.HashAlgorithm] = {
    "sha1": hashes.SHA1(),
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}

Key = bytes | bytearray
"""Key octets: a bytearray where their holder overwrites them in the end."""


@dataclass(frozen=True, slots=True)
class Prf:
    """An HMAC-based PRF: any key length, output as long as its preferred key."""

    transform_id: int
    name: str
    digest: str
    size: int
    """Octets of output and of the preferred key (SK_d, SK_pi, SK_pr)."""

    def __call__(self, key: Key, data: bytes) -> bytes:
        """prf(key, data)."""
        return hmac.digest(key, data, self.digest)

    def expand(self, key: Key, seed: bytes, size: int) -> bytearray:
        """prf+(key, seed), the first `size` octets; its counter is a single octet.

        The caller overwrites the result when it is done with it.
        """
        if size > MAX_BLOCKS * self.size:
            raise ValueError(f"prf+ yields at most {MAX_BLOCKS * self.size} octets, not {size}")
        # prf+ of an HMAC is HKDF-Expand (RFC 5869 2.3), octet for octet.
        return bytearray(HKDFExpand(_HASHES[self.digest], size, seed).derive(key))


HMAC_SHA2_256 = Prf(5, "prfsha256", "sha256", 32)

HMAC_SHA2_384 = Prf(6, "prfsha384", "sha384", 48)
HMAC_SHA2_512 = Prf(7, "prfsha512", "sha512", 64)
HMAC_SHA1 = Prf(2, "prfsha1", "sha1", 20)

PRFS: dict[int, Prf] = {
    prf.transform_id: prf for prf in (HMAC_SHA2_256, HMAC_SHA2_384, HMAC_SHA2_512, HMAC_SHA1)
}
WEAK = frozenset({HMAC_SHA1.name})
"""Keywords that only a peer marked `allow_weak` may use."""
