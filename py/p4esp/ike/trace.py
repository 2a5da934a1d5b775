"""Facts about messages for logs and audits. They never hold payload data or keys."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from p4esp.ike.codec.header import Header
from p4esp.ike.constants import ExchangeType, name_of
from p4esp.ike.drops import Drop
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
    header: Header | None = None
    """None: it could not be read."""
    peer: str = ""
    """Name of the peer's configuration; empty while it is not known."""
    size: int = 0
    """Octets of the IKE message."""
    payloads: tuple[str, ...] = ()
    drop: Drop | None = None
    """Why it was dropped, by name."""
    reason: str = ""
    """The same in detail."""
    untold: int = 0
    """Further messages that were dropped since the last record of one, and not recorded."""

    @property
    def message(self) -> str:
        """Exchange, direction and message ID; empty when the header could not be read."""
        return "" if self.header is None else str(self.header)

    def as_json(self) -> dict[str, object]:
        """The record as JSON-ready values."""
        return {
            "time": self.time,
            "kind": self.kind.value,
            "peer": self.peer,
            "local": str(self.path.local),
            "remote": str(self.path.remote),
            **({} if self.header is None else _header_as_json(self.header)),
            "size": self.size,
            "payloads": list(self.payloads),
            **({} if self.drop is None else self._drop_as_json(self.drop)),
        }

    def _drop_as_json(self, drop: Drop) -> dict[str, object]:
        return {"drop": drop.name, "reason": self.reason or drop.value, "untold": self.untold}


def _header_as_json(header: Header) -> dict[str, object]:
    return {
        "exchange": name_of(ExchangeType, header.exchange),
        "direction": "response" if header.response else "request",
        "message_id": header.message_id,
        "spi_i": header.spi_i.hex(),
        "spi_r": header.spi_r.hex(),
    }


TraceHook = Callable[[TraceRecord], None]
