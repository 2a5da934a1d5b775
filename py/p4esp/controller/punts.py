"""What becomes of each packet that the pipeline hands us."""

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address

from p4esp.controller import icmp, icmpv6
from p4esp.controller.errors import ControllerError
from p4esp.controller.esp_ping import EspPings
from p4esp.controller.ike_transport import payload_of
from p4esp.controller.interfaces import Interfaces
from p4esp.controller.link import SwitchLink
from p4esp.controller.mtu_reports import MtuReports
from p4esp.controller.numbers import CPU_PORT, Control, Punt
from p4esp.controller.packets import (
    Ethernet,
    IpPacket,
    Ipv4,
    Ipv6,
    PacketError,
    ip_packet,
    routed_frame,
)
from p4esp.controller.path_mtu import PathMtu
from p4esp.controller.sa_manager import SaManager
from p4esp.controller.sealed_ping import SealedPings
from p4esp.controller.state_channel import ControlMessage
from p4esp.controller.target import PacketIn
from p4esp.controller.too_big import TooBigAnswers
from p4esp.ipsec.selectors import Address
from p4esp.service.connections import Connections
from p4esp.service.driver import Driver

_IKE = (Punt.IKE_NEW, Punt.IKE_KNOWN, Punt.IKE_OTHER)


class PuntHandler:
    """Answers the packets of one session."""

    def __init__(
        self,
        link: SwitchLink,
        interfaces: Interfaces,
        ike: Driver,
        sas: SaManager,
        connections: Connections,
        *,
        path_mtu: PathMtu,
        mtu_reports: MtuReports,
        pings: EspPings,
        sealed_pings: SealedPings,
        report: Callable[[ControllerError], None],
    ) -> None:
        """`report` is told why nothing could be done about a packet."""
        self._path_mtu = path_mtu
        self._mtu_reports = mtu_reports
        self._pings = pings
        self._sealed_pings = sealed_pings
        self._too_big = TooBigAnswers(link.session, interfaces)
        self._link = link
        self._interfaces = interfaces
        self._ike = ike
        self._sas = sas
        self._connections = connections
        self._report = report
        self.malformed = 0
        """Packets that could not be read."""

    async def run(self) -> None:
        """Serve until cancelled."""
        async for packet in self._link.session.packets():
            await self.handle(packet)

    async def handle(self, packet: PacketIn) -> None:
        """Deal with one packet; hostile ones are counted and forgotten.

        No single packet ends the session: when the stream is lost, others notice.
        """
        if packet.op >= min(Control):
            answer = (packet.op, packet.token, packet.index, packet.value, packet.status)
            self._link.state.answered(ControlMessage(*answer))
            return
        try:
            await self._punted(packet, Ethernet.parse(packet.frame))
        except PacketError:
            self.malformed += 1
        except ControllerError as error:
            self._report(error)

    async def _punted(self, packet: PacketIn, frame: Ethernet) -> None:
        if packet.op in _IKE:
            self._ike.received(*payload_of(frame))
        elif packet.op == Punt.ARP:
            await self._link.neighbours.received(packet.port, frame)
        elif packet.op == Punt.ND:
            await self._link.neighbours.discovered(packet.port, frame)
        elif packet.op == Punt.ACQUIRE:
            self._acquire(packet.index)
        elif packet.op == Punt.TOO_BIG:
            await self._too_big.received(packet, frame)
        elif packet.op == Punt.PATH_MTU:
            self._path_mtu.take(frame)
        elif packet.op == Punt.FRAGMENT:
            self._mtu_reports.fragment(frame)
        elif packet.op == Punt.ECHO:
            self._pings.received(ip_packet(frame))
        elif packet.op == Punt.SEALED_ECHO:
            send = self._link.session.send_echo
            await self._sealed_pings.received(send, self._sas.live, packet.index, frame)
        elif packet.op == Punt.NO_NEIGHBOUR:
            hold = packet.port == CPU_PORT  # others were not checked against the egress role
            await self._link.neighbours.unresolved(ip_packet(frame), hold=hold)
        elif packet.op in (Punt.LOCAL, Punt.TTL):
            await self._answer(packet, frame)

    def _acquire(self, policy: int) -> None:
        child = self._sas.child_of_policy(policy)
        if child is not None:
            self._connections.bring_up(*child)

    async def _answer(self, packet: PacketIn, frame: Ethernet) -> None:
        """ICMP, only to who asked in clear on one of our links.

        What came out of a tunnel gets no answer: it would leave outside the tunnel.
        """
        offender = ip_packet(frame)
        source = self._interfaces.address_at(packet.port, frame.vid, offender.dst.version)
        if source is None:
            return
        reply = _time_exceeded(offender, source) if packet.op == Punt.TTL else _echo(offender)
        if reply is not None:
            await self._link.session.send_routed(routed_frame(reply))


def _echo(request: IpPacket) -> IpPacket | None:
    if isinstance(request, Ipv4):
        return icmp.echo_reply(request)
    return icmpv6.echo_reply(request)


def _time_exceeded(offender: IpPacket, source: Address) -> IpPacket | None:
    if isinstance(offender, Ipv4) and isinstance(source, IPv4Address):
        return icmp.time_exceeded(offender, source)
    if isinstance(offender, Ipv6) and isinstance(source, IPv6Address):
        return icmpv6.time_exceeded(offender, source)
    return None
