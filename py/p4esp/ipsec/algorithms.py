"""Encryption and integrity algorithms and the suites made of them (RFC 8221, RFC 8247; IANA IKEv2
transform types 1 and 3).

One row per algorithm, used for ESP and for the SK payload of IKE alike, because both take the
same key, salt, IV and ICV sizes from the same IANA identifier. Some are for ESP alone.
"""

from dataclasses import dataclass


class UnknownSuiteError(ValueError):
    """No suite has this name or these transform numbers; the text lists the known ones."""


@dataclass(frozen=True, slots=True)
class Encryption:
    """One ENCR transform. Sizes are octets; `icv_size` 0: integrity has a transform of its own."""

    transform_id: int
    name: str
    key_bits: tuple[int, ...]
    key_attribute: bool
    """Whether proposals carry a Key Length attribute (fixed-size ciphers must not)."""
    salt_size: int
    iv_size: int
    icv_size: int
    block_size: int = 1
    """What the plaintext is padded to."""
    esp_only: bool = False
    """Whether it may not protect IKE (RFC 8750 8, IANA): implicit IVs, what does not encrypt."""
    encrypts: bool = True
    """Whether it hides anything. What does not is used only where a configuration names it."""

    @property
    def aead(self) -> bool:
        """Whether it protects integrity as well."""
        return self.icv_size > 0

    @property
    def align(self) -> int:
        """ESP trailer alignment (RFC 4303 2.4): at least 4."""
        return max(4, self.block_size)


@dataclass(frozen=True, slots=True)
class Integrity:
    """One INTEG transform: an HMAC, truncated to `icv_size` octets (RFC 4868 2.3)."""

    transform_id: int
    name: str
    digest: str
    key_size: int
    icv_size: int


@dataclass(frozen=True, slots=True)
class Suite:
    """A cipher with its key length fixed: all that is needed to protect a packet but the keys."""

    name: str
    encryption: Encryption
    key_bits: int
    integrity: Integrity | None = None
    """None with an AEAD."""

    @property
    def key_size(self) -> int:
        """Octets of cipher key, without the salt."""
        return self.key_bits // 8

    @property
    def salt_size(self) -> int:
        """Octets of salt that follow the key in KEYMAT (RFC 4106 8.1, RFC 7634 2)."""
        return self.encryption.salt_size

    @property
    def cipher_size(self) -> int:
        """Octets of cipher key and salt: the size of SK_ei and SK_er."""
        return self.key_size + self.salt_size

    @property
    def integrity_size(self) -> int:
        """Octets of integrity key: the size of SK_ai and SK_ar."""
        return self.integrity.key_size if self.integrity else 0

    @property
    def keymat_size(self) -> int:
        """Octets one direction takes from KEYMAT: key, salt, integrity key."""
        return self.cipher_size + self.integrity_size

    @property
    def iv_size(self) -> int:
        """Octets of explicit IV in each packet; 0: the IV is implicit, or there is none."""
        return self.encryption.iv_size

    @property
    def icv_size(self) -> int:
        """Octets of integrity check value at the packet's end."""
        return self.integrity.icv_size if self.integrity else self.encryption.icv_size

    @property
    def block_size(self) -> int:
        """What the plaintext is padded to, in octets."""
        return self.encryption.block_size

    @property
    def esp_only(self) -> bool:
        """Whether it may not protect IKE."""
        return self.encryption.esp_only

    @property
    def encrypts(self) -> bool:
        """Whether it hides what it protects."""
        return self.encryption.encrypts

    @property
    def align(self) -> int:
        """Alignment of payload, padding, pad length and next header together."""
        return self.encryption.align

    def __str__(self) -> str:
        return self.name


_AES_BITS = (256, 128, 192)
AES_GCM_16 = Encryption(20, "gcm16", _AES_BITS, True, 4, 8, 16)
AES_GCM_12 = Encryption(19, "gcm12", _AES_BITS, True, 4, 8, 12)
AES_GCM_8 = Encryption(18, "gcm8", _AES_BITS, True, 4, 8, 8)
CHACHA20_POLY1305 = Encryption(28, "chacha20poly1305", (256,), False, 4, 8, 16)
AES_CBC = Encryption(12, "", _AES_BITS, True, 0, 16, 0, block_size=16)
AES_GCM_16_IIV = Encryption(30, "gcm16iiv", _AES_BITS, True, 4, 0, 16, esp_only=True)
CHACHA20_POLY1305_IIV = Encryption(
    31, "chacha20poly1305iiv", (256,), False, 4, 0, 16, esp_only=True
)
AES_GMAC = Encryption(21, "gmac", _AES_BITS, True, 4, 8, 16, esp_only=True, encrypts=False)
NULL = Encryption(11, "null", (0,), False, 0, 0, 0, esp_only=True, encrypts=False)
TRIPLE_DES = Encryption(3, "3des", (192,), False, 0, 8, 0, block_size=8)

HMAC_SHA2_256_128 = Integrity(12, "sha256", "sha256", 32, 16)
HMAC_SHA2_384_192 = Integrity(13, "sha384", "sha384", 48, 24)
HMAC_SHA2_512_256 = Integrity(14, "sha512", "sha512", 64, 32)
HMAC_SHA1_96 = Integrity(2, "sha1", "sha1", 20, 12)

ENCRYPTIONS = (
    AES_GCM_16,
    CHACHA20_POLY1305,
    AES_CBC,
    AES_GCM_12,
    AES_GCM_8,
    AES_GCM_16_IIV,
    CHACHA20_POLY1305_IIV,
    AES_GMAC,
    NULL,
    TRIPLE_DES,
)
INTEGRITIES = (HMAC_SHA2_256_128, HMAC_SHA2_384_192, HMAC_SHA2_512_256, HMAC_SHA1_96)
WEAK = frozenset({TRIPLE_DES.name, HMAC_SHA1_96.name})
"""Keywords that only a peer marked `allow_weak` may use."""


def cipher_name(encryption: Encryption, key_bits: int) -> str:
    """The keyword of a cipher, in the vocabulary of strongSwan's proposal strings."""
    return f"aes{key_bits}{encryption.name}" if encryption.key_attribute else encryption.name


def _suites() -> list[Suite]:
    suites = []
    for encryption in ENCRYPTIONS:
        for bits in encryption.key_bits:
            name = cipher_name(encryption, bits)
            if encryption.aead:
                suites.append(Suite(name, encryption, bits))
            else:
                suites += [Suite(f"{name}-{i.name}", encryption, bits, i) for i in INTEGRITIES]
    return suites


SUITES: dict[str, Suite] = {suite.name: suite for suite in _suites()}

AES256_GCM = SUITES["aes256gcm16"]
AES128_GCM = SUITES["aes128gcm16"]
CHACHA20 = SUITES["chacha20poly1305"]


def suite_named(name: str) -> Suite:
    """Look a suite up by its keyword (the names strongSwan users know)."""
    try:
        return SUITES[name]
    except KeyError:
        raise UnknownSuiteError(f"suite {name!r} is not known; accepted: {_names()}") from None


_BY_TRANSFORMS = {
    (
        suite.encryption.transform_id,
        suite.key_bits if suite.encryption.key_attribute else None,
        suite.integrity.transform_id if suite.integrity else None,
    ): suite
    for suite in SUITES.values()
}


def suite_of_transforms(encryption: int, key_bits: int | None, integrity: int | None) -> Suite:
    """Look a suite up by ENCR transform ID, Key Length attribute and INTEG transform ID, the latter
    two None when absent.
    """
    try:
        return _BY_TRANSFORMS[encryption, key_bits, integrity]
    except KeyError:
        raise UnknownSuiteError(
            f"ENCR transform {encryption} with key length {key_bits} and INTEG transform "
            f"{integrity} is not known; accepted: {_names()}"
        ) from None


def _names() -> str:
    return ", ".join(SUITES)
