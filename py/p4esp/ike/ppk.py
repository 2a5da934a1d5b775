"""Postquantum preshared keys (PPKs): their names, who gives them out, what use is made of them
(RFC 8784 5.1, RFC 9867).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol

OPAQUE: Final = 1
"""PPK_ID type of a key that is used once."""
FIXED: Final = 2
"""PPK_ID type of a key that is used again and again."""
TYPES: Final = {OPAQUE: "opaque", FIXED: "fixed"}
MAX_NAME: Final = 255
ID_SIZES: Final = range(2, 1 + MAX_NAME + 1)
"""Octets of a PPK_ID: its type, and a name."""
MIN_SECRET: Final = 32
"""Octets: 256 bits leave 128 of security against a quantum computer (RFC 8784 6)."""
MAX_SECRET: Final = 4096


class PpkMode(StrEnum):
    """Where a PPK is mixed into the keys of an IKE SA: one way at most, once."""

    NONE = "none"
    AUTH = "8784"
    """In IKE_AUTH, into SK_d, SK_pi, SK_pr."""
    INTERMEDIATE = "9867"
    """In the last IKE_INTERMEDIATE, into all keys; later exchanges may mix in others."""


@dataclass(frozen=True, slots=True)
class PostquantumKey:
    """It keeps keys secret even if the key exchange falls."""

    identity: bytes
    """PPK_ID: an octet of type, 1 opaque or 2 fixed, and the name."""
    secret: bytes = field(repr=False)

    @property
    def one_time(self) -> bool:
        """Whether it may be used once only."""
        return self.identity[0] == OPAQUE


def shown(identity: bytes) -> str:
    """A PPK_ID for people: type and name, which is in hexadecimal unless it is plain text."""
    if not identity:
        return "(empty)"
    name = identity[1:].decode("ascii", "replace")
    text = name if name.isprintable() and name.isascii() else identity[1:].hex()
    return f"{TYPES.get(identity[0], identity[0])}:{text}"


class PpkSource(Protocol):
    """Gives out the PPKs of one peer. Each method may raise `LookupError`: they cannot be read."""

    def any(self) -> bool:
        """Whether there is one to offer."""

    def offer(self) -> Sequence[PostquantumKey]:
        """The ones to offer the peer, best first: at most one is used once, and is marked as used
        on disk before this returns, whatever becomes of it.
        """

    def find(self, identity: bytes) -> PostquantumKey | None:
        """The one of a PPK_ID, unless it has been used up."""

    def claim(self, key: PostquantumKey) -> bool:
        """Whether it may be used now; one that is used once is marked as used on disk before this
        returns.
        """


@dataclass(frozen=True, slots=True)
class FixedPpks:
    """Keys that stay the same, best first."""

    keys: tuple[PostquantumKey, ...]

    def any(self) -> bool:
        """Whether there is one."""
        return bool(self.keys)

    def offer(self) -> Sequence[PostquantumKey]:
        """All."""
        return self.keys

    def find(self, identity: bytes) -> PostquantumKey | None:
        """By its PPK_ID, which is no secret."""
        return next((key for key in self.keys if key.identity == identity), None)

    def claim(self, key: PostquantumKey) -> bool:
        """Always."""
        return True


@dataclass(frozen=True, slots=True)
class PpkPolicy:
    """What use is made of PPKs with a peer."""

    source: PpkSource
    required: bool = False
    """Whether to refuse a peer that uses none of them."""
    modes: tuple[PpkMode, ...] = (PpkMode.INTERMEDIATE, PpkMode.AUTH)
    """Ways to mix them in."""
    rekey: bool = False
    """Whether CREATE_CHILD_SA mixes in one more, if IKE_INTERMEDIATE was agreed on. How is ours:
    the formula of RFC 9867 3.2 has not been confirmed by anybody.
    """
