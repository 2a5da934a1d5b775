"""Children that several SAs carry together: how many the configuration wants, and their sets."""

from p4esp.controller.config import GatewayChild, GatewayConfig
from p4esp.controller.numbers import Spread
from p4esp.controller.policy_ids import PolicyIds
from p4esp.controller.selection import SaSelection


def parallel_children(config: GatewayConfig) -> dict[tuple[str, str], GatewayChild]:
    """The children that are to have several SAs, by peer and name."""
    children = [(peer.name, child) for peer in config.peers for child in peer.children]
    return {(peer, child.name): child for peer, child in children if child.parallel > 1}


def spreads_of(config: GatewayConfig) -> dict[tuple[str, str], Spread]:
    """What chooses one of several subspaces or sub-SAs, by peer and child."""
    children = [(peer.name, child) for peer in config.peers for child in peer.children]
    return {(peer, child.name): Spread[child.spread.upper()] for peer, child in children}


async def form_sets(selection: SaSelection, config: GatewayConfig, ids: PolicyIds) -> None:
    """Have the SAs of each such child serve its rule together, those to come as well (RFC 9611)."""
    several = {f"{peer}/{name}": child for (peer, name), child in parallel_children(config).items()}
    for rule in config.policies:
        child = several.get(rule.child or "")
        if child is not None:
            await selection.form_set(ids.of(rule.name), Spread[child.spread.upper()])
