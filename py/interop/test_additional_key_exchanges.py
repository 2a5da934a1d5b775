"""Additional key exchanges with strongSwan 6 (RFC 9370, RFC 9242, ML-KEM), in both roles.

By hand: `P4ESP_CHARON=/path/to/charon make interop`, built with the plugins ml and sha3. It runs
with an empty `/run`, where the directory of its pid file must exist.
"""

import pytest

from pairing import Pair, Role, Terms

ROLES = pytest.mark.parametrize("role", ["initiator", "responder"])
IKE = "aes256gcm16-prfsha256-x25519"
ESP = "aes256gcm16-x25519"


@ROLES
@pytest.mark.parametrize(
    "added", ["ke1_mlkem768", "ke1_mlkem1024", "ke1_mlkem768-ke2_ecp384-ke3_modp2048"]
)
def test_an_ike_sa_with_additional_exchanges(pair: Pair, role: Role, added: str) -> None:
    with pair.session(Terms(ike=f"{IKE}-{added}")) as session:
        session.up(role)
        assert session.ours.status()["ike_sas"][0]["suite"] == f"{IKE}-{added}"
        assert session.ours.tell("check", peer="charon")["event"] == "peer-alive"


@ROLES
@pytest.mark.parametrize("cipher", ["aes256-sha256", "chacha20poly1305-prfsha512"])
def test_the_exchanges_are_authenticated_with_each_kind_of_cipher(
    pair: Pair, role: Role, cipher: str
) -> None:
    with pair.session(Terms(ike=f"{cipher}-ecp256-ke1_mlkem768")) as session:
        session.up(role)


@ROLES
@pytest.mark.parametrize("who", ["we", "charon"])
def test_an_ike_sa_is_rekeyed_with_followup_exchanges(pair: Pair, role: Role, who: str) -> None:
    with pair.session(Terms(ike=f"{IKE}-ke1_mlkem768")) as session:
        session.up(role)
        if who == "we":
            session.ours.tell("rekey-ike", peer="charon")
        else:
            pair.charon.rekey(ike="us")
        session.ours.wait("ike-down")
        session.agreed_child()
        assert session.ours.tell("check", peer="charon")["event"] == "peer-alive"


@ROLES
@pytest.mark.parametrize("who", ["we", "charon"])
@pytest.mark.parametrize("added", ["ke1_mlkem768", "ke1_mlkem768-ke2_ecp384"])
def test_a_child_sa_is_rekeyed_with_followup_exchanges(
    pair: Pair, role: Role, who: str, added: str
) -> None:
    with pair.session(Terms(ike=f"{IKE}-ke1_mlkem768", esp=f"{ESP}-{added}")) as session:
        session.up(role)
        if who == "we":
            session.ours.tell("rekey-child", child="charon/net")
        else:
            pair.charon.rekey(child="net")
        session.ours.wait("child-down")
        session.agreed_child()


def test_a_peer_without_them_gets_the_second_proposal(pair: Pair) -> None:
    ours = {"proposals": [f"{IKE}-ke1_mlkem768", IKE]}
    with pair.session(Terms(our_peer=ours, ike=IKE)) as session:
        session.up("initiator")
        assert session.ours.status()["ike_sas"][0]["suite"] == IKE
