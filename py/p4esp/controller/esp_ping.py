"""ESP pings of ours: requests out, replies in (draft-ietf-ipsecme-esp-ping, as Linux lays it out).

Nobody signs a reply. It counts when it comes from where the request went, to where that came from,
with the request's identifier, number and data; anything else is counted and never answered.
"""

import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final

from p4esp.controller.numbers import PROTO_ESP
from p4esp.controller.outstanding import Echo, Outstanding
from p4esp.controller.packets import (
    IpPacket,
    Ipv4,
    PacketError,
    packet_between,
    routed_frame,
)
from p4esp.ipsec.selectors import Address

SPI_REQUEST: Final = 7
SPI_REPLY: Final = 8
HEADER: Final = 16
"""Octets in front of the data."""
MAX_DATA: Final = 0x3FFF
"""Octets of data beyond which the pipeline answers nothing."""

_KINDS: Final = {SPI_REQUEST: 2, SPI_REPLY: 3}
_LAYOUT: Final = struct.Struct("!IIBBHHH")
_DONT_FRAGMENT: Final = 0x4000


def build(echo: Echo, spi: int) -> bytes:
    """A request or a reply, behind the IP header."""
    facts = (0, _KINDS[spi], 0, len(echo.data), echo.identifier, echo.number)
    return _LAYOUT.pack(spi, *facts) + echo.data


def parse_reply(packet: IpPacket) -> Echo:
    """The echo that a packet gives back; PacketError when it is no reply."""
    payload = packet.payload
    if packet.protocol != PROTO_ESP or len(payload) < HEADER:
        raise PacketError(f"protocol {packet.protocol}, {len(payload)} octets: no ESP ping")
    spi, _, kind, flags, length, identifier, number = _LAYOUT.unpack_from(payload)
    if (spi, kind, flags) != (SPI_REPLY, _KINDS[SPI_REPLY], 0):
        raise PacketError(f"SPI {spi}, sub-type {kind}, flags {flags}: no reply to an ESP ping")
    if length != len(payload) - HEADER:
        raise PacketError(f"data length {length} does not fit {len(payload)} octets")
    return Echo(identifier, number, payload[HEADER:])


@dataclass(frozen=True, slots=True)
class Ends:
    """Between whom a ping goes: our address and theirs, of one family."""

    local: Address
    remote: Address

    def request(self, echo: Echo) -> bytes:
        """The frame for packet-out ROUTE. No router may cut it: its size is what is tried out."""
        packet = packet_between(self.local, self.remote, PROTO_ESP, build(echo, SPI_REQUEST))
        if isinstance(packet, Ipv4):
            packet = replace(packet, fragment=_DONT_FRAGMENT)
        return routed_frame(packet)


class EspPings:
    """The requests of a gateway, and the replies to them."""

    def __init__(self, clock: Callable[[], float], random_bytes: Callable[[int], bytes]) -> None:
        self.outstanding: Outstanding[Ends] = Outstanding(clock, random_bytes)

    async def ping(
        self,
        send: Callable[[bytes], Awaitable[None]],
        ends: Ends,
        number: int,
        size: int,
        *,
        seconds: float,
    ) -> float | None:
        """Send a request; returns the seconds until its reply, None without one in time."""
        return await self.outstanding.ask(
            lambda echo: send(ends.request(echo)), ends, number, size, seconds=seconds
        )

    def received(self, packet: IpPacket) -> None:
        """A reply came in; PacketError when it is none."""
        self.outstanding.replied(Ends(packet.dst, packet.src), parse_reply(packet))
