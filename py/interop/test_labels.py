"""Security labels (RFC 9478) with charon, which compares them as we do (`label_mode = simple`)."""

from typing import Any

import pytest

from p4esp.service.control_client import ControlError
from pairing import Pair, Role, Terms
from vici import ViciError

ROLES = pytest.mark.parametrize("role", ["initiator", "responder"])
SECRET, PUBLIC = "system_u:object_r:secret_t:s0", "system_u:object_r:public_t:s0"
SHOWN = f"{SECRET}\0".encode().hex()
"""As charon shows the first: with its NUL."""


def terms(ours: list[str], theirs: str | None, **child: Any) -> Terms:
    """Both have labels; charon knows one for each child."""
    label = {} if theirs is None else {"label": theirs, "label_mode": "simple"}
    return Terms(our_child={"labels": ours, **child}, their_child=label)


@ROLES
def test_both_have_an_sa_of_the_label_and_again_by_a_rekey(pair: Pair, role: Role) -> None:
    with pair.session(terms([SECRET], SECRET)) as session:
        ours, theirs = session.up(role)
        assert (ours["label"], theirs["label"]) == (SECRET, SHOWN)
        session.ours.tell("rekey-child", child="charon/net")
        session.ours.wait("child-down")
        pair.charon.rekey(child="net")
        session.ours.wait("child-down")
        ours, theirs = session.agreed_child()
        assert (ours["label"], theirs["label"]) == (SECRET, SHOWN)


@ROLES
def test_another_label_or_none_is_refused(pair: Pair, role: Role) -> None:
    for ours, theirs in (([SECRET], PUBLIC), ([], SECRET), ([SECRET], None)):
        with pair.session(terms(ours, theirs)) as session:
            with pytest.raises((ControlError, ViciError)):
                session.up(role)
            assert session.ours.status()["child_sas"] == []
