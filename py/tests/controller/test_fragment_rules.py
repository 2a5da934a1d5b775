"""Later fragments, which show no ports, do not leave by a rule that cannot know (RFC 4301 7.4)."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lab_helpers import PROGRAM, drops, host_frame, outcomes
from scapy.layers.inet import IP, UDP
from scapy.packet import Raw

from p4esp.controller.entries import Entry, Value
from p4esp.controller.numbers import Role
from p4esp.controller.packets import Ethernet
from p4esp.controller.policy import spd_entries
from p4esp.demo.lab import Lab, running_lab
from p4esp.demo.plan import OUTSIDE
from p4esp.ipsec.policy import Action, PolicyRule
from p4esp.ipsec.selectors import ANY_PORTS, OPAQUE_PORTS, TrafficSelector

LOCAL = TrafficSelector.of_network("10.1.0.0/16")
ENDS = (IPv4Address("10.1.0.1"), IPv4Address("10.2.0.1"))


def rule(
    action: Action,
    remote: str,
    priority: int,
    protocol: int = 0,
    ports: tuple[int, int] = ANY_PORTS,
) -> PolicyRule:
    name = f"rule-{priority}"
    child = f"peer/{name}" if action is Action.PROTECT else None
    far = (TrafficSelector.of_network(remote, protocol, ports),)
    return PolicyRule(name, action, (LOCAL,), far, priority, child)


def verdict(rules: list[PolicyRule], role: Role, fields: Mapping[str, int]) -> str:
    """What the entries of some rules do with a packet."""
    ids = {each.name: each.priority for each in rules}
    ranked = sorted(spd_entries(rules, ids, version=1), key=lambda entry: -(entry.priority or 0))
    packet = {"version": 1, "role": int(role), **fields}
    return next((entry.action for entry in ranked if matches(entry, packet)), "discard")


def matches(entry: Entry, packet: Mapping[str, int]) -> bool:
    return all(holds(name, value, packet[name]) for name, value in entry.match)


def holds(name: str, value: Value, seen: int) -> bool:
    assert isinstance(value, tuple)
    if name in ("sport", "dport"):
        return value[0] <= seen <= value[1]
    return seen & value[1] == value[0]


def outbound(ports: tuple[int, int] | None) -> dict[str, int]:
    """The fields of a UDP packet; None for a later fragment, whose ports read as zero."""
    sport, dport = ports or (0, 0)
    return {
        **{"src": int(ENDS[0]), "dst": int(ENDS[1]), "protocol": 17},
        **{"l4_known": int(ports is not None), "sport": sport, "dport": dport, "label": 0},
    }


def mirrored(fields: dict[str, int]) -> dict[str, int]:
    other = {"src": "dst", "dst": "src", "sport": "dport", "dport": "sport"}
    return {other.get(name, name): value for name, value in fields.items()}


rules_in_order = st.lists(
    st.tuples(
        st.sampled_from(list(Action)),
        st.sampled_from(["10.2.0.0/16", "10.2.0.0/24", "10.0.0.0/8", "10.3.0.0/16"]),
        st.sampled_from(
            [(0, ANY_PORTS), (17, ANY_PORTS), (17, (53, 53)), (17, (0, 100)), (6, (53, 53))]
        ),
    ),
    max_size=6,
).map(lambda drawn: [rule(a, net, 9 - at, *layer4) for at, (a, net, layer4) in enumerate(drawn)])


@given(rules_in_order, st.sampled_from([53, 80, 500]))
def test_no_fragment_of_a_packet_that_policy_does_not_bypass_is_bypassed(
    rules: list[PolicyRule], port: int
) -> None:
    for role, turn in ((Role.PROTECTED, dict), (Role.UNPROTECTED, mirrored)):
        whole = verdict(rules, role, turn(outbound((1024, port))))
        later = verdict(rules, role, turn(outbound(None)))
        assert whole == "bypass" or later != "bypass"


def actions(rules: Iterable[PolicyRule]) -> list[str]:
    ids = {each.name: each.priority for each in rules}
    return [entry.action for entry in spd_entries(list(rules), ids, version=1)]


PORT_80 = rule(Action.PROTECT, "10.2.0.0/16", 9, 17, (80, 80))
BYPASS_ALL = rule(Action.BYPASS, "10.0.0.0/8", 1)


def test_fragments_are_not_dropped_where_another_rule_protects_or_discards_them_first() -> None:
    for action in (Action.PROTECT, Action.DISCARD):
        assert "discard_unseen" not in actions(
            [PORT_80, rule(action, "10.2.0.0/16", 5), BYPASS_ALL]
        )


def test_a_rule_for_later_fragments_alone_decides_before_the_doubt() -> None:
    opaque = rule(Action.PROTECT, "10.2.0.0/16", 5, 17, OPAQUE_PORTS)
    assert "discard_unseen" not in actions([PORT_80, opaque, BYPASS_ALL])
    assert verdict([PORT_80, opaque, BYPASS_ALL], Role.PROTECTED, outbound(None)) == "protect"


def test_a_bypass_rule_with_ports_takes_nothing_from_a_wider_bypass_rule() -> None:
    dns = rule(Action.BYPASS, "10.2.0.0/16", 9, 17, (53, 53))
    assert actions([dns, BYPASS_ALL]) == ["bypass"] * 4


# --- packets -------------------------------------------------------------------------------------


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    """The left site protects one port towards the right one, and lets all else pass in clear."""
    async with running_lab(PROGRAM) as running, asyncio.timeout(20):
        await running.tunnel_up()
        await port_rule(running)
        yield running


async def port_rule(lab: Lab) -> None:
    gateway = lab.gateway(lab.left)
    assert gateway.link is not None
    (live,) = gateway.sas.live.values()
    name = gateway.sas.policy_ids.rule(live.record.policy)
    assert name is not None
    near = (TrafficSelector.of_network(lab.left.plan.network),)
    far = lab.right.plan.network
    protected = (TrafficSelector.of_network(far, 17, (4321, 4321)),)
    bypassed = (TrafficSelector.of_network(far),)
    await gateway.link.policy.install(
        [
            PolicyRule(name, Action.PROTECT, near, protected, 9, "right/net"),
            PolicyRule("rest", Action.BYPASS, near, bypassed, 1),
        ]
    )


def fragments(lab: Lab) -> tuple[bytes, bytes]:
    """Frames of a first fragment and a later one of one datagram to the protected port."""
    ends = {"src": str(lab.left.plan.host), "dst": str(lab.right.plan.host), "id": 7}
    body = bytes(UDP(sport=1234, dport=4321) / Raw(bytes(56)))
    first = IP(**ends, flags="MF") / Raw(body[:32])
    later = IP(**ends, frag=4, proto=17) / Raw(body[32:])
    first.proto = 17
    frame = Ethernet.parse(host_frame(lab.left, lab.right))
    return tuple(  # type: ignore[return-value]
        Ethernet(frame.dst, frame.src, frame.ether_type, bytes(packet), frame.vid).build()
        for packet in (first, later)
    )


async def test_later_fragments_of_a_rule_with_ports_do_not_leave_by_a_wider_bypass(
    lab: Lab,
) -> None:
    seen: list[bytes] = []
    lab.wire.on_wire = lambda frame: seen.append(frame) or frame
    first, later = fragments(lab)
    lab.left.host.send(first)
    assert [IP(Ethernet.parse(frame).payload).proto for frame in seen] == [50]
    before = outcomes(lab.left)["DROPPED"]
    lab.left.host.send(later)
    assert len(seen) == 1
    assert outcomes(lab.left)["DROPPED"] == before + 1
    assert drops(lab.left)["UNSEEN_PORTS"] == 1


async def test_later_fragments_from_outside_do_not_come_in_by_a_wider_bypass(lab: Lab) -> None:
    ends = {"src": str(lab.right.plan.host), "dst": str(lab.left.plan.host)}
    later = IP(**ends, frag=4, proto=17) / Raw(bytes(32))
    plan = lab.left.plan
    frame = Ethernet.parse(host_frame(lab.left, lab.right))
    macs = (plan.mac(OUTSIDE), lab.right.plan.mac(OUTSIDE))
    inward = Ethernet(*macs, frame.ether_type, bytes(later)).build()
    lab.left.host.receive()
    lab.left.device.inject(OUTSIDE, inward)
    assert lab.left.host.receive() == []
    assert drops(lab.left)["UNSEEN_PORTS"] == 1
