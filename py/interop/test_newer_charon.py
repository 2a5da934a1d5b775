"""What strongSwan 6 can do and Debian's cannot: an SA for each resource (RFC 9611), and ML-KEM
together with a postquantum preshared key and all our extensions. `P4ESP_CHARON` names such a build.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from crossing import HERE, THERE, Crossing, crossing, ping
from everything import EVERYTHING, everything
from lab.netlab import Lab
from pairing import OUR_ID, PSK, THEIR_ID, Pair, Role

RESOURCES = 2
MLKEM = "aes128gcm16-prfsha256-x25519-ke1_mlkem768"
PPK_ID, KEY = "ppk.example", b"thirty-two octets that nobody guesses"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Crossing]:
    """We make one for each resource beside the first."""
    keys = {"per_resource": "eager", "parallel": RESOURCES}
    peer = {"extensions": EVERYTHING}
    with (
        Lab("newer") as lab,
        crossing(
            *(lab, tmp_path),
            peer=peer,
            child=keys,
            experimental=True,
            their_child={"per_cpu_sas": "yes"},
        ) as site,
    ):
        for _ in range(RESOURCES):
            said = site.gateway.controller.said
            if len(site.gateway.children()) <= RESOURCES:
                site.gateway.controller.wait_for("SA up charon/net", after=said)
        yield site


def cross(site: Crossing) -> None:
    for host, target in ((site.here, THERE), (site.there, HERE)):
        assert "5 received" in ping(host, target, "-c", "5", "-i", "0.02").stdout


def test_each_resource_has_an_sa_that_a_rekey_keeps(site: Crossing) -> None:
    resources = [None, *(f"{number:08x}" for number in range(RESOURCES))]
    assert [child.get("resource") for child in site.gateway.children()] == resources
    theirs = [child.get("cpu") for child in site.charon.children()]
    assert theirs == [None, *map(str, range(RESOURCES))]
    cross(site)
    last = site.child()
    site.gateway.tell("rekey", spi=last["spi_in"])
    site.wait_for_end(last)
    assert site.child()["resource"] == last["resource"]
    cross(site)


@pytest.mark.parametrize("role", ["initiator", "responder"])
def test_mlkem_a_ppk_and_all_extensions_together(pair: Pair, role: Role, tmp_path: Path) -> None:
    place = tmp_path / "ppk"
    place.write_bytes(KEY)
    place.chmod(0o600)
    ppk = {"id": PPK_ID, "file": str(place), "required": True}
    every = everything()
    terms = replace(
        every,
        ike=MLKEM,
        esp="aes128gcm16-x25519-ke1_mlkem768",
        our_peer={**every.our_peer, "ppk": ppk},
        their_connection={"ppk_id": PPK_ID, "ppk_required": "yes"},
        their_secrets=(
            {"type": "IKE", "data": PSK, "owners": [OUR_ID, THEIR_ID]},
            {"type": "PPK", "data": KEY, "owners": [PPK_ID]},
        ),
    )
    with pair.session(terms) as session:
        session.up(role)
        assert session.their_ike()["ppk"] == "yes"
        session.ours.tell("rekey-child", child="charon/net")
        session.ours.wait("child-down")
        session.ours.tell("rekey-ike", peer="charon")
        session.ours.wait("ike-down")
        pair.charon.rekey(child="net")
        session.ours.wait("child-down")
        pair.charon.rekey(ike="us")
        session.ours.wait("ike-down")
        session.agreed_child()
        assert session.ours.tell("check", peer="charon")["event"] == "peer-alive"
