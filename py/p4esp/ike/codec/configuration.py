"""The configuration payload (RFC 7296 3.15)."""

from dataclasses import dataclass
from typing import ClassVar, Self

from p4esp.ike.codec.payload import Payload
from p4esp.ike.codec.reader import Reader
from p4esp.ike.constants import PayloadType
from p4esp.ike.errors import ParseError

MAX_ATTRIBUTES = 64
_RESERVED = 0x8000


@dataclass(frozen=True, slots=True)
class ConfigAttribute:
    """A configuration attribute; an empty value asks for one."""

    type: int
    value: bytes = b""

    def encode(self) -> bytes:
        """Type with the reserved bit clear, length, value."""
        return self.type.to_bytes(2, "big") + len(self.value).to_bytes(2, "big") + self.value


@dataclass(frozen=True, slots=True)
class Configuration(Payload):
    """CP payload: what one end asks of the other's network, or is told of it."""

    TYPE: ClassVar[PayloadType] = PayloadType.CP
    kind: int
    """CFG_REQUEST, CFG_REPLY, CFG_SET or CFG_ACK."""
    attributes: tuple[ConfigAttribute, ...] = ()

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read attributes that fill the payload; who uses one, checks its value."""
        reader = Reader(body, "CP payload")
        kind = reader.number(1, "type")
        reader.take(3, "reserved")
        attributes = list[ConfigAttribute]()
        while reader.left:
            if len(attributes) == MAX_ATTRIBUTES:
                raise ParseError(f"CP payload: more than {MAX_ATTRIBUTES} attributes")
            attributes.append(_parse_attribute(reader))
        return cls(kind, tuple(attributes))

    def encode(self) -> bytes:
        """Type, three reserved octets, attributes."""
        return bytes([self.kind, 0, 0, 0]) + b"".join(item.encode() for item in self.attributes)

    def values(self, kind: int) -> list[bytes]:
        """The values of all attributes of a type."""
        return [attribute.value for attribute in self.attributes if attribute.type == kind]


def _parse_attribute(reader: Reader) -> ConfigAttribute:
    kind = reader.number(2, "attribute type") & ~_RESERVED
    size = reader.number(2, "attribute length")
    return ConfigAttribute(kind, reader.take(size, "attribute value"))
