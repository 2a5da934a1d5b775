"""The mode of a child SA in a configuration file: what is refused, and what would do."""

from typing import Any

import pytest

from p4esp.configuration.sections import ConfigError
from p4esp.controller.config import parse_config
from p4esp.demo.plan import LEFT, Change, gateway_section

PAIR = {"local": ["10.1.0.10/32"], "remote": ["10.2.0.10/32"]}


def config(**keys: Any) -> Any:
    section = gateway_section(LEFT, "127.0.0.1:9559", Change())
    section["peers"][0]["children"][0] |= keys
    section["policies"][0] |= PAIR
    return {"gateways": {"left": section | {"experimental": True}}}


@pytest.mark.parametrize("required", [True, False])
def test_a_child_says_whether_a_tunnel_will_do(required: bool) -> None:
    parsed = parse_config(config(mode="beet", mode_required=required, **PAIR), "x.toml")
    (child,) = parsed.gateways["left"].peers[0].config().children
    assert child.mode_required is required


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ({}, "mode_required = false means nothing with mode tunnel; accepted: true"),
        (
            {"mode": "beet", "format": "eesp-full", "proposals": ["aes256gcm16iiv-noesn"]},
            "mode_required = false with format eesp-full; accepted: format esp, or true",
        ),
    ],
    ids=["tunnel", "format"],
)
def test_where_nothing_else_is_possible_the_key_is_refused(keys: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(config(mode_required=False, **PAIR, **keys), "x.toml")
    assert why in str(caught.value)
