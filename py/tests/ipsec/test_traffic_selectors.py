"""Traffic selector algebra against a model: the set of packets a selector matches."""

import itertools
from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p4esp.ipsec.selectors import (
    OPAQUE_PORTS,
    SelectorError,
    TrafficSelector,
    is_subset,
    narrow,
)

ADDRESSES, PROTOCOLS = range(4), (1, 2)
PORTS = (0, 1, 65535, None)
"""Sample packets; None: the port cannot be seen."""


@st.composite
def selectors(draw):
    first, last = sorted((draw(st.sampled_from(ADDRESSES)), draw(st.sampled_from(ADDRESSES))))
    protocol = draw(st.sampled_from((0, 1, 2)))
    ports = draw(st.sampled_from([(0, 65535), OPAQUE_PORTS, (0, 0), (1, 65535), (0, 1)]))
    if protocol == 0 and ports not in ((0, 65535), OPAQUE_PORTS):
        ports = (0, 65535)
    return TrafficSelector(IPv4Address(first), IPv4Address(last), protocol, *ports)


def packets(selector):
    """The sample packets a selector matches, by the words of RFC 7296 3.13.1."""

    def matches(address, protocol, port):
        if not int(selector.first) <= address <= int(selector.last):
            return False
        if selector.protocol not in (0, protocol):
            return False
        if selector.ports == OPAQUE_PORTS:
            return port is None
        if port is None:
            return selector.ports == (0, 65535)
        return selector.first_port <= port <= selector.last_port

    universe = itertools.product(ADDRESSES, PROTOCOLS, PORTS)
    return {packet for packet in universe if matches(*packet)}


@given(selectors(), selectors())
def test_intersection_matches_exactly_what_both_match(a, b):
    common = a.intersection(b)
    assert (packets(common) if common else set()) == packets(a) & packets(b)


@given(selectors(), selectors())
def test_contains_agrees_with_the_model(a, b):
    if a.contains(b):
        assert packets(b) <= packets(a)


@given(st.lists(selectors(), max_size=4), st.lists(selectors(), max_size=4))
def test_narrowing_never_widens_and_loses_nothing_both_sides_allow(offered, policy):
    result = narrow(offered, policy)
    both = set().union(*map(packets, offered)) & set().union(*map(packets, policy))
    assert set().union(*map(packets, result)) == both
    assert is_subset(result, offered)
    assert is_subset(result, policy)


def test_narrowing_keeps_the_first_selector_first():
    specific = TrafficSelector.of_network("10.1.0.7/32", 6, (80, 80))
    general = TrafficSelector.of_network("10.1.0.0/16")
    policy = [TrafficSelector.of_network("10.1.0.0/24")]
    assert narrow([specific], policy) == (specific,)
    assert narrow([specific, general], policy) == (TrafficSelector.of_network("10.1.0.0/24"),)


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_prefixes_cover_exactly_the_range(a, b):
    first, last = sorted((a, b))
    prefixes = TrafficSelector(IPv4Address(first), IPv4Address(last)).prefixes()
    assert int(prefixes[0][0]) == first
    assert int(prefixes[-1][-1]) == last
    for left, right in itertools.pairwise(prefixes):
        assert int(left[-1]) + 1 == int(right[0])


def test_families_never_meet():
    v4 = TrafficSelector.of_network("0.0.0.0/0")
    v6 = TrafficSelector.of_network("::/0")
    assert v4.intersection(v6) is None
    assert v6.prefixes() == (ip_network("::/0"),)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((IPv4Address(2), IPv4Address(1)), "above the last"),
        ((IPv4Address(1), IPv6Address(1)), "different families"),
        ((IPv4Address(1), IPv4Address(1), 256), "outside 0..255"),
        ((IPv4Address(1), IPv4Address(1), 6, 5, 4), "above 4"),
        ((IPv4Address(1), IPv4Address(1), 0, 5, 6), "no port restriction"),
        ((IPv4Address(1), IPv4Address(1), 6, 0, 65536), "exceed"),
    ],
)
def test_contradictory_selectors_are_refused_with_the_reason(arguments, reason):
    with pytest.raises(SelectorError, match=reason):
        TrafficSelector(*arguments)


@pytest.mark.parametrize(
    ("selector", "text"),
    [
        (TrafficSelector.of_network("10.1.0.0/16"), "10.1.0.0/16"),
        (TrafficSelector(IPv4Address("10.0.0.1"), IPv4Address("10.0.0.2")), "10.0.0.1-10.0.0.2"),
        (TrafficSelector.of_network("10.1.0.0/16", 6, (80, 81)), "10.1.0.0/16[6/80-81]"),
        (TrafficSelector.of_network("10.1.0.0/16", 6, OPAQUE_PORTS), "10.1.0.0/16[6/opaque]"),
        (TrafficSelector.of_network("10.1.0.0/16", 6), "10.1.0.0/16[6/any]"),
    ],
)
def test_selectors_read_well(selector, text):
    assert str(selector) == text
