"""IKE datagrams in the frames that the switch hands over and takes."""

from ipaddress import IPv4Address, IPv6Address

from p4esp.controller.packets import Ethernet, Udp, ip_packet, routed_frame
from p4esp.ike.path import Datagram, Path, UdpAddress


def payload_of(frame: Ethernet) -> tuple[bytes, Path]:
    """The UDP payload of a punted frame and its path; PacketError when it holds none."""
    packet = ip_packet(frame)
    datagram = Udp.parse(packet)
    local = UdpAddress(packet.dst, datagram.dport)
    return datagram.payload, Path(local, UdpAddress(packet.src, datagram.sport))


def frame_of(datagram: Datagram) -> bytes | None:
    """The frame for packet-out ROUTE; None for a path between two families."""
    local, remote = datagram.path.local, datagram.path.remote
    udp = Udp(local.port, remote.port, datagram.data)
    match local.host, remote.host:
        case IPv4Address() as src, IPv4Address() as dst:
            return routed_frame(udp.over(src, dst))
        case IPv6Address() as src, IPv6Address() as dst:
            return routed_frame(udp.over(src, dst))
    return None
