"""Opens an ESP packet by the rules of its format: what `p4esp formats packet` shows inside.

The data plane has no part in it, nor this any part in the data plane: the engine opens packets
by descriptors, this does by layouts.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from p4esp.ipsec.formats.decoding import Found, ciphertext_span, decode
from p4esp.ipsec.formats.model import Format, FormatError, Number, Parameters, Proof


def aad_of(fields: list[Found]) -> bytes:
    """All that is authenticated and not encrypted, in the order on the wire."""
    bits, value = 0, 0
    for found in fields:
        if found.field.proof is Proof.AAD:
            bits, value = bits + found.bits, value << found.bits | found.value
    return value.to_bytes(bits // 8)


def restored_header(fields: list[Found], parameters: Parameters) -> bytes:
    """SPI and number in full, of which Diet-ESP sends low octets: those of the SA's first
    packets."""
    number = next(found.value for found in fields if found.field.name == "Sequence Number")
    return parameters.spi.to_bytes(4) + number.to_bytes(4)


def nonce_of(form: Format, fields: list[Found], salt: bytes) -> bytes:
    """Salt, then the IV of the packet or the one its numbers make."""
    if form.salt_field:
        salt = next(found.octets for found in fields if found.field.name == form.salt_field)
    explicit = [found.octets for found in fields if found.field.name == "IV"]
    made = [found.octets for found in fields if found.field.name in form.nonce]
    return salt + b"".join(explicit or made).rjust(8, b"\0")


def open_packet(
    form: Format, packet: bytes, parameters: Parameters, key: bytes, salt: bytes
) -> list[Found]:
    """All fields of an AES-GCM or AES-GMAC packet without ESN; FormatError for a wrong ICV."""
    outside = decode(form, packet, parameters)
    at, end = ciphertext_span(form, packet, parameters)
    sealed = (packet[at:end] if form.hides else b"") + outside[-1].octets
    try:
        nonce = nonce_of(form, outside, salt)
        is_whole = form.number is not Number.DIET
        aad = aad_of(outside) if is_whole else restored_header(outside, parameters)
        text = AESGCM(key).decrypt(nonce, sealed, aad)
    except InvalidTag:
        raise FormatError(f"{form.name}: the ICV is wrong") from None
    return decode(form, packet, parameters, text) if form.hides else outside
