"""The neighbours of one family: who is where, and what waits for whom.

A packet that found no neighbour is held (the last one per next hop) and sent once the answer is
there. Of the neighbours that were learned, the one that was heard of least recently makes room, so
that no host on a link can fill the table.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import islice
from typing import Final

from p4esp.controller.entries import Entry, deletes, difference
from p4esp.controller.interfaces import Attachment, Interfaces, exact_address
from p4esp.controller.packets import IpPacket, routed_frame
from p4esp.controller.writer import TableWriter
from p4esp.ipsec.selectors import Address

REQUEST_INTERVAL: Final = 1.0
"""Seconds between two requests for one next hop."""
MAX_PENDING: Final = 1024
"""Next hops that may be waited for at a time."""

SendRouted = Callable[[bytes], Awaitable[None]]
Ask = Callable[[Attachment, Address], Awaitable[None]]
"""Asks on a link where an address is."""


@dataclass(slots=True)
class _Pending:
    asked: float
    held: IpPacket | None


class NeighbourCache:
    """Learned and configured neighbours of one family. `clock` gives seconds."""

    def __init__(
        self,
        interfaces: Interfaces,
        writer: TableWriter,
        ask: Ask,
        send_routed: SendRouted,
        *,
        clock: Callable[[], float],
        max_learned: int,
    ) -> None:
        self._interfaces = interfaces
        self._writer = writer
        self._ask = ask
        self._send_routed = send_routed
        self._clock = clock
        self._max_learned = max_learned
        self._static: frozenset[Address] = frozenset()
        self._learned: dict[Address, Entry] = {}  # the latest heard of comes last
        self._pending: dict[Address, _Pending] = {}

    def adopt(self, entries: list[Entry]) -> None:
        """Start from what the switch holds: configured neighbours and learned ones."""
        static = self._interfaces.static_neighbours()
        self._static = frozenset(exact_address(entry, "next_hop") for entry in static)
        known = {exact_address(entry, "next_hop"): entry for entry in entries}
        self._learned = {ip: entry for ip, entry in known.items() if ip not in self._static}

    def is_waited_for(self, address: Address) -> bool:
        """Whether we have asked for a neighbour."""
        return address in self._pending

    def is_of_interest(self, address: Address) -> bool:
        """Whether a neighbour is known or waited for."""
        return address in self._learned or address in self._pending

    def mac_of(self, address: Address) -> bytes | None:
        """The MAC address of a neighbour that was learned."""
        known = self._learned.get(address)
        return None if known is None else known.arg("mac").to_bytes(6, "big")

    async def learn(self, address: Address, mac: bytes) -> None:
        """A neighbour is at a MAC address; what was held for it is sent.

        ControllerError when the switch refuses the entry; it is not remembered then.
        """
        if address in self._static:
            return
        entry = self._interfaces.neighbour(address, mac)
        known = self._learned.get(address)
        if known is None:
            await self._make_place()
        await self._writer.write(difference([known] if known else [], [entry]))
        self._learned.pop(address, None)
        self._learned[address] = entry
        pending = self._pending.pop(address, None)
        if pending is not None and pending.held is not None:
            await self._send_routed(routed_frame(pending.held))

    async def _make_place(self) -> None:
        excess = max(0, len(self._learned) + 1 - self._max_learned)
        oldest = list(islice(self._learned, excess))
        await self._writer.clear(deletes(self._learned[address] for address in oldest))
        for address in oldest:
            del self._learned[address]

    async def unresolved(self, packet: IpPacket, *, hold: bool) -> None:
        """The pipeline had no neighbour for a packet; with `hold` it is sent on when there is."""
        next_hop = self._interfaces.next_hop(packet.dst)
        link = self._interfaces.towards(next_hop) if next_hop else None
        if next_hop is None or link is None:
            return
        if next_hop in self._learned:  # learned while the packet was on its way to us
            await self._send_again(packet, hold=hold)
        elif self._note(next_hop, packet if hold else None):
            await self._ask(link, next_hop)

    async def _send_again(self, packet: IpPacket, *, hold: bool) -> None:
        if hold:
            await self._send_routed(routed_frame(packet))

    def _note(self, next_hop: Address, held: IpPacket | None) -> bool:
        """Remember what waits for a next hop; whether it is time to ask for it."""
        now = self._clock()
        pending = self._pending.get(next_hop)
        if pending is None:
            self._make_room()
            self._pending[next_hop] = _Pending(now, held)
            return True
        pending.held = held or pending.held
        due = now - pending.asked >= REQUEST_INTERVAL
        pending.asked = now if due else pending.asked
        return due

    def _make_room(self) -> None:
        if len(self._pending) >= MAX_PENDING:
            del self._pending[next(iter(self._pending))]
