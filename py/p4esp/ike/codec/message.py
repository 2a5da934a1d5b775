"""Whole IKE messages as they travel (RFC 7296 3.1)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from p4esp.ike.codec.chain import encode_chain, parse_chain, parse_until_encrypted
from p4esp.ike.codec.encrypted import Encrypted, open_encrypted, seal, take_encrypted
from p4esp.ike.codec.header import Header, parse_header
from p4esp.ike.codec.payload import AnyPayload, Payload
from p4esp.ike.codec.payloads import Notify
from p4esp.ike.codec.reader import Reader
from p4esp.ike.constants import HEADER_SIZE, NotifyType, PayloadType
from p4esp.ike.crypto.ciphers import MessageCipher
from p4esp.ike.errors import ParseError

P = TypeVar("P", bound=Payload)


@dataclass(frozen=True, slots=True)
class PayloadSet:
    """Payloads of one message, asked for by kind; order does not matter (RFC 7296 2.5)."""

    payloads: tuple[AnyPayload, ...]
    _by_kind: dict[type[AnyPayload], list[Any]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    _notifies: dict[int, list[Notify]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        """Sort them once: every extension asks each message for what is its own."""
        for payload in self.payloads:
            self._by_kind.setdefault(type(payload), []).append(payload)
        for notify in self.every(Notify):
            self._notifies.setdefault(notify.type, []).append(notify)

    def every(self, kind: type[P]) -> list[P]:
        """All payloads of a kind, in order."""
        return list(self._by_kind.get(kind, ()))

    def notifies(self, kind: NotifyType) -> Sequence[Notify]:
        """All notifies of a type, in order."""
        return self._notifies.get(kind, ())

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
        return kind in self._by_kind

    def notify(self, kind: NotifyType) -> Notify | None:
        """The first notify of a type."""
        return next(iter(self.notifies(kind)), None)

    def error(self) -> Notify | None:
        """The first error notify."""
        return next((n for n in self.every(Notify) if n.is_error), None)


@dataclass(frozen=True, slots=True)
class Message:
    """A received message: its header, its clear payloads, and its SK or SKF payload if any."""

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
    encrypted = None if ahead == PayloadType.NONE else take_encrypted(data, reader, ahead)
    if clear and encrypted and encrypted.part and encrypted.part.number > 1:
        raise ParseError(f"message: clear payloads in {encrypted.part} (RFC 7383 2.5)")
    return Message(header, PayloadSet(clear), encrypted, data)


def encode_clear(header: Header, payloads: Sequence[AnyPayload]) -> bytes:
    """A message without protection (IKE_SA_INIT and errors outside an IKE SA)."""
    first, chain = encode_chain(payloads)
    return header.encode_for(first, HEADER_SIZE + len(chain)) + chain


def seal_message(
    header: Header, payloads: Sequence[AnyPayload], cipher: MessageCipher, iv: bytes
) -> bytes:
    """A message with all payloads inside SK. `iv` must be new for the cipher's key."""
    return seal(header, encode_chain(payloads), cipher, iv)


def open_message(encrypted: Encrypted, cipher: MessageCipher) -> PayloadSet:
    """The payloads inside SK. `IntegrityError`: not authentic; `ParseError`: malformed."""
    return PayloadSet(parse_chain(encrypted.first_inner, open_encrypted(encrypted, cipher)))
