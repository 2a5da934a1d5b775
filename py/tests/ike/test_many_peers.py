"""Many peers under one configuration: identities by pattern, each one its own peer."""

from dataclasses import replace
from ipaddress import ip_address

import pytest
from ike_lab import EAST, Lab, assert_nothing_left, east_config, make_node, west_config
from pki_lab import authority, host, trusting

from p4esp.ike.auth.credentials import Anonymous, PeerAuth, PresharedKey
from p4esp.ike.config import Settings
from p4esp.ike.events import AuthenticationFailed, ChildUp, IkeDown, IkeEstablished
from p4esp.ipsec.identity import NOBODY, Identity
from p4esp.ipsec.identity_pattern import IdentityPattern

ROOT = authority("road root")
EAST_HOST = host("east", ROOT)
ROAD = IdentityPattern.parse("*.road.example")


def gateway():
    return east_config(
        name="road",
        remote_id=ROAD,
        auth=PeerAuth(EAST_HOST.credential, (trusting(ROOT),)),
    )


def warrior(common):
    party = host(common, ROOT, names=(f"{common}.road.example",))
    return west_config(
        local_id=Identity.parse(f"{common}.road.example"),
        auth=PeerAuth(party.credential, (trusting(ROOT),)),
    )


class RoadLab(Lab):
    """East, and peers at addresses of their own."""

    def join(self, config, number, child="net"):
        address = ip_address(f"192.0.2.{number}")
        node = make_node([config], number)
        self.nodes[address] = node
        node.endpoint.initiate(replace(config, local=address), self.now, child=child)
        self.settle()
        return node


def test_peers_of_a_pattern_are_known_by_the_identity_they_proved():
    lab = RoadLab(east=gateway())
    nodes = [lab.join(warrior(name), number) for number, name in ((11, "anna"), (12, "ben"))]
    assert all(node.one(ChildUp) for node in nodes)
    names = [str(event.ike.remote_id) for event in lab.east.of(IkeEstablished)]
    assert names == ["anna.road.example", "ben.road.example"]
    assert [str(event.child.remote_id) for event in lab.east.of(ChildUp)] == names


def test_initial_contact_is_about_the_proven_identity_alone():
    lab = RoadLab(east=gateway())
    lab.join(warrior("anna"), 11)
    lab.join(warrior("ben"), 12)
    lab.join(warrior("anna"), 13)
    (down,) = lab.east.of(IkeDown)
    assert str(down.ike.remote_id) == "anna.road.example"


@pytest.mark.parametrize("order", [1, -1], ids=["named first", "pattern first"])
def test_whom_a_configuration_names_no_pattern_lets_in(order):
    """A key that many share would else be good for the identity of a peer with a certificate."""
    shared = PeerAuth(EAST_HOST.credential, (PresharedKey(b"all of us"),))
    named = replace(gateway(), name="anna", remote_id=Identity.parse("anna.road.example"))
    lab = RoadLab()
    lab.east = lab.nodes[EAST] = make_node([named, replace(gateway(), auth=shared)][::order], 2)
    lab.join(warrior("anna"), 11)
    member = PeerAuth(PresharedKey(b"all of us"), (trusting(ROOT),))
    lab.join(replace(warrior("anna"), auth=member), 12)
    assert "AUTH method 2" in lab.east.one(AuthenticationFailed).reason
    assert lab.east.of(IkeDown) == []
    assert lab.join(replace(warrior("ben"), auth=member), 13).one(ChildUp)


def test_initial_contact_is_about_the_same_configuration_alone():
    """At its address anna needs a certificate; from elsewhere a shared key is good for her name."""
    shared = PeerAuth(EAST_HOST.credential, (PresharedKey(b"all of us"),))
    anna = Identity.parse("anna.road.example")
    named = replace(gateway(), name="anna", remote_id=anna, remote=ip_address("192.0.2.11"))
    lab = RoadLab()
    lab.east = lab.nodes[EAST] = make_node([named, replace(gateway(), auth=shared)], 2)
    lab.join(warrior("anna"), 11)
    member = PeerAuth(PresharedKey(b"all of us"), (trusting(ROOT),))
    lab.join(replace(warrior("anna"), auth=member), 12)
    assert len(lab.east.of(IkeEstablished)) == 2
    assert lab.east.of(IkeDown) == []


def test_other_spellings_of_an_identity_are_the_same_peer():
    lab = RoadLab(east=gateway())
    lab.join(warrior("anna"), 11)
    lab.join(replace(warrior("anna"), local_id=Identity.parse("ANNA.road.example")), 12)
    assert len(lab.east.of(IkeDown)) == 1


@pytest.mark.parametrize("name", ["anna.elsewhere.example", "road.example"])
def test_an_identity_outside_the_pattern_is_refused(name):
    party = host("anna", ROOT, names=(name,))
    config = west_config(
        local_id=Identity.parse(name), auth=PeerAuth(party.credential, (trusting(ROOT),))
    )
    lab = Lab(config, gateway())
    lab.connect()
    assert "no configuration for peer" in lab.east.one(AuthenticationFailed).reason
    assert_nothing_left(lab)


def test_a_pattern_never_lets_a_certificate_speak_for_another_of_its_names():
    party = host("anna", ROOT, names=("anna.road.example",))
    config = west_config(
        local_id=Identity.parse("ben.road.example"),
        auth=PeerAuth(party.credential, (trusting(ROOT),)),
    )
    lab = Lab(config, gateway())
    lab.connect()
    assert "does not name ben.road.example" in lab.east.one(AuthenticationFailed).reason


def test_an_initiator_with_a_pattern_asks_for_no_identity_and_takes_what_fits():
    """RFC 7296 2.15: IDr is optional."""
    config = west_config(remote_id=IdentityPattern.parse("*.example"))
    lab = Lab(config)
    lab.connect()
    sent = [record.payloads for record in lab.west.traces if record.kind == "sent"]
    assert "IDR" not in sent[1]
    assert str(lab.west.one(IkeEstablished).ike.remote_id) == "east.example"


def test_a_responder_that_fits_no_pattern_is_deleted():
    config = west_config(remote_id=IdentityPattern.parse("*.elsewhere"))
    lab = Lab(config)
    lab.connect()
    reason = lab.west.one(AuthenticationFailed).reason
    assert reason == "the peer is east.example, expected is *.elsewhere"
    assert lab.east.one(IkeDown)


def test_those_that_prove_nothing_do_not_push_each_other_out():
    """RFC 7619 2.3: they share an identity, and yet are many."""
    key = PresharedKey(b"correct horse")
    east = east_config(remote_id=IdentityPattern.parse("*"), auth=PeerAuth(key, (Anonymous(),)))
    lab = RoadLab(east=east, settings=Settings(max_ike_sas_per_peer=1))
    for number in (11, 12, 13):
        west = west_config(local_id=NOBODY, auth=PeerAuth(Anonymous(), (key,)))
        assert lab.join(west, number).one(IkeEstablished)
    assert lab.east.of(IkeDown) == []
    assert {event.ike.remote_id for event in lab.east.of(IkeEstablished)} == {NOBODY}


def test_id_null_has_no_data():
    """RFC 7619 2.2."""
    key = PresharedKey(b"correct horse")
    somebody = replace(NOBODY, data=b"somebody")
    lab = Lab(
        west_config(local_id=somebody, auth=PeerAuth(Anonymous(), (key,))),
        east_config(remote_id=IdentityPattern.parse("*"), auth=PeerAuth(key, (Anonymous(),))),
    )
    lab.connect()
    assert "ID_NULL with data" in lab.east.one(AuthenticationFailed).reason
