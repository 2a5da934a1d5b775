"""ARP over Ethernet for IPv4 (RFC 826)."""

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Final, Self

from p4esp.controller.packets import ETHERTYPE_ARP, NO_MAC, Ethernet, PacketError

REQUEST: Final = 1
REPLY: Final = 2
BROADCAST: Final = b"\xff" * 6

_ARP = struct.Struct("!HHBBH6s4s6s4s")
_ETHERNET_IPV4 = (1, 0x0800, 6, 4)


@dataclass(frozen=True, slots=True)
class Arp:
    """One message; `operation` is REQUEST or REPLY."""

    operation: int
    sender_mac: bytes
    sender: IPv4Address
    target_mac: bytes
    target: IPv4Address

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a message; PacketError for other than Ethernet and IPv4, or a wrong sender."""
        if len(data) < _ARP.size:
            raise PacketError(f"{len(data)} octets are shorter than an ARP message")
        *kind, operation, sender_mac, sender, target_mac, target = _ARP.unpack_from(data)
        if tuple(kind) != _ETHERNET_IPV4 or operation not in (REQUEST, REPLY):
            raise PacketError(f"ARP of kind {kind}, operation {operation} is not understood")
        if sender_mac[0] & 1 or sender_mac == NO_MAC:
            raise PacketError(f"ARP sender {sender_mac.hex(':')} is not one station's address")
        return cls(operation, sender_mac, IPv4Address(sender), target_mac, IPv4Address(target))

    def build(self) -> bytes:
        """The message as octets."""
        return _ARP.pack(
            *_ETHERNET_IPV4,
            *(self.operation, self.sender_mac, self.sender.packed),
            *(self.target_mac, self.target.packed),
        )

    def reply(self, mac: bytes) -> "Arp":
        """Our answer to a request for our address, which is at `mac`."""
        return Arp(REPLY, mac, self.target, self.sender_mac, self.sender)

    def frame(self, vid: int) -> bytes:
        """The frame that carries the message: a request goes to everybody."""
        dst = BROADCAST if self.operation == REQUEST else self.target_mac
        return Ethernet(dst, self.sender_mac, ETHERTYPE_ARP, self.build(), vid).build()


def request(mac: bytes, sender: IPv4Address, target: IPv4Address) -> Arp:
    """Who has `target`? Tell `sender` at `mac`."""
    return Arp(REQUEST, mac, sender, NO_MAC, target)
