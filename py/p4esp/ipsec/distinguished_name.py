"""Distinguished names: DER of a Name (RFC 5280 4.1.2.4) and the text operators write."""

import re

from cryptography import x509

_SEQUENCE, _SET, _OID = 0x30, 0x31, 0x06
_STRINGS = {
    0x0C: "utf-8",
    0x12: "ascii",
    0x13: "ascii",
    0x14: "latin-1",
    0x16: "ascii",
    0x1C: "utf-32-be",
    0x1E: "utf-16-be",
}
"""Encodings by DER tag: UTF8, Numeric, Printable, Teletex, IA5, Universal, BMP."""
_LABELS = {
    "2.5.4.3": "CN",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.9": "STREET",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "0.9.2342.19200300.100.1.25": "DC",
    "0.9.2342.19200300.100.1.1": "UID",
}
"""Short names of attributes (RFC 4514 3)."""
_COMMA = re.compile(r"(?<!\\),\s*")

RelativeName = frozenset[tuple[bytes, str]]
"""Attributes of one level: object identifier (DER content) and text."""


class DistinguishedNameError(ValueError):
    """Octets or text that are no distinguished name; the text says what would be."""


def encode(text: str) -> bytes:
    """DER of a name such as `C=CH, O=Example, CN=west`: the order is that of the certificate."""
    parts = _COMMA.split(text.strip())
    try:
        return x509.Name.from_rfc4514_string(",".join(reversed(parts))).public_bytes()
    except ValueError as error:
        accepted = "accepted: attributes such as C=CH, O=Example, CN=west"
        raise DistinguishedNameError(f"{text!r}: {error}; {accepted}") from None


def decode(data: bytes) -> tuple[RelativeName, ...]:
    """The levels of a name, however their text is encoded."""
    levels, rest = _element(data, _SEQUENCE)
    _nothing_after(rest)
    names = []
    while levels:
        level, levels = _element(levels, _SET)
        names.append(_relative(level))
    return tuple(names)


def show(data: bytes) -> str:
    """The name as `encode` reads it."""
    return ", ".join(
        "+".join(sorted(f"{_label(oid)}={_escaped(text)}" for oid, text in level))
        for level in decode(data)
    )


def _escaped(text: str) -> str:
    return re.sub(r'([,+"\\<>;=])', r"\\\1", text)


def _relative(level: bytes) -> RelativeName:
    attributes = []
    while level:
        attribute, level = _element(level, _SEQUENCE)
        oid, value = _element(attribute, _OID)
        attributes.append((oid, _text(value)))
    return frozenset(attributes)


def _text(value: bytes) -> str:
    tag = value[0] if value else 0
    if tag not in _STRINGS:
        raise DistinguishedNameError(f"attribute value with DER tag {tag}")
    content, rest = _element(value, tag)
    _nothing_after(rest)
    return content.decode(_STRINGS[tag], "strict")


def _element(data: bytes, tag: int) -> tuple[bytes, bytes]:
    """Content of the DER element in front, and what follows it."""
    if len(data) < 2 or data[0] != tag:
        raise DistinguishedNameError(f"no DER element with tag {tag}")
    size, start = data[1], 2
    if size & 0x80:
        start += size & 0x7F
        size = int.from_bytes(data[2:start], "big")
    if start + size > len(data):
        raise DistinguishedNameError("DER element exceeds the name")
    return data[start : start + size], data[start + size :]


def _nothing_after(rest: bytes) -> None:
    if rest:
        raise DistinguishedNameError(f"{len(rest)} octets after the name")


def _label(oid: bytes) -> str:
    dotted = _dotted(oid)
    return _LABELS.get(dotted, dotted)


def _dotted(oid: bytes) -> str:
    numbers, number = [], 0
    for octet in oid:
        number = number << 7 | octet & 0x7F
        if not octet & 0x80:
            numbers.append(number)
            number = 0
    if not oid or oid[-1] & 0x80:
        raise DistinguishedNameError("OID ends in the middle of a number")
    first = min(numbers[0] // 40, 2)
    return ".".join(map(str, (first, numbers[0] - 40 * first, *numbers[1:])))
