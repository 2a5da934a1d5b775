"""Whole IKE messages, clear and protected (RFC 7296 3.1, 3.14; RFC 5282 3)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from p4esp.ike.codec.chain import (
    GENERIC_HEADER_SIZE,
    encode_chain,
    generic_header,
    parse_chain,
    parse_until_encrypted,
    take_payload,
)
from p4esp.ike.codec.header import Header, parse_header
from p4esp.ike.codec.payload import AnyPayload, Payload
from p4esp.ike.codec.payloads import Notify
from p4esp.ike.codec.reader import Reader
from p4esp.ike.constants import HEADER_SIZE, NotifyType, PayloadType
from p4esp.ike.crypto.ciphers import MessageCipher
from p4esp.ike.errors import IntegrityError, ParseError

P = TypeVar("P", bound=Payload)


@dataclass(frozen=True, slots=True)
class PayloadSet:
    """Payloads of one message, asked for by kind; order does not matter (RFC 7296 2.5)."""

    payloads: tuple[AnyPayload, ...]

    def every(self, kind: type[P]) -> list[P]:
        """All payloads of a kind."""
        return [payload for payload in self.payloads if isinstance(payload, kind)]

    def optional(self, kind: type[P]) -> P | None:
        """The payload of a kind that may be there once."""
        found = self.every(kind)
        if len(found) > 1:
            raise ParseError(f"message has {len(found)} {kind.TYPE.name} payloads, allowed is one")
        return found[0] if found else None

    def one(self, kind: type[P]) -> P:
        """The payload of a kind that must be there exactly once."""
        found = self.optional(kind)
        if found is None:
            raise ParseError(f"message has no {kind.TYPE.name} payload")
        return found

    def has(self, kind: type[Payload]) -> bool:
        """Whether any payload is of this kind."""
        return any(isinstance(payload, kind) for payload in self.payloads)

    def notify(self, kind: NotifyType) -> Notify | None:
        """The first notify of a type."""
        return next((n for n in self.every(Notify) if n.type == kind), None)

    def error(self) -> Notify | None:
        """The first error notify."""
        return next((n for n in self.every(Notify) if n.is_error), None)


@dataclass(frozen=True, slots=True)
class Encrypted:
    """An SK payload, still sealed."""

    first_inner: int
    associated: bytes
    """From the IKE header to the end of the SK generic header: what the ICV covers besides."""
    body: bytes
    """IV, ciphertext, ICV."""


@dataclass(frozen=True, slots=True)
class Message:
    """A received message: its header, its clear payloads, and its SK payload if it has one."""

    header: Header
    clear: PayloadSet
    encrypted: Encrypted | None
    raw: bytes
    """The datagram without non-ESP marker, for AUTH and for recognising retransmissions."""


def parse_message(data: bytes) -> Message:
    """Read a message; raises `ParseError` for any octets that are not one."""
    header = parse_header(data)
    reader = Reader(data[HEADER_SIZE:], "message")
    clear, ahead = parse_until_encrypted(header.next_payload, reader)
    encrypted = _take_encrypted(data, reader, ahead)
    return Message(header, PayloadSet(clear), encrypted, data)


def _take_encrypted(data: bytes, reader: Reader, kind: int) -> Encrypted | None:
    if kind == PayloadType.NONE:
        return None
    if kind == PayloadType.SKF:
        raise ParseError("message: fragments (RFC 7383) were not negotiated")
    start = len(data) - reader.left
    first_inner, _, body = take_payload(reader)
    reader.finish()
    return Encrypted(first_inner, data[: start + GENERIC_HEADER_SIZE], body)


def encode_clear(header: Header, payloads: Sequence[AnyPayload]) -> bytes:
    """A message without protection (IKE_SA_INIT and errors outside an IKE SA)."""
    first, chain = encode_chain(payloads)
    return replace(header, next_payload=first, length=HEADER_SIZE + len(chain)).encode() + chain


def seal_message(
    header: Header, payloads: Sequence[AnyPayload], cipher: MessageCipher, iv: bytes
) -> bytes:
    """A message with all payloads inside SK. `iv` must be new for the cipher's key."""
    first, chain = encode_chain(payloads)
    pad_size = -(len(chain) + 1) % cipher.block_size
    plaintext = chain + bytes(pad_size) + bytes([pad_size])
    body_size = cipher.iv_size + len(plaintext) + cipher.icv_size
    size = HEADER_SIZE + GENERIC_HEADER_SIZE + body_size
    head = replace(header, next_payload=PayloadType.SK, length=size).encode()
    associated = head + generic_header(first, body_size)
    return associated + cipher.seal(associated, iv, plaintext)


def open_message(encrypted: Encrypted, cipher: MessageCipher) -> PayloadSet:
    """The inner payloads. `IntegrityError`: not authentic; `ParseError`: authentic, malformed."""
    plaintext = cipher.open(encrypted.associated, encrypted.body)
    if not plaintext or plaintext[-1] + 1 > len(plaintext):
        raise IntegrityError("SK payload: pad length exceeds the plaintext")
    inner = plaintext[: len(plaintext) - plaintext[-1] - 1]
    return PayloadSet(parse_chain(encrypted.first_inner, inner))
