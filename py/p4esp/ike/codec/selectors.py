"""TSi and TSr payloads (RFC 7296 3.13)."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from struct import Struct
from typing import ClassVar, Self

from p4esp.ike.codec.payload import Payload
from p4esp.ike.codec.reader import Reader
from p4esp.ike.constants import PayloadType, TsType
from p4esp.ike.errors import ParseError
from p4esp.ipsec.selectors import SelectorError, TrafficSelector

_SELECTOR = Struct("!BBH")
"""Type, protocol, length of the whole selector."""
_PORTS = Struct("!HH")
_FAMILIES: dict[int, tuple[int, type[IPv4Address] | type[IPv6Address]]] = {
    TsType.IPV4_ADDR_RANGE: (16, IPv4Address),
    TsType.IPV6_ADDR_RANGE: (40, IPv6Address),
}


@dataclass(frozen=True, slots=True)
class UnknownSelector:
    """A selector of a type we do not know: it matches nothing, and is kept as it came."""

    type: int
    protocol: int
    body: bytes


@dataclass(frozen=True, slots=True)
class SecurityLabel:
    """TS_SECLABEL (RFC 9478 2.1), beside selectors of addresses: opaque octets."""

    octets: bytes

    @property
    def bare(self) -> bytes:
        """Without the NUL with which Linux ends it: by this labels are the same. Empty: none."""
        return self.octets.removesuffix(b"\0")


Selector = TrafficSelector | SecurityLabel | UnknownSelector


@dataclass(frozen=True, slots=True)
class _TrafficSelectors(Payload):
    entries: tuple[Selector, ...]

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read as many selectors as the count says, and nothing after them."""
        reader = Reader(body, "TS payload")
        count = reader.number(1, "number of selectors")
        reader.take(3, "reserved")
        entries = tuple(_parse_selector(reader) for _ in range(count))
        reader.finish()
        return cls(entries)

    def encode(self) -> bytes:
        """Count, three reserved octets, selectors."""
        return bytes([len(self.entries), 0, 0, 0]) + b"".join(map(_encode_selector, self.entries))

    @property
    def selectors(self) -> tuple[TrafficSelector, ...]:
        """The selectors of known type, in order."""
        return tuple(entry for entry in self.entries if isinstance(entry, TrafficSelector))

    @property
    def labels(self) -> tuple[SecurityLabel, ...]:
        """The security labels, in order, empty ones among them."""
        return tuple(entry for entry in self.entries if isinstance(entry, SecurityLabel))


class TsInitiator(_TrafficSelectors):
    """TSi payload."""

    __slots__ = ()
    TYPE: ClassVar[PayloadType] = PayloadType.TSI


class TsResponder(_TrafficSelectors):
    """TSr payload."""

    __slots__ = ()
    TYPE: ClassVar[PayloadType] = PayloadType.TSR


def _parse_selector(reader: Reader) -> Selector:
    kind, protocol, size = reader.unpack(_SELECTOR, "selector header")
    if size < 4:
        raise ParseError(f"TS payload: selector length {size} is below 4")
    body = reader.take(size - 4, "selector")
    if kind == TsType.SECLABEL:
        return SecurityLabel(body)
    if kind not in _FAMILIES:
        return UnknownSelector(kind, protocol, body)
    return _parse_range(kind, protocol, body)


def _parse_range(kind: int, protocol: int, body: bytes) -> TrafficSelector:
    size, family = _FAMILIES[kind]
    if len(body) != size - 4:
        raise ParseError(f"TS payload: type {kind} of {len(body) + 4} octets, must be {size}")
    width = (size - 8) // 2
    ports = _PORTS.unpack_from(body)
    first, last = family(body[4 : 4 + width]), family(body[4 + width :])
    try:
        return TrafficSelector(first, last, protocol, *ports)
    except SelectorError as error:
        raise ParseError(f"TS payload: {error}") from None


def _encode_selector(entry: Selector) -> bytes:
    if isinstance(entry, SecurityLabel):
        return _selector_head(TsType.SECLABEL, 0, len(entry.octets)) + entry.octets
    if isinstance(entry, UnknownSelector):
        return _selector_head(entry.type, entry.protocol, len(entry.body)) + entry.body
    kind = TsType.IPV4_ADDR_RANGE if entry.version == 4 else TsType.IPV6_ADDR_RANGE
    body = _PORTS.pack(*entry.ports) + entry.first.packed + entry.last.packed
    return _selector_head(kind, entry.protocol, len(body)) + body


def _selector_head(kind: int, protocol: int, size: int) -> bytes:
    return _SELECTOR.pack(kind, protocol, 4 + size)
