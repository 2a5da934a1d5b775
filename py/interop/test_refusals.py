"""What cannot be agreed on leaves nothing behind, and each side is told why."""

import pytest

from p4esp.service.control_client import ControlError
from pairing import OUR_ID, THEIR_ID, Pair, Terms
from vici import ViciError

WRONG = ({"type": "IKE", "data": "quite another key", "owners": [OUR_ID, THEIR_ID]},)


def test_we_are_refused_with_a_wrong_key(pair: Pair) -> None:
    with pair.session(Terms(their_secrets=WRONG)) as session:
        with pytest.raises(ControlError, match="AUTHENTICATION_FAILED"):
            session.ours.tell("up", peer="charon", child="net")
        assert session.ours.status()["ike_sas"] == []
        assert pair.charon.sas() == []


def test_we_refuse_a_peer_with_a_wrong_key(pair: Pair) -> None:
    with pair.session(Terms(their_secrets=WRONG)) as session:
        with pytest.raises(ViciError):
            pair.charon.initiate("net")
        session.ours.wait("authentication-failed")
        assert session.ours.status()["ike_sas"] == []
        assert pair.charon.sas() == []


def test_we_are_told_that_there_is_no_common_ike_proposal(pair: Pair) -> None:
    terms = Terms(our_peer={"proposals": ["aes256gcm16-prfsha256-ecp256"]})
    with (
        pair.session(terms) as session,
        pytest.raises(ControlError, match="NO_PROPOSAL_CHOSEN"),
    ):
        session.ours.tell("up", peer="charon", child="net")


def test_we_tell_that_there_is_no_common_ike_proposal(pair: Pair) -> None:
    terms = Terms(our_peer={"proposals": ["aes256gcm16-prfsha256-ecp256"]})
    with pair.session(terms) as session:
        with pytest.raises(ViciError):
            pair.charon.initiate("net")
        pair.charon.wait_for_log("received NO_PROPOSAL_CHOSEN notify error")
        assert session.ours.status()["ike_sas"] == []


@pytest.mark.parametrize("version", [4, 6])
def test_an_ike_sa_survives_a_child_without_common_proposal(pair: Pair, version) -> None:
    terms = Terms(version=version, our_child={"proposals": ["aes256gcm16"]})
    with pair.session(terms) as session:
        with pytest.raises(ControlError, match="NO_PROPOSAL_CHOSEN; the IKE SA is up"):
            session.ours.tell("up", peer="charon", child="net")
        assert session.their_ike()["state"] == "ESTABLISHED"
        assert session.ours.tell("check", peer="charon")["event"] == "peer-alive"


def test_we_refuse_a_child_without_common_proposal_and_keep_the_ike_sa(pair: Pair) -> None:
    with pair.session(Terms(our_child={"proposals": ["aes256gcm16"]})) as session:
        with pytest.raises(ViciError):
            pair.charon.initiate("net")
        pair.charon.wait_for_log("received NO_PROPOSAL_CHOSEN notify, no CHILD_SA built")
        assert session.their_ike()["state"] == "ESTABLISHED"


def test_selectors_that_do_not_meet_are_refused_by_both(pair: Pair) -> None:
    terms = Terms(our_child={"remote": ["10.88.0.0/16"]})
    with pair.session(terms) as session:
        with pytest.raises(ControlError, match="TS_UNACCEPTABLE"):
            session.ours.tell("up", peer="charon", child="net")
        with pytest.raises(ViciError):
            pair.charon.initiate("net")
        pair.charon.wait_for_log("received TS_UNACCEPTABLE notify")


def test_the_peer_narrows_our_selectors(pair: Pair) -> None:
    terms = Terms(our_child={"local": ["10.99.0.0/16"], "remote": ["10.99.0.0/16"]})
    with pair.session(terms) as session:
        ours, theirs = session.up("initiator")
        assert (ours["local_ts"], ours["remote_ts"]) == (["10.99.1.0/24"], ["10.99.2.0/24"])
        assert theirs["local-ts"] == ["10.99.2.0/24"]


def test_we_narrow_the_selectors_of_the_peer(pair: Pair) -> None:
    terms = Terms(their_child={"local_ts": ["10.99.0.0/16"], "remote_ts": ["10.99.0.0/16"]})
    with pair.session(terms) as session:
        ours, theirs = session.up("responder")
        assert (ours["local_ts"], ours["remote_ts"]) == (["10.99.1.0/24"], ["10.99.2.0/24"])
        assert theirs["remote-ts"] == ["10.99.1.0/24"]


@pytest.mark.parametrize("role", ["initiator", "responder"])
def test_several_selectors_make_one_child(pair: Pair, role) -> None:
    ours, theirs = ["10.99.1.0/25", "10.99.1.128/25"], ["10.99.2.0/24", "10.97.0.0/16"]
    terms = Terms(
        our_child={"local": ours, "remote": theirs},
        their_child={"local_ts": theirs, "remote_ts": ours},
    )
    with pair.session(terms) as session:
        child, other = session.up(role)
        assert (sorted(child["local_ts"]), sorted(child["remote_ts"])) == (
            sorted(ours),
            sorted(theirs),
        )
        assert sorted(other["local-ts"]) == sorted(theirs)
