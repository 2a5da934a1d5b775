"""AUTH payloads that are signatures: methods 14, 1, 9, 10 and 11 (RFC 7427, RFC 4754)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

from p4esp.ike.auth.schemes import (
    PrivateKey,
    PublicKey,
    RsaPkcs1,
    SignatureError,
    SignatureScheme,
)
from p4esp.ike.codec.payloads import Authentication
from p4esp.ike.constants import AuthMethod


@dataclass(frozen=True, slots=True)
class _FixedEcdsa:
    """An ECDSA method of RFC 4754: curve and hash are fixed, the signature is r | s."""

    method: AuthMethod
    scheme: str
    """The scheme of method 14 that is the same but for the encoding."""
    curve: type[ec.EllipticCurve]
    digest: hashes.HashAlgorithm
    width: int
    """Octets of r, and of s."""


_FIXED = (
    _FixedEcdsa(AuthMethod.ECDSA_SHA256_P256, "ecdsa-sha256", ec.SECP256R1, hashes.SHA256(), 32),
    _FixedEcdsa(AuthMethod.ECDSA_SHA384_P384, "ecdsa-sha384", ec.SECP384R1, hashes.SHA384(), 48),
    _FixedEcdsa(AuthMethod.ECDSA_SHA512_P521, "ecdsa-sha512", ec.SECP521R1, hashes.SHA512(), 66),
)

OLD_METHODS = frozenset((AuthMethod.RSA, *(fixed.method for fixed in _FIXED)))
"""Not to be used between two sides that announced hash algorithms (RFC 7427 3)."""

METHODS = OLD_METHODS | {AuthMethod.SIGNATURE}


def old_method_of(scheme: SignatureScheme) -> AuthMethod | None:
    """The method before RFC 7427 by which a signature of this scheme may come."""
    if isinstance(scheme, RsaPkcs1):
        return AuthMethod.RSA
    return next((fixed.method for fixed in _FIXED if fixed.scheme == scheme.name), None)


def old_method_for(key: PrivateKey, scheme: SignatureScheme) -> AuthMethod | None:
    """The one that a key of ours would sign by; on a curve the scheme does not matter."""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return next(fixed.method for fixed in _FIXED if isinstance(key.curve, fixed.curve))
    return old_method_of(scheme)


def sign(
    key: PrivateKey, octets: bytes, schemes: Iterable[SignatureScheme], announced: Iterable[int]
) -> Authentication:
    """A signature of method 14, by the first scheme whose hash the peer announced."""
    fitting = [scheme for scheme in schemes if scheme.fits(key.public_key())]
    usable = [scheme for scheme in fitting if scheme.hash_id in announced]
    if not usable:
        ours = ", ".join(scheme.hash_id.name for scheme in fitting) or "none"
        raise SignatureError(f"the peer announced no hash of ours, which are {ours}")
    scheme = usable[0]
    name = scheme.identifiers[0]
    data = bytes([len(name)]) + name + scheme.sign(key, octets)
    return Authentication(AuthMethod.SIGNATURE, data)


def sign_the_old_way(
    key: PrivateKey, octets: bytes, schemes: Sequence[SignatureScheme]
) -> Authentication:
    """A signature for a peer that does not know method 14."""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return _sign_fixed(key, octets)
    scheme = next((scheme for scheme in schemes if isinstance(scheme, RsaPkcs1)), None)
    if scheme is None or not isinstance(key, rsa.RSAPrivateKey):
        name = type(key).__name__
        raise SignatureError(f"the peer knows no RFC 7427, without which a {name} cannot sign here")
    return Authentication(AuthMethod.RSA, scheme.sign(key, octets))


def _sign_fixed(key: ec.EllipticCurvePrivateKey, octets: bytes) -> Authentication:
    fixed = next(fixed for fixed in _FIXED if isinstance(key.curve, fixed.curve))
    r, s = decode_dss_signature(key.sign(octets, ec.ECDSA(fixed.digest)))
    data = r.to_bytes(fixed.width, "big") + s.to_bytes(fixed.width, "big")
    return Authentication(fixed.method, data)


def verify(
    auth: Authentication, key: PublicKey, octets: bytes, schemes: Sequence[SignatureScheme]
) -> None:
    """`SignatureError` unless the payload is the key's signature by one of the schemes."""
    if auth.method == AuthMethod.SIGNATURE:
        _verify_named(auth.data, key, octets, schemes)
    elif auth.method == AuthMethod.RSA:
        _verify_rsa(auth.data, key, octets, schemes)
    else:
        _verify_fixed(auth, key, octets, schemes)


def _verify_named(
    data: bytes, key: PublicKey, octets: bytes, schemes: Sequence[SignatureScheme]
) -> None:
    """Method 14. The AlgorithmIdentifier is only ever compared, never parsed."""
    size = data[0] if data else 0
    name, signature = data[1 : 1 + size], data[1 + size :]
    scheme = next((scheme for scheme in schemes if name in scheme.identifiers), None)
    if scheme is None or len(name) != size:
        accepted = ", ".join(map(str, schemes))
        raise SignatureError(f"signature algorithm {name.hex()}; accepted: {accepted}")
    scheme.verify(key, signature, octets)


def _verify_rsa(
    signature: bytes, key: PublicKey, octets: bytes, schemes: Sequence[SignatureScheme]
) -> None:
    """Method 1 does not name its hash: it is one of those that are accepted."""
    tried = [scheme for scheme in schemes if isinstance(scheme, RsaPkcs1)]
    if not any(_verifies(scheme, key, signature, octets) for scheme in tried):
        names = ", ".join(map(str, tried)) or "no RSA with PKCS #1 v1.5"
        raise SignatureError(f"the RSA signature of method 1 does not verify; accepted: {names}")


def _verifies(scheme: SignatureScheme, key: PublicKey, signature: bytes, octets: bytes) -> bool:
    try:
        scheme.verify(key, signature, octets)
    except SignatureError:
        return False
    return True


def _verify_fixed(
    auth: Authentication, key: PublicKey, octets: bytes, schemes: Sequence[SignatureScheme]
) -> None:
    fixed = next(fixed for fixed in _FIXED if fixed.method == auth.method)
    if fixed.scheme not in [scheme.name for scheme in schemes]:
        accepted = ", ".join(map(str, schemes))
        raise SignatureError(f"AUTH method {fixed.method.name}; accepted: {accepted}")
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, fixed.curve):
        raise SignatureError(f"{fixed.method.name} does not go with the certificate's key")
    try:
        key.verify(_der(auth.data, fixed.width), octets, ec.ECDSA(fixed.digest))
    except InvalidSignature:
        raise SignatureError(f"the {fixed.method.name} signature does not verify") from None


def _der(data: bytes, width: int) -> bytes:
    if len(data) != 2 * width:
        raise SignatureError(f"ECDSA signature of {len(data)} octets, must be {2 * width}")
    r, s = int.from_bytes(data[:width], "big"), int.from_bytes(data[width:], "big")
    return encode_dss_signature(r, s)
