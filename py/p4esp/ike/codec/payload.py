"""What every payload has in common, and payloads of types we do not know."""

from dataclasses import dataclass
from typing import ClassVar, Self

from p4esp.ike.constants import PayloadType, name_of


class Payload:
    """Base of payloads, without their generic header (RFC 7296 3.2). Subclasses define both ways.

    Not an ABC, because messages are searched by `isinstance`, which ABCs make slow.
    """

    __slots__ = ()
    TYPE: ClassVar[PayloadType]

    @property
    def payload_type(self) -> int:
        """The number by which the previous header announces this payload."""
        return self.TYPE

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read the octets after the generic header, all of them."""
        raise NotImplementedError

    def encode(self) -> bytes:
        """The octets after the generic header."""
        raise NotImplementedError

    def __str__(self) -> str:
        return name_of(PayloadType, self.payload_type)


@dataclass(frozen=True, slots=True)
class RawPayload:
    """A payload type this daemon does not know and may skip: kept as it came."""

    payload_type: int
    body: bytes

    def encode(self) -> bytes:
        """The octets after the generic header, as received."""
        return self.body

    def __str__(self) -> str:
        return name_of(PayloadType, self.payload_type)


AnyPayload = Payload | RawPayload
