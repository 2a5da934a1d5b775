"""Keys that are strong enough, and of a kind we can use (RFC 8247 3.2)."""

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from p4esp.ike.auth.schemes import STRONG, PrivateKey, PublicKey, SignatureScheme

RSA_BITS = range(2048, 8193)
MAX_RSA_EXPONENT_BITS = 64
"""More would only make us compute."""

_NATURAL_HASH: dict[type[ec.EllipticCurve], str] = {
    ec.SECP256R1: "ecdsa-sha256",
    ec.SECP384R1: "ecdsa-sha384",
    ec.SECP521R1: "ecdsa-sha512",
}
ACCEPTED = "RSA of 2048..8192 bits, P-256, P-384, P-521, Ed25519"


class UnusableKeyError(ValueError):
    """A key we do not use; the text says which are accepted."""


def usable_public(key: object) -> PublicKey:
    """The key, when its kind and size are accepted."""
    good = (
        isinstance(key, ed25519.Ed25519PublicKey)
        or (isinstance(key, rsa.RSAPublicKey) and _fair(key))
        or (isinstance(key, ec.EllipticCurvePublicKey) and type(key.curve) in _NATURAL_HASH)
    )
    if not good:
        raise UnusableKeyError(f"{_describe(key)} is not used; accepted: {ACCEPTED}")
    return key  # type: ignore[return-value]


def usable_private(key: object) -> PrivateKey:
    """The key, when its kind and size are accepted."""
    kinds = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
    if not isinstance(key, kinds):
        raise UnusableKeyError(f"{_describe(key)} is not used; accepted: {ACCEPTED}")
    usable_public(key.public_key())
    return key


def _fair(key: rsa.RSAPublicKey) -> bool:
    exponent = key.public_numbers().e
    return key.key_size in RSA_BITS and exponent.bit_length() <= MAX_RSA_EXPONENT_BITS


def _describe(key: object) -> str:
    size = getattr(key, "key_size", None)
    return f"a key of type {type(key).__name__}" + (f" with {size} bits" if size else "")


def own_schemes(key: PrivateKey) -> tuple[SignatureScheme, ...]:
    """How a key of ours signs, best first: on a curve with the hash of the curve's strength."""
    fitting = [scheme for scheme in STRONG if scheme.fits(key.public_key())]
    if isinstance(key, ec.EllipticCurvePrivateKey):
        natural = _NATURAL_HASH[type(key.curve)]
        fitting.sort(key=lambda scheme: scheme.name != natural)
    return tuple(fitting)
