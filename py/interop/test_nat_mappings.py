"""A NAT in front of us forgets, or is kept from forgetting (RFC 7296 2.23, RFC 3948, RFC 4555)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from charon_daemon import control_plane
from lab.netlab import Lab
from pairing import OURS, NatPair, Terms
from sniffing import Sniffer


@pytest.fixture(scope="module")
def pair(lab: Lab, shim: Path, tmp_path_factory) -> Iterator[NatPair]:
    made = NatPair(lab, tmp_path_factory.mktemp("nat"), control_plane(shim), "we")
    with made.charon:
        yield made


def behind(**ours: object) -> Terms:
    return Terms(our_peer={"local": "10.98.0.1", **ours}, our_file={"ike": {"nat_keepalive": 0.5}})


def test_we_keep_our_mapping_alive(pair: NatPair, tmp_path: Path) -> None:
    with pair.session(behind()) as session, Sniffer(pair.them, tmp_path) as wire:
        session.up("initiator")
        pair.us.run("sleep", "2.2")
        session.ours.tell("check", peer="charon")
    keepalives = wire.fields("udp.length == 9", "ip.src", "udp.dstport", "udp.payload")
    assert len(keepalives) in (3, 4, 5)
    assert {tuple(fields) for fields in keepalives} == {(OURS[0], "4500", "ff")}


def test_strongswan_follows_when_our_mapping_changes(pair: NatPair) -> None:
    with pair.session(behind()) as session:
        session.up("initiator")
        before = session.their_ike()["remote-port"]
        pair.forget_mappings()
        session.ours.tell("check", peer="charon")
        assert session.their_ike()["remote-port"] != before


def test_with_mobike_we_notice_that_our_mapping_changed_and_say_so(pair: NatPair) -> None:
    with pair.session(behind(mobike=True)) as session, pair.charon.watch() as events:
        session.up("initiator")
        session.ours.tell("check", peer="charon")
        before = session.their_ike()["remote-port"]
        pair.forget_mappings()
        session.ours.tell("check", peer="charon")
        events.wait("ike-update", lambda facts: facts["remote-port"] not in ("4500", before))
        session.ours.tell("check", peer="charon")
        assert session.their_ike()["remote-port"] != before
