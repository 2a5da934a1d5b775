"""Encrypted ESP pings: requests and replies inside an SA, under next header 144
(draft-antony-ipsecme-encrypted-esp-ping; sub-types and flag as its prototypes have them).

They show that an SA pair carries packets, or which way back does. Engine and window have let in
what comes here, so it is the peer's; no selector was asked, so nothing of it goes to a host.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol, Self

from p4esp.controller.live_sas import LiveSas
from p4esp.controller.numbers import PROTO_AGGFRAG
from p4esp.controller.outstanding import Echo, Outstanding
from p4esp.controller.packets import (
    Ethernet,
    PacketError,
    ip_packet,
    packet_between,
    routed_frame,
)
from p4esp.controller.sa_installer import LiveSa
from p4esp.ike.errors import CommandError
from p4esp.ipsec.formats import Format
from p4esp.ipsec.identity import Identity
from p4esp.ipsec.layouts import form_of, form_out, has_next_header
from p4esp.ipsec.sa import ChildSaParams, Mode
from p4esp.ipsec.selectors import Address

REQUEST: Final = 2
REPLY: Final = 3
MAX_DATA: Final = 512
"""Octets of data beyond which we send and answer nothing."""

_WAY_BACK: Final = 0x80
_LAYOUT: Final = struct.Struct("!BBHHH")
_SPI: Final = struct.Struct("!I")


Peer = tuple[str, Identity]
"""Of the configuration, and who it has proved to be: one section may be for several."""


class SendEcho(Protocol):
    """Has an outbound SA seal the content of a frame."""

    async def __call__(self, sa: int, frame: bytes) -> None:
        """`sa` is the SA's index."""


@dataclass(frozen=True, slots=True)
class SealedEcho:
    """The content of a packet. `back`: the SPI under which the reply is wanted."""

    kind: int
    echo: Echo
    back: int | None = None

    def build(self) -> bytes:
        """Its octets."""
        echo, flags = self.echo, 0 if self.back is None else _WAY_BACK
        head = _LAYOUT.pack(self.kind, flags, len(echo.data), echo.identifier, echo.number)
        return head + (b"" if self.back is None else _SPI.pack(self.back)) + echo.data

    @classmethod
    def parse(cls, text: bytes) -> Self:
        """Take it apart. What stands behind the data is padding against traffic analysis."""
        if len(text) < _LAYOUT.size:
            raise PacketError(f"{len(text)} octets under next header 144: no ESP ping")
        kind, flags, length, identifier, number = _LAYOUT.unpack_from(text)
        if kind not in (REQUEST, REPLY):
            raise PacketError(
                f"sub-type {kind} under next header 144; accepted: {REQUEST}, {REPLY}"
            )
        at, back = _LAYOUT.size, None
        if flags & _WAY_BACK:
            at, back = at + _SPI.size, _way_back(text)
        if length > min(MAX_DATA, len(text) - at):
            raise PacketError(f"data length {length} does not fit, or is above {MAX_DATA}")
        return cls(kind, Echo(identifier, number, text[at : at + length]), back)


def _way_back(text: bytes) -> int:
    if len(text) < _LAYOUT.size + _SPI.size:
        raise PacketError("the packet ends before the SPI of its way back")
    return int(_SPI.unpack_from(text, _LAYOUT.size)[0])


class SealedPings:
    """What a gateway asks, is told and answers."""

    def __init__(self, clock: Callable[[], float], random_bytes: Callable[[int], bytes]) -> None:
        self.outstanding: Outstanding[Peer] = Outstanding(clock, random_bytes)
        """By peer: a reply may come on any of its SAs."""
        self.answered = 0
        """Requests of peers."""

    async def ping(
        self,
        send: SendEcho,
        live: LiveSa,
        number: int,
        size: int,
        *,
        back: int | None = None,
        seconds: float,
    ) -> float | None:
        """Send a request on an SA; the seconds until its reply, None without one in time."""

        async def ask(echo: Echo) -> None:
            await _send(send, live, SealedEcho(REQUEST, echo, back))

        return await self.outstanding.ask(ask, _peer(live), number, size, seconds=seconds)

    async def received(self, send: SendEcho, sas: LiveSas, sa_in: int, frame: Ethernet) -> None:
        """A peer's ping came by the inbound SA of an index; PacketError when it is none."""
        live = sas.by_inbound_index(sa_in)
        if live is None:
            raise PacketError(f"a ping on SA {sa_in}, which is gone")
        ping = SealedEcho.parse(_content(live.record.child, frame))
        if ping.kind == REPLY:
            self.outstanding.replied(_peer(live), ping.echo)
            return
        way = _way(sas, live, ping.back)
        self.answered += 1
        await _send(send, way, SealedEcho(REPLY, ping.echo))


def _peer(live: LiveSa) -> Peer:
    return live.record.child.peer, live.record.child.remote_id


def _content(child: ChildSaParams, frame: Ethernet) -> bytes:
    """In transport mode the packet has the header of the two hosts."""
    return ip_packet(frame).payload if child.mode is Mode.TRANSPORT else frame.payload


def _way(sas: LiveSas, live: LiveSa, back: int | None) -> LiveSa:
    """The SA of a reply: the one that was asked for if it is with the same peer, else the pair that
    the request came by; PacketError where neither can carry one. Another peer's never, which may
    have chosen the same SPI.
    """
    named = [] if back in (None, live.record.child.spi_out) else sas.by_outbound_spi(back)
    ways = [sa for sa in named if _peer(sa) == _peer(live) and not sa.is_leaving]
    for sa in (*ways, live):
        if has_next_header(form_out(sa.record.child.layout)):
            return sa
    raise PacketError("a ping, whose reply no SA with its peer can carry")


async def _send(send: SendEcho, live: LiveSa, ping: SealedEcho) -> None:
    await send(live.record.placement.sa_out, _frame(live.record.child, ping.build()))


def _frame(child: ChildSaParams, content: bytes) -> bytes:
    if child.mode is not Mode.TRANSPORT:
        return Ethernet(bytes(6), bytes(6), 0, content).build()
    return routed_frame(packet_between(child.local, child.remote, PROTO_AGGFRAG, content))


# --- which SA ------------------------------------------------------------------------------------


def sa_for(sas: LiveSas, remote: Address, spi: int | None) -> LiveSa:
    """The newest SA with a peer's address, or the one with an SPI (of either direction) if it is
    with that peer; CommandError. Whether it can carry a ping, `check_way` tells.
    """
    there = [live for live in sas.values() if live.record.child.remote == remote]
    found = [live for live in there if spi is None or spi in _spis(live)]
    if not found:
        what = f"no SA is up with {remote}" if spi is None else f"no SA {spi:08x} with {remote}"
        known = ", ".join(f"{live.record.child.spi_out:08x}" for live in there)
        raise CommandError(f"{what}; accepted: {known or 'an address of a peer with an SA'}")
    return found[-1]


def _spis(live: LiveSa) -> tuple[int, int]:
    return live.record.child.spi_in, live.record.child.spi_out


def check_way(out: LiveSa, back: LiveSa) -> None:
    """CommandError for a way on which nothing would tell a ping from a packet: out on the one, back
    on the other.
    """
    ways = ((out, form_out(out.record.child.layout)), (back, form_of(back.record.child.layout)))
    for live, form in ways:
        require_next_header(f"{live.record.child.spi_out:08x}", form)


def require_next_header(spi: str, form: Format) -> None:
    """CommandError for a dummy or a ping, where a format can carry packets of hosts alone."""
    if not has_next_header(form):
        what = f"SA {spi} is in format {form.name}, which has no next header"
        raise CommandError(f"{what}; accepted: one of another format")
