"""IKE SAs without a child SA (RFC 6023)."""

import pytest
from ike_lab import WEST, Lab, assert_nothing_left, east_config, make_node, west_config

from p4esp.ike.codec.message import parse_message
from p4esp.ike.config import Childless
from p4esp.ike.constants import NotifyType
from p4esp.ike.events import ChildUp, IkeDown, IkeEstablished, NegotiationFailed
from p4esp.ike.extensions.childless import ChildlessInitiation
from p4esp.ike.extensions.standard import STANDARD

OTHERS = [item for item in STANDARD if not isinstance(item, ChildlessInitiation)]


def announced(lab):
    """The notify in each IKE_SA_INIT message."""
    kind = NotifyType.CHILDLESS_IKEV2_SUPPORTED
    return [parse_message(datagram.data).clear.notify(kind) for _, datagram in lab.wire[:2]]


@pytest.mark.parametrize("policy", Childless)
def test_only_the_responder_announces_it_and_only_where_it_may_happen(policy):
    """RFC 6023 3 and 4: protocol 1, no SPI."""
    lab = Lab(east=east_config(childless=policy))
    lab.connect()
    request, response = announced(lab)
    assert request is None
    assert (response is None) is (policy is Childless.NEVER)
    if response is not None:
        assert (response.protocol, response.spi, response.data) == (1, b"", b"")


def test_an_ike_sa_comes_up_alone_and_gets_a_child_sa_later():
    lab = Lab()
    ike = lab.connect(child=None)
    assert lab.west.one(IkeEstablished)
    assert lab.east.one(IkeEstablished)
    assert lab.west.of(ChildUp) == []
    lab.west.endpoint.create_child(ike, "net", lab.now)
    lab.settle()
    assert lab.west.one(ChildUp)


def test_an_initiator_never_asks_for_it_unannounced():
    """RFC 6023 3: MUST NOT."""
    lab = Lab(east=east_config(childless=Childless.NEVER))
    lab.connect(child=None)
    assert lab.west.one(NegotiationFailed).reason == "the peer makes no IKE SA without a child SA"
    assert len(lab.wire) == 2
    assert_nothing_left(lab)


def test_a_request_that_was_not_invited_is_refused_as_invalid_syntax(monkeypatch):
    """RFC 6023 3: west pretends to have seen the notify."""
    lab = Lab(east=east_config(childless=Childless.NEVER))
    monkeypatch.setattr(
        ChildlessInitiation,
        "received",
        lambda self, sa, message: setattr(sa.announced, "childless", True),
    )
    lab.connect(child=None)
    dropped = [record.reason for record in lab.east.traces if record.kind == "dropped"]
    assert "INVALID_SYNTAX: IKE_AUTH with no child SA; childless is never" in dropped
    assert lab.east.of(IkeEstablished) == lab.west.of(IkeEstablished) == []


def test_an_endpoint_without_the_extension_neither_announces_nor_accepts_it():
    lab = Lab()
    lab.west = lab.nodes[WEST] = make_node([lab.west_config], 5, extensions=OTHERS)
    lab.connect(child=None)
    assert lab.west.one(NegotiationFailed)


def test_forced_child_sas_have_an_exchange_of_their_own():
    lab = Lab(west_config(childless=Childless.FORCE), east_config(childless=Childless.FORCE))
    lab.connect()
    assert lab.west.one(ChildUp).child.spi_in == lab.east.one(ChildUp).child.spi_out
    assert [record.message for record in lab.west.traces if record.kind == "sent"] == [
        "IKE_SA_INIT request 0",
        "IKE_AUTH request 1",
        "CREATE_CHILD_SA request 2",
    ]


def test_a_responder_that_forces_it_refuses_a_child_sa_in_ike_auth():
    lab = Lab(east=east_config(childless=Childless.FORCE))
    lab.connect()
    dropped = [record.reason for record in lab.east.traces if record.kind == "dropped"]
    assert "INVALID_SYNTAX: IKE_AUTH with a child SA; childless is force" in dropped
    assert lab.east.of(IkeEstablished) == lab.east.of(IkeDown) == []
    assert lab.west.spis.used == lab.east.spis.used == set()


def test_an_initiator_that_forces_it_fails_with_a_peer_that_cannot():
    lab = Lab(west_config(childless=Childless.FORCE), east_config(childless=Childless.NEVER))
    lab.connect()
    assert lab.west.one(NegotiationFailed)
    assert_nothing_left(lab)
