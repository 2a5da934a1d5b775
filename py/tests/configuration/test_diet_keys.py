"""Diet-ESP in a configuration file: what is refused, and what would do."""

from copy import deepcopy
from typing import Any

import pytest

from p4esp.configuration.sections import ConfigError
from p4esp.controller.config import parse_config
from p4esp.demo.plan import LEFT, Change, gateway_section
from p4esp.ike.config import FormatWish

FLOW = {
    "local": ["10.1.0.10/32"],
    "remote": ["10.2.0.10/32"],
    "protocol": 17,
    "local_port": 4660,
    "remote_port": 53,
}


def config(*more: dict[str, Any], peer: dict[str, Any] | None = None, **keys: Any) -> Any:
    """A gateway whose child is one flow that is compressed; `more` are further children."""
    section = gateway_section(LEFT, "127.0.0.1:9559", Change(esp=()))
    section["experimental"] = True
    section["peers"][0].update(peer or {})
    (first,) = section["peers"][0]["children"]
    first |= FLOW | {"format": "diet-esp"} | keys
    section["policies"][0] |= FLOW
    section["peers"][0]["children"] += [deepcopy(first) | child for child in more]
    return parse_config({"gateways": {"left": section}}, "x.toml").gateways["left"]


def refusal(*more: dict[str, Any], **changed: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        config(*more, **changed)
    return str(caught.value)


def test_what_is_not_said_is_8_bits_of_the_spi_and_16_of_the_number_and_no_trailer() -> None:
    (child,) = config().peers[0].children
    wish = FormatWish("diet-esp", spi_octets=1, sn_octets=2, trailer=False)
    assert child.wish == wish
    assert {suite.iv_size for t in child.templates(False) for suite in t.suites()} == {0}
    (child,) = config(spi_bits=32, sn_bits=24, esp_trailer=True).peers[0].children
    assert child.wish == FormatWish("diet-esp", spi_octets=4, sn_octets=3, trailer=True)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "bits": ({"spi_bits": 12}, "spi_bits"),
    "a range": ({"local": ["10.1.0.0/16"]}, "Diet-ESP: protocol 17 between prefixes of 16 and 32"),
    "selectors": (
        {"local": ["10.1.0.1/32", "10.1.0.10/32"]},
        "2 and 1 selectors; accepted: one",
    ),
    "one port": ({"local_port": None}, "ports 0 to 65535; accepted: one port a side"),
    "transport": ({"mode": "transport"}, "has no transport mode"),
    "explicit IV": ({"proposals": ["aes256gcm16-noesn"]}, "accepted: an implicit IV"),
    "ESN": ({"proposals": ["aes256gcm16iiv-esn"]}, "accepted: noesn"),
    "window": ({"sn_bits": 8}, "a window of 1024 with 8 bits of the number; accepted: 1 to 128"),
    "port": ({"protocol": 1}, "port 4660 of protocol 1; accepted: protocol 6, 17 or 132"),
    "mobike": ({"peer": {"mobike": True}}, "has no UDP encapsulation, which mobike"),
    "subs": ({"subs": 2}, "subs means nothing with format diet-esp"),
}


@pytest.mark.parametrize(("changed", "said"), REFUSED.values(), ids=REFUSED)
def test_what_it_does_not_go_with_is_refused_by_name(changed: dict[str, Any], said: str) -> None:
    assert said in refusal(**changed)


@pytest.mark.parametrize(
    "other", [{"format": "esp"}, {"spi_bits": 16}, {"sn_bits": 32}, {"esp_trailer": True}]
)
def test_all_children_of_a_peer_compress_alike(other: dict[str, Any]) -> None:
    said = refusal({"name": "other", "local_port": 9} | other)
    assert "children net and other do not compress alike; accepted: diet-esp with the same" in said


@pytest.mark.parametrize("key", ["spi_bits", "sn_bits", "esp_trailer"])
def test_its_keys_mean_nothing_with_another_format(key: str) -> None:
    value = True if key == "esp_trailer" else 8
    assert f"{key} means nothing with format esp" in refusal(format="esp", **{key: value})


def test_a_rule_that_is_wider_than_the_flow_is_refused() -> None:
    assert "is more than child right/net carries" in refusal(remote_port=54)
