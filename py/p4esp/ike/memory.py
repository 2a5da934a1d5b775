"""How many octets of incomplete messages all IKE SAs of an endpoint may hold together."""

from collections.abc import Callable
from weakref import WeakValueDictionary


class Memory:
    """A budget in octets. Half of it is out of reach for peers that are not authenticated, of which
    the one that has held some for longest gives way: honest messages are soon complete.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._strangers: WeakValueDictionary[int, Lease] = WeakValueDictionary()
        """Oldest first."""
        self._leases = 0
        self.used = 0

    def lease(self, give_way: Callable[[], object], *, trusted: bool) -> "Lease":
        """A part of the budget, of no size yet. `give_way` frees what is held under it."""
        lease = Lease(self, give_way)
        if not trusted:
            self._leases += 1
            self._strangers[self._leases] = lease
        return lease

    def make_room(self, size: int, *, trusted: bool) -> bool:
        """Whether that many more octets may be held for a peer; others may have to give way."""
        limit = self._limit if trusted else self._limit // 2
        while self.used + size > limit:
            number = next(iter(self._strangers.keys()), None)
            if number is None:
                return False
            oldest = self._strangers.pop(number, None)
            if oldest is not None:
                oldest.revoke()
        return True


class Lease:
    """Octets taken from a budget; they are given back when the lease is gone."""

    __slots__ = ("__weakref__", "_give_way", "_memory", "_size", "revoked")

    def __init__(self, memory: Memory, give_way: Callable[[], object]) -> None:
        self._memory = memory
        self._give_way = give_way
        self._size = 0
        self.revoked = False
        """Whether what was held under it is gone."""

    def extend(self, size: int) -> None:
        """Take more octets."""
        self._memory.used += size
        self._size += size

    def revoke(self) -> None:
        """Give all back."""
        self._give_way()
        self._memory.used -= self._size
        self._size, self.revoked = 0, True

    def __del__(self) -> None:
        self._memory.used -= self._size
