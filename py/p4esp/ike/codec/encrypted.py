"""SK and SKF payloads: a message, or a piece of one, under the IKE SA's keys.

RFC 7296 3.14, RFC 5282 3, RFC 7383 2.5.
"""

from dataclasses import dataclass
from typing import Self

from p4esp.ike.codec.chain import GENERIC_HEADER_SIZE, generic_header, take_payload
from p4esp.ike.codec.header import Header
from p4esp.ike.codec.reader import Reader
from p4esp.ike.constants import HEADER_SIZE, PayloadType
from p4esp.ike.crypto.ciphers import MessageCipher
from p4esp.ike.errors import IntegrityError, ParseError


@dataclass(frozen=True, slots=True)
class Part:
    """Which piece of a fragmented message an SKF payload holds."""

    number: int
    """1..`total`."""
    total: int

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read Fragment Number and Total Fragments off the front of an SKF payload's body."""
        reader = Reader(body, "SKF payload")
        number, total = reader.number(2, "Fragment Number"), reader.number(2, "Total Fragments")
        if not 1 <= number <= total:
            raise ParseError(f"SKF payload: fragment {number} of {total}")
        return cls(number, total)

    def encode(self) -> bytes:
        """Fragment Number and Total Fragments, 4 octets."""
        return self.number.to_bytes(2, "big") + self.total.to_bytes(2, "big")

    def __str__(self) -> str:
        return f"fragment {self.number} of {self.total}"


PART_SIZE = 4


@dataclass(frozen=True, slots=True)
class Encrypted:
    """An SK or SKF payload, still sealed."""

    first_inner: int
    """Type of the first inner payload; 0 in fragments after the first."""
    associated: bytes
    """What the ICV covers besides: from the IKE header to the IV."""
    body: bytes
    """IV, ciphertext, ICV."""
    part: Part | None = None
    """None: SK, the whole message."""


def take_encrypted(data: bytes, reader: Reader, kind: int) -> Encrypted:
    """The payload of type `kind` (SK, SKF) that `reader` stands at, the last of message `data`."""
    start = len(data) - reader.left + GENERIC_HEADER_SIZE
    first_inner, _, body = take_payload(reader)
    reader.finish()
    if kind == PayloadType.SK:
        return Encrypted(first_inner, data[:start], body)
    part = Part.parse(body)
    _check_announced(first_inner, part)
    return Encrypted(first_inner, data[: start + PART_SIZE], body[PART_SIZE:], part)


def _check_announced(first_inner: int, part: Part) -> None:
    """The first fragment alone names the first inner payload, if there is any."""
    named, first = first_inner != PayloadType.NONE, part.number == 1
    if named is not first and part.total > 1:
        raise ParseError(f"SKF payload: {part} has Next Payload {first_inner}")


def seal(
    header: Header,
    chain: tuple[int, bytes],
    cipher: MessageCipher,
    iv: bytes,
    part: Part | None = None,
) -> bytes:
    """A message whose payloads are inside SK, or a piece of them inside SKF.

    `chain`: type of the first payload, and octets. `iv` must be new for the cipher's key.
    """
    first_inner, inner = chain
    kind, prefix = (PayloadType.SK, b"") if part is None else (PayloadType.SKF, part.encode())
    plaintext = inner + _padding(len(inner), cipher.block_size)
    body_size = len(prefix) + cipher.iv_size + len(plaintext) + cipher.icv_size
    size = HEADER_SIZE + GENERIC_HEADER_SIZE + body_size
    head = header.encode_for(kind, size)
    associated = head + generic_header(first_inner, body_size) + prefix
    return associated + cipher.seal(associated, iv, plaintext)


def _padding(size: int, block_size: int) -> bytes:
    pad_size = -(size + 1) % block_size
    return bytes(pad_size) + bytes([pad_size])


def sealed_size(size: int, cipher: MessageCipher) -> int:
    """Octets of a message with `size` octets of inner payloads inside SK."""
    padded = size + len(_padding(size, cipher.block_size))
    return HEADER_SIZE + GENERIC_HEADER_SIZE + cipher.iv_size + padded + cipher.icv_size


def piece_size(limit: int, cipher: MessageCipher) -> int:
    """The most octets of inner payloads in a fragment of at most `limit` octets; at least one."""
    room = limit - HEADER_SIZE - GENERIC_HEADER_SIZE - PART_SIZE - cipher.iv_size - cipher.icv_size
    return max(1, room - room % cipher.block_size - 1)


def open_encrypted(encrypted: Encrypted, cipher: MessageCipher) -> bytes:
    """The inner payloads, or a piece of them. `IntegrityError`: not authentic."""
    plaintext = cipher.open(encrypted.associated, encrypted.body)
    if not plaintext or plaintext[-1] + 1 > len(plaintext):
        raise IntegrityError("encrypted payload: pad length exceeds the plaintext")
    return plaintext[: len(plaintext) - plaintext[-1] - 1]
