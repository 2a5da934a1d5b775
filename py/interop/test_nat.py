"""One of the two is behind a NAT, made by the kernel of a host between them."""

from collections.abc import Iterator

import pytest

from charon_daemon import control_plane
from lab.netlab import Lab
from pairing import NatPair, Terms


@pytest.fixture(scope="module")
def we_are_behind(lab: Lab, shim, tmp_path_factory) -> Iterator[NatPair]:
    made = NatPair(lab, tmp_path_factory.mktemp("nat"), control_plane(shim), "we")
    with made.charon:
        yield made


@pytest.fixture(scope="module")
def charon_is_behind(lab: Lab, shim, tmp_path_factory) -> Iterator[NatPair]:
    made = NatPair(lab, tmp_path_factory.mktemp("nat"), control_plane(shim), "charon")
    with made.charon:
        yield made


WE_ARE = Terms(our_peer={"local": "10.98.0.1"})
CHARON_IS = Terms(their_connection={"local_addrs": ["10.98.0.1"]})


def test_we_begin_from_behind_a_nat(we_are_behind: NatPair) -> None:
    with we_are_behind.session(WE_ARE) as session:
        ours, theirs = session.up("initiator")
        assert (ours["udp"], theirs["encap"]) == (True, "yes")
        (ike,) = session.ours.status()["ike_sas"]
        assert ike["nat"] == {"local": True, "remote": False}
        assert session.their_ike()["nat-remote"] == "yes"


def test_the_peer_begins_from_behind_a_nat(charon_is_behind: NatPair) -> None:
    with charon_is_behind.session(CHARON_IS) as session:
        ours, theirs = session.up("responder")
        assert (ours["udp"], theirs["encap"]) == (True, "yes")
        (ike,) = session.ours.status()["ike_sas"]
        assert ike["nat"] == {"local": False, "remote": True}
        assert session.their_ike()["nat-local"] == "yes"


def test_sas_live_on_behind_our_nat(we_are_behind: NatPair) -> None:
    with we_are_behind.session(WE_ARE) as session:
        session.up("initiator")
        session.charon.rekey(child="net")
        session.ours.wait("child-rekeyed")
        session.ours.wait("child-down")
        session.ours.tell("rekey-ike", peer="charon")
        session.agreed_child()
        session.ours.wait("ike-down")  # the one that was replaced
        session.charon.terminate(ike="us")
        assert session.ours.wait("ike-down")["reason"] == "deleted by the peer"


def test_sas_live_on_behind_the_nat_of_the_peer(charon_is_behind: NatPair) -> None:
    with charon_is_behind.session(CHARON_IS) as session:
        session.up("responder")
        session.ours.tell("rekey-child", child="charon/net")
        session.ours.wait("child-down")
        session.charon.rekey(ike="us")
        session.ours.wait("ike-rekeyed")
        assert session.ours.tell("check", peer="charon")["event"] == "peer-alive"
        session.agreed_child()


def test_the_peer_is_found_again_when_its_nat_forgets_it(charon_is_behind: NatPair) -> None:
    with charon_is_behind.session(CHARON_IS) as session:
        session.up("responder")
        (before,) = session.ours.status()["ike_sas"]
        charon_is_behind.forget_mappings()
        with session.charon.watch() as events:
            session.charon.rekey(child="net")
            events.wait("child-rekey")
        (after,) = session.ours.status()["ike_sas"]
        assert before["remote"] != after["remote"]
        assert session.ours.tell("check", peer="charon")["event"] == "peer-alive"
