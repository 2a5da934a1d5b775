"""Which way an ESP ping takes, and whether it may."""

from ipaddress import ip_address
from typing import Final

from p4esp.controller.config import GatewayConfig
from p4esp.controller.esp_ping import HEADER, MAX_DATA, Ends
from p4esp.controller.interfaces import Attachment, Interfaces
from p4esp.ike.errors import CommandError
from p4esp.ipsec.selectors import Address

_IP_HEADER: Final = {4: 20, 6: 40}


class PingPaths:
    """Between which addresses of a gateway pings go. Every refusal is a CommandError."""

    def __init__(self, config: GatewayConfig, interfaces: Interfaces) -> None:
        self._peers = {peer.remote: peer.local for peer in config.peers}
        self._interfaces = interfaces

    def towards(self, text: str, size: int) -> Ends:
        """The ends of a ping to an address with so many octets of data."""
        remote = peer_address(text)
        if self._interfaces.is_ours(remote):
            raise CommandError(f"{remote} is our own address; accepted: another gateway's")
        way = self._way(remote)
        _check_size(size, way, remote.version)
        return Ends(self._source(remote, way), remote)

    def _way(self, remote: Address) -> Attachment:
        """The interface that a ping leaves by: replies count on unprotected ones only."""
        hop = self._interfaces.next_hop(remote)
        way = None if hop is None else self._interfaces.towards(hop)
        if way is None:
            raise CommandError(f"no route leads to {remote}; accepted: an address with a route")
        if way.interface.role != "unprotected":
            accepted = "accepted: an address on the unprotected side"
            raise CommandError(
                f"{remote} is behind protected port {way.interface.port}; {accepted}"
            )
        return way

    def _source(self, remote: Address, way: Attachment) -> Address:
        """What we call ourselves towards a peer, unless that is a host behind us."""
        local = self._peers.get(remote)
        return local if local is not None and self._interfaces.is_ours(local) else way.address


def peer_address(text: str) -> Address:
    """Whom to ask; CommandError."""
    try:
        return ip_address(text)
    except ValueError:
        raise CommandError(f"{text!r}; accepted: an IP address") from None


def _check_size(size: int, way: Attachment, version: int) -> None:
    """The gateway cuts none of its own packets."""
    most = min(MAX_DATA, way.interface.mtu - _IP_HEADER[version] - HEADER)
    if size > most:
        raise CommandError(f"size {size}; accepted: 0..{most}, what the link's MTU carries")
