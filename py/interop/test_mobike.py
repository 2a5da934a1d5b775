"""A host moves to another address and takes its SAs along (RFC 4555)."""

from pairing import THEIRS, Pair, Terms

OUR_OTHER, THEIR_OTHER = "10.99.0.11", "10.99.0.12"


def test_we_move(pair: Pair) -> None:
    pair.us.address("wire", f"{OUR_OTHER}/24")
    terms = Terms(our_peer={"mobike": True})
    with pair.session(terms) as session, pair.charon.watch() as events:
        session.up("initiator")
        session.ours.tell("move", peer="charon", local=OUR_OTHER)
        events.wait("ike-update")
        assert session.their_ike()["remote-host"] == OUR_OTHER
        session.agreed_child()
        session.ours.tell("rekey-child", child="charon/net")
        session.ours.wait("child-down")
        ours, _ = session.agreed_child()
        assert ours["local"] == OUR_OTHER


def test_the_peer_moves(pair: Pair) -> None:
    pair.them.run("sysctl", "-qw", "net.ipv4.conf.wire.promote_secondaries=1")
    pair.them.address("wire", f"{THEIR_OTHER}/24")
    terms = Terms(
        our_peer={"mobike": True},
        their_connection={"local_addrs": [THEIRS[0], THEIR_OTHER], "mobike": "yes"},
    )
    with pair.session(terms) as session:
        session.up("responder")
        try:
            pair.them.ip("addr", "del", f"{THEIRS[0]}/24", "dev", "wire")
            moved = session.ours.wait("path-changed")
            assert moved["new"]["remote"].startswith(f"{THEIR_OTHER}:")
            assert session.ours.tell("check", peer="charon")["event"] == "peer-alive"
            assert session.their_ike()["local-host"] == THEIR_OTHER
        finally:
            pair.them.address("wire", f"{THEIRS[0]}/24")
