"""IKE datagrams in the frames that the switch hands over and takes."""

from ipaddress import IPv4Address

from p4esp.controller.packets import Ethernet, Ipv4, Udp, routed_frame
from p4esp.ike.path import Datagram, Path, UdpAddress


def payload_of(frame: Ethernet) -> tuple[bytes, Path]:
    """The UDP payload of a punted frame and its path; PacketError when it holds none."""
    packet = Ipv4.parse(frame.payload)
    datagram = Udp.parse(packet)
    local = UdpAddress(packet.dst, datagram.dport)
    return datagram.payload, Path(local, UdpAddress(packet.src, datagram.sport))


def frame_of(datagram: Datagram) -> bytes | None:
    """The frame for packet-out ROUTE; None for other than IPv4."""
    local, remote = datagram.path.local, datagram.path.remote
    if not isinstance(local.host, IPv4Address) or not isinstance(remote.host, IPv4Address):
        return None
    udp = Udp(local.port, remote.port, datagram.data)
    return routed_frame(udp.over(local.host, remote.host))
