"""Token buckets on the caller's clock, alone and by source."""

from collections import OrderedDict
from ipaddress import IPv6Address

from p4esp.ike.path import UdpAddress


def source_of(address: UdpAddress) -> bytes:
    """What counts as one source: an IPv4 address, an IPv6 /64."""
    packed = address.host.packed
    return packed[:8] if isinstance(address.host, IPv6Address) else packed


class RateLimit:
    """Allows `rate` actions per second on average, `burst` at once (default: a second's worth)."""

    __slots__ = ("_rate", "_size", "_tokens", "_updated")

    def __init__(self, rate: float, now: float, burst: float | None = None) -> None:
        self._rate = rate
        self._size = max(rate if burst is None else burst, 1.0)
        self._tokens = self._size
        self._updated = now

    def allow(self, now: float) -> bool:
        """Whether one more action may happen now; it then counts."""
        if self.spent(now):
            return False
        self._tokens -= 1.0
        return True

    def spent(self, now: float) -> bool:
        """Whether no action may happen now. Counts nothing."""
        earned = max(0.0, now - self._updated) * self._rate
        self._tokens = min(self._size, self._tokens + earned)
        self._updated = now
        return self._tokens < 1.0


class SourceLimits:
    """A rate limit for each source, for `max_sources` of them: who was longest silent is forgotten.

    To be forgotten is to start afresh, so nobody is harmed by others that fill the table.
    """

    def __init__(self, rate: float, burst: float, max_sources: int) -> None:
        self._rate, self._burst = rate, burst
        self._max_sources = max_sources
        self._limits: OrderedDict[bytes, RateLimit] = OrderedDict()

    def __len__(self) -> int:
        return len(self._limits)

    def allow(self, source: bytes, now: float) -> bool:
        """Whether the source may act once more now; it then counts."""
        limit = self._limits.get(source)
        if limit is None:
            limit = self._limits[source] = RateLimit(self._rate, now, self._burst)
            if len(self._limits) > self._max_sources:
                self._limits.popitem(last=False)
        else:
            self._limits.move_to_end(source)
        return limit.allow(now)

    def spent(self, source: bytes, now: float) -> bool:
        """Whether the source may not act now. Counts nothing, remembers nobody."""
        limit = self._limits.get(source)
        return limit is not None and limit.spent(now)
