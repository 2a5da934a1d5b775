"""What a dpmux remembers: who owns which port, whose request an id was, what is in flight."""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from p4esp.switch.ports.portset import format_ports

C = TypeVar("C", bound=Hashable)

MAX_REMEMBERED_IDS = 65536


class PortTakenError(Exception):
    """Another client has the port; the message names it."""


class PortReservedError(Exception):
    """No client may have the port; the message names it and who has it."""


class PortOwners(Generic[C]):
    """Ports by client. A client without a port set gets every port that nobody else took.

    Nobody gets `cpu_port`: what enters there is taken for the controller's word (packet-out), and
    the controller speaks over P4Runtime.
    """

    def __init__(self, cpu_port: int) -> None:
        self._cpu_port = cpu_port
        self._owners: dict[int, C] = {}
        self._rest: C | None = None

    def claim(self, client: C, ports: frozenset[int] | None) -> None:
        """Give `ports` (None: all others) to `client`, all or none; raises `PortTakenError` and
        `PortReservedError`.
        """
        if ports is not None and self._cpu_port in ports:
            raise self._reserved()
        if ports is None:
            if self._rest is not None:
                raise PortTakenError("another client has the ports that nobody names; name yours")
            self._rest = client
            return
        taken = ports & self._owners.keys()
        if taken:
            raise PortTakenError(f"ports {format_ports(taken)} are taken by another client")
        self._owners.update(dict.fromkeys(ports, client))

    def release(self, client: C) -> None:
        """Forget `client`."""
        self._owners = {port: owner for port, owner in self._owners.items() if owner != client}
        if self._rest == client:
            self._rest = None

    def owner(self, port: int) -> C | None:
        """Who gets what leaves `port`."""
        return self._owners.get(port, self._rest)

    def require(self, client: C, port: int) -> None:
        """Raise what `claim` raises unless `client` may send into `port`."""
        if port == self._cpu_port:
            raise self._reserved()
        if self.owner(port) != client:
            raise PortTakenError(f"port {port} is not among this client's ports")

    def _reserved(self) -> PortReservedError:
        return PortReservedError(
            f"port {self._cpu_port} is the CPU port, where only the controller speaks, over "
            "P4Runtime; accepted: any other port"
        )


class RequestIds(Generic[C]):
    """Unique upstream ids for the requests of all clients; the oldest are forgotten."""

    def __init__(self) -> None:
        self._next = 0
        self._known: dict[int, tuple[C, int]] = {}

    def assign(self, client: C, request_id: int) -> int:
        """The upstream id for a client's request."""
        self._next += 1
        self._known[self._next] = (client, request_id)
        if len(self._known) > MAX_REMEMBERED_IDS:
            del self._known[next(iter(self._known))]
        return self._next

    def original(self, client: C | None, upstream_id: int) -> int:
        """The client's own id for a response; 0 if another client caused it."""
        cause = self._known.get(upstream_id)
        return cause[1] if cause is not None and cause[0] == client else 0


class Window(Generic[C]):
    """At most `size` requests in flight (0: no limit).

    A request leaves the window when a packet that it caused comes back, or after `grace`
    nanoseconds: a packet that the pipeline drops is never acknowledged.
    """

    def __init__(self, size: int, grace: int, clock: Callable[[], int]) -> None:
        self._size = size
        self._grace = grace
        self._clock = clock
        self._in_flight: dict[int, tuple[C, int]] = {}

    def sent(self, client: C, upstream_id: int) -> None:
        """A request went to the switch."""
        self._in_flight[upstream_id] = (client, self._clock() + self._grace)

    def acknowledge(self, upstream_id: int) -> bool:
        """A packet came back; True if its request was still in flight."""
        return self._in_flight.pop(upstream_id, None) is not None

    def wait(self) -> int | None:
        """None if there is room, else nanoseconds until the oldest request leaves by itself."""
        self._expire()
        if not self._size or len(self._in_flight) < self._size:
            return None
        return self._deadline() - self._clock()

    def wait_for(self, client: C) -> int | None:
        """None if nothing of `client` is in flight, else nanoseconds until the oldest leaves."""
        self._expire()
        if all(owner != client for owner, _ in self._in_flight.values()):
            return None
        return self._deadline() - self._clock()

    def _deadline(self) -> int:
        """Deadlines stand in the order of sending."""
        return next(iter(self._in_flight.values()))[1]

    def _expire(self) -> None:
        now = self._clock()
        while self._in_flight and self._deadline() <= now:
            del self._in_flight[next(iter(self._in_flight))]
