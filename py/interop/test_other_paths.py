"""With MOBIKE the path in use may go: there are others (RFC 4555 3.3, 3.10)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from charon_daemon import control_plane
from lab.netlab import Lab
from pairing import OURS, Pair, Terms

OUR_OTHER = "10.99.0.11"


@pytest.fixture(scope="module")
def roaming(lab: Lab, shim: Path, tmp_path_factory) -> Iterator[Pair]:
    made = Pair(lab, tmp_path_factory.mktemp("roaming"), control_plane(shim), name="roaming")
    made.us.run("sysctl", "-qw", "net.ipv4.conf.wire.promote_secondaries=1")
    made.us.address("wire", f"{OUR_OTHER}/24")
    with made.charon:
        yield made


def test_without_a_nat_both_use_4500_and_esp_is_not_in_udp(roaming: Pair) -> None:
    with roaming.session(Terms(our_peer={"mobike": True})) as session:
        ours, theirs = session.up("initiator")
        assert not ours["udp"]
        assert "encap" not in theirs
        (ike,) = session.ours.status()["ike_sas"]
        assert ike["local"].endswith(":4500")


def test_we_lose_our_address_and_find_another_path(roaming: Pair) -> None:
    ours = {"mobike": True, "dpd_delay": 1, "additional_local": [OUR_OTHER]}
    with roaming.session(Terms(our_peer=ours)) as session:
        session.up("initiator")
        roaming.us.ip("addr", "del", f"{OURS[0]}/24", "dev", "wire")
        try:
            session.ours.wait("path-changed")
            assert session.their_ike()["remote-host"] == OUR_OTHER
            session.agreed_child()
        finally:
            roaming.us.address("wire", f"{OURS[0]}/24")


def test_we_tell_strongswan_of_further_addresses(roaming: Pair) -> None:
    with roaming.session(Terms(our_peer={"mobike": True})) as session:
        session.up("initiator")
        session.ours.tell("announce", peer="charon", addresses=OUR_OTHER)
        roaming.charon.wait_for_log(rf"got additional MOBIKE peer address: {OUR_OTHER}")
        assert session.ours.tell("check", peer="charon")["event"] == "peer-alive"
