"""Formats of ESP with a peer that knows none: plain ESP, or nothing where one is required."""

from typing import Any

import pytest

from our_daemon import EAGER
from p4esp.service.control_client import ControlError
from pairing import Pair, Role, Terms

FORMATS = ("subspaces", "crypt-offset", "wesp", "wesp-v2", "eesp-optimized", "eesp-full")
EESP = ("eesp-optimized", "eesp-full")


def terms(name: str, *, eager: bool = False, **keys: Any) -> Terms:
    made = {"our_child": {"format": name, **keys}, "our_file": {"experimental": True}}
    return Terms(**made, our_program=EAGER) if eager else Terms(**made)


@pytest.mark.parametrize("role", ["initiator", "responder"])
@pytest.mark.parametrize("name", FORMATS)
def test_a_child_with_a_format_is_plain_esp(pair: Pair, name: str, role: Role) -> None:
    """Without our vendor ID none of its numbers is sent, but that of RFC 5840."""
    with pair.session(terms(name)) as session:
        ours, theirs = session.up(role)
        assert (ours["format"], theirs["protocol"]) == ("esp", "ESP")
        session.ours.tell("rekey-child", child="charon/net")
        session.ours.wait("child-down")
        assert session.agreed_child()[0]["format"] == "esp"


@pytest.mark.parametrize("name", FORMATS)
def test_a_required_format_is_refused_by_name_and_the_ike_sa_is_up(pair: Pair, name: str) -> None:
    with pair.session(terms(name, format_required=True)) as session:
        with pytest.raises(ControlError, match=f"format {name} is required"):
            session.ours.tell("up", peer="charon", child="net")
        session.ours.wait("ike-established")  # the child has failed before IKE_AUTH is over
        assert session.their_ike()["state"] == "ESTABLISHED"


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "wesp"])
def test_notifies_and_a_protocol_that_it_does_not_know_are_no_error_to_charon(
    pair: Pair, name: str
) -> None:
    """RFC 7296 3.3.1, 3.10.1: it chooses ESP of what is offered, and again at a rekey."""
    with pair.session(terms(name, eager=True)) as session:
        ours, theirs = session.up("initiator")
        assert (ours["format"], theirs["protocol"]) == ("esp", "ESP")
        session.ours.tell("rekey-child", child="charon/net")
        session.ours.wait("child-down")
        assert session.agreed_child()[0]["format"] == "esp"


@pytest.mark.parametrize("name", EESP)
def test_eesp_alone_is_refused_by_charon_with_no_proposal_chosen(pair: Pair, name: str) -> None:
    with pair.session(terms(name, eager=True, format_required=True)) as session:
        with pytest.raises(ControlError, match="NO_PROPOSAL_CHOSEN"):
            session.ours.tell("up", peer="charon", child="net")
        assert session.their_ike()["state"] == "ESTABLISHED"
