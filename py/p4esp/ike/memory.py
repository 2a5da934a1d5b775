"""How many octets of incomplete messages all IKE SAs of an endpoint may hold together."""


class Memory:
    """A budget in octets. Half of it is out of reach for peers that are not authenticated."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.used = 0

    def has_room(self, size: int, *, trusted: bool) -> bool:
        """Whether that many more octets may be held for a peer. Takes nothing."""
        limit = self._limit if trusted else self._limit // 2
        return self.used + size <= limit


class Lease:
    """Octets taken from a budget; they are given back when the lease is gone."""

    __slots__ = ("_memory", "_size")

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._size = 0

    def extend(self, size: int) -> None:
        """Take more octets."""
        self._memory.used += size
        self._size += size

    def __del__(self) -> None:
        self._memory.used -= self._size
