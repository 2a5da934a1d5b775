"""Encryption algorithms and the suites made of them (RFC 8221, IANA IKEv2 transform type 1).

One row per algorithm, used for ESP and for the SK payload of IKE alike, because both take the
same key, salt, IV and ICV sizes from the same IANA identifier.
"""

from dataclasses import dataclass


class UnknownSuiteError(ValueError):
    """No suite has this name or these transform numbers; the text lists the known ones."""


@dataclass(frozen=True, slots=True)
class Encryption:
    """One ENCR transform. Sizes are octets; `icv_size` 0 would mean a separate integrity key."""

    transform_id: int
    name: str
    key_bits: tuple[int, ...]
    key_attribute: bool
    """Whether proposals carry a Key Length attribute (fixed-size ciphers must not)."""
    salt_size: int
    iv_size: int
    icv_size: int
    align: int
    """ESP trailer alignment (RFC 4303 2.4): at least 4."""


@dataclass(frozen=True, slots=True)
class Suite:
    """A cipher with its key length fixed: all that is needed to protect a packet but the keys."""

    name: str
    encryption: Encryption
    key_bits: int

    @property
    def key_size(self) -> int:
        """Octets of cipher key, without the salt."""
        return self.key_bits // 8

    @property
    def salt_size(self) -> int:
        """Octets of salt that follow the key in KEYMAT (RFC 4106 8.1, RFC 7634 2)."""
        return self.encryption.salt_size

    @property
    def keymat_size(self) -> int:
        """Octets one direction takes from KEYMAT: key, then salt."""
        return self.key_size + self.salt_size

    @property
    def iv_size(self) -> int:
        """Octets of explicit IV in each packet."""
        return self.encryption.iv_size

    @property
    def icv_size(self) -> int:
        """Octets of integrity check value at the packet's end."""
        return self.encryption.icv_size

    @property
    def align(self) -> int:
        """Alignment of payload, padding, pad length and next header together."""
        return self.encryption.align

    def __str__(self) -> str:
        return self.name


AES_GCM_16 = Encryption(20, "ENCR_AES_GCM_16", (128, 256), True, 4, 8, 16, 4)
CHACHA20_POLY1305 = Encryption(28, "ENCR_CHACHA20_POLY1305", (256,), False, 4, 8, 16, 4)

AES128_GCM = Suite("aes128gcm16", AES_GCM_16, 128)
AES256_GCM = Suite("aes256gcm16", AES_GCM_16, 256)
CHACHA20 = Suite("chacha20poly1305", CHACHA20_POLY1305, 256)

SUITES: dict[str, Suite] = {suite.name: suite for suite in (AES256_GCM, AES128_GCM, CHACHA20)}


def suite_named(name: str) -> Suite:
    """Look a suite up by its keyword (the names strongSwan users know)."""
    try:
        return SUITES[name]
    except KeyError:
        raise UnknownSuiteError(f"suite {name!r} is not known; accepted: {_names()}") from None


def suite_of_transform(transform_id: int, key_bits: int | None) -> Suite:
    """Look a suite up by ENCR transform ID and Key Length attribute (None when absent)."""
    for suite in SUITES.values():
        if suite.encryption.transform_id == transform_id and _length_fits(suite, key_bits):
            return suite
    raise UnknownSuiteError(
        f"ENCR transform {transform_id} with key length {key_bits} is not known; "
        f"accepted: {_names()}"
    )


def _length_fits(suite: Suite, key_bits: int | None) -> bool:
    return key_bits == (suite.key_bits if suite.encryption.key_attribute else None)


def _names() -> str:
    return ", ".join(SUITES)
