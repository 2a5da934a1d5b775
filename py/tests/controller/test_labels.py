"""Security labels in the controller (RFC 9478): the file, numbers, rules, and which SA stays."""

from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
from controller_samples import CHILD, record

from p4esp.configuration.sections import ConfigError
from p4esp.controller import tables
from p4esp.controller.authorisation import _has_label
from p4esp.controller.config import MAX_LABELS, ControllerConfig, parse_config
from p4esp.controller.entries import Entry
from p4esp.controller.errors import ControllerError
from p4esp.controller.interfaces import Interfaces
from p4esp.controller.labels import NUMBERS, LabelNumbers, no_labels
from p4esp.controller.numbers import Role
from p4esp.controller.policy import spd_entries
from p4esp.controller.sa_entries import Handles, SaSettings, pair_entries
from p4esp.demo.plan import LEFT, Change, gateway_section
from p4esp.ike.config import ChildConfig
from p4esp.ipsec.policy import Action, PolicyRule
from p4esp.ipsec.sa import Share
from p4esp.ipsec.selectors import TrafficSelector
from p4esp.store import Sealer, Store
from p4esp.store.records import child_from, facts_of, secret_of

SECRET, PUBLIC = "system_u:object_r:secret_t:s0", "system_u:object_r:public_t:s0"
HOSTS = {"label": SECRET, "port": 0, "hosts": ["10.1.7.0/24", "2001:db8:1:7::/64"]}


def parsed(
    *hosts: dict[str, Any], child: Any = (SECRET,), rule: str | None = SECRET, **more: Any
) -> ControllerConfig:
    """A gateway with these labels of hosts, of its child, and of its rule."""
    section = deepcopy(gateway_section(LEFT, "127.0.0.1:9559", Change()))
    section["labels"] = list(hosts)
    section["peers"][0]["children"][0] |= {"labels": list(child), **more}
    if rule is not None:
        section["policies"][0]["label"] = rule
    return parse_config({"gateways": {"left": section}}, "x.toml")


def numbers() -> LabelNumbers:
    return LabelNumbers(Store(None, Sealer(bytes(32))), "left")


# The file


def test_a_child_a_rule_and_hosts_of_one_label() -> None:
    gateway = parsed(HOSTS, label_required=False).gateways["left"]
    (child,) = gateway.peers[0].config().children
    assert (child.labels, child.label_required) == ((SECRET.encode(),), False)
    assert gateway.policies[0].rule().label == SECRET.encode()
    assert gateway.label_names == {SECRET.encode()}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"child": ()}, "which has none; accepted: one label, in both, or none"),
        (
            {"rule": None},
            r"label \(none\) with child right/net, which has .*secret.*; accepted: sys",
        ),
        ({"rule": PUBLIC}, f"accepted: {SECRET}"),
        ({"child": (SECRET, PUBLIC)}, "accepted: one label, in both, or none"),
        ({"child": ("a b",)}, "1 to 255 visible characters"),
        ({"child": ("",)}, "1 to 255 visible characters"),
        ({"child": ("x" * 256,)}, "1 to 255 visible characters"),
        ({"rule": "nul\0"}, "1 to 255 visible characters"),
    ],
)
def test_what_a_child_and_its_rule_may_say(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parsed(HOSTS, **change)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"port": 1}, "labels: 1.0 is no protected interface; accepted: 0.0"),
        ({"vlan": 7}, "labels: 0.7 is no protected interface; accepted: 0.0"),
        ({"hosts": []}, "at least 1 item"),
        ({"hosts": ["10.1.7.1/24"]}, "host bits set"),
        ({"hosts": ["10.1.7.0/24"] * 2}, "labelled 0.0 10.1.7.0/24 occurs twice"),
        ({"label": "ä"}, "1 to 255 visible characters"),
    ],
)
def test_what_hosts_may_have(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parsed(HOSTS | change)


def test_a_host_has_one_label_and_a_gateway_so_many() -> None:
    with pytest.raises(ConfigError, match="occurs twice"):
        parsed(HOSTS, HOSTS | {"label": PUBLIC})
    many = [HOSTS | {"label": f"l{n}", "hosts": [f"10.1.{n}.0/24"]} for n in range(MAX_LABELS)]
    with pytest.raises(ConfigError, match=f"{MAX_LABELS + 1} security labels; accepted: 127"):
        parsed(*many)


# Numbers


def test_a_label_keeps_its_number_over_a_restart_and_none_is_0() -> None:
    store = Store(None, Sealer(bytes(32)))
    first = LabelNumbers(store, "left")
    assert [first.of(label) for label in (b"", b"a", b"b", b"a")] == [0, 1, 2, 1]
    second = LabelNumbers(store, "left")
    assert [second.of(label) for label in (b"b", b"c")] == [2, 3]
    assert LabelNumbers(store, "right").of(b"b") == 1


def test_numbers_of_labels_and_of_rules_do_not_meet() -> None:
    store = Store(None, Sealer(bytes(32)))
    LabelNumbers(store, "left").of(b"a")
    assert store.policy_ids("left") == {}


def test_the_number_of_a_label_that_is_gone_is_given_back() -> None:
    kept = numbers()
    for label in (b"a", b"b"):
        kept.of(label)
    kept.keep([b"b"])
    assert (kept.of(b"c"), kept.of(b"b")) == (1, 2)


def test_a_full_configuration_fits_beside_the_one_before() -> None:
    kept = numbers()
    for number in range(2 * MAX_LABELS):
        assert 0 < kept.of(b"%d" % number) < NUMBERS


def test_a_switch_without_labels_has_none() -> None:
    assert no_labels(b"") == 0
    with pytest.raises(ControllerError, match="label b'a' has no number"):
        no_labels(b"a")


# Entries


def test_hosts_are_in_both_directions_and_each_port_says_that_there_are_labels() -> None:
    kept = numbers()
    kept.of(PUBLIC.encode())
    gateway = parsed(HOSTS).gateways["left"]
    entries = Interfaces(gateway, kept.of).entries()
    wanted = [
        make(0, 0, net, 2)
        for net in gateway.labels[0].hosts
        for make in (tables.source_label, tables.host_label)
    ]
    assert entries[:4] == wanted
    assert [entry.table for entry in wanted] == [
        *("source_label", "host_label", "source_label_v6", "host_label_v6"),
    ]
    roles = {e.field("ingress_port"): e.action for e in entries if e.table == "port_role"}
    assert roles == dict.fromkeys((0, 1, 509), "set_role_labelled") | {510: "set_role"}


def test_a_gateway_without_labels_asks_no_table_for_them() -> None:
    gateway = parsed(child=(), rule=None).gateways["left"]
    entries = Interfaces(gateway).entries()
    assert {e.action for e in entries if e.table == "port_role"} == {"set_role"}
    assert not any("label" in entry.table for entry in entries)


def test_labels_of_rules_alone_are_asked_for_too() -> None:
    """What comes out of an SA of such a rule is for no host here, all of which have none."""
    gateway = parsed().gateways["left"]
    entries = Interfaces(gateway, numbers().of).entries()
    roles = {e.action for e in entries if e.table == "port_role" and e.arg("role") != Role.CPU}
    assert roles == {"set_role_labelled"}


def rule(label: bytes, action: Action = Action.BYPASS, priority: int = 0) -> PolicyRule:
    local, remote = (TrafficSelector.of_network(net) for net in ("10.1.0.0/16", "10.2.0.0/16"))
    return PolicyRule(f"r{priority}", action, (local,), (remote,), priority, label=label)


def roles_and_labels(entries: list[Entry]) -> list[tuple[int, Any]]:
    return [(entry.field("role")[0], dict(entry.match).get("label")) for entry in entries]


def test_outbound_a_rule_is_for_one_label_and_inbound_for_clear_packets_of_any() -> None:
    wanted = rule(b"a", Action.DISCARD, priority=2)
    found = spd_entries([wanted, rule(b"")], {}, 1, {b"a": 7, b"": 0})
    mine, outside = Role.PROTECTED, Role.UNPROTECTED
    assert roles_and_labels(found) == [
        *((mine, (7, 0xFF)), (mine, (0, 0xFF)), (outside, None), (outside, None)),
    ]


def test_a_bypass_of_a_label_lets_no_clear_packet_in_that_another_rule_wants_protected() -> None:
    protect = replace(rule(b""), action=Action.PROTECT, child="peer/net")
    found = spd_entries([rule(b"a", priority=2), protect], {"r0": 1}, 1, {b"a": 7, b"": 0})
    outside = [entry.action for entry in found if entry.field("role")[0] == Role.UNPROTECTED]
    assert outside == ["protect"]


def test_a_rule_of_another_label_does_not_take_the_fragments_of_this_one() -> None:
    """They would meet it, but it does not see them; the bypass of their own label does."""
    ports = replace(rule(b"a", Action.DISCARD, 3), local=(_udp("10.1.0.0/16"),))
    other, wide = rule(b"b", Action.DISCARD, 2), rule(b"a", priority=1)
    found = spd_entries([ports, other, wide], {}, 1, {b"a": 7, b"b": 8})
    unseen = [entry for entry in found if entry.action == "discard_unseen"]
    assert roles_and_labels(unseen) == [(Role.PROTECTED, (7, 0xFF))]


def test_fragments_that_a_labels_rule_keeps_from_a_bypass_are_those_of_its_label() -> None:
    ports = replace(rule(b"a", Action.DISCARD, 2), local=(_udp("10.1.0.0/16"),))
    for label, kept in ((b"a", (Role.PROTECTED, (7, 0xFF))), (b"", (Role.UNPROTECTED, None))):
        found = spd_entries([ports, rule(label)], {}, 1, {b"a": 7, b"": 0})
        unseen = [entry for entry in found if entry.action == "discard_unseen"]
        assert roles_and_labels(unseen) == [kept]


def _udp(net: str) -> TrafficSelector:
    return TrafficSelector.of_network(net, 17, (53, 53))


def test_an_sa_has_an_entry_for_its_label_where_there_is_one() -> None:
    made, handles = record(), Handles(1, 2)
    plain = pair_entries(made, handles, 1, SaSettings())
    labelled = pair_entries(made, handles, 1, SaSettings(), 7)
    more = set(labelled.all) - set(plain.all)
    assert more == {tables.sa_label(made.placement.sa_in, 7)}
    assert labelled.inbound[0] == plain.inbound[0]


# Which SA stays


@pytest.mark.parametrize(
    ("label", "labels", "required", "stays"),
    [
        (b"a", (b"a",), True, True),
        (b"a", (b"b", b"a"), True, True),
        (b"a", (b"b",), True, False),
        (b"a", (), True, False),
        (b"", (), True, True),
        (b"", (b"a",), True, False),
        (b"", (b"a",), False, True),
    ],
)
def test_an_sa_stays_while_its_child_has_its_label(
    label: bytes, labels: tuple[bytes, ...], required: bool, stays: bool
) -> None:
    section = ChildConfig(
        *(CHILD.name, CHILD.local_ts, CHILD.remote_ts), labels=labels, label_required=required
    )
    assert _has_label(replace(CHILD, share=Share(label=label)), section) is stays


def test_the_store_of_a_controller_before_knows_no_shares() -> None:
    made = record()
    facts = facts_of(made)
    del facts["share"]
    assert child_from(facts, made.child.spi_in, secret_of(made.child)) == made.child
