"""SPD rules in the switch: mirrored, ranked, and flipped at once."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p4esp.controller import tables
from p4esp.controller.entries import Entry, Op, Update
from p4esp.controller.numbers import SIZE_SPD, Role
from p4esp.controller.policy import PolicyTable, PolicyTooLargeError, spd_entries
from p4esp.controller.policy_ids import PolicyIds
from p4esp.controller.tables import PacketMatch
from p4esp.controller.writer import TableWriter
from p4esp.ipsec.policy import Action, PolicyRule
from p4esp.ipsec.selectors import TrafficSelector
from p4esp.store import Sealer, Store


def rule(name: str, action: Action, remote: str, *, priority=0, protocol=0, ports=None):
    selector = TrafficSelector.of_network(remote, protocol, ports or (0, 65535))
    child = f"peer/{name}" if action is Action.PROTECT else None
    local = (TrafficSelector.of_network("10.1.0.0/16"),)
    return PolicyRule(name, action, local, (selector,), priority, child)


PROTECT = rule("all", Action.PROTECT, "10.2.0.0/16")
BYPASS = rule("dns", Action.BYPASS, "10.2.0.53/32", priority=10, protocol=17, ports=(53, 53))


class Switch:
    """Holds `spd` and the version; a packet sees one state between two batches."""

    def __init__(self) -> None:
        self.spd: dict[object, Entry] = {}
        self.version = 0
        self.seen: list[set[str]] = []
        self.writer = TableWriter(self.send)
        self.before_write: Callable[[], object] = lambda: None

    async def send(self, updates: Sequence[Update]) -> dict[int, tuple[str, str]]:
        for update in updates:
            self.apply(update)
            self.seen.append({entry.action for entry in self.active()})
        return {}

    def apply(self, update: Update) -> None:
        self.before_write()
        entry = update.entry
        if entry.table == "policy_version":
            self.version = entry.arg("version")
        elif update.op is Op.INSERT:
            assert entry.key not in self.spd
            self.spd[entry.key] = entry
        else:
            del self.spd[entry.key]

    def active(self) -> list[Entry]:
        return [e for e in self.spd.values() if e.field("version") == (self.version, 0xFF)]


class FullSwitch(Switch):
    """One on which only the outcome counts: thousands of rules."""

    async def send(self, updates: Sequence[Update]) -> dict[int, tuple[str, str]]:
        for update in updates:
            self.apply(update)
        return {}


def policy_table(switch: Switch) -> PolicyTable:
    return PolicyTable(switch.writer, PolicyIds(Store(None, Sealer(bytes(32))), "left"))


def test_a_rule_covers_both_directions() -> None:
    out, back = spd_entries([PROTECT], {"all": 5}, version=3)
    assert out == tables.spd_protect(
        *(3, Role.PROTECTED, PacketMatch(IPv4Network("10.1.0.0/16"), IPv4Network("10.2.0.0/16"))),
        *(1, 5),
    )
    mirrored = PacketMatch(IPv4Network("10.2.0.0/16"), IPv4Network("10.1.0.0/16"))
    assert back == tables.spd_protect(3, Role.UNPROTECTED, mirrored, 1, 5)


def test_the_higher_priority_wins_and_ports_do_not_match_later_fragments() -> None:
    """RFC 4301 7.2: a later fragment has no ports to match."""
    entries = spd_entries([PROTECT, BYPASS], {"all": 5}, version=1)
    ranks = {entry.action: entry.priority for entry in entries}
    assert ranks["bypass"] > ranks["protect"]
    dns = next(e for e in entries if e.action == "bypass" and e.field("role") == (1, 0xFF))
    assert (dns.field("dport"), dns.field("l4_known")) == ((53, 53), (1, 1))


async def test_packets_see_the_old_rules_or_the_new_ones_never_a_mixture() -> None:
    switch = Switch()
    policy = policy_table(switch)
    await policy.install([PROTECT])
    switch.seen.clear()
    await policy.install([BYPASS])
    assert {frozenset(actions) for actions in switch.seen} == {
        frozenset({"protect"}),
        frozenset({"bypass"}),
    }
    assert {entry.action for entry in switch.spd.values()} == {"bypass"}


async def test_the_same_rules_again_are_not_written_again() -> None:
    switch = Switch()
    policy = policy_table(switch)
    await policy.install([PROTECT, BYPASS])
    switch.seen.clear()
    await policy.install([PROTECT, BYPASS])
    assert switch.seen == []


async def test_rules_found_in_a_switch_are_adopted() -> None:
    switch = Switch()
    await policy_table(switch).install([PROTECT])
    switch.seen.clear()
    successor = policy_table(switch)
    successor.adopt(switch.version, list(switch.spd.values()))
    await successor.install([PROTECT])
    assert switch.seen == []
    await successor.install([BYPASS])
    assert {entry.action for entry in switch.spd.values()} == {"bypass"}


async def test_versions_wrap_and_leftovers_of_a_version_go_first() -> None:
    switch = Switch()
    policy = policy_table(switch)
    leftovers = spd_entries([BYPASS], {}, version=0)
    switch.spd = {entry.key: entry for entry in leftovers}
    switch.version = 255
    policy.adopt(255, leftovers)
    await policy.install([PROTECT])
    assert switch.version == 0
    assert {entry.action for entry in switch.spd.values()} == {"protect"}


@pytest.mark.parametrize("flipped", [False, True])
async def test_a_replacement_that_was_cut_off_leaves_room_for_the_next(flipped: bool) -> None:
    old, new = bypasses(1024, 53), bypasses(1024, 54)
    switch = FullSwitch()
    entries = [*spd_entries(old, {}, 7), *spd_entries(new, {}, 8)]
    switch.spd = {entry.key: entry for entry in entries}
    switch.version = 8 if flipped else 7
    policy = policy_table(switch)
    policy.adopt(switch.version, entries)
    await policy.install(new)
    assert switch.version == 8
    assert set(switch.spd.values()) == set(spd_entries(new, {}, 8))


def test_policy_ids_stay_with_their_rules() -> None:
    store = Store(None, Sealer(bytes(32)))
    first = PolicyIds(store, "left")
    assert [first.of("a"), first.of("b"), first.of("a")] == [1, 2, 1]
    assert PolicyIds(store, "left").of("b") == 2
    assert PolicyIds(store, "right").of("b") == 1
    assert (first.rule(2), first.rule(9)) == ("b", None)


def test_the_number_of_a_rule_that_is_gone_is_free_again() -> None:
    store = Store(None, Sealer(bytes(32)))
    ids = PolicyIds(store, "left")
    assert [ids.of(rule) for rule in "abc"] == [1, 2, 3]
    ids.keep(["a", "c"])
    assert (ids.rule(2), store.policy_ids("left")) == (None, {"a": 1, "c": 3})
    assert [ids.of("c"), ids.of("d"), ids.of("e")] == [3, 2, 4]


async def test_a_rule_keeps_its_number_until_nothing_in_the_switch_names_it() -> None:
    switch = Switch()
    ids = PolicyIds(Store(None, Sealer(bytes(32))), "left")
    policy = PolicyTable(switch.writer, ids)
    await policy.install([PROTECT])
    number = ids.of(PROTECT.name)
    switch.before_write = lambda: in_use.append(ids.rule(number))
    in_use: list[str | None] = []
    await policy.install([BYPASS])
    assert set(in_use) == {PROTECT.name}
    assert ids.rule(number) is None


def bypasses(count: int, port: int) -> list[PolicyRule]:
    """Rules of two entries each."""
    anywhere = (TrafficSelector.of_network("0.0.0.0/0"),)
    hosts = (f"10.2.{n >> 8}.{n & 255}/32" for n in range(count))
    selectors = [TrafficSelector.of_network(host, 17, (port, port)) for host in hosts]
    return [PolicyRule(str(ts), Action.BYPASS, anywhere, (ts,)) for ts in selectors]


async def test_old_and_new_rules_must_fit_into_the_table_together() -> None:
    switch = FullSwitch()
    policy = policy_table(switch)
    await policy.install(bypasses(1024, 53))
    await policy.install(bypasses(1024, 54))
    before = dict(switch.spd)
    with pytest.raises(
        PolicyTooLargeError, match=r"2050 entries do not fit beside the 2048.*; accepted: 2048 "
    ):
        await policy.install(bypasses(1025, 55))
    assert switch.spd == before
    assert {entry.key for entry in switch.active()} == set(before)


async def test_a_fresh_switch_takes_a_whole_table_and_no_more() -> None:
    switch = FullSwitch()
    await policy_table(switch).install(bypasses(2048, 53))
    assert len(switch.spd) == SIZE_SPD
    empty = FullSwitch()
    with pytest.raises(PolicyTooLargeError, match="4098 entries do not fit; accepted: 4096"):
        await policy_table(empty).install(bypasses(2049, 53))
    assert not empty.spd


def net(text: str) -> TrafficSelector:
    return TrafficSelector.of_network(text)


def test_a_rule_of_both_families_stands_in_both_tables_and_mixes_none() -> None:
    local = (net("10.1.0.0/16"), net("2001:db8:1::/48"))
    remote = (net("10.2.0.0/16"), net("2001:db8:2::/48"))
    both = PolicyRule("both", Action.BYPASS, local, remote)
    entries = spd_entries([both], {}, 1)
    assert [entry.table for entry in entries].count("spd_v6") == 2
    assert [entry.table for entry in entries].count("spd") == 2
    protected = next(entry for entry in entries if entry.table == "spd_v6")
    assert protected.field("src") == (0x20010DB80001 << 80, (1 << 128) - (1 << 80))


def half_a_table(name: str, prefixes: list[str]) -> PolicyRule:
    """A rule that fills half of its family's table: two entries for each remote prefix."""
    remote = tuple(map(net, prefixes))
    return PolicyRule(name, Action.DISCARD, remote[:1], remote)


async def test_each_family_has_room_of_its_own_and_flips_with_the_other() -> None:
    four = half_a_table("four", [f"10.{n >> 8}.{n & 255}.0/24" for n in range(SIZE_SPD // 4)])
    six = half_a_table("six", [f"2001:db8:{n:x}::/48" for n in range(SIZE_SPD // 4)])
    switch = FullSwitch()
    policy = policy_table(switch)
    await policy.install([four, six])
    await policy.install([replace(four, action=Action.BYPASS), replace(six, action=Action.BYPASS)])
    assert {entry.action for entry in switch.spd.values()} == {"bypass"}
    assert len(switch.spd) == SIZE_SPD
    too_many = replace(six, remote=(*six.remote, net("2001:db9::/48")))
    with pytest.raises(
        PolicyTooLargeError, match="spd_v6: 2050 entries do not fit beside the 2048"
    ):
        await policy.install([four, too_many])
    assert {entry.action for entry in switch.spd.values()} == {"bypass"}


addresses = st.integers(0, 2**32 - 1)


@given(st.tuples(addresses, addresses).map(sorted), st.integers(0, 255), addresses)
def test_ternary_entries_match_exactly_the_selectors_range(ends, protocol, probe) -> None:
    first, last = (IPv4Address(end) for end in ends)
    selector = TrafficSelector(first, last, protocol)
    anywhere = TrafficSelector.of_network("0.0.0.0/0")
    entries = spd_entries([PolicyRule("r", Action.BYPASS, (anywhere,), (selector,))], {}, 1)
    outbound = [entry for entry in entries if entry.field("role") == (Role.PROTECTED, 0xFF)]

    def matches(address: int) -> bool:
        fields = [dict(entry.match).get("dst", (0, 0)) for entry in outbound]
        return any(address & mask == value for value, mask in fields)

    for address in (probe, int(first), int(last), max(int(first) - 1, 0), int(last) + 1):
        if address < 2**32:
            assert matches(address) == (int(first) <= address <= int(last))
