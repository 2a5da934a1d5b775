"""Registry of transforms: a name, its lengths and its cipher (docs/crypto-port.md, section 9).

A further transform is one more ``register`` call; the core reads nothing but the Transform.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm

from p4esp.engine.ciphers import (
    Aead,
    AeadMaker,
    AesCbc,
    Clear,
    EncryptThenMac,
    Gmac,
    Key,
    Mac,
    ShortTagGcm,
    TextCipher,
)
from p4esp.engine.errors import TransformError
from p4esp.engine.psp import PAIR_LEN, MasterPair


@dataclass(frozen=True, slots=True)
class Transform:
    """One ESP transform; all lengths in bytes.

    ``guarded``: the IV must never repeat, comes with the request, and is implicit where ``iv_len``
    is 0 (RFC 8750). Otherwise the engine writes ``iv_len`` unpredictable bytes, none where that
    is 0. ``block`` is what the text must be a multiple of. ``any_header``: headers and AAD may be
    other than those of RFC 4303. ``masters``: the key is a pair of PSP master keys, which opens.
    """

    name: str
    key_len: int
    salt_len: int
    iv_len: int
    icv_len: int
    aead: AeadMaker
    integrity_len: int = 0
    block: int = 1
    guarded: bool = True
    any_header: bool = True
    masters: bool = False

    @property
    def align(self) -> int:
        """The alignment of ESP's trailer (RFC 4303 section 2.4)."""
        return max(4, self.block)


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
        raise TransformError(f"unknown transform {name!r}; known: {', '.join(offered())}")
    return transform


def offered() -> tuple[str, ...]:
    """Return the registered names, sorted."""
    return tuple(sorted(_REGISTRY))


def names() -> tuple[str, ...]:
    """Return the names of those that seal and open, sorted: all but PSP master keys."""
    return tuple(name for name in offered() if not _REGISTRY[name].masters)


def check_material(transform: Transform, key_len: int, salt_len: int, integrity_len: int) -> None:
    """Raise TransformError unless key, salt and integrity key have the transform's lengths."""
    wanted = (transform.key_len, transform.salt_len, transform.integrity_len)
    if (key_len, salt_len, integrity_len) != wanted:
        raise TransformError(
            f"{transform.name} takes a key of {wanted[0]}, a salt of {wanted[1]} and an integrity "
            f"key of {wanted[2]} bytes, not {key_len}, {salt_len} and {integrity_len}"
        )


def _alone(aead: Callable[[Key], Aead]) -> AeadMaker:
    return lambda key, _: aead(key)


def _with_hmac(
    cipher: type[TextCipher], algorithm: Callable[[], HashAlgorithm], icv_len: int
) -> AeadMaker:
    return lambda key, integrity: EncryptThenMac(cipher, key, Mac(algorithm(), icv_len, integrity))


def _register_counter_modes(bits: int) -> None:
    size = bits // 8
    register(Transform(f"AES-GCM-16-{bits}", size, 4, 8, 16, _alone(AESGCM)))
    register(Transform(f"AES-GCM-16-IIV-{bits}", size, 4, 0, 16, _alone(AESGCM)))
    register(Transform(f"AES-GMAC-{bits}", size, 4, 8, 16, _alone(Gmac), any_header=False))
    for tag in (12, 8):
        short = _alone(partial(ShortTagGcm, tag))
        register(Transform(f"AES-GCM-{tag}-{bits}", size, 4, 8, tag, short))


def _register_hmac(
    name: str, algorithm: Callable[[], HashAlgorithm], integrity_len: int, icv_len: int
) -> None:
    null, cbc = (_with_hmac(cipher, algorithm, icv_len) for cipher in (Clear, AesCbc))
    headers = {"guarded": False, "any_header": False}
    register(Transform(f"NULL-{name}", 0, 0, 0, icv_len, null, integrity_len, **headers))
    for bits in AES_BITS:
        of_bits = f"AES-CBC-{bits}-{name}"
        sizes = (bits // 8, 0, 16, icv_len)
        register(Transform(of_bits, *sizes, cbc, integrity_len, block=16, **headers))


def _register_masters(bits: int) -> None:
    pair = _alone(partial(MasterPair, bits // 8))
    register(Transform(f"PSP-AES-GCM-{bits}", PAIR_LEN, 0, 8, 16, pair, masters=True))


AES_BITS: Final = (128, 192, 256)
for _bits in AES_BITS:
    _register_counter_modes(_bits)
register(Transform("CHACHA20-POLY1305", 32, 4, 8, 16, _alone(ChaCha20Poly1305)))
register(Transform("CHACHA20-POLY1305-IIV", 32, 4, 0, 16, _alone(ChaCha20Poly1305)))
for _bits in (128, 256):
    _register_masters(_bits)
# RFC 4868 section 2.6: the integrity key is as long as the hash, half of which is sent.
_register_hmac("HMAC-SHA2-256-128", SHA256, 32, 16)
_register_hmac("HMAC-SHA2-384-192", SHA384, 48, 24)
_register_hmac("HMAC-SHA2-512-256", SHA512, 64, 32)
