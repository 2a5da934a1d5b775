"""ARP and neighbour discovery for one switch: answers for our addresses, resolves next hops.

Only hosts of a link's own subnet are learned, and only on that link; where subnets of two links
nest, the longer prefix says whose a host is. Of IPv6, that is their global addresses: a link-local
one would have to be told apart by link, which the pipeline does not.
"""

from collections.abc import Awaitable, Callable
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from p4esp.controller import arp, nd
from p4esp.controller.arp import Arp
from p4esp.controller.entries import Entry
from p4esp.controller.interfaces import Attachment, Interfaces
from p4esp.controller.neighbour_cache import NeighbourCache, SendRouted
from p4esp.controller.numbers import SIZE_NEIGHBOUR
from p4esp.controller.packets import Ethernet, IpPacket, Ipv6
from p4esp.controller.writer import TableWriter
from p4esp.ipsec.selectors import Address

MAX_LEARNED: Final = SIZE_NEIGHBOUR // 2
"""Neighbours of a family that are learned; the other half is for configured ones."""

SendFrame = Callable[[int, bytes], Awaitable[None]]


class Neighbours:
    """The neighbour tables of one connected switch. `clock` gives seconds.

    What is said of a configured neighbour is ignored.
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
        self._send_frame = send_frame
        self._caches = {
            version: NeighbourCache(
                *(interfaces, writer, self._ask, send_routed), clock=clock, max_learned=max_learned
            )
            for version in (4, 6)
        }

    def adopt(self, entries: list[Entry]) -> None:
        """Start from what the switch holds: configured neighbours and learned ones."""
        for version, cache in self._caches.items():
            is_v6 = version == 6
            cache.adopt([entry for entry in entries if entry.table.endswith("_v6") is is_v6])

    async def received(self, port: int, frame: Ethernet) -> None:
        """An ARP message came in on a port.

        Raises PacketError when it is malformed, and ControllerError when the switch refuses what
        was to be learned; it is not remembered then.
        """
        message = Arp.parse(frame.payload)
        if not self._is_on_link(port, frame.vid, message.sender):
            return
        here = self._interfaces.at(port, frame.vid)
        asked_for_us = any(item.address == message.target for item in here)
        if asked_for_us or self._caches[4].is_of_interest(message.sender):
            await self._caches[4].learn(message.sender, message.sender_mac)
        if asked_for_us and message.operation == arp.REQUEST:
            reply = message.reply(here[0].interface.mac)
            await self._send_frame(port, reply.frame(frame.vid))

    async def discovered(self, port: int, frame: Ethernet) -> None:
        """A message of neighbour discovery came in on a port; errors as with `received`."""
        message = nd.Discovery.parse(Ipv6.parse(frame.payload))
        if message is None:
            return
        if message.kind == nd.SOLICITATION:
            await self._solicited(port, frame, message)
        else:
            await self._advertised(port, frame.vid, message)

    async def _solicited(self, port: int, frame: Ethernet, message: nd.Discovery) -> None:
        """Answer for our addresses and the link-local one (RFC 4861 7.2.3, RFC 4862 5.4.3)."""
        link = self._link_of(port, frame.vid, message.target)
        if link is None or not self._is_near(port, frame.vid, message.src):
            return
        if message.mac is not None and self._is_on_link(port, frame.vid, message.src):
            await self._caches[6].learn(message.src, message.mac)
        nobody = message.src.is_unspecified
        mac = nd.multicast_mac(nd.ALL_NODES) if nobody else message.mac or frame.src
        answer = nd.advertisement(link.interface.mac, message.target, message.src)
        await self._send_frame(port, nd.frame(answer, mac, link.interface.mac, frame.vid))

    def _link_of(self, port: int, vid: int, target: IPv6Address) -> Attachment | None:
        """The attachment of an address that is ours on a link."""
        here = [item for item in self._interfaces.at(port, vid) if item.address.version == 6]
        if target == self._interfaces.link_local(port, vid):
            return here[0]
        return next((item for item in here if item.address == target), None)

    def _is_near(self, port: int, vid: int, source: IPv6Address) -> bool:
        """Whether an answer to a source can be meant for this link."""
        return (
            source.is_unspecified or source in nd.LINK_LOCAL or self._is_on_link(port, vid, source)
        )

    def _is_on_link(self, port: int, vid: int, address: Address) -> bool:
        """Whether a link is the one to learn another's address on."""
        return not self._interfaces.is_ours(address) and self._interfaces.is_at(address, port, vid)

    async def _advertised(self, port: int, vid: int, message: nd.Discovery) -> None:
        """A neighbour is where it says (RFC 4861 7.2.5), if we have asked or know it already."""
        cache, target, mac = self._caches[6], message.target, message.mac
        if mac is None or not self._is_on_link(port, vid, target):
            return
        known = cache.mac_of(target)
        if cache.is_waited_for(target) or known == mac or (known and message.override):
            await cache.learn(target, mac)

    async def unresolved(self, packet: IpPacket, *, hold: bool) -> None:
        """The pipeline had no neighbour for a packet; with `hold` it is sent on when there is."""
        await self._caches[packet.dst.version].unresolved(packet, hold=hold)

    async def _ask(self, link: Attachment, next_hop: Address) -> None:
        interface, sender = link.interface, link.address
        match sender, next_hop:
            case IPv4Address(), IPv4Address():
                frame = arp.request(interface.mac, sender, next_hop).frame(interface.vlan)
            case IPv6Address(), IPv6Address():
                packet = nd.solicitation(interface.mac, sender, next_hop)
                group = nd.multicast_mac(nd.solicited_node(next_hop))
                frame = nd.frame(packet, group, interface.mac, interface.vlan)
            case _:
                return
        await self._send_frame(interface.port, frame)
