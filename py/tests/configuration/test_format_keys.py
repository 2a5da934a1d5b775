"""Formats of ESP in a configuration file: what is refused, by which key, and what would do."""

from copy import deepcopy
from pathlib import Path
from typing import Any, get_args

import pytest

from p4esp.configuration.formats import FormatName
from p4esp.configuration.sections import ConfigError, parse_file
from p4esp.controller.config import GatewayChild, parse_config
from p4esp.daemon.config import DaemonConfig
from p4esp.demo.plan import LEFT, Change, gateway_section
from p4esp.ike.config import ChildConfig, FormatWish
from p4esp.ike.keywords import describe
from p4esp.ipsec.formats import FORMATS

STANDARDS = ("esp", "wesp")
CHILD = "gateways.left.peers.0.children.0"


def config(experimental: bool = True, peer: dict[str, Any] | None = None, **keys: Any) -> Any:
    section = gateway_section(LEFT, "127.0.0.1:9559", Change())
    del section["peers"][0]["children"][0]["proposals"]
    section["peers"][0] |= peer or {}
    section["peers"][0]["children"][0] |= keys
    return {"gateways": {"left": section | {"experimental": experimental}}}


def child(**keys: Any) -> ChildConfig:
    peer = parse_config(config(**keys), "x.toml").gateways["left"].peers[0].config()
    return peer.children[0]


def refusal(data: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_config(data, "x.toml")
    assert str(caught.value).startswith("x.toml: gateways.left")
    assert "accepted: " in str(caught.value)
    return str(caught.value)


NOT_NEGOTIATED = {"psp"}
"""What IKE does not ask for."""


def test_the_names_are_those_of_the_registry_that_ike_negotiates() -> None:
    assert set(get_args(FormatName)) == {form.name for form in FORMATS} - NOT_NEGOTIATED


@pytest.mark.parametrize("name", sorted(NOT_NEGOTIATED))
def test_a_format_that_ike_does_not_negotiate_is_refused_by_name(name: str) -> None:
    with pytest.raises(ConfigError, match=f"format: '{name}': Input should be 'esp', "):
        parse_config(config(format=name), "x.toml")


def test_without_a_key_a_child_is_plain_esp() -> None:
    assert child().format == FormatWish()


@pytest.mark.parametrize(
    ("keys", "wish"),
    [
        ({"format": "subspaces"}, FormatWish("subspaces", subs=16)),
        ({"format": "sub-child", "subs": 128}, FormatWish("sub-child", subs=128)),
        ({"format": "crypt-offset"}, FormatWish("crypt-offset", shown=28)),
        ({"format": "crypt-offset-shown", "shown": 4}, FormatWish("crypt-offset-shown", shown=4)),
        (
            {"format": "no-trailer", "format_required": True},
            FormatWish("no-trailer", required=True),
        ),
        ({"format": "wesp"}, FormatWish("wesp")),
        ({"format": "wesp-v2"}, FormatWish("wesp-v2", shown=28)),
        ({"format": "wesp-v2", "shown": 0}, FormatWish("wesp-v2")),
        ({"format": "eesp-optimized"}, FormatWish("eesp-optimized", subs=16)),
        ({"format": "eesp-full", "subs": 4}, FormatWish("eesp-full", subs=4, shown=32)),
        (
            {"format": "eesp-full", "numbered": False, "shown": 8},
            FormatWish("eesp-full", subs=16, shown=12, numbered=False),
        ),
    ],
)
def test_keys_of_a_format_say_what_ike_asks_for(keys: dict[str, Any], wish: FormatWish) -> None:
    assert child(**keys).format == wish


def test_where_no_ip_header_is_inside_the_ports_are_shown_unless_the_file_says_more() -> None:
    """28 octets would be data of the user."""
    part = {"name": "net", "local": ["10.1.0.1/32"], "remote": ["10.2.0.1/32"], "mode": "beet"}
    assert GatewayChild(**part, format="crypt-offset").wish.shown == 4
    assert GatewayChild(**part, format="crypt-offset", shown=8).wish.shown == 8


def test_eesp_shows_nothing_where_no_ip_header_is_inside_unless_the_file_says_so() -> None:
    """It is full there for another reason: the payload info header."""
    part = {"name": "net", "local": ["10.1.0.1/32"], "remote": ["10.2.0.1/32"], "mode": "beet"}
    for keys, shown in (({}, 0), ({"shown": 0}, 0), ({"shown": 4}, 8)):
        assert GatewayChild(**part, format="eesp-full", **keys).wish.shown == shown


@pytest.mark.parametrize("window", [0, 32])
def test_eesp_without_a_window_is_refused_unless_it_has_no_numbers(window: int) -> None:
    """g.7: at least 64, or off by negotiation."""
    noesn = ["aes256gcm16-noesn"]
    data = config(format="eesp-optimized", proposals=noesn)
    data["gateways"]["left"]["sa"] = {"window": window}
    said = refusal(data)
    assert f"child right/net: format eesp-optimized with sa.window {window}; accepted: 64" in said
    data = config(format="eesp-optimized", proposals=noesn, numbered=False)
    data["gateways"]["left"]["sa"] = {"window": window}
    parse_config(data, "x.toml")


def test_one_sa_does_not_take_the_replay_cells_of_all_others() -> None:
    said = refusal(config(format="subspaces", subs=256))
    assert "256 subs with windows of 1024 packets; accepted: 128 subs or less" in said


@pytest.mark.parametrize("name", [name for name in get_args(FormatName) if name not in STANDARDS])
def test_a_format_is_refused_without_experimental(name: str) -> None:
    sites = {"local": ["10.1.0.0/24"], "remote": ["10.2.0.0/24"]} if name == "diet-esp" else {}
    said = refusal(config(experimental=False, format=name, **sites))
    assert f"child right/net: format {name} is experimental; accepted: experimental = true" in said


def test_wesp_which_an_rfc_has_takes_no_experimental() -> None:
    parse_config(config(experimental=False, format="wesp"), "x.toml")


def test_the_daemon_refuses_it_too() -> None:
    part = {"name": "net", "local": ["10.1.0.0/16"], "remote": ["10.2.0.0/16"]}
    peer = {"name": "right", "local_id": "a.example", "remote_id": "b.example", "psk": "x" * 16}
    data = {"peers": [peer | {"children": [part | {"format": "subspaces"}]}]}
    with pytest.raises(ConfigError, match="accepted: experimental = true"):
        parse_file(DaemonConfig, deepcopy(data), "ike.toml", Path())
    known = parse_file(DaemonConfig, data | {"experimental": True}, "ike.toml", Path())
    assert known.ike.settings(known.ports, experimental=known.experimental).experimental


NOESN = {"proposals": ["aes256gcm16-noesn"]}
IIV = {"proposals": ["aes256gcm16iiv-noesn"]}


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"format": "another"}, "'subspaces'"),
        ({"format": "no-trailer", "mode": "transport"}, "has no transport mode; accepted: tunnel"),
        ({"format": "header-in-trailer", "mode": "beet"}, "has no beet mode; accepted: tunnel"),
        ({"format": "subspaces", "proposals": ["aes256gcm16-esn"]}, "accepted: noesn"),
        ({"format": "sub-child", "proposals": ["aes256gcm16-esn-noesn"]}, "accepted: noesn"),
        ({"format": "header-in-trailer", **NOESN}, "an implicit IV, as in aes256gcm16iiv"),
        ({"format": "no-trailer", "proposals": ["aes128-sha256"]}, "AES-GCM and ChaCha20-Poly1305"),
        ({"format": "trailer-in-clear", "proposals": ["aes256gmac"]}, "AES-GCM and ChaCha20"),
        ({"format": "no-trailer", "subs": 4}, "subs means nothing with format no-trailer"),
        ({"format": "subspaces", "shown": 28}, "shown means nothing with format subspaces"),
        ({"format_required": True}, "format_required means nothing with format esp"),
        ({"format": "subspaces", "subs": 0}, "greater than or equal to 1"),
        ({"format": "subspaces", "subs": 257}, "less than or equal to 256"),
        ({"format": "crypt-offset", "shown": 30}, "multiple of 4"),
        ({"format": "crypt-offset", "shown": 132}, "less than or equal to 128"),
        ({"format": "crypt-offset", "shown": 0}, "accepted: 4 or more"),
        ({"format": "eesp-full", "shown": 0}, "accepted: 4 or more, or format eesp-optimized"),
        ({"format": "eesp-optimized", "shown": 28}, "shown means nothing with format eesp-opt"),
        ({"format": "eesp-optimized", "mode": "transport"}, "has no transport mode; accepted: tun"),
        ({"format": "eesp-optimized", "mode": "beet"}, "has no beet mode; accepted: tunnel"),
        ({"format": "eesp-full", "proposals": ["aes128-sha256"]}, "AES-GCM and ChaCha20-Poly1305"),
        ({"format": "eesp-full", "proposals": ["aes256gmac"]}, "AES-GCM and ChaCha20-Poly1305"),
        ({"format": "eesp-full", "numbered": False, **IIV}, "accepted: an explicit IV"),
        ({"format": "subspaces", "numbered": False}, "numbered = false means nothing with format"),
        ({"numbered": False}, "numbered = false means nothing with format esp"),
        ({"format": "wesp-v2", "proposals": ["aes256gcm16-esn"]}, "accepted: noesn"),
        ({"format": "wesp-v2", "proposals": ["aes256gmac-noesn"]}, "AES-GCM and ChaCha20"),
        ({"format": "wesp-v2", "subs": 4}, "subs means nothing with format wesp-v2"),
        ({"format": "wesp", "shown": 4}, "shown means nothing with format wesp"),
    ],
)
def test_what_a_format_does_not_go_with_is_refused_by_key(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(config(**keys), "x.toml")
    assert str(caught.value).startswith(f"x.toml: {CHILD}")
    assert said in str(caught.value)


@pytest.mark.parametrize("name", ["header-in-trailer", "eesp-optimized", "eesp-full"])
@pytest.mark.parametrize("key", ["force_encapsulation", "mobike"])
def test_what_cannot_travel_in_udp_is_refused_where_that_may_come(key: str, name: str) -> None:
    said = refusal(config(peer={key: True}, format=name))
    assert f"accepted: {key} = false, or another format" in said


@pytest.mark.parametrize("name", ["subspaces", "wesp", "wesp-v2"])
@pytest.mark.parametrize("key", ["force_encapsulation", "mobike"])
def test_what_travels_in_udp_goes_with_that(key: str, name: str) -> None:
    parse_config(config(peer={key: True}, format=name), "x.toml")


def test_what_is_proposed_by_itself_goes_with_the_format() -> None:
    """Implicit IVs first, and no ESN where the number is sent whole."""
    proposed = {
        name: [describe(template.transforms) for template in child(format=name).proposals]
        for name in ("subspaces", "header-in-trailer", "no-trailer", "wesp-v2", "eesp-full")
    }
    implicit = "aes256gcm16iiv-aes128gcm16iiv-chacha20poly1305iiv-noesn"
    assert proposed["header-in-trailer"] == [implicit]
    assert proposed["subspaces"][0] == implicit
    explicit = "aes256gcm16-aes128gcm16-chacha20poly1305"
    assert proposed["no-trailer"] == [f"{explicit}-esn-noesn"]
    assert proposed["wesp-v2"] == [f"{explicit}-noesn"]
    with_esn = implicit.replace("noesn", "esn-noesn")
    assert proposed["eesp-full"] == [with_esn, f"{explicit}-esn-noesn"]
    unnumbered = child(format="eesp-full", numbered=False).proposals
    assert [describe(template.transforms) for template in unnumbered] == [f"{explicit}-esn-noesn"]


def test_a_proposal_of_ones_own_is_taken_as_it_is() -> None:
    assert [describe(t.transforms) for t in child(format="subspaces", **IIV).proposals] == [
        "aes256gcm16iiv-noesn"
    ]
