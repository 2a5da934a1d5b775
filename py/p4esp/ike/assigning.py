"""Giving and getting internal addresses in IKE_AUTH (RFC 7296 2.19)."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from p4esp.ike.codec.configuration import Configuration
from p4esp.ike.codec.message import PayloadSet
from p4esp.ike.codec.payload import AnyPayload
from p4esp.ike.codec.selectors import TsResponder
from p4esp.ike.constants import ConfigAttributeType, ConfigType, NotifyType
from p4esp.ike.encrypted_dns import told
from p4esp.ike.errors import ProposalError, Refusal
from p4esp.ike.events import InternalAddresses
from p4esp.ike.internal_config import InternalConfig, request, requested_versions
from p4esp.ike.notifies import note_ignored
from p4esp.ike.pool import AddressPool, PoolExhaustedError
from p4esp.ipsec.selectors import Address, TrafficSelector, narrow

if TYPE_CHECKING:
    from p4esp.ike.state import IkeSaState

Selectors = tuple[TrafficSelector, ...]


@dataclass(slots=True)
class Assigned:
    """Internal addresses of an IKE SA and of those that replace it by rekeying."""

    ours: tuple[Address, ...] = ()
    """Those that the peer gave us."""
    leases: list[tuple[AddressPool, Address]] = field(default_factory=list)
    """Those that we gave the peer."""

    def release(self) -> None:
        """The IKE SA and its successors are gone."""
        while self.leases:
            pool, address = self.leases.pop()
            pool.give_back(address)


def local_side(sa: "IkeSaState", policy: Selectors) -> Selectors:
    """Which part of a policy our side of a child SA may have."""
    return _hosts_within(sa.assigned.ours, policy) if sa.assigned.ours else policy


def remote_side(sa: "IkeSaState", policy: Selectors) -> Selectors:
    """Which part of a policy the peer's side of a child SA may have: nothing for a peer that is to
    have an address and has none.
    """
    assignment, leases = sa.config.assignment, sa.assigned.leases
    if not leases and (assignment is None or not assignment.required):
        return policy
    return _hosts_within([address for _, address in leases], policy)


def _hosts_within(hosts: Iterable[Address], policy: Selectors) -> Selectors:
    return narrow([TrafficSelector(host, host) for host in hosts], policy)


def ask(sa: "IkeSaState") -> list[AnyPayload]:
    """CP of our IKE_AUTH request, where addresses are wanted."""
    versions, encrypted = sa.config.request_addresses, sa.config.request_encrypted_dns
    return [request(versions, encrypted_dns=encrypted)] if versions else []


def learn(sa: "IkeSaState", answer: PayloadSet) -> None:
    """Take the addresses we asked for; `ProposalError` when there is none."""
    if not sa.config.request_addresses:
        return
    reply = answer.optional(Configuration)
    given = _given(sa, reply) if reply and reply.kind == ConfigType.REPLY else None
    if given is None or not given.addresses:
        raise ProposalError("the peer assigned no internal address")
    sa.assigned.ours = given.addresses
    sa.events.append(InternalAddresses(sa.info(), given, _unreachable(given, answer)))


def _given(sa: "IkeSaState", reply: Configuration) -> InternalConfig:
    """What a CFG_REPLY says, without what was not asked for."""
    ignored = partial(note_ignored, sa)
    given = InternalConfig.of(reply, ignored)
    if sa.config.request_encrypted_dns or not (given.resolvers or given.domains):
        return given
    ignored("encrypted DNS, which was not asked for")
    return replace(given, resolvers=(), domains=())


def _unreachable(given: InternalConfig, answer: PayloadSet) -> tuple[Address, ...]:
    """Addresses of resolvers outside the selectors of the child SA that comes with them."""
    selectors = answer.optional(TsResponder)
    if selectors is None:
        return ()
    addresses = [address for resolver in given.resolvers for address in resolver.addresses]
    return tuple(one for one in addresses if not _hosts_within([one], selectors.selectors))


def assign(sa: "IkeSaState", asked: PayloadSet) -> list[AnyPayload]:
    """CP of our IKE_AUTH response. `Refusal`: there is to be no child SA."""
    assignment = sa.config.assignment
    if assignment is None:
        return []
    wanted = asked.optional(Configuration)
    if wanted is None or wanted.kind != ConfigType.REQUEST:
        if assignment.required:
            raise Refusal(NotifyType.FAILED_CP_REQUIRED, "the peer asked for no internal address")
        return []
    given = replace(
        assignment.config,
        addresses=_lease(sa, assignment.pools, wanted),
        resolvers=told(assignment.resolvers, wanted, partial(note_ignored, sa)),
        domains=_domains(assignment.config.domains, wanted),
    )
    sa.events.append(InternalAddresses(sa.info(), given))
    return [given.reply()]


def _domains(ours: tuple[str, ...], wanted: Configuration) -> tuple[str, ...]:
    """Told to who asks for them (RFC 8598 3.2)."""
    return ours if wanted.values(ConfigAttributeType.INTERNAL_DNS_DOMAIN) else ()


def _lease(
    sa: "IkeSaState", pools: tuple[AddressPool, ...], wanted: Configuration
) -> tuple[Address, ...]:
    """One address of each version that is wanted and that there is a pool of; at least one."""
    versions = requested_versions(wanted)
    fitting = [pool for pool in pools if pool.network.version in versions]
    try:
        for pool in fitting:
            address = pool.take(sa.proven_id, again=sa.first_contact)
            sa.assigned.leases.append((pool, address))
    except PoolExhaustedError as error:
        sa.assigned.release()
        raise Refusal(NotifyType.INTERNAL_ADDRESS_FAILURE, str(error)) from None
    if not fitting:
        reason = f"no pool for the IP versions asked for: {versions or 'none'}"
        raise Refusal(NotifyType.INTERNAL_ADDRESS_FAILURE, reason)
    return tuple(address for _, address in sa.assigned.leases)
