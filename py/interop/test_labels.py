"""Security labels with strongSwan, whose mode `simple` compares them and no more (RFC 9478)."""

import pytest

from p4esp.service.control_client import ControlError
from pairing import Pair, Role, Terms
from vici import ViciError

ROLES = pytest.mark.parametrize("role", ["initiator", "responder"])
SECRET, PUBLIC = "system_u:object_r:secret_t:s0", "system_u:object_r:public_t:s0"


def terms(ours: list[str], theirs: str | None, **keys: object) -> Terms:
    their_child = {} if theirs is None else {"label": theirs, "label_mode": "simple"}
    return Terms(our_child={"labels": ours, **keys}, their_child=their_child)


def as_charon_shows(label: str) -> str:
    """In hexadecimal, with the octet 0 at its end that charon sends, too."""
    return f"{label}\0".encode().hex()


@ROLES
def test_both_agree_on_a_label_and_rekeys_keep_it(pair: Pair, role: Role) -> None:
    with pair.session(terms([PUBLIC, SECRET], SECRET)) as session:
        ours, theirs = session.up(role)
        assert (ours["label"], theirs["label"]) == (SECRET, as_charon_shows(SECRET))
        session.ours.tell("rekey-child", child="charon/net")
        session.ours.wait("child-down")
        assert session.agreed_child()[0]["label"] == SECRET
        pair.charon.rekey(child="net")
        session.ours.wait("child-down")
        assert session.agreed_child()[1]["label"] == as_charon_shows(SECRET)


@ROLES
@pytest.mark.parametrize("theirs", [PUBLIC, None], ids=["another", "none"])
def test_without_a_label_in_common_there_is_no_child(
    pair: Pair, role: Role, theirs: str | None
) -> None:
    with pair.session(terms([SECRET], theirs)) as session:
        with pytest.raises((ControlError, ViciError)):
            session.up(role)
        assert session.ours.status()["child_sas"] == pair.charon.children() == []


def test_where_it_is_not_required_a_peer_that_asks_for_none_gets_a_child(pair: Pair) -> None:
    """Asked for one that it does not expect charon refuses, since it knows what labels are."""
    with pair.session(terms([SECRET], None, label_required=False)) as session:
        with pytest.raises(ControlError, match="TS_UNACCEPTABLE"):
            session.up("initiator")
        session.ours.tell("down", peer="charon")
        assert "label" not in session.up("responder")[0]
