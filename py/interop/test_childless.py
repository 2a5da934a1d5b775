"""IKE SAs that come up without a child SA (RFC 6023), in both roles."""

import pytest

from pairing import Pair, Role, Terms

ROLES = pytest.mark.parametrize("role", ["initiator", "responder"])
FORCED = Terms(our_peer={"childless": "force"}, their_connection={"childless": "force"})


@ROLES
def test_every_child_has_an_exchange_of_its_own(pair: Pair, role: Role) -> None:
    with pair.session(FORCED) as session:
        session.up(role)
        assert session.their_ike()["state"] == "ESTABLISHED"


def test_the_peer_makes_an_ike_sa_alone(pair: Pair) -> None:
    with pair.session(FORCED) as session:
        pair.charon.vici.request("initiate", ike="us", timeout="20000")
        assert session.their_ike()["state"] == "ESTABLISHED"
        assert session.ours.status()["child_sas"] == []
        assert len(session.ours.status()["ike_sas"]) == 1
