"""Datagrams that wait for an IKE endpoint, in the order of what they may be worth.

A flood fills the queue of its own class only: messages of live IKE SAs, and openings that show a
cookie, overtake it. The switch keeps the same classes apart with meters.
"""

from collections import Counter, deque
from collections.abc import Callable
from enum import Enum
from typing import Final

from p4esp.ike.codec.header import NEXT_PAYLOAD_AT, own_spi_of
from p4esp.ike.constants import HEADER_SIZE, NO_SPI, PayloadType
from p4esp.ike.path import Path
from p4esp.ike.transport import Ports


class Claim(Enum):
    """What a datagram seems to be, from octets that anybody can write; most urgent first."""

    IKE_SA = "message of a live IKE SA"
    COOKIE = "opening with a cookie"
    OPENING = "opening"
    OTHER = "message of no IKE SA"


LIMITS: Final = {Claim.IKE_SA: 4096, Claim.COOKIE: 512, Claim.OPENING: 256, Claim.OTHER: 256}
"""Datagrams that may wait; when there are more the oldest is lost."""


class Inbox:
    """Bounded queues, one a class."""

    def __init__(self, ports: Ports, is_live: Callable[[bytes], bool]) -> None:
        """`is_live`: whether an SPI of ours, 8 octets, names an IKE SA."""
        self._ports = ports
        self._is_live = is_live
        self._queues: dict[Claim, deque[tuple[bytes, Path]]] = {claim: deque() for claim in Claim}
        self.lost: Counter[Claim] = Counter()
        """Datagrams that waited in vain."""

    def claim_of(self, payload: bytes, path: Path) -> Claim:
        """The class of a UDP payload."""
        _, message = self._ports.unframe(payload, path.local.port)
        if len(message) < HEADER_SIZE:
            return Claim.OTHER
        own_spi = own_spi_of(message)
        if own_spi != NO_SPI:
            return Claim.IKE_SA if self._is_live(own_spi) else Claim.OTHER
        first_payload = message[NEXT_PAYLOAD_AT]
        return Claim.COOKIE if first_payload == PayloadType.NOTIFY else Claim.OPENING

    def put(self, payload: bytes, path: Path) -> None:
        """Keep a datagram until its turn comes."""
        claim = self.claim_of(payload, path)
        queue = self._queues[claim]
        if len(queue) == LIMITS[claim]:
            queue.popleft()
            self.lost[claim] += 1
        queue.append((payload, path))

    def take(self) -> tuple[bytes, Path] | None:
        """The oldest of the most urgent class."""
        queue = next(filter(None, self._queues.values()), None)
        return queue.popleft() if queue else None
