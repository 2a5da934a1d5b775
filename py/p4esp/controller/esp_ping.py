"""ESP pings of ours: requests out, replies in (draft-ietf-ipsecme-esp-ping, as Linux lays it out).

Nobody signs a reply. It counts when it comes from where the request went, to where that came from,
with the request's identifier, number and data; anything else is counted and never answered.
"""

import asyncio
import struct
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from typing import Final, Self

from p4esp.controller.numbers import PROTO_ESP
from p4esp.controller.packets import IpPacket, Ipv4, Ipv6, PacketError, routed_frame
from p4esp.ike.errors import CommandError
from p4esp.ipsec.selectors import Address

SPI_REQUEST: Final = 7
SPI_REPLY: Final = 8
HEADER: Final = 16
"""Octets in front of the data."""
MAX_WAITING: Final = 64
"""Requests of a gateway that may wait for their reply at a time."""
MAX_DATA: Final = 0x3FFF
"""Octets of data beyond which the pipeline answers nothing."""

_KINDS: Final = {SPI_REQUEST: 2, SPI_REPLY: 3}
_LAYOUT: Final = struct.Struct("!IIBBHHH")
_DONT_FRAGMENT: Final = 0x4000


@dataclass(frozen=True, slots=True)
class Echo:
    """What a request and its reply have in common."""

    identifier: int
    number: int
    data: bytes = b""

    def build(self, spi: int) -> bytes:
        """The packet behind the IP header."""
        facts = (0, _KINDS[spi], 0, len(self.data), self.identifier, self.number)
        return _LAYOUT.pack(spi, *facts) + self.data

    @classmethod
    def parse_reply(cls, packet: IpPacket) -> Self:
        """The echo that a packet gives back; PacketError when it is no reply."""
        payload = packet.payload
        if packet.protocol != PROTO_ESP or len(payload) < HEADER:
            raise PacketError(f"protocol {packet.protocol}, {len(payload)} octets: no ESP ping")
        spi, _, kind, flags, length, identifier, number = _LAYOUT.unpack_from(payload)
        if (spi, kind, flags) != (SPI_REPLY, _KINDS[SPI_REPLY], 0):
            raise PacketError(f"SPI {spi}, sub-type {kind}, flags {flags}: no reply to an ESP ping")
        if length != len(payload) - HEADER:
            raise PacketError(f"data length {length} does not fit {len(payload)} octets")
        return cls(identifier, number, payload[HEADER:])


@dataclass(frozen=True, slots=True)
class Ends:
    """Between whom a ping goes: our address and theirs, of one family."""

    local: Address
    remote: Address

    def request(self, echo: Echo) -> bytes:
        """The frame for packet-out ROUTE. No router may cut it: its size is what is tried out."""
        payload = echo.build(SPI_REQUEST)
        match self.local, self.remote:
            case IPv4Address() as src, IPv4Address() as dst:
                packet = Ipv4(src, dst, PROTO_ESP, payload, fragment=_DONT_FRAGMENT)
                return routed_frame(packet)
            case IPv6Address() as src, IPv6Address() as dst:
                return routed_frame(Ipv6(src, dst, PROTO_ESP, payload))
        raise ValueError(f"{self.local} and {self.remote} are of different families")


@dataclass(slots=True)
class _Waiting:
    data: bytes
    replied: asyncio.Future[float] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    """The time of its reply."""


_Key = tuple[Ends, int, int]


class EspPings:
    """The requests of a gateway that wait for a reply."""

    def __init__(self, clock: Callable[[], float], random_bytes: Callable[[int], bytes]) -> None:
        self._clock = clock
        self._random_bytes = random_bytes
        self._waiting: dict[_Key, _Waiting] = {}
        self.ignored = 0
        """Replies that nobody waited for."""

    def __len__(self) -> int:
        return len(self._waiting)

    async def ping(
        self,
        send: Callable[[bytes], Awaitable[None]],
        ends: Ends,
        number: int,
        size: int,
        *,
        seconds: float,
    ) -> float | None:
        """Send a request; returns the seconds until its reply, None without one in time.

        Sending is not cut short: a gRPC stream does not survive a write that is cancelled.
        """
        echo = Echo(self._free_identifier(ends, number), number, self._random_bytes(size))
        with self._wait(ends, echo) as waiting:
            sent = self._clock()
            await send(ends.request(echo))
            try:
                async with asyncio.timeout(seconds):
                    return await waiting.replied - sent
            except TimeoutError:
                return None

    @contextmanager
    def _wait(self, ends: Ends, echo: Echo) -> Iterator[_Waiting]:
        if len(self._waiting) >= MAX_WAITING:
            accepted = f"accepted: {MAX_WAITING} at a time"
            raise CommandError(f"{MAX_WAITING} pings are under way; {accepted}")
        key = (ends, echo.identifier, echo.number)
        self._waiting[key] = _Waiting(echo.data)
        try:
            yield self._waiting[key]
        finally:
            del self._waiting[key]

    def _free_identifier(self, ends: Ends, number: int) -> int:
        identifier = int.from_bytes(self._random_bytes(2), "big")
        while (ends, identifier, number) in self._waiting:
            identifier = (identifier + 1) & 0xFFFF
        return identifier

    def received(self, packet: IpPacket) -> None:
        """A reply came in; PacketError when it is none."""
        echo = Echo.parse_reply(packet)
        key = (Ends(packet.dst, packet.src), echo.identifier, echo.number)
        waiting = self._waiting.get(key)
        if waiting is None or waiting.data != echo.data or waiting.replied.done():
            self.ignored += 1
        else:
            waiting.replied.set_result(self._clock())
