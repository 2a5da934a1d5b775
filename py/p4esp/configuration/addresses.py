"""Internal addresses that a peer gets of our network, as a file describes them."""

from typing import Self

from pydantic import Field, model_validator

from p4esp.configuration.fields import Address, DomainName, Network
from p4esp.configuration.resolvers import ResolverSection
from p4esp.configuration.sections import Section
from p4esp.ike.config import Assignment
from p4esp.ike.internal_config import InternalConfig
from p4esp.ike.pool import AddressPool

MIN_ADDRESSES = 3
"""Of a prefix, of which one or two are nobody's."""


class AssignSection(Section):
    """Internal addresses for the peer, which then has no others in its child SAs."""

    pools: tuple[Network, ...] = Field(min_length=1)
    """Prefixes of which the peer gets an address each, such as `10.9.0.0/24`."""
    dns: tuple[Address, ...] = ()
    """Name servers to tell it."""
    subnets: tuple[Network, ...] = ()
    """Prefixes it should reach through us; empty: whatever its child SAs carry."""
    domains: tuple[DomainName, ...] = Field(default=(), max_length=16)
    """Names that are to be asked of these name servers alone, for peers that want to know."""
    resolvers: tuple[ResolverSection, ...] = Field(default=(), max_length=8)
    """Name servers with encryption, for peers that ask for such."""
    required: bool = True
    """Refuse child SAs to a peer that does not ask for an address."""

    @model_validator(mode="after")
    def _pools_fit(self) -> Self:
        for pool in self.pools:
            if pool.num_addresses < MIN_ADDRESSES:
                raise ValueError(f"pool {pool} is too small; accepted: {MIN_ADDRESSES} addresses")
        if len({pool.version for pool in self.pools}) < len(self.pools):
            raise ValueError("accepted: one pool of each IP version")
        return self

    def assignment(self) -> Assignment:
        """The form the IKE core takes, with nothing given yet."""
        pools = tuple(map(AddressPool, self.pools))
        config = InternalConfig(dns=self.dns, subnets=self.subnets, domains=self.domains)
        offers = (offer for resolver in self.resolvers for offer in resolver.offers())
        return Assignment(pools, config, self.required, tuple(offers))
