"""Ends that an IKE SA of a lab can come to, and what brings the two gateways together again."""

import asyncio
from typing import Final

from p4esp.demo.lab import TUNNEL_SECONDS, Lab, LabError
from p4esp.demo.site import Site
from p4esp.ike.delete_reason import DeleteReason
from p4esp.service.journal import Entry, Kind

CLUSTER_KEY: Final = bytes(range(32))
"""What the members of a cluster in the lab share."""


async def delete_child(lab: Lab, site: Site, why: DeleteReason | None = None) -> None:
    """A gateway deletes its child SA, and says why; wait until the other's is gone."""
    gateway = lab.gateway(site)
    (child,) = gateway.sas.live.children()
    gateway.ike.command(lambda endpoint, now: endpoint.delete_child(child.spi_in, now, why))
    await lab.happened(_other(lab, site), Kind.SA_REMOVED)


async def lose_state(lab: Lab, site: Site) -> None:
    """A gateway's IKE crashes; wait until the other has asked for a sign of life, and given up."""
    lab.gateway(site).forget_ike()
    await _ask_in_vain(lab, _other(lab, site))


async def lose_peer(lab: Lab, site: Site) -> None:
    """The wire is cut until a gateway has given up the other."""
    lab.wire.disconnect()
    await _ask_in_vain(lab, site)
    lab.plug()


async def _ask_in_vain(lab: Lab, site: Site) -> None:
    gateway = lab.gateway(site)
    (ike,) = gateway.connections.established
    gateway.ike.command(lambda endpoint, now: endpoint.check_liveness(ike, now))
    await lab.happened(site, Kind.IKE_DOWN)


def take_over(lab: Lab, site: Site, missed: int) -> None:
    """Another member of a cluster stands where a gateway's IKE stood, with the same switch."""
    gateway = lab.gateway(site)
    (ike,) = gateway.connections.established
    sealed = gateway.ike.command(lambda endpoint, _: endpoint.export_ike(ike, CLUSTER_KEY))
    gateway.forget_ike()
    facts = sealed, CLUSTER_KEY, gateway.peers, list(gateway.sas.live.children())
    gateway.ike.command(lambda endpoint, now: endpoint.take_over(*facts, now, missed=missed))


def child_names(lab: Lab) -> set[str]:
    """The child SAs that have come up so far, by peer, name and SPI."""
    return {entry.subject for entry in lab.journal.entries if entry.kind is Kind.SA_UP}


async def others_than(lab: Lab, known: set[str]) -> None:
    """Wait until both gateways have child SAs that are new; LabError when it takes too long."""
    for site in lab.sites:
        await _other_than(lab, site.plan.name, known)


async def _other_than(lab: Lab, gateway: str, known: set[str]) -> None:
    def is_new(entry: Entry) -> bool:
        new = entry.kind is Kind.SA_UP and entry.subject not in known
        return new and entry.gateway == gateway

    try:
        async with asyncio.timeout(TUNNEL_SECONDS):
            await lab.journal.has(is_new)
    except TimeoutError:
        raise LabError(f"{gateway} has no new SA after {TUNNEL_SECONDS:g} s") from None


def _other(lab: Lab, site: Site) -> Site:
    (other,) = (one for one in lab.sites if one is not site)
    return other
