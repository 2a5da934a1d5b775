"""Plain data of the invariant checker: what was recorded, and what was found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from ipaddress import IPv4Network, IPv6Network

Network = IPv4Network | IPv6Network
ANY_PORT = (0, 0xFFFF)


class Rule(StrEnum):
    """The invariants by name."""

    CLEAR_TEXT_OUT = "clear text on an unprotected port"
    NONCE_REPEATED = "(key, nonce) used twice"
    WINDOW_MOVED = "window moved without authentication"
    SECRET_EXPOSED = "key material outside the engine"
    UNCOUNTED_DROP = "drop without a named, counted reason"
    COUNTERS_DIFFER = "counters do not add up to the packets sent"


class Role(Enum):
    """What a switch port is for."""

    PROTECTED = "protected"
    UNPROTECTED = "unprotected"
    CRYPTO = "crypto"
    CPU = "cpu"


class Verdict(Enum):
    """What policy says about a packet."""

    PROTECT = "protect"
    BYPASS = "bypass"
    DISCARD = "discard"


@dataclass(frozen=True, slots=True)
class Policy:
    """One outbound rule; of several that match, the first in the list counts.

    ``protocol`` None matches all; port ranges are inclusive and only looked at for packets that
    show ports (ICMP: type << 8 | code in both). ``ports_known`` True: only packets that show them,
    False: only those that do not, such as later fragments.
    """

    verdict: Verdict
    source: Network
    destination: Network
    protocol: int | None = None
    source_ports: tuple[int, int] = ANY_PORT
    destination_ports: tuple[int, int] = ANY_PORT
    ports_known: bool | None = None


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken rule. ``packet`` is the number Recorder.packet returned, None without one."""

    rule: Rule
    packet: int | None
    what: str

    def __str__(self) -> str:
        where = "" if self.packet is None else f" at packet {self.packet}"
        return f"{self.rule}{where}: {self.what}"


class InvariantError(AssertionError):
    """At least one invariant was broken; the text lists all of them."""


@dataclass(frozen=True, slots=True)
class Packet:
    """A frame that entered (``inward``) or left a switch port."""

    number: int
    port: int
    role: Role
    inward: bool
    frame: bytes


@dataclass(frozen=True, slots=True)
class Sealed:
    """One IV that was used: ``key`` is any stable name of (key, salt)."""

    packet: int
    key: bytes
    iv: int


@dataclass(frozen=True, slots=True)
class WindowState:
    """A replay window as read back: its top and the numbers marked as received.

    ``authenticated`` are the numbers the engine had authenticated for that space when it was
    read; ``fresh`` starts a new history (the space was scrubbed or allocated anew).
    """

    packet: int
    space: int
    top: int
    marked: frozenset[int]
    authenticated: frozenset[int]
    fresh: bool


@dataclass(frozen=True, slots=True)
class CounterState:
    """Counters as read back, and the packets recorded until then, by direction."""

    packet: int
    entered: int
    left: int
    outcomes: Mapping[str, int]
    drops: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class EngineCounters:
    """An engine's replies by status name and frames it did not answer: its word and ours."""

    packet: int
    told: Mapping[str, int]
    seen: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Text:
    """Bytes of a log, a P4Runtime message or a file, and where they were found."""

    where: str
    content: bytes


@dataclass(frozen=True, slots=True)
class SealedText:
    """What is known of a text that the engine sealed: the handle of its key, and how many octets of
    the payload stand in clear in front of it because the SA shows them.
    """

    key: int
    shown: int


@dataclass(slots=True)
class Log:
    """Everything one Recorder saw, in order."""

    policies: list[tuple[int, tuple[Policy, ...]]] = field(default_factory=list)
    """The rules in force, each with the number of packets recorded before."""
    packets: list[Packet] = field(default_factory=list)
    sealed: list[Sealed] = field(default_factory=list)
    sealed_texts: dict[bytes, SealedText] = field(default_factory=dict)
    """What the engine sealed."""
    readable_keys: set[int] = field(default_factory=set)
    """Handles whose texts are clear by configuration: NULL and GMAC."""
    windows: list[WindowState] = field(default_factory=list)
    counters: list[CounterState] = field(default_factory=list)
    engine_counters: list[EngineCounters] = field(default_factory=list)
    texts: list[Text] = field(default_factory=list)
    secrets: dict[str, bytes] = field(default_factory=dict)
