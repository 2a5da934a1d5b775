"""Postquantum preshared keys (RFC 8784)."""

from dataclasses import replace

import pytest
from ike_lab import EAST, Lab, east_config, make_node, west_config

from p4esp.ike.auth import postquantum
from p4esp.ike.codec.payloads import Notify
from p4esp.ike.constants import NotifyType
from p4esp.ike.crypto.prf import HMAC_SHA2_256
from p4esp.ike.drops import Drop
from p4esp.ike.events import (
    AuthenticationFailed,
    ChildUp,
    IkeEstablished,
    IkeRekeyed,
    InitRefused,
)
from p4esp.ike.extensions.postquantum import PostquantumKeys
from p4esp.ike.ppk import FixedPpks, PostquantumKey, PpkMode, PpkPolicy
from p4esp.ike.proposals import Template
from p4esp.ipsec.identity import Identity

SECRET = bytes(range(32))
IDENTITY = Notify(NotifyType.PPK_IDENTITY, b"\x02key one")


def ppk(name=b"key one", secret=SECRET, required=False):
    """A policy with one key, and with the way of RFC 8784 alone."""
    key = PostquantumKey(b"\x02" + name, secret)
    return PpkPolicy(FixedPpks((key,)), required, (PpkMode.AUTH,))


def lab_for(west, east, **more):
    lab = Lab(west_config(ppk=west, **more), east_config(ppk=east, **more))
    lab.connect()
    return lab


def sent(lab, kind):
    """The notifies of a type in the messages of both ends, by name of the sender."""
    name = f"N({kind.name}"
    return [
        (end, trace.header.exchange)
        for end, node in (("west", lab.west), ("east", lab.east))
        for trace in node.traces
        if trace.kind.name == "SENT" and any(text.startswith(name) for text in trace.payloads)
    ]


def in_use(node):
    return node.one(IkeEstablished).ike.ppk is PpkMode.AUTH


def test_the_formula_of_the_digest():
    sk_d = bytes.fromhex("7b3a7b73648865c2ecc2cdfb6847b7384e99c313443b263ee761be733603d05c")
    mixed = HMAC_SHA2_256.expand(b"ppk-test-0123456789abcdef", sk_d, 32)
    assert mixed.hex() == "01cca5554abc7a5c6ebf0a9f800066a40dbe2caacd7f545aafd2f563281bc0ee"


@pytest.mark.parametrize("west_must", [False, True])
@pytest.mark.parametrize("east_must", [False, True])
def test_both_ends_with_the_same_key_use_it(west_must, east_must):
    lab = lab_for(ppk(required=west_must), ppk(required=east_must))
    assert lab.west.one(ChildUp).child.keymat.inbound == lab.east.one(ChildUp).child.keymat.outbound
    assert in_use(lab.west)
    assert in_use(lab.east)
    assert sent(lab, NotifyType.USE_PPK) == [("west", 34), ("east", 34)]
    assert sent(lab, NotifyType.PPK_IDENTITY) == [("west", 35), ("east", 35)]
    assert bool(sent(lab, NotifyType.NO_PPK_AUTH)) is not west_must


def test_the_child_sa_has_other_keys_than_without_the_ppk():
    plain, mixed = lab_for(None, None), lab_for(ppk(), ppk())
    assert plain.west.keys[0][3].ei == mixed.west.keys[0][3].ei
    keys = [lab.west.one(ChildUp).child.keymat.inbound.key for lab in (plain, mixed)]
    assert keys[0] != keys[1]


@pytest.mark.parametrize(
    ("west", "east"), [(ppk(), None), (None, ppk()), (ppk(), ppk(b"other")), (ppk(), ppk(b""))]
)
def test_optional_keys_that_do_not_meet_are_left_out(west, east):
    lab = lab_for(west, east)
    assert lab.west.one(IkeEstablished)
    assert lab.east.one(ChildUp)
    assert not in_use(lab.west)
    assert not in_use(lab.east)


def test_a_mandatory_key_that_the_responder_does_not_announce_stops_before_ike_auth():
    lab = lab_for(ppk(required=True), None)
    assert (
        lab.west.one(InitRefused).reason == "the answer has no use for the PPK, which is mandatory"
    )
    lab.run(200)
    assert sent(lab, NotifyType.PPK_IDENTITY) == []
    assert {trace.header.exchange for trace in lab.west.traces if trace.header} == {34}
    assert lab.west.of(IkeEstablished) == lab.west.endpoint.ike_sas == []


@pytest.mark.parametrize(
    ("west", "east", "reason"),
    [
        (None, ppk(required=True), "the PPK is mandatory for west: the peer does not use one"),
        (ppk(), ppk(b"other", required=True), "the peer uses another, fixed:key one"),
        (ppk(required=True), ppk(b"other"), "not known here, and mandatory for the peer"),
        (ppk(), ppk(secret=bytes(32)), "AUTH does not verify"),
    ],
    ids=["not offered", "other id", "no fallback", "other octets"],
)
def test_the_responder_refuses_what_policy_or_key_do_not_allow(west, east, reason):
    lab = lab_for(west, east)
    assert reason in lab.east.one(AuthenticationFailed).reason
    assert "AUTHENTICATION_FAILED" in lab.west.one(AuthenticationFailed).reason
    assert lab.west.of(IkeEstablished) == lab.east.of(IkeEstablished) == []
    assert lab.west.spis.used == lab.east.spis.used == set()


def test_a_responder_that_ignores_a_mandatory_key_is_refused(monkeypatch):
    """It announced USE_PPK, and then answers without PPK_IDENTITY."""
    monkeypatch.setattr("p4esp.ike.auth.postquantum.confirmation", lambda sa: [])
    lab = lab_for(ppk(required=True), ppk())
    assert "the peer does not use it" in lab.west.one(AuthenticationFailed).reason
    assert lab.west.of(IkeEstablished) == []


def test_an_initiator_that_drops_ppk_identity_after_announcing_is_refused(monkeypatch):
    proof = postquantum.initiator_proof
    monkeypatch.setattr(
        postquantum,
        "initiator_proof",
        lambda sa, identity: [p for p in proof(sa, identity) if p != IDENTITY],
    )
    lab = lab_for(ppk(), ppk())
    assert "there is no PPK_IDENTITY" in lab.east.one(AuthenticationFailed).reason


def test_an_attacker_who_strips_use_ppk_cannot_talk_two_ends_out_of_a_mandatory_key(monkeypatch):
    monkeypatch.setattr(PostquantumKeys, "received", lambda self, sa, message: None)
    lab = lab_for(ppk(required=True), ppk(required=True))
    lab.run(200)
    assert lab.west.of(IkeEstablished) == lab.east.of(IkeEstablished) == []


BAD_NAMES = {
    "no name": [Notify(NotifyType.PPK_IDENTITY, b"\x02")],
    "empty": [Notify(NotifyType.PPK_IDENTITY)],
    "too long": [Notify(NotifyType.PPK_IDENTITY, b"\x02" + bytes(256))],
    "twice": [IDENTITY, IDENTITY],
    "spi": [replace(IDENTITY, protocol=3, spi=bytes(4))],
}


@pytest.mark.parametrize("notifies", BAD_NAMES.values(), ids=BAD_NAMES)
def test_a_name_that_is_malformed_counts_as_none(monkeypatch, notifies):
    proof = postquantum.initiator_proof
    monkeypatch.setattr(
        postquantum,
        "initiator_proof",
        lambda sa, identity: [p for p in proof(sa, identity) if p != IDENTITY] + notifies,
    )
    lab = lab_for(ppk(), ppk())
    assert "there is no PPK_IDENTITY" in lab.east.one(AuthenticationFailed).reason
    assert lab.east.endpoint.drops[Drop.IGNORED_NOTIFY] == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda one: [replace(one, data=b"")],
        lambda one: [one, one],
        lambda one: [replace(one, protocol=3, spi=bytes(4))],
        lambda one: [replace(one, data=bytes(len(one.data)))],
    ],
    ids=["empty", "twice", "spi", "forged"],
)
def test_a_fallback_that_is_malformed_or_forged_is_none(monkeypatch, change):
    proof = postquantum.initiator_proof
    monkeypatch.setattr(
        postquantum,
        "initiator_proof",
        lambda sa, identity: [*(made := proof(sa, identity))[:-1], *change(made[-1])],
    )
    lab = lab_for(ppk(), ppk(b"other"))
    assert lab.east.one(AuthenticationFailed)
    assert lab.west.of(IkeEstablished) == []


@pytest.mark.parametrize("required", [False, True])
def test_a_key_that_is_configured_for_another_identity_is_not_used(required):
    """RFC 8784 3: as if it were not known, so that NO_PPK_AUTH counts, or nothing."""
    lab = Lab(west_config(ppk=ppk(required=required)), east_config())
    other = replace(lab.east_config, name="other", remote_id=Identity.parse("x.example"), ppk=ppk())
    lab.east = make_node([lab.east_config, other], 2)
    lab.nodes[EAST] = lab.east
    lab.connect()
    assert sent(lab, NotifyType.USE_PPK) == [("west", 34), ("east", 34)]
    assert bool(lab.west.of(IkeEstablished)) is not required
    assert required or not in_use(lab.west)


def test_rekeying_inherits_the_key_and_announces_nothing():
    lab = lab_for(ppk(), ppk())
    before = len(lab.wire)
    lab.west.endpoint.rekey_ike(lab.west.one(IkeEstablished).ike.spi, lab.now)
    lab.settle()
    assert lab.west.one(IkeRekeyed)
    assert len(lab.wire) > before
    for kind in (NotifyType.USE_PPK, NotifyType.PPK_IDENTITY):
        assert {exchange for _, exchange in sent(lab, kind)} <= {34, 35}


def test_ppk_and_additional_key_exchanges_go_together():
    proposals = (Template.ike("aes256gcm16-prfsha384-ecp384-ke1_mlkem768"),)
    lab = lab_for(ppk(), ppk(), proposals=proposals)
    assert lab.east.one(ChildUp)
    assert in_use(lab.west)


def test_the_key_is_never_shown():
    assert SECRET.hex() not in repr(ppk())
    assert repr(SECRET)[2:-1] not in repr(west_config(ppk=ppk()))
