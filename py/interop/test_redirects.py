"""Gateways that send each other's peers to another address of theirs (RFC 5685)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from charon_daemon import control_plane
from lab.netlab import Lab
from pairing import THEIRS, Pair, Terms

OUR_OTHER, THEIR_OTHER = "10.99.0.11", "10.99.0.12"


@pytest.fixture(scope="module")
def gateways(lab: Lab, shim: Path, tmp_path_factory) -> Iterator[Pair]:
    pair = Pair(lab, tmp_path_factory.mktemp("gateways"), control_plane(shim), name="gateways")
    pair.us.address("wire", f"{OUR_OTHER}/24")
    pair.them.address("wire", f"{THEIR_OTHER}/24")
    with pair.charon:
        yield pair


def test_strongswan_follows_when_we_send_it_away(gateways: Pair) -> None:
    terms = Terms()
    (peer,) = terms.our_configuration()["peers"]
    away = {**peer, "name": "away", "redirect_to": OUR_OTHER}
    here = {**peer, "name": "charon", "local": OUR_OTHER}
    with gateways.session(Terms(our_file={"peers": [away, here]})) as session:
        gateways.charon.initiate("net")
        assert session.their_ike()["remote-host"] == OUR_OTHER
        session.agreed_child()


def test_we_follow_when_strongswan_sends_us_away(gateways: Pair) -> None:
    terms = Terms(
        our_peer={"follow_redirects": True},
        their_connection={"local_addrs": [THEIRS[0], THEIR_OTHER], "remote_addrs": ["%any"]},
    )
    with gateways.session(terms) as session:
        session.up("initiator")
        gateways.charon.vici.request("redirect", ike="us", gateway=THEIR_OTHER)
        assert session.ours.wait("redirected")["gateway"] == THEIR_OTHER
        session.ours.wait("child-up")
        assert session.their_ike()["local-host"] == THEIR_OTHER
        session.agreed_child()


def test_strongswan_leaves_an_established_ike_sa_when_we_send_it_away(gateways: Pair) -> None:
    (peer,) = Terms().our_configuration()["peers"]
    there = {**peer, "name": "there", "local": OUR_OTHER}
    with gateways.session(Terms(our_file={"peers": [peer, there]})) as session:
        session.up("responder")
        left = session.ours.tell("send-away", peer="charon", gateway=OUR_OTHER)
        assert left["event"] == "ike-down"
        session.ours.wait("child-up", lambda event: event["child"]["peer"] == "there")
        assert session.their_ike()["remote-host"] == OUR_OTHER
