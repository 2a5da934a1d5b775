"""Lists of authentication methods that an end can verify, as they travel (RFC 9593 3.2)."""

from collections.abc import Iterable
from dataclasses import dataclass

from p4esp.ike.codec.reader import Reader
from p4esp.ike.constants import AuthMethod
from p4esp.ike.errors import ParseError

MAX_ANNOUNCEMENTS = 256
"""Of one peer; more are not read."""
_HEAD = 2
"""Octets of length and method."""
_BARE = (AuthMethod.SHARED_KEY, AuthMethod.NULL)


@dataclass(frozen=True, slots=True)
class Announcement:
    """A method that its sender can verify."""

    method: int
    authority: int = 0
    """Which of the authorities in the sender's CERTREQ payloads it is about, from 1; 0: any."""
    algorithm: bytes = b""
    """Of method 14 the DER AlgorithmIdentifier."""

    def encode(self) -> bytes:
        """Length of the whole, method, and what the method needs."""
        body = bytes([self.method])
        if self.method not in _BARE:
            body += bytes([self.authority]) + self.algorithm
        return bytes([1 + len(body)]) + body


def encode_list(announcements: Iterable[Announcement]) -> bytes:
    """The data of a notify."""
    return b"".join(announcement.encode() for announcement in announcements)


def parse_list(data: bytes, found: list[Announcement]) -> None:
    """Add what a notify announces to `found`, whatever the methods mean. ParseError at the first
    that is malformed: those before it have been added.
    """
    reader = Reader(data, "SUPPORTED_AUTH_METHODS")
    while reader.left and len(found) < MAX_ANNOUNCEMENTS:
        size = reader.number(1, "length")
        if size < _HEAD:
            raise ParseError(f"SUPPORTED_AUTH_METHODS: an announcement of {size} octets")
        method, body = reader.number(1, "method"), reader.take(size - _HEAD, "announcement")
        found.append(Announcement(method, body[0] if body else 0, body[1:]))
