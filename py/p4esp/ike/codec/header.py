"""The IKE header (RFC 7296 3.1)."""

import struct
from dataclasses import dataclass

from p4esp.ike.constants import HEADER_SIZE, VERSION, ExchangeType, name_of
from p4esp.ike.errors import ParseError

_LAYOUT = struct.Struct("!8s8sBBBBII")
NEXT_PAYLOAD_AT = 16
"""Offset of Next Payload."""
_FLAGS_AT = 19
_INITIATOR = 0x08
_RESPONSE = 0x20


@dataclass(frozen=True, slots=True)
class Header:
    """The 28 octets in front of every IKE message. Reserved flags are neither kept nor sent."""

    spi_i: bytes
    """SPI of the IKE SA's original initiator, 8 octets, never zero."""
    spi_r: bytes
    """SPI of the original responder; zero while it has chosen none."""
    exchange: int
    initiator: bool
    """I flag: the sender is the IKE SA's original initiator."""
    response: bool
    """R flag."""
    message_id: int
    next_payload: int = 0
    length: int = HEADER_SIZE
    version: int = VERSION

    def encode(self) -> bytes:
        """The header's 28 octets."""
        return self.encode_for(self.next_payload, self.length)

    def encode_for(self, next_payload: int, length: int) -> bytes:
        """The octets of this header in a message whose first payload and length are these."""
        flags = _INITIATOR * self.initiator | _RESPONSE * self.response
        return _LAYOUT.pack(
            self.spi_i,
            self.spi_r,
            next_payload,
            self.version,
            self.exchange,
            flags,
            self.message_id,
            length,
        )

    @property
    def major(self) -> int:
        """Major protocol version; only 2 is IKEv2."""
        return self.version >> 4

    def __str__(self) -> str:
        kind = "response" if self.response else "request"
        return f"{name_of(ExchangeType, self.exchange)} {kind} {self.message_id}"


def own_spi_of(message: bytes) -> bytes:
    """The SPI by which the receiver of a message of `HEADER_SIZE` octets at least knows it."""
    return message[8:16] if message[_FLAGS_AT] & _INITIATOR else message[:8]


def parse_header(data: bytes) -> Header:
    """Read a header; its Length must be that of the datagram (one message per datagram)."""
    if len(data) < HEADER_SIZE:
        raise ParseError(f"IKE header needs {HEADER_SIZE} octets, got {len(data)}")
    spi_i, spi_r, following, version, exchange, flags, message_id, length = _LAYOUT.unpack_from(
        data
    )
    if length != len(data):
        raise ParseError(f"IKE header says {length} octets, the datagram has {len(data)}")
    initiator, response = bool(flags & _INITIATOR), bool(flags & _RESPONSE)
    return Header(
        spi_i, spi_r, exchange, initiator, response, message_id, following, length, version
    )
