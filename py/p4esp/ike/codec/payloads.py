"""Payloads with a fixed head and opaque data: KE, Nonce, ID, AUTH, N, D, V (RFC 7296 3.4-3.12)."""

from dataclasses import dataclass
from struct import Struct
from typing import ClassVar, Self

from p4esp.ike.codec.payload import Payload
from p4esp.ike.codec.reader import Reader
from p4esp.ike.constants import FIRST_STATUS_NOTIFY, NotifyType, PayloadType, ProtocolId, name_of
from p4esp.ike.errors import ParseError
from p4esp.ipsec.identity import Identity

NONCE_SIZES = range(16, 257)
MAX_IDENTITY_SIZE = 1024
"""Octets of the longest identity: those who have proved nothing make us compare it with many."""
_NOTIFY = Struct("!BBH")
"""Protocol, SPI size, type."""
_DELETE_SPI_SIZES: dict[int, int] = {
    ProtocolId.IKE: 0,
    ProtocolId.AH: 4,
    ProtocolId.ESP: 4,
    ProtocolId.EESP: 4,
}


@dataclass(frozen=True, slots=True)
class KeyExchange(Payload):
    """KE payload: a key exchange method and its public data."""

    TYPE: ClassVar[PayloadType] = PayloadType.KE
    method: int
    data: bytes

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read method and data; the method decides later whether the length is right."""
        reader = Reader(body, "KE payload")
        method = reader.number(2, "method")
        reader.take(2, "reserved")
        return cls(method, reader.rest())

    def encode(self) -> bytes:
        """Method, two reserved octets, data."""
        return self.method.to_bytes(2, "big") + bytes(2) + self.data


@dataclass(frozen=True, slots=True)
class Nonce(Payload):
    """Ni or Nr, 16..256 octets."""

    TYPE: ClassVar[PayloadType] = PayloadType.NONCE
    data: bytes

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read a nonce of a legal length."""
        if len(body) not in NONCE_SIZES:
            raise ParseError(f"nonce of {len(body)} octets, must be 16..256")
        return cls(body)

    def encode(self) -> bytes:
        """The nonce."""
        return self.data


@dataclass(frozen=True, slots=True)
class _Identification(Payload):
    identity: Identity
    reserved: bytes = bytes(3)
    """Part of the AUTH input exactly as received (RFC 7296 2.15)."""

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read type, reserved octets and data of bounded size."""
        reader = Reader(body, "ID payload")
        kind = reader.number(1, "type")
        reserved = reader.take(3, "reserved")
        if reader.left > MAX_IDENTITY_SIZE:
            raise ParseError(f"identity of {reader.left} octets, at most {MAX_IDENTITY_SIZE}")
        return cls(Identity(kind, reader.rest()), reserved)

    def encode(self) -> bytes:
        """The body over which the AUTH payload's MACedID is computed."""
        return bytes([self.identity.type]) + self.reserved + self.identity.data


class IdInitiator(_Identification):
    """IDi payload."""

    __slots__ = ()
    TYPE: ClassVar[PayloadType] = PayloadType.IDI


class IdResponder(_Identification):
    """IDr payload."""

    __slots__ = ()
    TYPE: ClassVar[PayloadType] = PayloadType.IDR


@dataclass(frozen=True, slots=True)
class Authentication(Payload):
    """AUTH payload."""

    TYPE: ClassVar[PayloadType] = PayloadType.AUTH
    method: int
    data: bytes

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read method and data."""
        reader = Reader(body, "AUTH payload")
        method = reader.number(1, "method")
        reader.take(3, "reserved")
        return cls(method, reader.rest())

    def encode(self) -> bytes:
        """Method, three reserved octets, data."""
        return bytes([self.method, 0, 0, 0]) + self.data


@dataclass(frozen=True, slots=True)
class Notify(Payload):
    """N payload. `protocol` and `spi` are 0 and empty unless the notify is about a child SA."""

    TYPE: ClassVar[PayloadType] = PayloadType.NOTIFY
    type: int
    data: bytes = b""
    protocol: int = 0
    spi: bytes = b""

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read the fixed head, an SPI of the stated size, and the data."""
        reader = Reader(body, "N payload")
        protocol, spi_size, kind = reader.unpack(_NOTIFY, "notify header")
        spi = reader.take(spi_size, "SPI")
        return cls(kind, reader.rest(), protocol, spi)

    def encode(self) -> bytes:
        """Protocol, SPI size, type, SPI, data."""
        return _NOTIFY.pack(self.protocol, len(self.spi), self.type) + self.spi + self.data

    @property
    def is_error(self) -> bool:
        """Whether the type lies in the error range."""
        return self.type < FIRST_STATUS_NOTIFY

    def __str__(self) -> str:
        return f"N({name_of(NotifyType, self.type)})"


@dataclass(frozen=True, slots=True)
class Delete(Payload):
    """D payload: the whole IKE SA (no SPI), or child SAs by the sender's inbound SPIs."""

    TYPE: ClassVar[PayloadType] = PayloadType.DELETE
    protocol: int
    spis: tuple[bytes, ...] = ()

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read the SPIs; count, size and protocol must agree with the length."""
        reader = Reader(body, "D payload")
        protocol, size = reader.take(2, "protocol and SPI size")
        count = reader.number(2, "number of SPIs")
        if size != _DELETE_SPI_SIZES.get(protocol):
            raise ParseError(f"D payload: SPI of {size} octets for protocol {protocol}")
        if count * size != reader.left or (size == 0 and count):
            raise ParseError(f"D payload: {count} SPIs of {size} octets in {reader.left} octets")
        return cls(protocol, tuple(reader.take(size, "SPI") for _ in range(count)))

    def encode(self) -> bytes:
        """Protocol, SPI size, count, SPIs."""
        size = len(self.spis[0]) if self.spis else _DELETE_SPI_SIZES.get(self.protocol, 0)
        head = bytes([self.protocol, size]) + len(self.spis).to_bytes(2, "big")
        return head + b"".join(self.spis)


@dataclass(frozen=True, slots=True)
class VendorId(Payload):
    """V payload: opaque."""

    TYPE: ClassVar[PayloadType] = PayloadType.VENDOR
    data: bytes

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Take the octets as they are."""
        return cls(body)

    def encode(self) -> bytes:
        """The vendor ID."""
        return self.data
