"""What the demonstration found out, as values; `run` fills them in, `report` prints them."""

from dataclasses import asdict, dataclass, field
from typing import Any

from p4esp.formats_lab.tour import Stop
from p4esp.formats_lab.two_paths import Arrivals


@dataclass(frozen=True, slots=True)
class Check:
    """One claim of the demonstration and whether it held."""

    name: str
    held: bool
    detail: str


@dataclass(frozen=True, slots=True)
class IkeMessage:
    """One IKE message as a gateway saw it; `time` in seconds since the start."""

    time: float
    gateway: str
    direction: str
    message: str
    payloads: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Traffic:
    """Packets from one host to the other. Sizes are octets of the inner IPv4 packet."""

    direction: str
    sent: int
    delivered: int
    identical: int
    smallest: int
    largest: int
    esp_frames: int
    """Frames on the wire, all of them ESP."""
    esp_octets: int
    """Of these frames, from their Ethernet header on."""
    seconds: float


@dataclass(frozen=True, slots=True)
class Attack:
    """A packet that must not pass, and the counter that says so."""

    name: str
    what: str
    counter: str
    gateway: str
    counted: dict[str, int]
    """Every drop counter that moved."""
    delivered: int


@dataclass(slots=True)
class Facts:
    """Everything."""

    checks: list[Check] = field(default_factory=list)
    ike: list[IkeMessage] = field(default_factory=list)
    entries: dict[str, list[str]] = field(default_factory=dict)
    trace: list[str] = field(default_factory=list)
    traffic: list[Traffic] = field(default_factory=list)
    attacks: list[Attack] = field(default_factory=list)
    two_paths: list[Arrivals] = field(default_factory=list)
    formats: list[Stop] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def check(self, name: str, held: bool, detail: str = "") -> None:
        """Record whether a claim held."""
        self.checks.append(Check(name, held, detail))

    def give_up(self, reason: str) -> None:
        """Record that the claims which were not made yet will not be."""
        made = {check.name for check in self.checks}
        missing = [name for name in CLAIMS if name not in made]
        for name in missing:
            self.check(name, False, reason if name == missing[0] else "not tried")

    @property
    def all_held(self) -> bool:
        """Whether every claim that the demonstration must make was made, and held."""
        held = {check.name for check in self.checks if check.held}
        return held.issuperset(CLAIMS) and all(check.held for check in self.checks)

    def as_json(self) -> dict[str, Any]:
        """JSON-ready values."""
        return asdict(self) | {"all_held": self.all_held}


CLAIMS = (
    *("tunnel up", "table entries", "one packet's trace"),
    *("traffic left to right", "traffic right to left"),
    *("replayed packet", "flipped bit", "unknown SPI", "clear packet from outside"),
    *("forged descriptor", "echoing engine", "outside the policy"),
    *("still up after the attacks", "ESP ping inside the SA", "invariants"),
    *("one window for two paths", "a subspace for each path"),
    *("every format carries a packet", "no format takes a changed bit", "files for Wireshark"),
)
