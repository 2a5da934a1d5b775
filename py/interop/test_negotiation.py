"""Both sides agree on a child SA, whoever begins."""

import pytest

from pairing import Pair, Role, Terms

SUITES = {
    "aes128gcm16-x25519": Terms("aes128gcm16-prfsha256-x25519", "aes128gcm16"),
    "aes256gcm16-ecp256": Terms("aes256gcm16-prfsha256-ecp256", "aes256gcm16"),
    "chacha20poly1305": Terms("chacha20poly1305-prfsha256-x25519", "chacha20poly1305"),
    "ipv6": Terms(version=6),
    "ipv4-in-ipv6": Terms(version=6, inner=4),
    "ipv6-in-ipv4": Terms(version=4, inner=6),
}


@pytest.mark.parametrize("role", ["initiator", "responder"])
@pytest.mark.parametrize("terms", SUITES.values(), ids=SUITES)
def test_both_sides_agree(pair: Pair, terms: Terms, role: Role) -> None:
    with pair.session(terms) as session:
        ours, theirs = session.up(role)
        assert ours["suite"] == terms.esp
        assert (ours["local_ts"], ours["remote_ts"]) == (theirs["remote-ts"], theirs["local-ts"])
        assert not ours["udp"]
        assert theirs["mode"] == "TUNNEL"


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("role", ["initiator", "responder"])
def test_both_agree_on_transport_mode(pair: Pair, role: Role, version) -> None:
    everything = ["0.0.0.0/0" if version == 4 else "::/0"]
    terms = Terms(
        version=version,
        our_child={"mode": "transport", "local": everything, "remote": everything},
        their_child={"mode": "transport", "local_ts": ["dynamic"], "remote_ts": ["dynamic"]},
    )
    with pair.session(terms) as session:
        ours, theirs = session.up(role)
        assert ours["mode"] == theirs["mode"].lower() == "transport"
        assert ours["local_ts"] == theirs["remote-ts"]
        session.ours.tell("rekey-child", child="charon/net")
        session.ours.wait("child-down")
        assert session.agreed_child()[1]["mode"] == "TRANSPORT"
