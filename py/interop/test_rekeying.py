"""IKE SAs and child SAs are replaced from either side, alone and at once."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from pairing import THEIRS, Pair, Role, Session, Terms

ROLES = pytest.mark.parametrize("role", ["initiator", "responder"])


def assert_one_of_each(session: Session) -> None:
    """Both sides have the same IKE SA and the same child SA, and nothing besides."""
    (ours,) = session.ours.status()["ike_sas"]
    theirs = session.their_ike()
    spis = {theirs["initiator-spi"], theirs["responder-spi"]}
    assert spis == {ours["spi"], ours["peer_spi"]}
    session.agreed_child()


def settle(session: Session, seconds: float = 30) -> None:
    """Wait until collisions are resolved: the loser of one is deleted by a further exchange."""
    end = time.monotonic() + seconds
    while True:
        try:
            return assert_one_of_each(session)
        except (AssertionError, ValueError):
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


@ROLES
def test_we_rekey_the_ike_sa(pair: Pair, role: Role) -> None:
    with pair.session(Terms()) as session:
        session.up(role)
        rekeyed = session.ours.tell("rekey-ike", peer="charon")
        assert rekeyed["new"]["initiator"]
        session.ours.wait("ike-down")
        assert_one_of_each(session)
        session.ours.tell("rekey-child", child="charon/net")
        session.ours.wait("child-down")
        assert_one_of_each(session)
        pair.charon.terminate(ike="us")
        assert session.ours.status()["ike_sas"] == []


@ROLES
def test_the_peer_rekeys_the_ike_sa(pair: Pair, role: Role) -> None:
    with pair.session(Terms()) as session:
        session.up(role)
        pair.charon.rekey(ike="us")
        assert not session.ours.wait("ike-rekeyed")["new"]["initiator"]
        session.ours.wait("ike-down")
        assert_one_of_each(session)
        pair.charon.rekey(child="net")
        session.ours.wait("child-down")
        assert_one_of_each(session)
        session.ours.tell("down", peer="charon")
        assert pair.charon.sas() == []


@ROLES
@pytest.mark.parametrize(
    "esp", ["aes128gcm16-x25519", "aes256-sha256-ecp384", "aes128gcm16-modp2048"]
)
def test_child_sas_are_rekeyed_with_forward_secrecy(pair: Pair, role: Role, esp: str) -> None:
    with pair.session(Terms(esp=esp)) as session:
        session.up(role)
        method = esp.rsplit("-", 1)[1]
        session.ours.tell("rekey-child", child="charon/net")
        session.ours.wait("child-down")
        _, theirs = session.agreed_child()
        assert theirs["dh-group"] == GROUPS[method]
        pair.charon.rekey(child="net")
        session.ours.wait("child-rekeyed")
        session.ours.wait("child-down")
        _, theirs = session.agreed_child()
        assert theirs["dh-group"] == GROUPS[method]


GROUPS = {"x25519": "CURVE_25519", "ecp384": "ECP_384", "modp2048": "MODP_2048"}


def test_each_side_may_ask_for_another_method(pair: Pair) -> None:
    terms = Terms(
        our_child={"proposals": ["aes128gcm16-x25519-ecp256"]},
        their_child={"esp_proposals": ["aes128gcm16-ecp256-x25519"]},
    )
    with pair.session(terms) as session:
        session.up("initiator")
        for rekey in (
            lambda: session.ours.tell("rekey-child", child="charon/net"),
            lambda: pair.charon.rekey(child="net"),
        ):
            rekey()
            session.ours.wait("child-down")
            session.agreed_child()


@contextmanager
def slow_cable(pair: Pair) -> Iterator[None]:
    """So slow that messages which both ends send at about the same time cross."""
    shape = ("root", "tbf", "rate", "16kbit", "burst", "1600", "latency", "10s")
    for end in (pair.us, pair.them):
        end.run("tc", "qdisc", "add", "dev", "wire", *shape)
    try:
        pair.us.run("ping", "-c1", "-s1400", THEIRS[0])  # uses the burst up, both ways
        yield
    finally:
        for end in (pair.us, pair.them):
            end.run("tc", "qdisc", "del", "dev", "wire", "root")


COMMANDS = {
    "ike": ("rekey-ike", {"peer": "charon"}),
    "child": ("rekey-child", {"child": "charon/net"}),
}
NAMES = {"ike": "us", "child": "net"}


@ROLES
@pytest.mark.parametrize("what", ["ike", "child"])
def test_rekeys_that_cross_leave_one_sa(pair: Pair, role: Role, what: str) -> None:
    with pair.session(Terms()) as session:
        session.up(role)
        seen = pair.charon.said
        with slow_cable(pair):
            for _ in range(4):
                command, arguments = COMMANDS[what]
                pair.charon.rekey(**{what: NAMES[what]})
                session.ours.tell(command, **arguments)
                settle(session)
        assert pair.charon.wait_for_log("detected .*_REKEY collision with", after=seen)
