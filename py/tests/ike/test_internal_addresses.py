"""Internal addresses for initiators: CP payloads, pools, selectors (RFC 7296 2.19, 3.15)."""

from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ike_lab import EAST_NET, Lab, child, east_config, make_node, net, west_config

from p4esp.ike import assigning
from p4esp.ike.codec.configuration import MAX_ATTRIBUTES, ConfigAttribute, Configuration
from p4esp.ike.config import Assignment, Childless
from p4esp.ike.constants import ConfigType
from p4esp.ike.errors import ParseError
from p4esp.ike.events import (
    ChildDown,
    ChildFailed,
    ChildUp,
    IkeDown,
    IkeEstablished,
    IkeRekeyed,
    InternalAddresses,
)
from p4esp.ike.internal_config import InternalConfig
from p4esp.ike.pool import MAX_REMEMBERED, AddressPool
from p4esp.ipsec.identity import Identity
from p4esp.ipsec.identity_pattern import IdentityPattern
from p4esp.ipsec.selectors import TrafficSelector

FOUR, SIX = "10.9.0.0/29", "fd09::/126"
EVERYWHERE = (
    TrafficSelector.of_network("0.0.0.0/0"),
    TrafficSelector.of_network("::/0"),
)
REST = InternalConfig(
    dns=(ip_address("10.2.0.53"), ip_address("fd02::53")),
    subnets=(ip_network(EAST_NET), ip_network("fd02::/64")),
)


def pools(*networks):
    return tuple(AddressPool(ip_network(network)) for network in networks)


def gateway(*networks, required=True, **changes):
    """East gives addresses to all of *.example."""
    access = child(EAST_NET, "0.0.0.0/0")
    access = replace(access, remote_ts=EVERYWHERE, local_ts=(*net(EAST_NET), *net("fd02::/64")))
    assignment = Assignment(pools(*(networks or (FOUR, SIX))), REST, required)
    return east_config(
        remote_id=IdentityPattern.parse("*.example"),
        children=(access,),
        assignment=assignment,
        **changes,
    )


def client(name="west", versions=(4,), **changes):
    wide = replace(child("0.0.0.0/0", EAST_NET), local_ts=EVERYWHERE)
    return west_config(
        local_id=Identity.parse(f"{name}.example"),
        children=(wide,),
        request_addresses=versions,
        **changes,
    )


def in_use(lab):
    return [pool.in_use for pool in lab.east_config.assignment.pools]


def join(lab, name, number, versions=(4,), **changes):
    """Another client at an address of its own."""
    address = ip_address(f"192.0.2.{number}")
    config = client(name, versions, local=address, **changes)
    node = make_node([config], number)
    lab.nodes[address] = node
    node.endpoint.initiate(config, lab.now, child="net")
    lab.settle()
    return node


def given_to(node):
    return [str(address) for address in node.of(InternalAddresses)[-1].config.addresses]


def test_an_initiator_gets_an_address_and_what_belongs_to_it():
    lab = Lab(client(), gateway())
    lab.connect()
    event = lab.west.one(InternalAddresses)
    assert event.config == replace(REST, addresses=(ip_address("10.9.0.1"),))
    assert lab.east.one(InternalAddresses).config == event.config
    assert str(event.config) == ("10.9.0.1, dns 10.2.0.53 fd02::53, subnets 10.2.0.0/16 fd02::/64")


def test_the_child_sa_is_narrowed_to_the_address():
    """RFC 7296 2.19."""
    lab = Lab(client(), gateway())
    lab.connect()
    assert lab.west.one(ChildUp).child.local_ts == net("10.9.0.1/32")
    assert lab.east.one(ChildUp).child.remote_ts == net("10.9.0.1/32")
    assert lab.west.one(ChildUp).child.remote_ts == net(EAST_NET)


def test_both_ip_versions_at_once():
    lab = Lab(client(versions=(4, 6)), gateway())
    lab.connect()
    assert given_to(lab.west) == ["10.9.0.1", "fd09::1"]
    assert lab.west.one(ChildUp).child.local_ts == net("10.9.0.1/32") + net("fd09::1/128")


def test_only_versions_that_were_asked_for_are_given():
    lab = Lab(client(versions=(6,)), gateway())
    lab.connect()
    assert given_to(lab.west) == ["fd09::1"]
    assert in_use(lab) == [0, 1]


def test_every_client_has_its_own_and_gets_it_back_next_time():
    lab = Lab(client(), gateway())
    anna, ben = join(lab, "anna", 11), join(lab, "ben", 12)
    assert (given_to(anna), given_to(ben)) == (["10.9.0.1"], ["10.9.0.2"])
    anna.endpoint.delete_ike(anna.one(IkeEstablished).ike.spi, lab.now)
    lab.settle()
    assert in_use(lab) == [1, 0]
    assert given_to(join(lab, "carl", 13)) == ["10.9.0.3"]
    assert given_to(join(lab, "anna", 14)) == ["10.9.0.1"]


def test_a_client_that_starts_afresh_keeps_its_address():
    """With INITIAL_CONTACT the old IKE SA goes, and must not take the address along."""
    lab = Lab(client(), gateway())
    join(lab, "anna", 11)
    again = join(lab, "anna", 12)
    assert given_to(again) == ["10.9.0.1"]
    assert lab.east.one(IkeDown)
    assert in_use(lab) == [1, 0]


def test_two_devices_of_one_identity_have_two_addresses():
    lab = Lab(client(), gateway())
    one, two = (join(lab, "anna", number, initial_contact=False) for number in (11, 12))
    assert {*given_to(one), *given_to(two)} == {"10.9.0.1", "10.9.0.2"}


def test_an_exhausted_pool_fails_the_child_sa_and_keeps_the_ike_sa():
    """RFC 7296 3.10.1: INTERNAL_ADDRESS_FAILURE."""
    lab = Lab(client(), gateway("10.9.0.0/30"))
    nodes = [join(lab, f"host{number}", number) for number in (11, 12)]
    late = join(lab, "late", 13)
    assert all(node.one(ChildUp) for node in nodes)
    assert late.one(ChildFailed).reason == "INTERNAL_ADDRESS_FAILURE"
    assert late.one(IkeEstablished)
    assert "all 2 addresses of 10.9.0.0/30 are in use" in lab.east.one(ChildFailed).reason


def test_a_pool_that_is_half_enough_gives_nothing():
    lab = Lab(client(), gateway(FOUR, "fd09::/127"))
    join(lab, "anna", 11, (4, 6))
    late = join(lab, "ben", 12, (4, 6))
    assert late.one(ChildFailed).reason == "INTERNAL_ADDRESS_FAILURE"
    assert in_use(lab) == [1, 1]


def test_a_version_without_pool_cannot_be_had():
    lab = Lab(client(versions=(6,)), gateway(FOUR))
    lab.connect()
    assert lab.west.one(ChildFailed).reason == "INTERNAL_ADDRESS_FAILURE"


def test_who_must_ask_and_does_not_gets_no_child_sa():
    """RFC 7296 2.19: FAILED_CP_REQUIRED, not fatal to the IKE SA."""
    lab = Lab(client(versions=()), gateway())
    ike = lab.connect()
    assert lab.west.one(ChildFailed).reason == "FAILED_CP_REQUIRED"
    assert lab.west.one(IkeEstablished)
    lab.west.endpoint.create_child(ike, "net", lab.now)
    lab.settle()
    assert lab.west.of(ChildFailed)[-1].reason == "TS_UNACCEPTABLE"


def test_who_need_not_ask_is_held_to_the_policy_alone():
    lab = Lab(client(versions=()), gateway(required=False))
    lab.connect()
    assert lab.west.one(ChildUp).child.local_ts == EVERYWHERE
    assert lab.west.of(InternalAddresses) == []


def test_nobody_gets_another_ones_address_by_asking_for_its_selectors():
    lab = Lab(client(), gateway())
    join(lab, "anna", 11)
    thief = replace(child("10.9.0.1/32", EAST_NET), name="net")
    config = replace(client("ben"), children=(thief,))
    lab.west_config = config
    lab.west = make_node([config], 5)
    lab.nodes[config.local] = lab.west
    lab.connect()
    assert lab.west.one(ChildFailed).reason == "TS_UNACCEPTABLE"


def test_a_peer_that_gives_no_address_gets_no_child_sa():
    lab = Lab(client(), replace(gateway(), assignment=None))
    lab.connect()
    assert lab.west.one(ChildFailed).reason == "the peer assigned no internal address"
    assert lab.east.one(ChildDown)
    assert lab.west.spis.used == set()


def test_a_child_sa_that_was_to_follow_an_address_fails_by_its_name():
    """Whoever waits for the child learns that there will be none."""
    policy = Childless.FORCE
    lab = Lab(client(childless=policy), replace(gateway(childless=policy), assignment=None))
    lab.connect()
    failed = lab.west.one(ChildFailed)
    assert (failed.name, failed.reason) == ("net", "the peer assigned no internal address")


def test_addresses_are_kept_through_rekeying_and_given_back_at_the_end():
    """RFC 7296 3.15.3: valid as long as the IKE SA or its rekeyed successors."""
    lab = Lab(client(), gateway())
    ike = lab.connect()
    lab.west.endpoint.rekey_ike(ike, lab.now)
    lab.settle()
    new = lab.west.one(IkeRekeyed).new.spi
    assert in_use(lab) == [1, 0]
    lab.west.endpoint.create_child(new, "net", lab.now)
    lab.settle()
    assert lab.west.of(ChildUp)[-1].child.local_ts == net("10.9.0.1/32")
    lab.west.endpoint.delete_ike(new, lab.now)
    lab.run(30)
    assert in_use(lab) == [0, 0]


def test_an_address_comes_without_a_child_sa_too():
    force = {"childless": Childless.FORCE}
    lab = Lab(client(**force), gateway(**force))
    lab.connect()
    assert given_to(lab.west) == ["10.9.0.1"]
    assert lab.west.one(ChildUp).child.local_ts == net("10.9.0.1/32")


def test_a_client_that_dies_gives_its_address_back():
    lab = Lab(client(), gateway(dpd_delay=5.0))
    lab.connect()
    lab.nodes.pop(lab.west_config.local)
    lab.run(300)
    assert in_use(lab) == [0, 0]


@pytest.mark.parametrize(
    "attributes",
    [
        [(1, b"123")],
        [(1, b"")],
        [(8, bytes(16))],
        [(1, bytes(4))],
        [(1, b"\xe0\0\0\1"), (8, b"\xff" + bytes(16))],
        [(99, b"whatever")],
        [],
    ],
)
def test_63_values_that_are_no_addresses_are_ignored(monkeypatch, attributes):
    """RFC 7296 3.15.1: so are unknown attributes."""
    reply = Configuration(ConfigType.REPLY, tuple(ConfigAttribute(*item) for item in attributes))
    monkeypatch.setattr(InternalConfig, "reply", lambda self: reply)
    lab = Lab(client(), gateway())
    lab.connect()
    assert lab.west.one(ChildFailed).reason == "the peer assigned no internal address"


@pytest.mark.parametrize("kind", [ConfigType.REPLY, ConfigType.SET, ConfigType.ACK, 9])
def test_63_only_a_request_is_answered(monkeypatch, kind):
    monkeypatch.setattr(assigning, "request", lambda *_, **__: Configuration(kind))
    lab = Lab(client(), gateway())
    lab.connect()
    assert lab.west.one(ChildFailed).reason == "FAILED_CP_REQUIRED"


def test_63_two_cp_payloads_are_malformed(monkeypatch):
    real = assigning.ask
    monkeypatch.setattr("p4esp.ike.tasks.ike_auth.ask", lambda sa: real(sa) * 2)
    lab = Lab(client(), gateway())
    lab.connect()
    assert any("2 CP payloads" in record.reason for record in lab.east.traces)
    assert in_use(lab) == [0, 0]


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        (b"", "needs 1 octets"),
        (b"\1\0\0", "needs 3 octets"),
        (b"\1\0\0\0\0\1\0", "needs 2 octets"),
        (b"\1\0\0\0\0\1\0\5abcd", "needs 5 octets"),
        (b"\1\0\0\0" + b"\0\1\0\0" * (MAX_ATTRIBUTES + 1), "more than 64 attributes"),
    ],
)
def test_63_a_malformed_cp_payload_is_refused_with_the_reason(octets, why):
    with pytest.raises(ParseError, match=why):
        Configuration.parse(octets)


def test_the_reserved_bit_of_an_attribute_is_ignored():
    assert Configuration.parse(b"\1\0\0\0\x80\1\0\0").attributes == (ConfigAttribute(1),)


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=60))
def test_a_pool_never_gives_one_address_to_two_peers(steps):
    """Four peers take (True) and give back (False) in any order."""
    pool = AddressPool(ip_network("10.9.0.0/29"))
    held: list[list] = [[], [], [], []]
    for peer, taking in steps:
        if taking and pool.in_use < 6:
            held[peer].append(pool.take(Identity(2, bytes([peer]))))
        elif held[peer]:
            pool.give_back(held[peer].pop())
        every = [address for addresses in held for address in addresses]
        assert len(every) == len(set(every)) == pool.in_use
        assert all(address in pool.network for address in every)


def test_a_prefix_without_end_takes_no_memory_without_end():
    pool = AddressPool(ip_network("2001:db8::/64"))
    for number in range(3 * MAX_REMEMBERED):
        pool.give_back(pool.take(Identity.parse(f"w{number}.example")))
    assert pool.in_use == 0
    assert len(pool._returned) <= MAX_REMEMBERED
    assert len(pool._remembered) <= MAX_REMEMBERED
