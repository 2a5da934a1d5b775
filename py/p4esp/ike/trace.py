"""Facts about messages for logs and audits. They never hold payload data or keys."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from p4esp.ike.path import Path


class TraceKind(StrEnum):
    """What happened to a message."""

    SENT = "sent"
    RETRANSMITTED = "retransmitted"
    RECEIVED = "received"
    REPEATED = "answered again"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class TraceRecord:
    """One message, sent, received or dropped."""

    time: float
    """Seconds on the caller's clock."""
    kind: TraceKind
    path: Path
    message: str
    """Exchange, direction and message ID; empty when the header could not be read."""
    spi_i: str = ""
    spi_r: str = ""
    payloads: tuple[str, ...] = ()
    reason: str = ""
    """Why it was dropped."""

    def as_json(self) -> dict[str, object]:
        """The record as JSON-ready values."""
        return {
            "time": self.time,
            "kind": self.kind.value,
            "path": str(self.path),
            "message": self.message,
            "spi_i": self.spi_i,
            "spi_r": self.spi_r,
            "payloads": list(self.payloads),
            "reason": self.reason,
        }


TraceHook = Callable[[TraceRecord], None]
