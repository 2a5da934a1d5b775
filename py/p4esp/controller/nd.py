"""Neighbour discovery over Ethernet (RFC 4861): solicitations and advertisements.

Router discovery and redirects are not read: a gateway's routes are configured.
"""

from dataclasses import dataclass
from ipaddress import IPv6Address, IPv6Network
from typing import Final, Self

from p4esp.controller.icmpv6 import message
from p4esp.controller.packets import (
    ETHERTYPE_IPV6,
    NO_MAC,
    PROTO_ICMPV6,
    Ethernet,
    Ipv6,
    PacketError,
    upper_checksum,
)

SOLICITATION: Final = 135
ADVERTISEMENT: Final = 136
ALL_NODES: Final = IPv6Address("ff02::1")
HOP_LIMIT: Final = 255
"""Whoever has it is on the link: no router has forwarded the packet (RFC 4861 7.1)."""

_SOLICITED_NODE: Final = int(IPv6Address("ff02::1:ff00:0"))
_SOURCE_MAC: Final = 1
_TARGET_MAC: Final = 2
_ROUTER: Final = 0x80
_SOLICITED: Final = 0x40
_OVERRIDE: Final = 0x20
_MAX_OPTIONS: Final = 16
"""Options that are read: no neighbour has reason to send more."""


def link_local(mac: bytes) -> IPv6Address:
    """The link-local address of an interface (RFC 4291 appendix A)."""
    head, tail = bytes((mac[0] ^ 2, mac[1], mac[2])), mac[3:]
    return IPv6Address(bytes.fromhex("fe80") + bytes(6) + head + b"\xff\xfe" + tail)


def solicited_node(address: IPv6Address) -> IPv6Address:
    """The multicast address at which a node is asked for (RFC 4291 2.7.1)."""
    return IPv6Address(_SOLICITED_NODE | int(address) & 0xFFFFFF)


LINK_LOCAL: Final = IPv6Network("fe80::/10")


@dataclass(frozen=True, slots=True)
class Discovery:
    """A solicitation or an advertisement."""

    kind: int
    """SOLICITATION or ADVERTISEMENT."""
    src: IPv6Address
    dst: IPv6Address
    target: IPv6Address
    mac: bytes | None
    """The link-layer address that it brings: of the source, or of the target."""
    solicited: bool = False
    override: bool = False

    @classmethod
    def parse(cls, packet: Ipv6) -> Self | None:
        """Read a message, by the rules of RFC 4861 7.1; None for another kind of discovery.

        PacketError for one that must be discarded.
        """
        data = packet.payload
        if packet.protocol != PROTO_ICMPV6 or packet.hop_limit != HOP_LIMIT:
            raise PacketError(f"hop limit {packet.hop_limit}: neighbour discovery from elsewhere")
        if len(data) < 4 or data[1] or upper_checksum(packet, data, PROTO_ICMPV6):
            raise PacketError("neighbour discovery: code or checksum is wrong")
        if data[0] not in (SOLICITATION, ADVERTISEMENT):
            return None
        found = cls._read(packet, data)
        found._check()
        return found

    @classmethod
    def _read(cls, packet: Ipv6, data: bytes) -> Self:
        if len(data) < 24:
            raise PacketError(f"{len(data)} octets are too short for neighbour discovery")
        kind, flags, target = data[0], data[4], IPv6Address(data[8:24])
        wanted = _SOURCE_MAC if kind == SOLICITATION else _TARGET_MAC
        mac = _mac_option(data[24:], wanted)
        is_advertisement = kind == ADVERTISEMENT
        solicited = is_advertisement and bool(flags & _SOLICITED)
        override = is_advertisement and bool(flags & _OVERRIDE)
        return cls(kind, packet.src, packet.dst, target, mac, solicited, override)

    def _check(self) -> None:
        if self.target.is_multicast or self.src.is_multicast:
            raise PacketError(f"neighbour discovery for {self.target} from {self.src}")
        if self.kind == ADVERTISEMENT:
            if (self.solicited and self.dst.is_multicast) or self.src.is_unspecified:
                raise PacketError(
                    "an advertisement to all that says it was solicited, or of nobody"
                )
        elif self.src.is_unspecified and (self.mac or self.dst != solicited_node(self.target)):
            raise PacketError("a solicitation of nobody that is no address detection")


def _mac_option(options: bytes, wanted: int) -> bytes | None:
    """The first link-layer address of a kind; PacketError for options that make no sense."""
    found, at = None, 0
    for _ in range(_MAX_OPTIONS):
        if at == len(options):
            return found
        if len(options) - at < 8 or not options[at + 1] or len(options) - at < options[at + 1] * 8:
            raise PacketError("a neighbour discovery option is empty or does not fit")
        if options[at] == wanted and found is None:
            found = _station(options[at : at + options[at + 1] * 8])
        at += options[at + 1] * 8
    raise PacketError(f"more than {_MAX_OPTIONS - 1} neighbour discovery options")


def _station(option: bytes) -> bytes:
    mac = option[2:]
    if len(mac) != 6 or mac[0] & 1 or mac == NO_MAC:
        raise PacketError(f"{mac.hex(':')} is not one station's address")
    return mac


def solicitation(mac: bytes, sender: IPv6Address, target: IPv6Address) -> bytes:
    """The message body's packet: who has `target`? Tell `sender` at `mac`."""
    rest = bytes(4) + target.packed + bytes((_SOURCE_MAC, 1)) + mac
    type_code = bytes((SOLICITATION, 0))
    return message(sender, solicited_node(target), type_code, rest, HOP_LIMIT).build()


def advertisement(mac: bytes, target: IPv6Address, asked_by: IPv6Address) -> bytes:
    """Our answer: `target` is at `mac`. Who asks without an address (RFC 4862 5.4.3) is told by
    way of all nodes.
    """
    nobody = asked_by.is_unspecified
    flags = _ROUTER | _OVERRIDE | (0 if nobody else _SOLICITED)
    rest = bytes((flags, 0, 0, 0)) + target.packed + bytes((_TARGET_MAC, 1)) + mac
    to = ALL_NODES if nobody else asked_by
    return message(target, to, bytes((ADVERTISEMENT, 0)), rest, HOP_LIMIT).build()


def multicast_mac(group: IPv6Address) -> bytes:
    """Where an IPv6 multicast goes on Ethernet (RFC 2464 7)."""
    return b"\x33\x33" + group.packed[12:]


def frame(packet: bytes, dst: bytes, src: bytes, vid: int) -> bytes:
    """The frame that carries a message."""
    return Ethernet(dst, src, ETHERTYPE_IPV6, packet, vid).build()
