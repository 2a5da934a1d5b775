"""Chains of payloads behind generic headers (RFC 7296 3.2)."""

from collections.abc import Callable, Iterator, Sequence
from struct import Struct

from p4esp.ike.codec.certificates import Certificate, CertificateRequest
from p4esp.ike.codec.configuration import Configuration
from p4esp.ike.codec.payload import AnyPayload, Payload, RawPayload
from p4esp.ike.codec.payloads import (
    Authentication,
    Delete,
    IdInitiator,
    IdResponder,
    KeyExchange,
    Nonce,
    Notify,
    VendorId,
)
from p4esp.ike.codec.proposal import SecurityAssociation
from p4esp.ike.codec.reader import Reader
from p4esp.ike.codec.selectors import TsInitiator, TsResponder
from p4esp.ike.constants import PayloadType
from p4esp.ike.errors import ParseError, UnsupportedCriticalPayloadError

MAX_PAYLOADS = 64
_GENERIC_HEADER = Struct("!BBH")
"""Next payload, critical bit and reserved bits, length."""
GENERIC_HEADER_SIZE = _GENERIC_HEADER.size
_CRITICAL = 0x80
_NAMED = frozenset(int(kind) for kind in PayloadType)
_ENCRYPTED = (PayloadType.SK, PayloadType.SKF)

PAYLOADS: dict[int, type[Payload]] = {
    kind.TYPE: kind
    for kind in (
        SecurityAssociation,
        KeyExchange,
        IdInitiator,
        IdResponder,
        Certificate,
        CertificateRequest,
        Configuration,
        Authentication,
        Nonce,
        Notify,
        Delete,
        VendorId,
        TsInitiator,
        TsResponder,
    )
}
"""Payload types with a parser. Others are kept raw, or refused when unknown and critical."""


def generic_header(following: int, body_size: int) -> bytes:
    """A generic payload header; the critical bit is never set by us (RFC 7296 2.5)."""
    return _GENERIC_HEADER.pack(following, 0, GENERIC_HEADER_SIZE + body_size)


def encode_chain(payloads: Sequence[AnyPayload], after: int = 0) -> tuple[int, bytes]:
    """First payload type and octets of a chain whose last header announces `after`."""
    types = [payload.payload_type for payload in payloads] + [after]
    parts: list[bytes] = []
    for payload, following in zip(payloads, types[1:], strict=True):
        body = payload.encode()
        parts += generic_header(following, len(body)), body
    return types[0], b"".join(parts)


def parse_chain(first: int, data: bytes) -> tuple[AnyPayload, ...]:
    """Read a chain that holds no encrypted payload and fills `data` exactly."""
    reader = Reader(data, "payload chain")
    payloads, ahead = parse_until_encrypted(first, reader)
    if ahead in _ENCRYPTED:
        raise ParseError("payload chain: an encrypted payload inside another, or where none may be")
    return payloads


def parse_until_encrypted(first: int, reader: Reader) -> tuple[tuple[AnyPayload, ...], int]:
    """Read payloads up to the chain's end or an SK/SKF payload, whose type is then returned."""
    payloads, ahead = list[AnyPayload](), first
    while ahead != PayloadType.NONE and ahead not in _ENCRYPTED:
        if len(payloads) == MAX_PAYLOADS:
            raise ParseError(f"payload chain: more than {MAX_PAYLOADS} payloads")
        following, critical, body = take_payload(reader)
        payloads.append(_parse_payload(ahead, critical, body))
        ahead = following
    if ahead == PayloadType.NONE:
        reader.finish()
    return tuple(payloads), ahead


def bodies(first: int, data: bytes) -> Iterator[tuple[int, bytes]]:
    """Types and octets of the payloads of a chain that fills `data`, none of them looked into.

    Made for floods: it builds nothing but slices.
    """
    at, ahead = 0, first
    for _ in range(MAX_PAYLOADS):
        if ahead == PayloadType.NONE:
            break
        if at + GENERIC_HEADER_SIZE > len(data):
            raise ParseError(f"payload chain: no generic header at offset {at}")
        following, _, size = _GENERIC_HEADER.unpack_from(data, at)
        if not GENERIC_HEADER_SIZE <= size <= len(data) - at:
            raise ParseError(f"payload chain: payload length {size} at offset {at}")
        yield ahead, data[at + GENERIC_HEADER_SIZE : at + size]
        at, ahead = at + size, following
    if ahead != PayloadType.NONE or at != len(data):
        raise ParseError(f"payload chain: does not end after {at} octets")


def without_payloads(
    first: int, data: bytes, unwanted: Callable[[int, bytes], bool]
) -> tuple[int, bytes]:
    """First payload type and octets of a chain from which some payloads are taken, by type and
    body; in what stays nothing but Next Payload changes. ParseError: no chain that fills `data`.
    """
    kept, at = list[tuple[int, bytes]](), 0
    for kind, body in bodies(first, data):
        end = at + GENERIC_HEADER_SIZE + len(body)
        if not unwanted(kind, body):
            kept.append((kind, data[at:end]))
        at = end
    types = [kind for kind, _ in kept] + [PayloadType.NONE]
    parts = zip(kept, types[1:], strict=True)
    return types[0], b"".join(bytes([following]) + part[1:] for (_, part), following in parts)


def take_payload(reader: Reader) -> tuple[int, bool, bytes]:
    """One generic header and its body: next type, critical bit, octets."""
    following, flags, size = reader.unpack(_GENERIC_HEADER, "generic header")
    if size < GENERIC_HEADER_SIZE:
        raise ParseError(f"payload chain: payload length {size} is below {GENERIC_HEADER_SIZE}")
    return following, bool(flags & _CRITICAL), reader.take(size - GENERIC_HEADER_SIZE, "payload")


def _parse_payload(kind: int, critical: bool, body: bytes) -> AnyPayload:
    parser = PAYLOADS.get(kind)
    if parser is not None:
        return parser.parse(body)
    if critical and kind not in _NAMED:
        raise UnsupportedCriticalPayloadError(kind)
    return RawPayload(kind, body)
