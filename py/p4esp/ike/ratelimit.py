"""A token bucket on the caller's clock."""


class RateLimit:
    """Allows `rate` actions per second on average, `rate` (at least one) at once."""

    def __init__(self, rate: float, now: float) -> None:
        self._rate = rate
        self._size = max(rate, 1.0)
        self._tokens = self._size
        self._updated = now

    def allow(self, now: float) -> bool:
        """Whether one more action may happen now."""
        earned = max(0.0, now - self._updated) * self._rate
        self._tokens = min(self._size, self._tokens + earned)
        self._updated = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True
