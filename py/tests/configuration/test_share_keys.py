"""Keys of a child whose SAs carry a share of its traffic each, and how they clash."""

from typing import Any

import pytest

from p4esp.configuration.sections import ConfigError
from p4esp.controller.config import GatewayConfig, parse_config
from p4esp.controller.parallel import equal_shares, share_plans
from p4esp.demo.plan import LEFT, Change, gateway_section

CLASSES = [[38, 34, 36], [46]]


def parsed(experimental: bool = True, **keys: Any) -> GatewayConfig:
    section = gateway_section(LEFT, "127.0.0.1:9559", Change())
    section["peers"][0]["children"][0] |= keys
    section |= {"experimental": experimental, "engine": "engine.sock"}
    return parse_config({"gateways": {"left": section}}, "test").gateways["left"]


def test_resources_and_classes_reach_ike_and_the_plan() -> None:
    keys = {"per_resource": "on-demand", "parallel": 4, "resource_idle": 9.0, "spread": "dscp"}
    config = parsed(**keys, dscp_classes=CLASSES)
    (child,) = config.peers[0].config().children
    assert (child.resources, child.dscp_classes) == (4, ((34, 36, 38), (46,)))
    (plan,) = share_plans(config).values()
    assert (plan.resources, plan.on_demand, plan.idle) == (4, True, 9.0)
    assert equal_shares(config) == {}


def test_without_them_parallel_means_equal_sas_and_ike_knows_nothing_of_it() -> None:
    config = parsed(parallel=3)
    (child,) = config.peers[0].config().children
    assert (child.resources, child.dscp_classes) == (0, ())
    assert share_plans(config) == {}
    assert equal_shares(config) == {("right", "net"): 3}


def test_what_is_there_always_is_never_idle() -> None:
    (plan,) = share_plans(parsed(per_resource="eager", parallel=2, resource_idle=5.0)).values()
    assert plan.idle == 0


@pytest.mark.parametrize(
    ("keys", "fault"),
    [
        ({"per_resource": "eager"}, "accepted: parallel = 2..32"),
        ({"per_resource": "always", "parallel": 2}, "'off', 'eager' or 'on-demand'"),
        (
            {"per_resource": "on-demand", "parallel": 2, "resource_idle": -1},
            "greater than or equal",
        ),
        ({"dscp_classes": CLASSES}, 'accepted: spread = "dscp"'),
        ({"dscp_classes": CLASSES, "spread": "dscp", "parallel": 2}, "accepted: per_resource"),
        ({"dscp_classes": [[46], [46, 34]], "spread": "dscp"}, "46 twice"),
        ({"dscp_classes": [[34, 34]], "spread": "dscp"}, "34 twice"),
        ({"dscp_classes": [[64]], "spread": "dscp"}, "less than 64"),
        ({"dscp_classes": [[]], "spread": "dscp"}, "at least 1 item"),
        (
            {"dscp_classes": CLASSES, "spread": "dscp", "experimental": False},
            "right/net: dscp_classes is experimental",
        ),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_does_not_go_together_is_refused_by_name(keys: dict[str, Any], fault: str) -> None:
    with pytest.raises(ConfigError, match=fault):
        parsed(**keys)
