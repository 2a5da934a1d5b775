"""ARP for one switch: answers for our addresses, resolves next hops, learns neighbours.

A packet that found no neighbour is held (the last one per next hop) and sent once the answer is
there. Only hosts of a link's own subnet are learned, and only on that link. Of those, the one that
was heard of least recently makes room, so that no host on a link can fill the table.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from ipaddress import IPv4Address
from itertools import islice
from typing import Final

from p4esp.controller import arp
from p4esp.controller.arp import Arp
from p4esp.controller.entries import Entry, deletes, difference
from p4esp.controller.interfaces import Attachment, Interfaces, exact_address
from p4esp.controller.numbers import SIZE_NEIGHBOUR
from p4esp.controller.packets import Ethernet, Ipv4, routed_frame
from p4esp.controller.writer import TableWriter

REQUEST_INTERVAL: Final = 1.0
"""Seconds between two requests for one next hop."""
MAX_PENDING: Final = 1024
"""Next hops that may be waited for at a time."""
MAX_LEARNED: Final = SIZE_NEIGHBOUR // 2
"""Neighbours that are learned; the other half of the table is for configured ones."""

SendFrame = Callable[[int, bytes], Awaitable[None]]
SendRouted = Callable[[bytes], Awaitable[None]]


@dataclass(slots=True)
class _Pending:
    asked: float
    held: Ipv4 | None


class Neighbours:
    """The neighbour table of one connected switch. `clock` gives seconds.

    What ARP says of a configured neighbour is ignored.
    """

    def __init__(
        self,
        interfaces: Interfaces,
        writer: TableWriter,
        send_frame: SendFrame,
        send_routed: SendRouted,
        *,
        clock: Callable[[], float],
        max_learned: int = MAX_LEARNED,
    ) -> None:
        self._interfaces = interfaces
        self._writer = writer
        self._send_frame = send_frame
        self._send_routed = send_routed
        self._clock = clock
        self._max_learned = max_learned
        self._static: frozenset[IPv4Address] = frozenset()
        self._learned: dict[IPv4Address, Entry] = {}  # the latest heard of comes last
        self._pending: dict[IPv4Address, _Pending] = {}

    def adopt(self, entries: list[Entry]) -> None:
        """Start from what the switch holds: configured neighbours and learned ones."""
        static = self._interfaces.static_neighbours()
        self._static = frozenset(exact_address(entry, "next_hop") for entry in static)
        known = {exact_address(entry, "next_hop"): entry for entry in entries}
        self._learned = {ip: entry for ip, entry in known.items() if ip not in self._static}

    async def received(self, port: int, frame: Ethernet) -> None:
        """An ARP message came in on a port.

        Raises PacketError when it is malformed, and ControllerError when the switch refuses what
        was to be learned; it is not remembered then.
        """
        message = Arp.parse(frame.payload)
        here = self._interfaces.at(port, frame.vid)
        link = next((item for item in here if message.sender in item.network), None)
        if link is None or self._interfaces.is_ours(message.sender):
            return
        asked_for_us = any(item.address == message.target for item in here)
        if asked_for_us or self._is_of_interest(message.sender):
            await self._learn(message)
        if asked_for_us and message.operation == arp.REQUEST:
            reply = message.reply(link.interface.mac)
            await self._send_frame(port, reply.frame(frame.vid))

    def _is_of_interest(self, sender: IPv4Address) -> bool:
        return sender in self._learned or sender in self._pending

    async def _learn(self, message: Arp) -> None:
        if message.sender in self._static:
            return
        entry = self._interfaces.neighbour(message.sender, message.sender_mac)
        known = self._learned.get(message.sender)
        if known is None:
            await self._make_place()
        await self._writer.write(difference([known] if known else [], [entry]))
        self._learned.pop(message.sender, None)
        self._learned[message.sender] = entry
        pending = self._pending.pop(message.sender, None)
        if pending is not None and pending.held is not None:
            await self._send_routed(routed_frame(pending.held))

    async def _make_place(self) -> None:
        excess = max(0, len(self._learned) + 1 - self._max_learned)
        oldest = list(islice(self._learned, excess))
        await self._writer.clear(deletes(self._learned[address] for address in oldest))
        for address in oldest:
            del self._learned[address]

    async def unresolved(self, packet: Ipv4, *, hold: bool) -> None:
        """The pipeline had no neighbour for a packet; with `hold` it is sent on when there is."""
        next_hop = self._interfaces.next_hop(packet.dst)
        link = self._interfaces.towards(next_hop) if next_hop else None
        if next_hop is None or link is None:
            return
        if next_hop in self._learned:  # learned while the packet was on its way to us
            await self._send_again(packet, hold=hold)
        elif self._note(next_hop, packet if hold else None):
            await self._ask(link, next_hop)

    async def _send_again(self, packet: Ipv4, *, hold: bool) -> None:
        if hold:
            await self._send_routed(routed_frame(packet))

    def _note(self, next_hop: IPv4Address, held: Ipv4 | None) -> bool:
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

    async def _ask(self, link: Attachment, next_hop: IPv4Address) -> None:
        request = arp.request(link.interface.mac, link.address, next_hop)
        await self._send_frame(link.interface.port, request.frame(link.interface.vlan))
