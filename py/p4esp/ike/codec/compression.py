"""Proposals of header compression, as N(HCP_PROPOSAL) holds them
(draft-ietf-ipsecme-ikev2-diet-esp-extension-05).

ID (1) | name (1) | length of the attributes (2) | attributes as RFC 7296 3.3.5. Whether the length
counts the four octets in front of it the draft does not say: here it does not.
"""

from dataclasses import dataclass
from enum import IntEnum
from struct import Struct
from typing import Final, Self

from p4esp.ike.codec.proposal import Attribute, parse_attribute
from p4esp.ike.codec.reader import Reader
from p4esp.ike.errors import ParseError, ProposalError

DIET_ESP: Final = 0
"""The name of the only compression that there is."""
_HEAD: Final = Struct("!BBH")
MAX_PROPOSALS: Final = 32
"""As many as an SA payload may have: why each will not do is told."""
RANGE_SIZE: Final = 8
"""Octets of the two ends of a range."""


class Field(IntEnum):
    """Attributes of a proposal. The last two have no code point in the draft: these are ours."""

    DSCP_CDA = 0
    ECN_CDA = 1
    FLOW_LABEL_CDA = 2
    ALIGNMENT = 3
    ESP_SPI_LSB = 4
    ESP_SN_LSB = 5
    ESP_TRAILER = 6
    RANGE = 32767


DEFAULTS: Final = {
    Field.DSCP_CDA: 0,
    Field.ECN_CDA: 0,
    Field.FLOW_LABEL_CDA: 0,
    Field.ALIGNMENT: 3,
    Field.ESP_SPI_LSB: 32,
    Field.ESP_SN_LSB: 32,
    Field.ESP_TRAILER: 0,
}
"""What an attribute that is not there means: nothing is compressed, 64 bits of alignment."""


@dataclass(frozen=True, slots=True)
class HcpProposal:
    """One way to compress, or with ranges several."""

    number: int
    name: int = DIET_ESP
    attributes: tuple[Attribute, ...] = ()

    @classmethod
    def of(cls, number: int, values: dict[Field, range]) -> Self:
        """The attributes that are not at their default; a range where there is a choice."""
        given = ((field, span) for field, span in values.items() if span != _only(DEFAULTS[field]))
        return cls(number, DIET_ESP, tuple(_written(field, span) for field, span in given))

    def encode(self) -> bytes:
        """The proposal's octets."""
        body = b"".join(attribute.encode() for attribute in self.attributes)
        return _HEAD.pack(self.number, self.name, len(body)) + body

    def values(self) -> dict[Field, range]:
        """What each attribute may be; ProposalError, which says what would be accepted, for one
        that is not known, is there twice, or has the wrong form.
        """
        found: dict[Field, range] = {}
        for attribute in self.attributes:
            field, span = _read(attribute)
            if field in found:
                raise ProposalError(f"attribute {field.name} twice; accepted: once")
            found[field] = span
        return {field: _only(value) for field, value in DEFAULTS.items()} | found


def parse_proposals(data: bytes) -> tuple[HcpProposal, ...]:
    """Read all of them; ParseError where a length leads past the end, or there are too many."""
    reader, found = Reader(data, "HCP_PROPOSAL"), list[HcpProposal]()
    while reader.left:
        if len(found) == MAX_PROPOSALS:
            raise ParseError(f"HCP_PROPOSAL: more than {MAX_PROPOSALS} proposals")
        number, name, size = reader.unpack(_HEAD, "proposal header")
        found.append(HcpProposal(number, name, _attributes(reader.take(size, "attributes"))))
    return tuple(found)


def _attributes(data: bytes) -> tuple[Attribute, ...]:
    reader, found = Reader(data, "HCP_PROPOSAL attributes"), []
    while reader.left:
        found.append(parse_attribute(reader))
    return tuple(found)


def _read(attribute: Attribute) -> tuple[Field, range]:
    if attribute.type == Field.RANGE and not attribute.fixed:
        return _read_range(attribute)
    field, value = _read_one(attribute)
    return field, _only(value)


def _read_one(attribute: Attribute) -> tuple[Field, int]:
    if attribute.type not in DEFAULTS or not attribute.fixed:
        raise ProposalError(
            f"attribute {attribute.type}; accepted: 0 to {max(DEFAULTS)}, of 4 octets"
        )
    return Field(attribute.type), int.from_bytes(attribute.value, "big")


def _read_range(attribute: Attribute) -> tuple[Field, range]:
    """A range of ranges there is not, so that nothing nests."""
    ends = [_read_one(one) for one in _attributes_of_range(attribute)]
    (field, least), (other, greatest) = ends
    if field is not other or least > greatest:
        raise ProposalError(f"a range of {field.name}; accepted: its least value, its greatest")
    return field, range(least, greatest + 1)


def _attributes_of_range(attribute: Attribute) -> tuple[Attribute, ...]:
    if len(attribute.value) != RANGE_SIZE:
        raise ProposalError(f"a range of {len(attribute.value)} octets; accepted: {RANGE_SIZE}")
    try:
        ends = _attributes(attribute.value)
    except ParseError as error:
        raise ProposalError(str(error)) from None
    if len(ends) != 2:
        raise ProposalError("a range without two ends")
    return ends


def _written(field: Field, span: range) -> Attribute:
    least, greatest = _fixed(field, span.start), _fixed(field, span.stop - 1)
    if len(span) == 1:
        return least
    return Attribute(Field.RANGE, least.encode() + greatest.encode(), fixed=False)


def _fixed(field: Field, value: int) -> Attribute:
    return Attribute(field, value.to_bytes(2, "big"))


def _only(value: int) -> range:
    return range(value, value + 1)
