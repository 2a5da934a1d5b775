"""All our extensions are switched on, for a strongSwan that has some of them or none: SAs come up,
are replaced and end as without.
"""

import pytest

from everything import everything
from our_daemon import EAGER, P4ESP
from pairing import Pair, Role, Session

ROLES = pytest.mark.parametrize("role", ["initiator", "responder"])
ENDS = pytest.mark.parametrize(
    ("role", "program"),
    [("initiator", (str(P4ESP),)), ("responder", (str(P4ESP),)), ("initiator", EAGER)],
    ids=["initiator", "responder", "eager initiator"],
)
"""The eager one sends private numbers to a peer without our vendor ID."""


AGREED = {"initiator": [], "responder": ["IKEV2_MESSAGE_ID_SYNC_SUPPORTED"]}
"""By our role: charon says it in its requests, and answers nobody (RFC 6311)."""


def replace_everything(session: Session) -> None:
    """Each end replaces the child and the IKE SA once."""
    for peer_asks in (False, True):
        before, _ = session.agreed_child()
        if peer_asks:
            session.charon.rekey(child="net")
        else:
            session.ours.tell("rekey-child", child="charon/net")
        session.ours.wait("child-down")
        after, _ = session.agreed_child()
        assert before["spi_in"] != after["spi_in"]
        if peer_asks:
            session.charon.rekey(ike="us")
        else:
            session.ours.tell("rekey-ike", peer="charon")
        session.ours.wait("ike-down")
        session.agreed_child()
    assert session.ours.tell("check", peer="charon")["event"] == "peer-alive"


@ENDS
def test_sas_come_up_are_replaced_from_either_side_and_deleted(
    pair: Pair, role: Role, program: tuple[str, ...]
) -> None:
    with pair.session(everything(program)) as session:
        ours, _ = session.up(role)
        assert (ours["mode"], ours["format"]) == ("tunnel", "esp")
        (ike,) = session.ours.status()["ike_sas"]
        assert ike["extensions"] == AGREED[role]
        replace_everything(session)
        session.ours.tell("down", peer="charon")
        assert pair.charon.sas() == []


@ROLES
def test_the_peer_deletes(pair: Pair, role: Role) -> None:
    with pair.session(everything()) as session:
        session.up(role)
        pair.charon.terminate(child="net")
        assert session.ours.wait("child-down")["reason"] == "deleted by the peer"
        pair.charon.initiate("net")
        session.agreed_child()
        pair.charon.terminate(ike="us")
        session.ours.wait("ike-down")
        assert session.ours.status()["ike_sas"] == []
