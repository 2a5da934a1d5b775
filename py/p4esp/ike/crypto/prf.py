"""Pseudo-random functions and prf+ (RFC 7296 2.13, RFC 4868)."""

import hmac
from dataclasses import dataclass

MAX_BLOCKS = 255


@dataclass(frozen=True, slots=True)
class Prf:
    """An HMAC-based PRF: any key length, output as long as its preferred key."""

    transform_id: int
    name: str
    digest: str
    size: int
    """Octets of output and of the preferred key (SK_d, SK_pi, SK_pr)."""

    def __call__(self, key: bytes, data: bytes) -> bytes:
        """prf(key, data)."""
        return hmac.digest(key, data, self.digest)

    def expand(self, key: bytes, seed: bytes, size: int) -> bytes:
        """prf+(key, seed), the first `size` octets; its counter is a single octet."""
        if size > MAX_BLOCKS * self.size:
            raise ValueError(f"prf+ yields at most {MAX_BLOCKS * self.size} octets, not {size}")
        stream = block = b""
        for counter in range(1, -(-size // self.size) + 1):
            block = self(key, block + seed + bytes([counter]))
            stream += block
        return stream[:size]


HMAC_SHA2_256 = Prf(5, "prfsha256", "sha256", 32)

PRFS: dict[int, Prf] = {HMAC_SHA2_256.transform_id: HMAC_SHA2_256}
