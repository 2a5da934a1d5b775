"""Packets that are too long for their SA's path (RFC 4301 8.2.1).

The pipeline has dropped them and shows them, one hop less on their TTL. A source that forbids
fragments is told how long its packets may be; those of others are cut, and the pieces put back
where they came from. The meter of the pipeline bounds how many there are.
"""

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

from p4esp.controller import icmp, icmpv6
from p4esp.controller.fragmenting import DONT_FRAGMENT, fragments
from p4esp.controller.interfaces import Interfaces
from p4esp.controller.packets import (
    ETHERTYPE_IPV4,
    ETHERTYPE_IPV6,
    Ethernet,
    IpPacket,
    Ipv4,
    Ipv6,
    PacketError,
    checksum,
    routed_frame,
)
from p4esp.controller.target import PacketIn, Session


class TooBigAnswers:
    """Answers the packets of one session."""

    def __init__(self, session: Session, interfaces: Interfaces) -> None:
        self._session = session
        self._interfaces = interfaces

    async def received(self, packet: PacketIn, frame: Ethernet) -> None:
        """Tell the source, or fragment; PacketError for what is no IP packet."""
        if frame.ether_type == ETHERTYPE_IPV4:
            await self._of_ipv4(packet, frame)
        elif frame.ether_type == ETHERTYPE_IPV6:
            await self._of_ipv6(packet, frame)

    async def _of_ipv4(self, packet: PacketIn, frame: Ethernet) -> None:
        whole = with_hop_back(frame.payload)
        offender = Ipv4.parse(whole)
        if not offender.fragment & DONT_FRAGMENT:
            await self._inject(packet, frame, fragments(whole, packet.value))
            return
        source = self._interfaces.address_at(packet.port, frame.vid, 4)
        if isinstance(source, IPv4Address):
            await self._answer(icmp.fragmentation_needed(offender, source, packet.value))

    async def _of_ipv6(self, packet: PacketIn, frame: Ethernet) -> None:
        shown = Ipv6.parse(frame.payload)
        offender = replace(shown, hop_limit=shown.hop_limit + 1)
        source = self._interfaces.address_at(packet.port, frame.vid, 6)
        if isinstance(source, IPv6Address):
            await self._answer(icmpv6.packet_too_big(offender, source, packet.value))

    async def _answer(self, error: IpPacket | None) -> None:
        if error is not None:
            await self._session.send_routed(routed_frame(error))

    async def _inject(self, packet: PacketIn, frame: Ethernet, pieces: list[bytes]) -> None:
        for piece in pieces:
            await self._session.inject(packet.port, replace(frame, payload=piece).build())


def with_hop_back(data: bytes) -> bytes:
    """An IPv4 packet with the hop that the pipeline took: a second pass takes it again."""
    Ipv4.parse(data)
    size = (data[0] & 0xF) * 4
    if data[8] == 0xFF:
        raise PacketError("no hop was taken from TTL 255")
    header = data[:8] + bytes((data[8] + 1, data[9], 0, 0)) + data[12:size]
    return header[:10] + checksum(header).to_bytes(2, "big") + data[12:]
