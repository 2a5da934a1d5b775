"""A gateway sends its peers elsewhere (RFC 5685), and we go where we are sent."""

from pairing import OURS, THEIRS, Pair, Terms

OUR_OTHER, THEIR_OTHER = "10.99.0.21", "10.99.0.22"


def test_we_go_where_an_established_peer_sends_us(pair: Pair) -> None:
    pair.them.address("wire", f"{THEIR_OTHER}/24")
    terms = Terms(
        our_peer={"follow_redirects": True},
        their_connection={"local_addrs": [THEIRS[0], THEIR_OTHER]},
    )
    with pair.session(terms) as session:
        session.up("initiator")
        session.ours.wait("ike-established")
        pair.charon.vici.request("redirect", **{"peer-ip": OURS[0], "gateway": THEIR_OTHER})
        moved = session.ours.wait("ike-established")
        assert moved["ike"]["remote"].startswith(f"{THEIR_OTHER}:")
        session.ours.wait("child-up", lambda event: event["child"]["remote"] == THEIR_OTHER)


def test_the_peer_goes_where_we_send_it(pair: Pair) -> None:
    pair.us.address("wire", f"{OUR_OTHER}/24")
    terms = Terms(our_peer={"redirect_to": OUR_OTHER})
    configuration = terms.our_configuration()
    (first,) = configuration["peers"]
    second = {key: value for key, value in first.items() if key != "redirect_to"}
    second |= {"name": "elsewhere", "local": OUR_OTHER}
    terms = Terms(our_file={"peers": [first, second]})
    with pair.session(terms) as session:
        pair.charon.initiate("net")
        ours, _ = session.agreed_child()
        assert (ours["peer"], ours["local"]) == ("elsewhere", OUR_OTHER)
