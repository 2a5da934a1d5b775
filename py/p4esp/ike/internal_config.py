"""What a responder's network gives an initiator, and its form in CP payloads (RFC 7296 3.15)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Self, TypeVar

from p4esp.ike.codec.configuration import ConfigAttribute, Configuration
from p4esp.ike.constants import ConfigAttributeType as Kind
from p4esp.ike.constants import ConfigType
from p4esp.ike.encrypted_dns import Ignored, Resolver, answers, domains_in, heard, questions
from p4esp.ipsec.selectors import Address, Network

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class InternalConfig:
    """Addresses, name servers and prefixes of the network behind the responder."""

    addresses: tuple[Address, ...] = ()
    """Those that the initiator may use inside its child SAs, as long as the IKE SA lives."""
    dns: tuple[Address, ...] = ()
    subnets: tuple[Network, ...] = ()
    """What should be reached through the responder; none: whatever the child SAs carry."""
    resolvers: tuple[Resolver, ...] = ()
    """Name servers to be spoken to under encryption, the preferred ones first; rather these than
    `dns`.
    """
    domains: tuple[str, ...] = ()
    """Names that are to be asked of these name servers alone; none: all that they answer."""

    def reply(self) -> Configuration:
        """CFG_REPLY."""
        attributes = (
            *map(_address, self.addresses),
            *map(_name_server, self.dns),
            *map(_subnet, self.subnets),
            *answers(self.resolvers, self.domains),
        )
        return Configuration(ConfigType.REPLY, attributes)

    @classmethod
    def of(cls, reply: Configuration, ignored: Ignored = lambda _: None) -> Self:
        """What a CFG_REPLY says. Unknown attributes and unusable values are left out; of those
        about encrypted DNS `ignored` is told.
        """
        addresses = (
            *_read(reply, Kind.INTERNAL_IP4_ADDRESS, _ip4),
            *_read(reply, Kind.INTERNAL_IP6_ADDRESS, _ip6_of_prefix),
        )
        dns = (
            *_read(reply, Kind.INTERNAL_IP4_DNS, _ip4),
            *_read(reply, Kind.INTERNAL_IP6_DNS, _ip6),
        )
        subnets = (
            *_read(reply, Kind.INTERNAL_IP4_SUBNET, _net4),
            *_read(reply, Kind.INTERNAL_IP6_SUBNET, _net6),
        )
        return cls(
            tuple(filter(_is_host, addresses)),
            tuple(filter(_is_host, dns)),
            subnets,
            heard(reply, ignored),
            domains_in(reply, ignored),
        )

    def __str__(self) -> str:
        parts: tuple[tuple[str, tuple[object, ...]], ...] = (
            ("", self.addresses),
            ("dns ", self.dns),
            ("subnets ", self.subnets),
            ("encrypted dns ", self.resolvers),
            ("for ", self.domains),
        )
        return ", ".join(label + " ".join(map(str, items)) for label, items in parts if items)


def request(versions: Sequence[int], *, encrypted_dns: bool = False) -> Configuration:
    """CFG_REQUEST for an address of each IP version, and for what belongs to it."""
    kinds = [kind for version in versions for kind in _ASKED[version]]
    more = questions(versions) if encrypted_dns else []
    return Configuration(ConfigType.REQUEST, (*map(ConfigAttribute, kinds), *more))


def requested_versions(asked: Configuration) -> list[int]:
    """IP versions of which a CFG_REQUEST wants an address; one address of each is given."""
    kinds = {attribute.type for attribute in asked.attributes}
    return [version for version in _ASKED if _ASKED[version][0] in kinds]


_ASKED = {
    4: (Kind.INTERNAL_IP4_ADDRESS, Kind.INTERNAL_IP4_DNS, Kind.INTERNAL_IP4_SUBNET),
    6: (Kind.INTERNAL_IP6_ADDRESS, Kind.INTERNAL_IP6_DNS, Kind.INTERNAL_IP6_SUBNET),
}


def _address(address: Address) -> ConfigAttribute:
    if isinstance(address, IPv4Address):
        return ConfigAttribute(Kind.INTERNAL_IP4_ADDRESS, address.packed)
    return ConfigAttribute(Kind.INTERNAL_IP6_ADDRESS, address.packed + bytes([128]))


def _name_server(address: Address) -> ConfigAttribute:
    v4 = isinstance(address, IPv4Address)
    return ConfigAttribute(Kind.INTERNAL_IP4_DNS if v4 else Kind.INTERNAL_IP6_DNS, address.packed)


def _subnet(net: Network) -> ConfigAttribute:
    if isinstance(net, IPv4Network):
        value = net.network_address.packed + net.netmask.packed
        return ConfigAttribute(Kind.INTERNAL_IP4_SUBNET, value)
    value = net.network_address.packed + bytes([net.prefixlen])
    return ConfigAttribute(Kind.INTERNAL_IP6_SUBNET, value)


def _read(reply: Configuration, kind: int, parse: Callable[[bytes], T]) -> Sequence[T]:
    found = []
    for value in reply.values(kind):
        try:
            found.append(parse(value))
        except ValueError:
            continue
    return found


def _ip4(value: bytes) -> Address:
    return IPv4Address(value)


def _ip6(value: bytes) -> Address:
    return IPv6Address(value)


def _ip6_of_prefix(value: bytes) -> Address:
    if len(value) != 17:
        raise ValueError(f"address and prefix length in {len(value)} octets, must be 17")
    return IPv6Address(value[:16])


def _net4(value: bytes) -> Network:
    if len(value) != 8:
        raise ValueError(f"address and netmask in {len(value)} octets, must be 8")
    return IPv4Network((value[:4], str(IPv4Address(value[4:]))), strict=False)


def _net6(value: bytes) -> Network:
    if len(value) != 17:
        raise ValueError(f"address and prefix length in {len(value)} octets, must be 17")
    return IPv6Network((value[:16], value[16]), strict=False)


def _is_host(address: Address) -> bool:
    return not (address.is_multicast or address.is_unspecified or address.is_loopback)
