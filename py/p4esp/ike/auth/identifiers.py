"""DER AlgorithmIdentifiers of signatures (RFC 7427 appendix A, RFC 4055, RFC 5758, RFC 8410).

Each function gives the form to send first, then the others that a verifier has to take.
"""

from itertools import product

_SEQUENCE, _INTEGER, _OID, _NULL = 0x30, 0x02, 0x06, b"\x05\x00"

_DIGESTS = {
    "sha1": (bytes.fromhex("2b0e03021a"), 20),
    "sha256": (bytes.fromhex("608648016503040201"), 32),
    "sha384": (bytes.fromhex("608648016503040202"), 48),
    "sha512": (bytes.fromhex("608648016503040203"), 64),
}
"""Object identifier and size of each hash."""

_RSA = bytes.fromhex("2a864886f70d0101")
_RSA_ARC = {"sha1": 5, "sha256": 11, "sha384": 12, "sha512": 13}
_MGF1, _PSS = _RSA + b"\x08", _RSA + b"\x0a"
_ECDSA = bytes.fromhex("2a8648ce3d0403")
_ECDSA_ARC = {"sha256": 2, "sha384": 3, "sha512": 4}


def _tlv(tag: int, value: bytes) -> bytes:
    """DER of one element; all of ours are shorter than 128 octets."""
    return bytes([tag, len(value)]) + value


def _algorithm(oid: bytes, parameters: bytes = b"") -> bytes:
    return _tlv(_SEQUENCE, _tlv(_OID, oid) + parameters)


ED25519 = (_algorithm(bytes.fromhex("2b6570")),)


def ecdsa(digest: str) -> tuple[bytes, ...]:
    """ecdsa-with-SHA2; parameters must be absent (RFC 5758 3.2)."""
    return (_algorithm(_ECDSA + bytes([_ECDSA_ARC[digest]])),)


def rsa_pkcs1(digest: str) -> tuple[bytes, ...]:
    """shaXXXWithRSAEncryption; NULL parameters, or none (RFC 4055 5)."""
    oid = _RSA + bytes([_RSA_ARC[digest]])
    return _algorithm(oid, _NULL), _algorithm(oid)


def rsa_pss(digest: str) -> tuple[bytes, ...]:
    """RSASSA-PSS with one hash throughout and a salt of its size.

    A verifier takes hashes with NULL parameters or none, and the trailer field, which a signer
    leaves out (RFC 4055 2.1, 3.1).
    """
    forms = product((_NULL, b""), (_NULL, b""), (b"", _tlv(0xA3, _tlv(_INTEGER, b"\x01"))))
    return tuple(_pss(digest, *form) for form in forms)


def _pss(digest: str, hash_null: bytes, mgf_null: bytes, trailer: bytes) -> bytes:
    oid, size = _DIGESTS[digest]
    hashing = _tlv(0xA0, _algorithm(oid, hash_null))
    masking = _tlv(0xA1, _algorithm(_MGF1, _algorithm(oid, mgf_null)))
    salt = _tlv(0xA2, _tlv(_INTEGER, bytes([size])))
    return _algorithm(_PSS, _tlv(_SEQUENCE, hashing + masking + salt + trailer))
