"""When an SA is to be rekeyed, and when it ends."""

from dataclasses import dataclass
from typing import Self

from p4esp.ike.config import Limit


@dataclass(slots=True)
class Term:
    """Times on the caller's clock; None: never."""

    rekey: float | None = None
    end: float | None = None

    @classmethod
    def of(cls, limit: Limit | None, now: float, fraction: float) -> Self:
        """The term of an SA that begins now; `fraction`, 0 <= fraction < 1, is random."""
        return cls() if limit is None else cls(now + limit.rekey_at(fraction), now + limit.hard)

    def next(self) -> float | None:
        """The earlier of both."""
        return min((t for t in (self.rekey, self.end) if t is not None), default=None)
