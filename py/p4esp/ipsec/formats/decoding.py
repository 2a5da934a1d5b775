"""Reads an ESP packet field by field, by the layout of its format."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from p4esp.ipsec.formats.model import Field, Format, FormatError, Parameters, Proof, Trailer
from p4esp.ipsec.formats.model import fixed_octets as octets_of

Parts = tuple[tuple[Field, ...], tuple[Field, ...], tuple[Field, ...], int, int]
"""Fields in front of the ciphertext, those it hides and those behind it; where it begins and ends.
"""

CIPHERTEXT = Field("Ciphertext", None, "readable with the key only", Proof.TEXT)
PROTOCOLS = {4: "IPv4", 6: "TCP", 17: "UDP", 41: "IPv6", 59: "none (dummy)", 144: "AGGFRAG"}
_SHORTEST = {4: 20, 6: 40}


@dataclass(frozen=True, slots=True)
class Found:
    """A field in a packet. Fields may be shorter than an octet: `at` and `bits` are in bits."""

    field: Field
    at: int
    bits: int
    value: int

    @property
    def offset(self) -> int:
        """The octet it begins in."""
        return self.at // 8

    @property
    def octets(self) -> bytes:
        """The field as it stands, of whole octets."""
        return self.value.to_bytes(self.bits // 8)

    @property
    def hex(self) -> str:
        """As many digits as it is long, the last octet's worth of bits in the lowest ones."""
        return f"{self.value:0{-(-self.bits // 4)}x}" if self.bits else ""

    @property
    def length(self) -> str:
        """In words, for a column."""
        if self.bits % 8 == 0:
            return str(self.bits // 8)
        return "1 bit" if self.bits == 1 else f"{self.bits} bits"

    @property
    def meaning(self) -> str:
        """What the field is, and what its value says."""
        if self.field.name == "Next Header" and (known := PROTOCOLS.get(self.value)):
            return f"{self.field.meaning}: {known}"
        return self.field.meaning


def decode(
    form: Format,
    packet: bytes,
    parameters: Parameters | None = None,
    text: bytes | None = None,
) -> list[Found]:
    """The fields of an ESP packet (what follows the outer IP header), in the order on the wire.

    `text` is what the ciphertext hides; without it the ciphertext, if there is one, is one field.
    FormatError for packets that cannot be of this format.
    """
    front, inside, back, at, end = _parts(form, packet, parameters or form.usual)
    hidden = packet[at:end] if text is None else text
    if not form.hides:
        text = hidden
    if len(hidden) != end - at:
        raise FormatError(f"text of {len(hidden)} octets, the ciphertext has {end - at}")
    before, behind = list(_found(front, packet[:at], 0)), list(_found(back, packet[end:], end))
    if text is None:
        inside = (_of(CIPHERTEXT, end - at),)
    else:
        pad = _pad_length(form, [*before, *behind], text)
        inside = _sized_text(form, inside, len(text), pad)
    return [*before, *_found(inside, hidden, at), *behind]


def ciphertext_span(
    form: Format, packet: bytes, parameters: Parameters | None = None
) -> tuple[int, int]:
    """Where the ciphertext begins and ends in a packet."""
    *_, at, end = _parts(form, packet, parameters or form.usual)
    return at, end


def _parts(form: Format, packet: bytes, agreed: Parameters) -> Parts:
    chosen = form.told(packet, agreed)
    shown = form.clear_payload(chosen)
    front = tuple(
        _of(field, shown) if field.bits is None else field for field in form.front(chosen)
    )
    inside, back = form.inside(chosen), form.back(chosen)
    at, end = octets_of(front), len(packet) - octets_of(back)
    least = at + octets_of(inside)
    if end < least:
        wanted = least + octets_of(back)
        raise FormatError(f"{form.name}: packet of {len(packet)} octets, {wanted} are needed")
    return front, inside, back, at, end


def _of(field: Field, octets: int) -> Field:
    return replace(field, bits=8 * octets)


def _sized_text(
    form: Format, inside: tuple[Field, ...], octets: int, pad: int
) -> tuple[Field, ...]:
    """The fields of the text with the sizes they have in this packet."""
    left = octets - octets_of(inside) - pad
    if left < 0:
        raise FormatError(f"{form.name}: padding of {pad} octets is longer than the text")
    sizes = {"Padding": pad}
    return tuple(
        _of(field, sizes.get(field.name, left)) if field.bits is None else field for field in inside
    )


def _pad_length(form: Format, around: Iterable[Found], text: bytes) -> int:
    if form.trailer is Trailer.RFC4303:
        return text[-2]
    if form.trailer is Trailer.NONE:
        return 0
    if form.trailer is Trailer.INNER:
        return len(text) - inner_length(text)
    in_clear = (found.value for found in around if found.field.name == "Pad Length")
    return next(in_clear, text[3] if len(text) > 3 else 0)


def inner_length(packet: bytes) -> int:
    """The length an IP packet says it has; FormatError when it is none, or says too much."""
    version = packet[0] >> 4 if packet else 0
    if version not in _SHORTEST or len(packet) < _SHORTEST[version]:
        raise FormatError(f"the text is no IP packet (first nibble {version}); accepted: 4, 6")
    stated = packet[2:4] if version == 4 else packet[4:6]
    length = int.from_bytes(stated) + (0 if version == 4 else 40)
    if length > len(packet):
        raise FormatError(f"inner packet of {length} octets in a text of {len(packet)}")
    return length


def _found(fields: Iterable[Field], octets: bytes, offset: int) -> Iterator[Found]:
    """Fields one after the other; `offset` is where their octets begin in the packet."""
    whole, length, at = int.from_bytes(octets), 8 * len(octets), 0
    for field in fields:
        bits = field.bits or 0
        value = whole >> (length - at - bits) & ((1 << bits) - 1)
        yield Found(field, 8 * offset + at, bits, value)
        at += bits
