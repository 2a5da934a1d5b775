"""Children that several SAs carry together: how many the configuration wants, and their sets."""

from p4esp.controller.config import GatewayChild, GatewayConfig
from p4esp.controller.numbers import Spread
from p4esp.controller.policy_ids import PolicyIds
from p4esp.controller.selection import SaSelection
from p4esp.controller.share_plans import SharePlan


def _children(config: GatewayConfig) -> dict[tuple[str, str], GatewayChild]:
    return {(peer.name, child.name): child for peer in config.peers for child in peer.children}


def equal_shares(config: GatewayConfig) -> dict[tuple[str, str], int]:
    """How many SAs children have whose SAs carry equal parts, by peer and name; of others it is the
    first SA that counts.
    """
    several = _children(config).items()
    return {name: child.parallel for name, child in several if not child.resources}


def spreads_of(config: GatewayConfig) -> dict[tuple[str, str], Spread]:
    """What chooses one of several SAs, subspaces or sub-SAs, by peer and child."""
    return {name: Spread[child.spread.upper()] for name, child in _children(config).items()}


def share_plans(config: GatewayConfig) -> dict[tuple[str, str], SharePlan]:
    """What the children want whose SAs have shares of their own."""
    plans = {name: SharePlan.of(child) for name, child in _children(config).items()}
    return {name: plan for name, plan in plans.items() if plan is not None}


async def form_sets(selection: SaSelection, config: GatewayConfig, ids: PolicyIds) -> None:
    """Have the SAs of each such child serve its rule together, those to come as well (RFC 9611)."""
    children = {f"{peer}/{name}": child for (peer, name), child in _children(config).items()}
    for rule in config.policies:
        child = children.get(rule.child or "")
        if child is not None and (child.parallel > 1 or child.dscp_classes):
            plan, spread = SharePlan.of(child), Spread[child.spread.upper()]
            division = None if plan is None else plan.division
            await selection.form_set(ids.of(rule.name), spread, division)
