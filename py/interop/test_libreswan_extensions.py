"""All our extensions are switched on for a libreswan that has few of them; and postquantum
preshared keys, which it has (RFC 8784).
"""

from dataclasses import replace
from pathlib import Path

import pytest

from everything import everything
from libreswan_pairing import TERMS, Connected, connection
from our_daemon import EAGER, P4ESP
from p4esp.service.control_client import ControlError
from pairing import OUR_ID, THEIR_ID, Role, Terms

ROLES = pytest.mark.parametrize("role", ["initiator", "responder"])
ENDS = pytest.mark.parametrize(
    ("role", "program"),
    [("initiator", (str(P4ESP),)), ("responder", (str(P4ESP),)), ("initiator", EAGER)],
    ids=["initiator", "responder", "eager initiator"],
)
PPK_ID, KEY = "ppk.example", "thirty-two octets that nobody guesses"


def replace_everything(connected: Connected) -> None:
    """Each end replaces the child and the IKE SA once."""
    ours, theirs = connected.ours, connected.theirs
    for child, ike in (
        (
            lambda: ours.tell("rekey-child", child="charon/net"),
            lambda: ours.tell("rekey-ike", peer="charon"),
        ),
        (
            lambda: theirs.whack("--rekey-ipsec", "--name", "net"),
            lambda: theirs.whack("--rekey-ike", "--name", "net"),
        ),
    ):
        child()
        ours.wait("child-down")
        ike()
        ours.wait("ike-down")
    assert ours.tell("check", peer="charon")["event"] == "peer-alive"
    assert len(ours.status()["child_sas"]) == len(ours.status()["ike_sas"]) == 1


@ENDS
def test_sas_come_up_are_replaced_from_either_side_and_deleted(
    shim: Path, tmp_path: Path, role: Role, program: tuple[str, ...]
) -> None:
    terms = replace(everything(program), ike=TERMS.ike, esp=TERMS.esp)
    with connection(shim, tmp_path, terms) as connected:
        connected.up(role)
        assert connected.ours.status()["ike_sas"][0]["extensions"] == []
        replace_everything(connected)
        if role == "initiator":
            connected.ours.tell("down", peer="charon")
        else:
            connected.theirs.whack("--terminate", "--name", "net")
            connected.ours.wait("ike-down")
        assert connected.ours.status()["ike_sas"] == []


# Postquantum preshared keys


def with_ppk(directory: Path, *, required: bool) -> Terms:
    place = directory / "ppk"
    place.write_text(KEY)
    place.chmod(0o600)
    ppk = {"id": PPK_ID, "file": str(place), "required": required}
    return replace(TERMS, our_peer={"ppk": ppk})


SECRET = f'@{THEIR_ID} @{OUR_ID} : PPKS "{PPK_ID}" "{KEY}"'


@pytest.mark.parametrize(
    ("role", "required", "theirs"),
    [
        ("initiator", True, "insist"),
        ("responder", True, "insist"),
        ("responder", False, "propose"),
    ],
)
def test_both_use_the_key(
    shim: Path, tmp_path: Path, role: Role, required: bool, theirs: str
) -> None:
    terms = with_ppk(tmp_path, required=required)
    made = connection(shim, tmp_path, terms, more=f" ppk={theirs}", secrets=[SECRET])
    with made as connected:
        connected.up(role)
        (ike,) = connected.ours.status()["ike_sas"]
        assert ike["ppk"] == "8784"
        connected.ours.tell("rekey-ike", peer="charon")
        assert connected.ours.tell("check", peer="charon")["event"] == "peer-alive"


@ROLES
def test_an_optional_key_that_the_peer_does_not_want_is_left_out(
    shim: Path, tmp_path: Path, role: Role
) -> None:
    terms = with_ppk(tmp_path, required=False)
    with connection(shim, tmp_path, terms, more=" ppk=no") as connected:
        connected.up(role)
        assert connected.ours.status()["ike_sas"][0]["ppk"] == "none"


def test_we_insist_on_a_key_that_the_peer_does_not_want(shim: Path, tmp_path: Path) -> None:
    terms = with_ppk(tmp_path, required=True)
    with connection(shim, tmp_path, terms, more=" ppk=no") as connected:
        with pytest.raises(ControlError):
            connected.up("initiator")
        assert connected.ours.status()["ike_sas"] == []
