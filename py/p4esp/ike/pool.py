"""Addresses of our network that peers get while they are connected (RFC 7296 2.19)."""

from collections import OrderedDict
from dataclasses import dataclass
from ipaddress import IPv4Network

from p4esp.ipsec.identity import NOBODY, Identity
from p4esp.ipsec.selectors import Address, Network

MAX_REMEMBERED = 4096
"""Peers whose last address is kept for them while others are free; and addresses that are returned
before one is used again, of a prefix without end.
"""


class PoolExhaustedError(LookupError):
    """All addresses are in use."""


@dataclass(slots=True)
class _Lease:
    identity: Identity
    holders: int = 1
    """IKE SAs that have the address: two while one takes over from the other."""


class AddressPool:
    """The addresses of one prefix. All IKE SAs of its peers share it, so it has a state."""

    def __init__(self, network: Network) -> None:
        """The prefix's first address, and for IPv4 its last, are nobody's."""
        self.network = network
        ends = 2 if isinstance(network, IPv4Network) else 1
        self._fresh = iter(range(1, network.num_addresses + 1 - ends))
        self._leases: dict[Address, _Lease] = {}
        self._current: dict[Identity, Address] = {}
        self._returned: OrderedDict[Address, None] = OrderedDict()
        """The longest unused first."""
        self._remembered: OrderedDict[Identity, Address] = OrderedDict()

    @property
    def in_use(self) -> int:
        """Addresses that peers have."""
        return len(self._leases)

    def take(self, identity: Identity, *, again: bool = False) -> Address:
        """An address for a peer, the one it had last if that is free; `PoolExhaustedError`.

        `again`: the peer starts afresh, so what it still seems to have is its own.
        """
        held = self._current.get(identity)
        if again and held is not None:
            self._leases[held].holders += 1
            return held
        address = self._free_address(identity)
        self._leases[address] = _Lease(identity)
        if identity != NOBODY:
            self._current[identity] = address
        return address

    def _free_address(self, identity: Identity) -> Address:
        last = self._remembered.pop(identity, None)
        if last is not None and last in self._returned:
            del self._returned[last]
            return last
        number = next(self._fresh, None) if len(self._returned) < MAX_REMEMBERED else None
        if number is not None:
            return self.network[number]
        if not self._returned:
            raise PoolExhaustedError(f"all {self.in_use} addresses of {self.network} are in use")
        return self._returned.popitem(last=False)[0]

    def give_back(self, address: Address) -> None:
        """An IKE SA that had the address is gone."""
        lease = self._leases[address]
        lease.holders -= 1
        if lease.holders:
            return
        del self._leases[address]
        self._returned[address] = None
        if self._current.get(lease.identity) == address:
            del self._current[lease.identity]
            self._remember(lease.identity, address)

    def _remember(self, identity: Identity, address: Address) -> None:
        self._remembered[identity] = address
        self._remembered.move_to_end(identity)
        if len(self._remembered) > MAX_REMEMBERED:
            self._remembered.popitem(last=False)
