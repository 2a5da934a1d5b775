"""SAs end and are replaced, whichever side asks for it."""

import pytest

from charon_daemon import control_plane
from lab.netlab import Lab
from pairing import Pair, Role, Terms

ROLES = pytest.mark.parametrize("role", ["initiator", "responder"])


@ROLES
def test_we_delete_the_ike_sa(pair: Pair, role: Role) -> None:
    with pair.session(Terms()) as session, pair.charon.watch() as events:
        session.up(role)
        session.ours.tell("down", peer="charon")
        events.wait("ike-updown", lambda facts: facts.get("up") != "yes")
        assert pair.charon.sas() == []
        assert session.ours.status()["child_sas"] == []


@ROLES
def test_the_peer_deletes_the_ike_sa(pair: Pair, role: Role) -> None:
    with pair.session(Terms()) as session:
        session.up(role)
        pair.charon.terminate(ike="us")
        assert session.ours.wait("ike-down")["reason"] == "deleted by the peer"
        assert session.ours.status()["ike_sas"] == []


@ROLES
def test_we_delete_the_child_alone(pair: Pair, role: Role) -> None:
    with pair.session(Terms()) as session:
        session.up(role)
        session.ours.tell("delete-child", child="charon/net")
        assert pair.charon.children() == []
        assert session.their_ike()["state"] == "ESTABLISHED"
        session.ours.tell("up", peer="charon", child="net")
        session.agreed_child()


@ROLES
def test_the_peer_deletes_the_child_alone(pair: Pair, role: Role) -> None:
    with pair.session(Terms()) as session:
        session.up(role)
        pair.charon.terminate(child="net")
        assert session.ours.wait("child-down")["reason"] == "deleted by the peer"
        pair.charon.initiate("net")
        session.agreed_child()
        assert len(session.ours.status()["ike_sas"]) == 1


@ROLES
def test_we_rekey_the_child(pair: Pair, role: Role) -> None:
    with pair.session(Terms()) as session, pair.charon.watch() as events:
        before, _ = session.up(role)
        session.ours.tell("rekey-child", child="charon/net")
        events.wait("child-rekey")
        session.ours.wait("child-down")  # until then there are both
        after, _ = session.agreed_child()
        assert before["spi_in"] != after["spi_in"]


@ROLES
def test_the_peer_rekeys_the_child(pair: Pair, role: Role) -> None:
    with pair.session(Terms()) as session:
        before, _ = session.up(role)
        pair.charon.rekey(child="net")
        rekeyed = session.ours.wait("child-rekeyed")
        assert rekeyed["old"]["spi_in"] == before["spi_in"]
        session.ours.wait("child-down")
        session.agreed_child()


@ROLES
def test_a_peer_that_lives_says_so(pair: Pair, role: Role) -> None:
    with pair.session(Terms()) as session:
        session.up(role)
        assert session.ours.tell("check", peer="charon")["event"] == "peer-alive"


def test_a_peer_that_is_killed_is_found_dead(
    lab: Lab, shim, tmp_path_factory: pytest.TempPathFactory
) -> None:
    pair = Pair(lab, tmp_path_factory.mktemp("mortal"), control_plane(shim), name="mortal")
    with pair.charon, pair.session(Terms(our_peer={"dpd_delay": 1})) as session:
        session.up("initiator")
        pair.charon.kill()
        assert session.ours.wait("ike-down")["reason"] == "the peer does not answer"
        assert session.ours.status()["child_sas"] == []


def test_the_peer_finds_us_dead(pair: Pair) -> None:
    terms = Terms(their_connection={"dpd_delay": "1s"})
    with pair.session(terms) as session, pair.charon.watch() as events:
        session.up("responder")
        session.ours.kill()
        events.wait("ike-updown", lambda facts: facts.get("up") != "yes")
        assert pair.charon.sas() == []
