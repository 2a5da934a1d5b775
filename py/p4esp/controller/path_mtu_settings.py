"""What the operator decides about path MTUs."""

from dataclasses import dataclass
from typing import Final

AGE: Final = 600.0
"""Seconds after which a path is tried with the link's MTU again (RFC 1191 6.3, RFC 8201 4)."""


@dataclass(frozen=True, slots=True)
class PathMtuSettings:
    """`age` is in seconds."""

    accept_icmp: bool = True
    age: float = AGE
