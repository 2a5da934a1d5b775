"""A charon with ESP in user space pretends to be behind a NAT: all moves to port 4500."""

import pytest

from pairing import Pair, Role, Terms


@pytest.mark.parametrize("role", ["initiator", "responder"])
@pytest.mark.parametrize("version", [4, 6])
def test_both_move_to_port_4500(encapsulating_pair: Pair, role: Role, version) -> None:
    with encapsulating_pair.session(Terms(version=version)) as session:
        ours, theirs = session.up(role)
        assert ours["udp"]
        assert theirs["encap"] == "yes"
        (ike,) = session.ours.status()["ike_sas"]
        assert ike["local"].endswith(":4500")
        assert ike["remote"].endswith(":4500")
        assert ike["nat"] == {"local": False, "remote": True}


@pytest.mark.parametrize("role", ["initiator", "responder"])
def test_esp_on_the_shared_port_is_left_alone(encapsulating_pair: Pair, role: Role) -> None:
    with encapsulating_pair.session(Terms()) as session:
        session.up(role)
        ping = ("ping", "-c", "3", "-i", "0.01", "-W", "0.1", "-I", "10.99.2.1", "10.99.1.1")
        encapsulating_pair.them.run("sh", "-c", f"{' '.join(ping)} || true")
        assert session.ours.status()["drops"] == {"ESP or NAT keepalive": 3}
        session.agreed_child()
