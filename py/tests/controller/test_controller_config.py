"""Bad configuration is refused with file, key and what would be accepted."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from p4esp.configuration.sections import ConfigError
from p4esp.controller.config import load_config, parse_config
from p4esp.controller.engine_keys import TRANSFORMS
from p4esp.controller.interfaces import Interfaces, exact_address
from p4esp.controller.numbers import DfMode
from p4esp.demo.plan import LEFT, PSK, Change, gateway_section
from p4esp.ike.auth.credentials import preshared
from p4esp.ike.keywords import describe
from p4esp.ike.proposals import Template
from p4esp.ipsec.algorithms import SUITES
from p4esp.ipsec.identity import IdType
from p4esp.ipsec.policy import Action
from p4esp.ipsec.sa import Mode

GOOD = {"gateways": {"left": gateway_section(LEFT, "127.0.0.1:9559", Change())}}


def changed(path: str, value: Any) -> dict[str, Any]:
    """The good configuration with one key set; `None` removes it."""
    data: Any = deepcopy(GOOD)
    *way, last = path.split(".")
    place = data
    for step in way:
        place = place[int(step)] if step.isdigit() else place[step]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return data


def test_a_good_configuration_says_what_it_means() -> None:
    gateway = parse_config(GOOD, "good.toml").gateways["left"]
    peer = gateway.peers[0].config()
    assert (peer.name, peer.remote_id.type) == ("right", IdType.FQDN)
    assert PSK not in repr(peer)
    rule = gateway.policies[0].rule()
    assert (rule.action, rule.child) == (Action.PROTECT, "right/net")


LEFT_KEY = "gateways.left"


@pytest.mark.parametrize(
    ("key", "value", "where", "accepted"),
    [
        ("gateways.left.address", "nowhere", "gateways.left.address", "such as 127.0.0.1:9559"),
        ("gateways.left.address", "127.0.0.1:99999", "gateways.left.address", "port of 1..65535"),
        ("gateways.left.address", None, "gateways.left.address", "is missing"),
        ("gateways.left.adress", "x:1", "gateways.left.adress", "unknown key; accepted: address,"),
        ("gateways.left.interfaces.0.role", "safe", "interfaces.0.role", "'protected' or 'unpro"),
        ("gateways.left.interfaces.0.mac", "02:00", "interfaces.0.mac", "such as 02:00:00:00"),
        ("gateways.left.interfaces.0.mac", "zz:00:00:00:00:01", "interfaces.0.mac", "such as 02:0"),
        ("gateways.left.interfaces.0.addresses", ["10.1"], "addresses.0", "such as 10.1.0.1/16"),
        (
            "gateways.left.peers.0.local_id",
            None,
            "peers.0",
            "local_id is missing; accepted: our id",
        ),
        (
            "gateways.left.peers.0.lifetime",
            {"rekey_time": 5, "life_time": 4},
            "peers.0.lifetime",
            "0 < soft < hard",
        ),
        (
            "gateways.left.peers.0.lifetime",
            {"rekey_time": 0, "life_time": 4},
            "peers.0.lifetime",
            "accepted: both",
        ),
        (
            "gateways.left.peers.0.lifetime",
            {"reauth_time": 60},
            "peers.0.lifetime.reauth_time",
            "reauthentication is not supported",
        ),
        (
            "gateways.left.peers.0.children.0.lifetime",
            {"rekey_bytes": -1},
            "children.0.lifetime.rekey_bytes",
            "greater than or equal to 0",
        ),
        (
            "gateways.left.peers.0.children.0.mode",
            "transport",
            "peers.0",
            "child net: in transport mode local is the peer's local address; accepted: 192",
        ),
        ("gateways.left.peers.0.remote", "right", "peers.0.remote", "such as 192.0.2.1"),
        ("gateways.left.interfaces.0.mac", "03:00:00:00:00:01", "interfaces.0.mac", "even first"),
        ("gateways.left.interfaces.0.port", 510, "interfaces.0", "accepted: 0..508"),
        ("gateways.left.interfaces.1.port", 0, LEFT_KEY, "interface 0.0 occurs twice"),
        (
            "gateways.left.interfaces.0.vlan",
            4095,
            "interfaces.0.vlan",
            "less than or equal to 4094",
        ),
        ("gateways.left.peers.0.psk", "short", "peers.0.psk", "at least 8 characters"),
        ("gateways.left.peers.0.psk", None, "peers.0", "psk or psk_file is missing"),
        ("gateways.left.peers.0.local", "9.9.9.9", LEFT_KEY, "accepted: 10.1.0.1, 192.0.2.1"),
        ("gateways.left.peers.0.proposals", ["rot13"], "proposals.0", "accepted: aes256gcm16"),
        ("gateways.left.peers.0.children.0.proposals", ["aes"], "proposals.0", "accepted: aes256"),
        (
            "gateways.left.peers.0.proposals",
            ["aes128-sha256-modp1024"],
            "peers.0",
            "'modp1024' is weak (RFC 8221, RFC 8247) and refused unless the peer has allow_weak",
        ),
        (
            "gateways.left.peers.0.children.0.proposals",
            ["aes256-sha1"],
            "children.0",
            "a gateway cannot carry aes256-sha1; accepted: aes256gcm16, aes128gcm16",
        ),
        (
            "gateways.left.peers.0.children.0.proposals",
            ["aes256gcm16-modp1024"],
            "peers.0",
            "'modp1024' is weak",
        ),
        ("gateways.left.peers.0.children.0.remote", ["10.2.0.1/16"], "remote.0", "host bits set"),
        ("gateways.left.peers.0.remote_id", "@#xyz", "peers.0.remote_id", "@# and hex digits"),
        ("gateways.left.policies.0.child", "right/other", LEFT_KEY, "accepted: right/net"),
        ("gateways.left.policies.0.action", "encrypt", "policies.0.action", "'protect', 'bypass'"),
        ("gateways.left.sa.window", 31, "sa", "accepted are 0 (none) and 32..4096"),
        ("gateways.left.sa.df", "keep", "sa.df", "'copy', 'set' or 'clear'"),
        ("gateways.left.sa.dscp", 64, "sa.dscp", "accepted: copy, or 0..63"),
        ("gateways.left.sa.dscp", "ef", "sa.dscp", "accepted: copy, or 0..63"),
        ("gateways.left.sa.window", 5000, "sa.window", "less than or equal to 4096"),
        ("gateways", {}, "gateways", "at least 1"),
    ],
)
def test_a_fault_names_file_key_and_what_is_accepted(
    key: str, value: Any, where: str, accepted: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(changed(key, value), "bad.toml")
    text = str(caught.value)
    assert text.startswith("bad.toml: ")
    assert f"{where}:" in text
    assert accepted in text


PAIR = {"mode": "beet", "local": ["10.1.0.10/32"], "remote": ["10.2.0.10/32"]}


def with_beet(**changes: Any) -> dict[str, Any]:
    """The good configuration with a child in BEET mode."""
    data = changed("gateways.left.policies.0.local", PAIR["local"])
    gateway = data["gateways"]["left"]
    gateway["policies"][0]["remote"] = PAIR["remote"]
    gateway["peers"][0]["children"][0] |= PAIR | changes
    return data


@pytest.mark.parametrize(
    ("changes", "accepted"),
    [
        ({"local": ["10.1.0.0/16"]}, "child net: in BEET mode accepted: one address in local"),
        ({"remote": ["10.2.0.10/32", "10.2.0.11/32"]}, "accepted: one address in remote"),
        ({"remote": ["2001:db8::1/128"]}, "different families"),
    ],
)
def test_beet_mode_is_for_one_address_on_each_side(changes: Any, accepted: str) -> None:
    """RFC 7402 B.1: the inner addresses are not sent."""
    (child,) = parse_config(with_beet(), "good.toml").gateways["left"].peers[0].config().children
    assert child.mode is Mode.BEET
    with pytest.raises(ConfigError, match=accepted):
        parse_config(with_beet(**changes), "bad.toml")


def test_df_and_dscp_of_outer_headers_are_those_of_the_inner_ones_unless_the_file_says_so() -> None:
    """RFC 4301 5.1.2, 8.1."""
    plain = parse_config(GOOD, "good.toml").gateways["left"].sa.settings()
    assert (plain.df, plain.dscp) == (DfMode.COPY, None)
    own = parse_config(changed("gateways.left.sa", {"df": "clear", "dscp": 0}), "good.toml")
    settings = own.gateways["left"].sa.settings()
    assert (settings.df, settings.dscp) == (DfMode.CLEAR, 0)


@pytest.mark.parametrize("window", [0, 32, 64, 4096])
def test_the_least_window_is_the_one_that_must_be_supported(window: int) -> None:
    """RFC 4303 3.4.3."""
    config = parse_config(with_window(window, ["aes256gcm16"]), "good.toml")
    assert config.gateways["left"].sa.settings().window == window


def with_window(window: int, proposals: list[str]) -> dict[str, Any]:
    """A gateway with a window of its own, and the ESP proposals of its child."""
    data = changed("gateways.left.sa.window", window)
    data["gateways"]["left"]["peers"][0]["children"][0]["proposals"] = proposals
    return data


@pytest.mark.parametrize(
    "proposals",
    [["aes256gcm16-esn"], ["aes256gcm16-esn-noesn"], ["aes256gcm16", "aes128gcm16-esn"], []],
    ids=["alone", "beside short ones", "second best", "built in"],
)
def test_without_anti_replay_no_extended_sequence_numbers_are_offered(proposals: list[str]) -> None:
    """RFC 4303 3.3.3: the window is what tells a packet's high half."""
    assert parse_config(with_window(32, proposals), "good.toml")
    with pytest.raises(ConfigError) as caught:
        parse_config(with_window(0, proposals), "bad.toml")
    assert str(caught.value) == (
        "bad.toml: gateways.left: child right/net: its proposals offer ESN, which takes an "
        "anti-replay window, and sa.window is 0; accepted: proposals without esn, such as "
        "aes256gcm16-noesn, or a window of 32..4096 packets"
    )


@pytest.mark.parametrize("suite", ["aes256-sha1", "null-sha1", "3des-sha256"])
def test_no_weak_cipher_is_carried_by_a_gateway_whatever_the_peer_may(suite: str) -> None:
    data = changed("gateways.left.peers.0.allow_weak", True)
    data["gateways"]["left"]["peers"][0]["children"][0]["proposals"] = [suite]
    with pytest.raises(ConfigError, match=f"cannot carry {suite}; accepted: aes256gcm16, aes128"):
        parse_config(data, "weak.toml")


@pytest.mark.parametrize("suite", [name for name in SUITES if name in TRANSFORMS])
def test_a_gateway_carries_each_suite_that_its_engine_has(suite: str) -> None:
    data = changed("gateways.left.peers.0.children.0.proposals", [f"{suite}-esn"])
    (child,) = parse_config(data, "good.toml").gateways["left"].peers[0].config().children
    assert [found.name for found in child.proposals[0].suites()] == [suite]


@pytest.mark.parametrize("word", ["aes256gmac", "null-sha256", "aes128gcm16iiv"])
def test_what_is_for_esp_only_is_refused_for_ike_by_name(word: str) -> None:
    data = changed("gateways.left.peers.0.proposals", [f"{word}-prfsha256-x25519"])
    with pytest.raises(ConfigError, match=rf"proposals\.0: .*{word[:4]}.* protects ESP only"):
        parse_config(data, "bad.toml")


def test_a_peer_marked_so_may_use_weak_algorithms() -> None:
    data = changed("gateways.left.peers.0.allow_weak", True)
    peer = data["gateways"]["left"]["peers"][0]
    peer["proposals"] = ["3des-sha1-modp1024"]
    peer["children"][0]["proposals"] = ["aes256gcm16-modp1536"]
    config = parse_config(data, "weak.toml").gateways["left"].peers[0].config()
    assert config.proposals == (Template.ike("3des-sha1-modp1024", allow_weak=True),)
    assert describe(config.proposals[0].transforms) == "3des-sha1-modp1024-prfsha1"


def test_no_fault_shows_a_pre_shared_key() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(changed("gateways.left.peers.0.psk", "hunter2"), "bad.toml")
    assert "hunter2" not in str(caught.value)


def test_all_faults_are_told_at_once() -> None:
    data = changed("gateways.left.device_id", 0)
    data["gateways"]["left"]["sa"]["grace"] = -1
    with pytest.raises(ConfigError) as caught:
        parse_config(data, "bad.toml")
    assert len(str(caught.value).splitlines()) == 2


def test_a_missing_file_and_broken_toml_are_told_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml: cannot be read"):
        load_config(tmp_path / "none.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("gateways = [")
    with pytest.raises(ConfigError, match=r"broken\.toml: not TOML"):
        load_config(broken)


def test_a_key_file_of_a_peer_is_read_without_its_line_end(tmp_path: Path) -> None:
    secret = tmp_path / "psk"
    secret.write_text("from a file\n")
    secret.chmod(0o600)
    data = changed("gateways.left.peers.0.psk", None)
    data["gateways"]["left"]["peers"][0]["psk_file"] = "psk"
    gateway = parse_config(data, "good.toml", tmp_path).gateways["left"]
    assert gateway.peers[0].config().auth == preshared(b"from a file")


@pytest.mark.parametrize(
    ("content", "mode", "accepted"),
    [
        (None, 0, "No such file or directory; accepted: a readable file"),
        (b"", 0o600, "0 octets; accepted: at least 8"),
        (b"short\n\n\n\n", 0o600, "5 octets; accepted: at least 8"),
        (b"long enough", 0o644, "mode 0644 lets others read the key; accepted: 0600"),
        (bytes(5000), 0o600, "accepted: a file of at most 4096 octets"),
    ],
)
def test_a_key_file_that_is_no_secret_is_refused(
    tmp_path: Path, content: bytes | None, mode: int, accepted: str
) -> None:
    secret = tmp_path / "psk"
    if content is not None:
        secret.write_bytes(content)
        secret.chmod(mode)
    data = changed("gateways.left.peers.0.psk", None)
    data["gateways"]["left"]["peers"][0]["psk_file"] = "psk"
    with pytest.raises(ConfigError) as caught:
        parse_config(data, "bad.toml", tmp_path)
    where = "bad.toml: gateways.left.peers.0.psk_file: "
    assert str(caught.value) == f"{where}{secret}: {accepted}"


def test_a_file_must_name_an_engine_for_each_gateway(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text(
        '[gateways.left]\naddress = "127.0.0.1:9559"\n[[gateways.left.interfaces]]\n'
        'port = 0\nrole = "protected"\nmac = "02:00:00:00:00:01"\n'
    )
    with pytest.raises(ConfigError, match=r"a\.toml: gateways\.left\.engine: is missing; accepted"):
        load_config(path)


@pytest.mark.parametrize(
    ("key", "value", "what"),
    [("engine", "/run/engine.sock", "engine"), ("address", "127.0.0.1:9559", "switch")],
)
def test_gateways_share_neither_switch_nor_engine(key: str, value: str, what: str) -> None:
    data = deepcopy(GOOD)
    data["gateways"]["other"] = deepcopy(data["gateways"]["left"])
    data["gateways"]["other"]["address"] = "127.0.0.1:9560"
    for gateway in data["gateways"].values():
        gateway[key] = value
    with pytest.raises(ConfigError, match=f"{what} .*occurs twice"):
        parse_config(data, "bad.toml")


def test_a_child_carries_the_traffic_of_one_rule() -> None:
    data: Any = deepcopy(GOOD)
    policies = data["gateways"]["left"]["policies"]
    policies.append(policies[0] | {"name": "again"})
    with pytest.raises(ConfigError, match="protect policy of child right/net occurs twice"):
        parse_config(data, "bad.toml")


def test_a_rule_asks_no_more_of_its_child_than_it_carries() -> None:
    data = changed("gateways.left.policies.0.remote", ["10.0.0.0/8"])
    expected = r"remote 10\.0\.0\.0/8 is more than child .* accepted: within 10\.2\.0\.0/16"
    with pytest.raises(ConfigError, match=expected):
        parse_config(data, "bad.toml")


def test_a_refused_item_is_not_told_again_as_a_list_that_is_too_short() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(changed("gateways.left.interfaces", [{"port": 1}]), "bad.toml")
    assert "at least 1" not in str(caught.value)


def test_the_name_of_a_gateway_is_told_what_it_may_be() -> None:
    data = {"gateways": {"no good": GOOD["gateways"]["left"]}}
    expected = "gateways.no good: 'no good': accepted: 1 to 64 letters"
    with pytest.raises(ConfigError, match=expected):
        parse_config(data, "bad.toml")


ROUTE = {"destination": "10.2.0.0/16", "via": "192.0.2.2"}
HOST = {"address": "192.0.2.2", "mac": "02:00:00:00:09:09"}


@pytest.mark.parametrize(
    ("key", "value", "fault"),
    [
        ("routes", [ROUTE, ROUTE | {"via": "192.0.2.3"}], "route 10.2.0.0/16 occurs twice"),
        ("routes", [ROUTE | {"destination": "10.1.0.0/16"}], "route 10.1.0.0/16 occurs twice"),
        ("routes", [ROUTE | {"via": "8.8.8.8"}], "8.8.8.8 is on no link; accepted: within 10.1."),
        ("routes", [ROUTE | {"via": "192.0.2.1"}], "192.0.2.1 is our own address"),
        ("neighbours", [HOST, HOST], "neighbour 192.0.2.2 occurs twice"),
        ("neighbours", [HOST | {"address": "8.8.8.8"}], "8.8.8.8 is on no link; accepted: within"),
        ("interfaces.0.addresses", ["192.0.2.1/32"], "address 192.0.2.1 occurs twice"),
        ("interfaces.0.addresses", ["192.0.2.9/24"], "network 192.0.2.0/24 is on two interfaces"),
        ("peers.0.remote", "192.0.2.1", "remote 192.0.2.1 is our own address"),
        ("device_id", 1 << 64, "Input should be less than or equal to 18446744073709551615"),
    ],
)
def test_what_no_switch_could_do_is_refused_before_any_is_asked(
    key: str, value: Any, fault: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_config(changed(f"gateways.left.{key}", value), "bad.toml")
    assert fault in str(refused.value)


def test_an_election_id_has_as_many_bits_as_p4runtime_gives_it() -> None:
    assert parse_config(changed("election_id", (1 << 128) - 1), "good.toml")
    with pytest.raises(ConfigError, match=r"election_id: .* accepted: 1\.\.2\^128 - 1"):
        parse_config(changed("election_id", 1 << 128), "bad.toml")


def test_liveness_is_checked_unless_it_is_switched_off() -> None:
    (asked,) = parse_config(GOOD, "good.toml").gateways["left"].peers
    (silent,) = (
        parse_config(changed("gateways.left.peers.0.dpd_delay", 0), "x").gateways["left"].peers
    )
    assert (asked.config().dpd_delay, silent.config().dpd_delay) == (30, None)


def site_of_both_families() -> dict[str, Any]:
    """A gateway with hosts behind it, and a peer of one of them in transport mode."""
    section = gateway_section(LEFT, "127.0.0.1:9559", Change())
    inside, outside = section["interfaces"]
    inside["addresses"].append("2001:db8:1::1/64")
    inside["hosts"] = ["10.1.0.10", "2001:db8:1::10", "2001:db8:9::10"]
    outside["addresses"].append("2001:db8:ff::1/64")
    section["routes"] += [
        {"destination": "2001:db8:2::/48", "via": "2001:db8:ff::2"},
        {"destination": "2001:db8:9::/48", "via": "2001:db8:1::9"},
    ]
    ends = {"local": "2001:db8:1::10", "remote": "2001:db8:2::10"}
    child = {"name": "host", "mode": "transport"} | {k: [f"{v}/128"] for k, v in ends.items()}
    section["peers"].append(section["peers"][0] | ends | {"name": "far", "children": [child]})
    return section


def test_hosts_behind_a_gateway_may_be_the_local_end_of_transport_mode() -> None:
    gateway = parse_config({"gateways": {"left": site_of_both_families()}}, "x").gateways["left"]
    peer = gateway.peers[1].config()
    assert (str(peer.local), peer.children[0].mode) == ("2001:db8:1::10", Mode.TRANSPORT)
    entries = Interfaces(gateway)
    entries.adopt(())
    local = {e.table: set() for e in entries.entries() if e.action == "is_local"}
    for entry in entries.entries():
        if entry.action == "is_local":
            local[entry.table].add((str(exact_address(entry, "dst")), entry.arg("proxied")))
    assert local["local_v4"] == {("10.1.0.1", 0), ("192.0.2.1", 0), ("10.1.0.10", 1)}
    assert ("2001:db8:9::10", 1) in local["local_v6"]
    assert ("2001:db8:ff::1", 0) in local["local_v6"]


@pytest.mark.parametrize(
    ("key", "value", "where", "accepted"),
    [
        ("interfaces.0.addresses", ["fe80::1/64"], "interfaces.0", "fe80::1 is link-local"),
        ("interfaces.0.addresses", ["ff02::1/64"], "interfaces.0", "accepted: unicast addresses"),
        (
            "interfaces.0.addresses",
            ["2001:db8::/129"],
            "interfaces.0.addresses.1",
            "2001:db8:1::1/64",
        ),
        ("interfaces.1.hosts", ["192.0.2.9"], "interfaces.1", "accepted: on a protected interf"),
        ("interfaces.0.hosts", ["10.1.0.1"], "", "host 10.1.0.1 is the gateway itself"),
        ("interfaces.0.hosts", ["10.7.0.1"], "", "host 10.7.0.1 is not behind interface 0.0; acc"),
        ("interfaces.0.hosts", ["10.1.0.9"] * 2, "", "host 10.1.0.9 occurs twice"),
        ("interfaces.0.hosts", ["host.example"], "interfaces.0.hosts.0", "such as 192.0.2.1 or 2"),
        ("routes.1.via", "192.0.2.2", "routes.1", "are of different families; accepted: one"),
        ("routes.1.via", "fe80::2", "routes.1", "accepted: addresses that are valid beyond"),
        ("peers.1.remote", "192.0.2.2", "peers.1", "accepted: both IPv4 or both IPv6"),
        ("peers.0.local", "10.1.0.77", "", "accepted: 10.1.0.1, 2001:db8:1::1, 192.0.2.1, 2001"),
        (
            "peers.1.children.0.local",
            ["2001:db8:1::/64"],
            "peers.1",
            "local is the peer's local address; accepted: 2001:db8:1::10/128",
        ),
        (
            "peers.1.children.0.remote",
            ["2001:db8:2::11/128"],
            "peers.1",
            "remote is the peer's remote address; accepted: 2001:db8:2::10/128",
        ),
        (
            "peers.0.children.0.remote",
            ["2001:db8:2::/48"],
            "peers.0.children.0",
            "different families; accepted: the same on both sides",
        ),
        (
            "policies.0.local",
            ["10.1.0.0/16", "2001:db8:1::/48"],
            "policies.0",
            "different families; accepted: the same on both sides",
        ),
        ("peers.0.children.0.mode", "wesp", "peers.0.children.0.mode", "'transport' or 'beet'"),
    ],
)
def test_what_does_not_fit_the_families_is_refused_by_file_and_key(
    key: str, value: Any, where: str, accepted: str
) -> None:
    section: Any = site_of_both_families()
    if key.endswith("addresses"):
        value = [*section["interfaces"][0]["addresses"][:1], *value]
    *way, last = key.split(".")
    place = section
    for step in way:
        place = place[int(step)] if step.isdigit() else place[step]
    place[last] = value
    with pytest.raises(ConfigError) as caught:
        parse_config({"gateways": {"left": section}}, "bad.toml")
    assert f"bad.toml: gateways.left{'.' if where else ''}{where}" in str(caught.value)
    assert accepted in str(caught.value)


def test_transport_mode_of_the_gateway_itself_is_refused() -> None:
    """What the gateway says itself is never sealed."""
    section = site_of_both_families()
    section["interfaces"][0]["hosts"] = ["10.1.0.10"]
    ends = {"local": "2001:db8:ff::1", "remote": "2001:db8:2::10"}
    section["peers"][1] |= ends
    section["peers"][1]["children"][0] |= {k: [f"{v}/128"] for k, v in ends.items()}
    with pytest.raises(ConfigError, match=r"transport mode is for hosts .* accepted: 10\.1\.0\.10"):
        parse_config({"gateways": {"left": section}}, "bad.toml")
