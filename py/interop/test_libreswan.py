"""IKE with libreswan, in both roles; its kernel side is pretended."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from libreswan_pairing import TERMS, Connected, connection
from our_daemon import EAGER
from p4esp.service.control_client import ControlError
from pairing import OUR_NETS, THEIR_NETS, Role, Terms

ROLES = pytest.mark.parametrize("role", ["initiator", "responder"])


@pytest.fixture
def connected(shim, tmp_path) -> Iterator[Connected]:
    """A pair of daemons for one test: pluto starts fast."""
    with connection(shim, tmp_path, TERMS) as made:
        yield made


@ROLES
def test_both_sides_agree(connected: Connected, role: Role) -> None:
    connected.up(role)
    (child,) = connected.ours.status()["child_sas"]
    assert (child["local_ts"], child["remote_ts"]) == ([OUR_NETS[0]], [THEIR_NETS[0]])
    connected.theirs.wait_for_log("established Child SA")
    assert connected.ours.tell("check", peer="charon")["event"] == "peer-alive"


@ROLES
def test_we_rekey_both_sas(connected: Connected, role: Role) -> None:
    connected.up(role)
    connected.ours.tell("rekey-child", child="charon/net")
    connected.ours.wait("child-down")
    connected.ours.tell("rekey-ike", peer="charon")
    assert connected.ours.tell("check", peer="charon")["event"] == "peer-alive"
    assert len(connected.ours.status()["child_sas"]) == 1


@ROLES
def test_the_peer_deletes(connected: Connected, role: Role) -> None:
    connected.up(role)
    connected.theirs.whack("--terminate", "--name", "net")
    assert connected.ours.wait("child-down")["reason"] in (
        "deleted by the peer",
        "its IKE SA is gone",
    )


@ROLES
def test_we_delete(connected: Connected, role: Role) -> None:
    connected.up(role)
    said = connected.theirs.said
    connected.ours.tell("down", peer="charon")
    connected.theirs.wait_for_log("deleting", after=said)
    assert connected.ours.status()["ike_sas"] == []


def with_format(name: str, program: tuple[str, ...] = TERMS.our_program) -> Terms:
    child, file = {"format": name}, {"experimental": True}
    return replace(TERMS, our_child=child, our_file=file, our_program=program)


@pytest.mark.parametrize(
    ("name", "program"),
    [("eesp-optimized", TERMS.our_program), ("wesp-v2", EAGER), ("wesp", EAGER)],
)
def test_a_child_with_a_format_is_plain_esp(shim, tmp_path, name, program) -> None:
    """Notifies that it does not know are no error, and EESP is not offered to it."""
    with connection(shim, tmp_path, with_format(name, program)) as connected:
        connected.up("initiator")
        assert [sa["format"] for sa in connected.ours.status()["child_sas"]] == ["esp"]
        connected.ours.tell("rekey-child", child="charon/net")
        connected.ours.wait("child-down")
        assert [sa["format"] for sa in connected.ours.status()["child_sas"]] == ["esp"]


def test_without_a_vendor_id_eesp_is_not_offered_because_libreswan_takes_it_for_damage(
    shim, tmp_path
) -> None:
    """RFC 7296 3.3.1 would have it pass over such a proposal."""
    with connection(shim, tmp_path, with_format("eesp-optimized", EAGER)) as connected:
        with pytest.raises(ControlError, match="INVALID_SYNTAX"):
            connected.up("initiator")
        connected.theirs.wait_for_log("has an unknown value: 201")
