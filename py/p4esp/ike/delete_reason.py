"""Why an SA is deleted, as its peer is told (draft-pwouters-ipsecme-delete-info, digest 7).

Two layouts exist under one number: that of the authors' working copy (type, language tag, text),
and that of draft -01 (downtime, text), which is used with a peer whose configuration says so.
"""

import re
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Self

from p4esp.ike.constants import name_of

MAX_TEXT: Final = 256
"""Octets of the text that are sent, and read."""
MAX_DOWNTIME: Final = 0xFFFF
_NUMBER_SIZE: Final = 2
SIZES: Final = range(_NUMBER_SIZE, 0x10000)
"""Octets that the notify may hold, in either layout."""
_TAG: Final = re.compile(r"[A-Za-z0-9]{1,8}(-[A-Za-z0-9]{1,8})*")
"""The shape of a language tag (RFC 5646 2.1); whether it means anything is nobody's concern."""


class ReasonType(IntEnum):
    """Types of the working copy; 0 is reserved."""

    SERVICE_SHUTDOWN = 1
    SERVICE_RESTART = 2
    CONFIGURATION_CHILD_DELETED = 3
    CONFIGURATION_IKE_DELETED = 4
    CONFIGURATION_IKE_UPDATED = 5
    ADMINISTRATIVELY_DOWN = 6
    IDLE_TIMEOUT = 7
    INITIAL_CONTACT_REPLACED = 8
    REPLACED_SA = 9
    LIFETIME_EXCEEDED = 10


@dataclass(frozen=True, slots=True)
class DeleteReason:
    """What the deleting end says. The text is for people: nothing follows from it."""

    type: int = 0
    """A `ReasonType`, or a number we do not know; 0: none was given."""
    text: str = ""
    language: str = ""
    """Tag of the text's language; empty: not told."""
    downtime: int = 0
    """Seconds that it will last; 0: not told. Only draft -01 has it."""

    def __str__(self) -> str:
        parts = [name_of(ReasonType, self.type)] if self.type else []
        parts += [f"down for {self.downtime} s"] if self.downtime else []
        parts += [f"“{self.text}”"] if self.text else []
        return ", ".join(parts) or "no reason"

    def encode(self) -> bytes:
        """Type, and where there is a text length of the language tag, tag, text."""
        number, tag = self.type.to_bytes(_NUMBER_SIZE, "big"), self.language.encode("ascii")
        return number + bytes([len(tag)]) + tag + self.text.encode() if self.text else number

    def encode_downtime(self) -> bytes:
        """Downtime and text; without one the type's name stands for it."""
        text = self.text or name_of(ReasonType, self.type) * bool(self.type)
        return self.downtime.to_bytes(_NUMBER_SIZE, "big") + text.encode()

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """The working copy's layout, 2 octets at least. A language tag that does not fit or is none
        takes the text with it.
        """
        number, rest = _number(data), data[_NUMBER_SIZE:]
        if not rest:
            return cls(number)
        tag, text = rest[1 : 1 + rest[0]], rest[1 + rest[0] :]
        language = tag.decode("ascii", "replace")
        fits = len(tag) == rest[0] and (not tag or _TAG.fullmatch(language))
        return cls(number, readable(text), language) if fits else cls(number)

    @classmethod
    def parse_downtime(cls, data: bytes) -> Self:
        """The layout of draft -01, 2 octets at least."""
        return cls(text=readable(data[_NUMBER_SIZE:]), downtime=_number(data))

    def as_json(self) -> dict[str, object]:
        """The facts as JSON-ready values."""
        return {
            "type": name_of(ReasonType, self.type) if self.type else None,
            "text": self.text,
            "language": self.language,
            "downtime": self.downtime,
        }


def _number(data: bytes) -> int:
    return int.from_bytes(data[:_NUMBER_SIZE], "big")


def readable(data: bytes) -> str:
    """Text of a peer's as a log can bear it: cut short, without control characters."""
    text = data[:MAX_TEXT].decode("utf-8", "replace")
    return "".join(character for character in text if character.isprintable())


def is_language(tag: str) -> bool:
    """Whether it has the shape of a language tag."""
    return _TAG.fullmatch(tag) is not None
