"""IKE_SA_INIT with detours: cookies, and a key exchange method that was guessed wrong."""

from collections.abc import Iterator

import pytest

from charon_daemon import control_plane
from counting import udp_socket
from lab.netlab import Lab
from pairing import OURS, THEIRS, Pair, Terms, half_open

TWO_METHODS = "aes128gcm16-prfsha256-x25519-ecp256"
SECOND_METHOD = "aes128gcm16-prfsha256-ecp256"


def test_we_try_again_with_the_method_the_peer_wants(pair: Pair) -> None:
    terms = Terms(TWO_METHODS, their_connection={"proposals": [SECOND_METHOD]})
    with pair.session(terms) as session:
        session.up("initiator")
        assert session.their_ike()["dh-group"] == "ECP_256"


def test_the_peer_tries_again_with_the_method_we_want(pair: Pair) -> None:
    terms = Terms(TWO_METHODS, our_peer={"proposals": [SECOND_METHOD]})
    with pair.session(terms) as session:
        session.up("responder")
        assert session.their_ike()["dh-group"] == "ECP_256"
        pair.charon.wait_for_log("peer didn't accept DH group CURVE_25519, it requested ECP_256")


def test_the_peer_shows_our_cookie(pair: Pair) -> None:
    with pair.session(Terms(our_file={"ike": {"cookie_threshold": 0}})) as session:
        session.up("responder")
        pair.charon.wait_for_log(r"parsed IKE_SA_INIT response 0 \[ N\(COOKIE\) \]")


def test_the_peer_shows_our_cookie_and_then_guesses_the_method_wrong(pair: Pair) -> None:
    terms = Terms(
        TWO_METHODS,
        our_peer={"proposals": [SECOND_METHOD]},
        our_file={"ike": {"cookie_threshold": 0}},
    )
    with pair.session(terms) as session:
        session.up("responder")
        assert session.their_ike()["dh-group"] == "ECP_256"


@pytest.fixture(scope="module")
def careful_pair(lab: Lab, shim, tmp_path_factory) -> Iterator[Pair]:
    """A charon that wants cookies as soon as one IKE SA is half-open."""
    flavour = control_plane(shim, cookie_threshold=1, dos_protection="yes")
    pair = Pair(lab, tmp_path_factory.mktemp("careful"), flavour, name="careful")
    with pair.charon:
        yield pair


@pytest.mark.parametrize("ike", ["aes128gcm16-prfsha256-x25519", TWO_METHODS])
def test_we_show_the_cookie_of_the_peer(careful_pair: Pair, ike: str) -> None:
    terms = Terms(ike, their_connection={"proposals": [ike.replace("x25519-ecp", "ecp")]})
    with careful_pair.session(terms) as session:
        with udp_socket(careful_pair.us, OURS[0]) as stranger:
            stranger.sendto(half_open(terms), (THEIRS[0], 500))
            stranger.settimeout(10)
            stranger.recv(4096)
        session.up("initiator")
        careful_pair.charon.wait_for_log(r"generating IKE_SA_INIT response 0 \[ N\(COOKIE\) \]")
