"""The SA payload: proposals, transforms, attributes (RFC 7296 3.3)."""

from dataclasses import dataclass
from struct import Struct
from typing import ClassVar, Self

from p4esp.ike.codec.payload import Payload
from p4esp.ike.codec.reader import Reader
from p4esp.ike.constants import AttributeType, PayloadType, ProtocolId
from p4esp.ike.errors import ParseError

MAX_PROPOSALS = 32
_MORE_PROPOSALS, _MORE_TRANSFORMS = 2, 3
_FIXED = 0x8000
_SUBSTRUCTURE = Struct("!BxH")
"""Last Substruc, reserved, length of the whole substructure."""
_TRANSFORM = Struct("!BxH")
"""Transform Type, reserved, Transform ID."""
_ATTRIBUTE = Struct("!HH")
"""Type, then the value itself or its length."""
_SPI_SIZES: dict[int, tuple[int, ...]] = {
    ProtocolId.IKE: (0, 8),
    ProtocolId.AH: (4,),
    ProtocolId.ESP: (4,),
}


@dataclass(frozen=True, slots=True)
class Attribute:
    """A transform attribute. `fixed`: the two-octet form without a length."""

    type: int
    value: bytes
    fixed: bool = True

    def encode(self) -> bytes:
        """Type and value, with a length unless the form is fixed."""
        if self.fixed:
            return (_FIXED | self.type).to_bytes(2, "big") + self.value
        return self.type.to_bytes(2, "big") + len(self.value).to_bytes(2, "big") + self.value


@dataclass(frozen=True, slots=True)
class Transform:
    """One algorithm of a proposal. Equal only when attributes are equal, in value and form."""

    type: int
    id: int
    attributes: tuple[Attribute, ...] = ()

    @classmethod
    def of(cls, type_: int, id_: int, key_bits: int | None = None) -> Self:
        """A transform, with a Key Length attribute when `key_bits` is given."""
        if key_bits is None:
            return cls(type_, id_)
        return cls(type_, id_, (Attribute(AttributeType.KEY_LENGTH, key_bits.to_bytes(2, "big")),))

    @property
    def key_bits(self) -> int | None:
        """Value of the Key Length attribute in bits, None when there is none."""
        for attribute in self.attributes:
            if attribute.type == AttributeType.KEY_LENGTH:
                return int.from_bytes(attribute.value, "big")
        return None

    def encode(self, last: bool) -> bytes:
        """The transform substructure."""
        attributes = b"".join(attribute.encode() for attribute in self.attributes)
        head = bytes([0 if last else _MORE_TRANSFORMS, 0])
        fields = bytes([self.type, 0]) + self.id.to_bytes(2, "big")
        return head + (8 + len(attributes)).to_bytes(2, "big") + fields + attributes


@dataclass(frozen=True, slots=True)
class Proposal:
    """One alternative of an SA payload. `spi` is the sender's inbound SPI, empty in IKE_SA_INIT."""

    number: int
    protocol: int
    spi: bytes
    transforms: tuple[Transform, ...]

    def of_type(self, type_: int) -> tuple[Transform, ...]:
        """The transforms of one type, in the proposal's order."""
        return tuple(transform for transform in self.transforms if transform.type == type_)

    def encode(self, last: bool) -> bytes:
        """The proposal substructure."""
        final = len(self.transforms) - 1
        body = b"".join(t.encode(last=i == final) for i, t in enumerate(self.transforms))
        fields = bytes([self.number, self.protocol, len(self.spi), len(self.transforms)])
        size = 8 + len(self.spi) + len(body)
        head = bytes([0 if last else _MORE_PROPOSALS, 0]) + size.to_bytes(2, "big")
        return head + fields + self.spi + body


@dataclass(frozen=True, slots=True)
class SecurityAssociation(Payload):
    """SA payload: at least one proposal, numbered upwards from 1 in an offer."""

    TYPE: ClassVar[PayloadType] = PayloadType.SA
    proposals: tuple[Proposal, ...]

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read proposals; every length, count and last-marker must agree."""
        reader, proposals, more = Reader(body, "SA payload"), list[Proposal](), True
        while more:
            if len(proposals) == MAX_PROPOSALS:
                raise ParseError(f"SA payload: more than {MAX_PROPOSALS} proposals")
            marker, content = _substructure(reader, _MORE_PROPOSALS)
            proposals.append(_parse_proposal(content))
            more = marker != 0
        reader.finish()
        _check_numbers(proposals)
        return cls(tuple(proposals))

    def encode(self) -> bytes:
        """All proposals."""
        final = len(self.proposals) - 1
        return b"".join(p.encode(last=i == final) for i, p in enumerate(self.proposals))


def _substructure(reader: Reader, more: int) -> tuple[int, bytes]:
    marker, size = reader.unpack(_SUBSTRUCTURE, "substructure header")
    if marker not in (0, more):
        raise ParseError(f"SA payload: last substructure is {marker}, must be 0 or {more}")
    if size < 8:
        raise ParseError(f"SA payload: substructure length {size} is below 8")
    return marker, reader.take(size - 4, "substructure")


def _parse_proposal(content: bytes) -> Proposal:
    reader = Reader(content, "proposal")
    number, protocol, spi_size, count = reader.take(4, "proposal header")
    if spi_size not in _SPI_SIZES.get(protocol, (spi_size,)):
        raise ParseError(f"proposal {number}: SPI of {spi_size} octets for protocol {protocol}")
    spi = reader.take(spi_size, "SPI")
    transforms = _parse_transforms(reader, count)
    return Proposal(number, protocol, spi, transforms)


def _parse_transforms(reader: Reader, count: int) -> tuple[Transform, ...]:
    transforms = []
    for index in range(count):
        marker, content = _substructure(reader, _MORE_TRANSFORMS)
        if (marker == 0) != (index == count - 1):
            raise ParseError(f"proposal: transform {index + 1} of {count} has last marker {marker}")
        transforms.append(_parse_transform(content))
    reader.finish()
    return tuple(transforms)


def _parse_transform(content: bytes) -> Transform:
    """A substructure holds at least the transform's fixed part."""
    type_, id_ = _TRANSFORM.unpack_from(content)
    if len(content) == _TRANSFORM.size:
        return Transform(type_, id_)
    reader, attributes = Reader(content[_TRANSFORM.size :], "transform"), []
    while reader.left:
        attributes.append(parse_attribute(reader))
    return Transform(type_, id_, tuple(attributes))


def parse_attribute(reader: Reader) -> Attribute:
    """Read an attribute of either form (RFC 7296 3.3.5); ParseError where it is cut off."""
    word, value = reader.unpack(_ATTRIBUTE, "attribute")
    if word & _FIXED:
        return Attribute(word & ~_FIXED, value.to_bytes(2, "big"))
    return Attribute(word, reader.take(value, "attribute value"), fixed=False)


def _check_numbers(proposals: list[Proposal]) -> None:
    numbers = [proposal.number for proposal in proposals]
    if 0 in numbers or numbers != sorted(numbers):
        raise ParseError(f"SA payload: proposal numbers {numbers} do not rise from 1")
