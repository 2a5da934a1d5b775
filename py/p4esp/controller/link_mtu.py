"""How long packets may be on the link by which they leave."""

from p4esp.controller.interfaces import Interfaces
from p4esp.ipsec.selectors import Address


def mtu_towards(interfaces: Interfaces, remote: Address) -> int:
    """The MTU of the interface towards an address; without a route the least outside."""
    next_hop = interfaces.next_hop(remote)
    attachment = None if next_hop is None else interfaces.towards(next_hop)
    if attachment is not None:
        return attachment.interface.mtu
    outside = [item for item in interfaces.attachments if item.interface.role == "unprotected"]
    return min((item.interface.mtu for item in outside), default=1500)
