"""Authentication by key, or by nothing: who is let in, and what both sides say if not (54-59)."""

import pytest
from ike_lab import EAST, WEST, Lab, assert_nothing_left, east_config, make_node, west_config

from p4esp.ike.auth import postquantum, proof
from p4esp.ike.auth.credentials import Anonymous, PeerAuth, PresharedKey
from p4esp.ike.codec.payloads import Authentication, IdInitiator
from p4esp.ike.errors import AuthenticationError
from p4esp.ike.events import AuthenticationFailed, ChildUp, IkeDown, IkeEstablished
from p4esp.ike.tasks import ike_auth
from p4esp.ipsec.identity import Identity, IdType


def test_54_a_wrong_psk_leaves_no_sa_and_both_sides_say_why():
    lab = Lab(west_config(psk=b"wrong"))
    lab.connect()
    assert lab.west.one(AuthenticationFailed).reason == (
        "the peer refused us with AUTHENTICATION_FAILED"
    )
    assert lab.east.one(AuthenticationFailed).reason == (
        "AUTH does not verify for west.example: the keys differ"
    )
    assert_nothing_left(lab)


@pytest.mark.parametrize(
    "psk", [b"a", b"with\0nul", b"newline\n", b"k" * 64, b"k" * 300, b"\xff\x00\x80"]
)
def test_54_any_octets_make_a_psk(psk):
    lab = Lab(west_config(psk=psk), east_config(psk=psk))
    lab.connect()
    assert lab.west.one(ChildUp)


@pytest.mark.parametrize("psk", [b"correct horse\n", b" correct horse", b"correct hors"])
def test_54_nothing_is_trimmed_or_added(psk):
    lab = Lab(west_config(psk=psk))
    lab.connect()
    assert lab.west.one(AuthenticationFailed)


@pytest.mark.parametrize(
    "identity",
    [
        Identity.parse("stranger.example"),
        Identity(IdType.KEY_ID, b"west.example"),
        Identity(2, b""),
    ],
    ids=str,
)
def test_59_an_identity_that_is_not_configured_is_refused_like_a_wrong_psk(identity):
    lab = Lab(west_config(local_id=identity))
    lab.connect()
    assert lab.west.one(AuthenticationFailed).reason == (
        "the peer refused us with AUTHENTICATION_FAILED"
    )
    assert "no configuration for peer" in lab.east.one(AuthenticationFailed).reason
    assert_nothing_left(lab)


def test_59_a_responder_asked_for_another_identity_refuses():
    lab = Lab(west_config(remote_id=Identity.parse("other.example")))
    lab.connect()
    assert "asking for other.example" in lab.east.one(AuthenticationFailed).reason
    assert_nothing_left(lab)


def test_59_a_responder_that_proves_another_identity_is_told_so_and_deleted(monkeypatch):
    """West finds the fault after east is up: the only case of RFC 7296 2.21.2."""
    real = ike_auth.check_proof

    def picky(sa, peer, identity, payloads):
        real(sa, peer, identity, payloads)
        if sa.initiator:
            raise AuthenticationError("made up")

    monkeypatch.setattr(ike_auth, "check_proof", picky)
    lab = Lab()
    lab.connect()
    assert lab.west.one(AuthenticationFailed).reason == "made up"
    assert lab.east.one(IkeDown).detail == "the peer did not accept our authentication"
    assert lab.west.endpoint.ike_sas == lab.east.endpoint.ike_sas == []
    assert lab.west.of(IkeEstablished) == []
    assert lab.west.spis.used == set()


def test_55_reserved_id_octets_count_as_received(monkeypatch):
    """A peer may set them; AUTH covers them, so it must still verify (RFC 7296 2.15)."""
    real = ike_auth.IkeAuth.build

    def build(self, sa):
        _, _, *rest = real(self, sa)
        identity = IdInitiator(sa.config.local_id, b"\x01\x02\x03")
        return [identity, *ike_auth.own_proof(sa, identity), *rest]

    monkeypatch.setattr(ike_auth.IkeAuth, "build", build)
    lab = Lab()
    lab.connect()
    assert lab.east.one(IkeEstablished)


@pytest.mark.parametrize(
    ("method", "reason"), [(1, "method 1, accepted is 2"), (14, "method 14, accepted is 2")]
)
def test_55_another_auth_method_is_refused_by_number(monkeypatch, method, reason):
    monkeypatch.setattr(
        postquantum, "own_proof", lambda sa, identity: [Authentication(method, bytes(32))]
    )
    lab = Lab()
    lab.connect()
    assert reason in lab.east.one(AuthenticationFailed).reason
    assert_nothing_left(lab)


@pytest.mark.parametrize("size", [0, 31, 33])
def test_55_auth_data_of_wrong_length_does_not_verify(monkeypatch, size):
    monkeypatch.setattr(
        postquantum, "own_proof", lambda sa, identity: [Authentication(2, bytes(size))]
    )
    lab = Lab()
    lab.connect()
    assert "does not verify" in lab.east.one(AuthenticationFailed).reason
    assert_nothing_left(lab)


def test_a_lost_refusal_is_repeated_so_that_the_initiator_learns_why():
    seen = []

    def fate(datagram):
        seen.append(datagram)
        return [] if len(seen) == 4 else [0.01]

    lab = Lab(west_config(psk=b"wrong"), fate=fate)
    lab.connect()
    assert lab.west.of(AuthenticationFailed) == []
    lab.run(10)
    assert lab.west.one(AuthenticationFailed)
    assert lab.east.one(AuthenticationFailed)
    assert_nothing_left(lab)


def test_the_reason_never_travels():
    """The refusal looks the same for a wrong key and for an unknown identity."""
    sizes = set()
    for config in (
        west_config(psk=b"wrong"),
        west_config(local_id=Identity.parse("wost.example")),
    ):
        lab = Lab(config)
        lab.connect()
        sizes.add(len(lab.wire[3][1].data))
    assert len(sizes) == 1


NOBODY = Identity(IdType.NULL, b"")


def anonymous_lab():
    """West proves nothing, east does, by the secret both know."""
    key = PresharedKey(b"correct horse")
    return Lab(
        west_config(local_id=NOBODY, auth=PeerAuth(Anonymous(), (key,))),
        east_config(remote_id=NOBODY, auth=PeerAuth(key, (Anonymous(),))),
    )


def test_null_authentication_lets_anyone_in_where_it_is_configured():
    """RFC 7619 2.1: each direction has its own method."""
    lab = anonymous_lab()
    lab.connect()
    assert lab.west.one(ChildUp)
    assert lab.east.one(IkeEstablished).ike.remote_id == NOBODY


def test_null_authentication_still_binds_the_exchanges(monkeypatch):
    """RFC 7619 2.1: the AUTH payload must be right, or somebody is in the middle."""
    lab = anonymous_lab()
    monkeypatch.setattr(proof, "own_octets", lambda sa, identity: b"of another exchange")
    lab.connect()
    assert "does not verify for an anonymous peer" in lab.east.one(AuthenticationFailed).reason
    assert_nothing_left(lab)


def test_null_authentication_is_refused_where_an_identity_is_required():
    """RFC 7619 2: AUTHENTICATION_FAILED."""
    lab = Lab(west_config(auth=PeerAuth(Anonymous(), (PresharedKey(b"correct horse"),))))
    lab.connect()
    assert "AUTH method 13, accepted is 2 (PSK)" in lab.east.one(AuthenticationFailed).reason
    assert_nothing_left(lab)


def test_an_anonymous_initial_contact_ends_nobody_elses_ike_sa():
    """RFC 7619 2.3: all anonymous peers have the same identity."""
    lab = anonymous_lab()
    lab.connect()
    stranger = make_node([lab.west_config], 77)
    lab.nodes[WEST] = stranger
    stranger.endpoint.initiate(lab.west_config, lab.now, child="net")
    lab.settle()
    assert stranger.one(IkeEstablished)
    assert len(lab.east.of(IkeEstablished)) == 2
    assert lab.east.of(IkeDown) == []


def test_an_auth_payload_that_is_not_there_asks_for_eap_which_is_refused_by_name(monkeypatch):
    """RFC 7296 2.16."""
    monkeypatch.setattr(postquantum, "own_proof", lambda sa, identity: [])
    lab = Lab()
    lab.connect()
    assert "EAP, which is not supported" in lab.east.one(AuthenticationFailed).reason
    assert_nothing_left(lab)


def test_the_first_configuration_that_accepts_the_method_is_meant():
    """The same identities may be configured once for each method."""
    key = PresharedKey(b"correct horse")
    strict = east_config(name="anonymous", auth=PeerAuth(key, (Anonymous(),)))
    lab = Lab()
    lab.east = lab.nodes[EAST] = make_node([strict, east_config()], 2)
    lab.connect()
    assert lab.east.one(IkeEstablished).ike.peer == "west"
