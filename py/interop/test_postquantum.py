"""Postquantum preshared keys (RFC 8784): both sides mix the same one in, or know why not."""

from pathlib import Path

import pytest

from p4esp.service.control_client import ControlError
from pairing import OUR_ID, PSK, THEIR_ID, Pair, Role, Terms
from vici import ViciError

ROLES = pytest.mark.parametrize("role", ["initiator", "responder"])
PPK_ID = "ppk.example"
KEY = b"thirty-two octets that nobody guesses"
OTHER = b"thirty-two octets of quite another key"


def terms(directory: Path, theirs: bytes | None, *, required: bool) -> Terms:
    """Both have the psk; we have KEY, charon has its own or none."""
    place = directory / "ppk"
    place.write_bytes(KEY)
    place.chmod(0o600)
    secrets = [{"type": "IKE", "data": PSK, "owners": [OUR_ID, THEIR_ID]}]
    connection = {}
    if theirs is not None:
        secrets.append({"type": "PPK", "data": theirs, "owners": [PPK_ID]})
        connection = {"ppk_id": PPK_ID, "ppk_required": "yes" if required else "no"}
    return Terms(
        our_peer={"ppk": {"id": PPK_ID, "file": str(place), "required": required}},
        their_connection=connection,
        their_secrets=tuple(secrets),
    )


@ROLES
@pytest.mark.parametrize("required", [True, False])
def test_both_use_the_key(pair: Pair, role: Role, required: bool, tmp_path: Path) -> None:
    with pair.session(terms(tmp_path, KEY, required=required)) as session:
        session.up(role)
        assert session.their_ike()["ppk"] == "yes"
        session.ours.tell("rekey-ike", peer="charon")
        assert session.ours.tell("check", peer="charon")["event"] == "peer-alive"


@ROLES
def test_an_optional_key_that_the_peer_lacks_is_left_out(
    pair: Pair, role: Role, tmp_path: Path
) -> None:
    with pair.session(terms(tmp_path, None, required=False)) as session:
        session.up(role)
        assert "ppk" not in session.their_ike()


def test_we_insist_on_a_key_that_the_peer_lacks(pair: Pair, tmp_path: Path) -> None:
    with pair.session(terms(tmp_path, None, required=True)) as session:
        with pytest.raises(ControlError):
            session.ours.tell("up", peer="charon", child="net")
        with pytest.raises(ViciError):
            pair.charon.initiate("net")
        assert not any(ike["established"] for ike in session.ours.status()["ike_sas"])


@ROLES
def test_different_keys_do_not_connect(pair: Pair, role: Role, tmp_path: Path) -> None:
    with pair.session(terms(tmp_path, OTHER, required=True)) as session:
        with pytest.raises((ControlError, ViciError)):
            session.up(role)
        assert session.ours.status()["child_sas"] == []
