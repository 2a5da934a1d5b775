"""Key export for Wireshark. Nothing here runs unless the operator explicitly asks for keys.

The lines are those of the files `ikev2_decryption_table` and `esp_sa` in a Wireshark profile
directory (columns as in version 4.0).
"""

from p4esp.ike.crypto.schedule import IkeKeys
from p4esp.ike.crypto.suite import IkeSuite
from p4esp.ike.errors import KeyExportError
from p4esp.ipsec.algorithms import (
    AES_GCM_16_IIV,
    AES_GMAC,
    CHACHA20_POLY1305,
    CHACHA20_POLY1305_IIV,
    Integrity,
    Suite,
)
from p4esp.ipsec.sa import ChildSaParams, DirectionKeys
from p4esp.ipsec.selectors import Address


def ike_line(spi_i: bytes, spi_r: bytes, suite: IkeSuite, keys: IkeKeys) -> str:
    """One row of `ikev2_decryption_table`: SPIs, SK_ei, SK_er, cipher, SK_ai, SK_ar, integrity."""
    cipher = _known(suite.cipher)
    name, integrity = _ike_cipher(cipher), _ike_integrity(cipher.integrity)
    fields = (spi_i.hex(), spi_r.hex(), keys.ei.hex(), keys.er.hex(), f'"{name}"')
    return ",".join((*fields, keys.ai.hex(), keys.ar.hex(), f'"{integrity}"'))


def _ike_cipher(suite: Suite) -> str:
    if suite.integrity is None:
        return f"AES-GCM-{suite.key_bits} with {suite.icv_size} octet ICV [RFC5282]"
    aes = suite.encryption.key_attribute
    return f"AES-CBC-{suite.key_bits} [RFC3602]" if aes else "3DES [RFC2451]"


def _ike_integrity(integrity: Integrity | None) -> str:
    if integrity is None:
        return "NONE [RFC4306]"
    if integrity.digest == "sha1":  # not a secret: an algorithm
        return "HMAC_SHA1_96 [RFC2404]"
    return f"HMAC_SHA2_{integrity.name[3:]}_{8 * integrity.icv_size} [RFC4868]"


def esp_lines(child: ChildSaParams) -> tuple[str, str]:
    """Two rows of `esp_sa`: inbound, outbound; KeyExportError for what Wireshark cannot read."""
    if child.layout.format != "esp":
        raise KeyExportError(_why_not_by_itself(child))
    suite = _known(child.suite)
    inbound = esp_line(suite, child.remote, child.local, child.spi_in, child.keymat.inbound)
    outbound = esp_line(suite, child.local, child.remote, child.spi_out, child.keymat.outbound)
    return inbound, outbound


def _why_not_by_itself(child: ChildSaParams) -> str:
    """What reads a format that is not plain ESP: our dissector, when it knows the suite too."""
    form, suite = child.layout.format, child.suite
    if suite.encryption.aead:
        return (
            f"Wireshark by itself does not read ESP in format {form}; docs/wireshark/p4esp.lua does"
        )
    return (
        f"nothing reads suite {suite} in format {form}: Wireshark by itself reads it in plain ESP "
        "alone, docs/wireshark/p4esp.lua reads AEAD suites alone"
    )


def esp_line(
    suite: Suite, source: Address, destination: Address, spi: int, keys: DirectionKeys
) -> str:
    """One row of `esp_sa`, of a suite that Wireshark knows."""
    fields = (
        f"IPv{source.version}",
        str(source),
        str(destination),
        f"0x{spi:08x}",
        _esp_cipher(suite),
        f"0x{(keys.key + keys.salt).hex()}" if suite.encrypts else "",
        _esp_integrity(suite.integrity),
        f"0x{keys.integrity.hex()}" if keys.integrity else "",
    )
    return ",".join(f'"{field}"' for field in fields)


def _esp_cipher(suite: Suite) -> str:
    if not suite.encrypts:
        return "NULL"
    if suite.integrity is None:
        return f"AES-GCM with {suite.icv_size} octet ICV [RFC4106]"
    return "AES-CBC [RFC3602]" if suite.encryption.key_attribute else "TripleDES-CBC [RFC2451]"


def _esp_integrity(integrity: Integrity | None) -> str:
    if integrity is None:
        return "NULL"
    if integrity.digest == "sha1":  # not a secret: an algorithm
        return "HMAC-SHA-1-96 [RFC2404]"
    return f"HMAC-SHA-{integrity.name[3:]}-{8 * integrity.icv_size} [RFC4868]"


_UNKNOWN = (CHACHA20_POLY1305, CHACHA20_POLY1305_IIV, AES_GCM_16_IIV, AES_GMAC)


def _known(suite: Suite) -> Suite:
    if suite.encryption in _UNKNOWN:
        raise KeyExportError(
            f"Wireshark 4.0 cannot decrypt {suite}; it can AES with explicit IVs, 3DES and NULL"
        )
    return suite
