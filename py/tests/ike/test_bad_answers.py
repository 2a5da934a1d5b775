"""Responders that answer wrongly, and what the initiator makes of it (RFC 7296 2.21)."""

from dataclasses import replace

import pytest
from ike_lab import EAST, LATENCY, Lab, east_config, toward, west_config

from p4esp.ike.codec.message import encode_clear, parse_message
from p4esp.ike.codec.payloads import IdResponder, KeyExchange, Nonce, Notify
from p4esp.ike.codec.proposal import SecurityAssociation
from p4esp.ike.constants import NotifyType
from p4esp.ike.errors import CommandError
from p4esp.ike.events import (
    AuthenticationFailed,
    ChildDown,
    ChildFailed,
    ChildUp,
    DownReason,
    IkeDown,
    IkeEstablished,
    NegotiationFailed,
)
from p4esp.ike.proposals import Template
from p4esp.ike.tasks import create_child, ike_auth, informational, rekey_ike
from p4esp.ike.trace import TraceKind
from p4esp.ipsec.identity import Identity


def altered(payloads, kind, change):
    return [change(p) if isinstance(p, kind) else p for p in payloads]


@pytest.mark.parametrize(
    ("head", "change", "reason"),
    [
        ({"spi_r": bytes(8)}, list, "lacks an SPI"),
        ({}, lambda p: altered(p, KeyExchange, lambda k: replace(k, method=19)), "another key"),
        ({}, lambda p: altered(p, KeyExchange, lambda k: replace(k, data=bytes(32))), "x25519"),
        ({}, lambda p: altered(p, KeyExchange, lambda k: replace(k, data=b"")), "0 octets"),
        ({}, lambda p: [x for x in p if not isinstance(x, Nonce)], "no NONCE"),
        ({}, lambda p: [*p, *p], "2 SA payloads"),
        (
            {},
            lambda p: altered(p, SecurityAssociation, lambda s: replace(s, proposals=()))[1:],
            "",
        ),
    ],
    ids=["no SPI", "method", "all-zero secret", "KE length", "no nonce", "twice", "no SA"],
)
def test_a_bad_ike_sa_init_response_is_dropped_and_the_good_one_still_counts(head, change, reason):
    held = []
    lab = Lab(fate=lambda d: [LATENCY] if toward(EAST, d) else held.append(d) or [])
    lab.west.endpoint.initiate(lab.west_config, 0.0, child="net")
    lab.settle()
    good = parse_message(held[0].data)
    bad = encode_clear(replace(good.header, **head), change(list(good.clear.payloads)))
    lab.deliver(replace(held[0], data=bad))
    if reason:
        assert reason in lab.west.traces[-1].reason
        assert lab.west.traces[-1].kind is TraceKind.DROPPED
    lab.fate = lambda _: [LATENCY]
    lab.deliver(held[0])
    lab.settle()
    assert lab.west.one(ChildUp)


def test_a_bad_ike_sa_init_response_leaves_no_spi_behind():
    """A request that is repeated with a cookie still has a responder SPI of zero (RFC 7296 2.6)."""
    proposals = (Template.ike("aes256gcm16-prfsha512-x25519"),)
    lab = Lab(west_config(proposals=proposals), east_config(proposals=proposals))
    lab.fate = lambda d: [LATENCY] if toward(EAST, d) else []
    lab.west.endpoint.initiate(lab.west_config, 0.0, child="net")
    lab.settle()
    answer = lab.wire[-1][1]
    good = parse_message(answer.data)
    short = altered(good.clear.payloads, Nonce, lambda nonce: replace(nonce, data=bytes(16)))
    lab.deliver(replace(answer, data=encode_clear(good.header, short)))
    assert "nonce of 16 octets" in lab.west.traces[-1].reason
    lab.deliver(replace(answer, data=encode_clear(good.header, [Notify(NotifyType.COOKIE, b"c")])))
    assert parse_message(lab.wire[-1][1].data).header.spi_r == bytes(8)


@pytest.mark.parametrize("data", [bytes(64), bytes(32), b""], ids=len)
def test_30_a_bad_public_value_in_a_request_is_dropped_without_answer(data):
    proposals = (Template.ike("aes256gcm16-prfsha256-ecp256"),)
    lab = Lab(west_config(proposals=proposals), east_config(proposals=proposals), fate=lambda _: [])
    lab.west.endpoint.initiate(lab.west_config, 0.0)
    lab.settle()
    request = lab.wire[0][1]
    good = parse_message(request.data)
    bad = altered(good.clear.payloads, KeyExchange, lambda k: replace(k, data=data))
    lab.deliver(replace(request, data=encode_clear(good.header, bad)))
    assert len(lab.wire) == 1
    assert "ecp256" in lab.east.traces[-1].reason
    assert lab.east.endpoint.ike_sas == []


def spoil_build(monkeypatch, responder, change):
    real = responder.build
    monkeypatch.setattr(responder, "build", lambda self, sa: change(real(self, sa)))


def test_an_ike_auth_response_without_identity_ends_the_attempt(monkeypatch):
    spoil_build(monkeypatch, ike_auth.IkeAuthResponder, lambda payloads: payloads[1:])
    lab = Lab()
    lab.connect()
    assert lab.west.one(NegotiationFailed).reason == "message has no IDR payload"
    assert lab.west.spis.used == set()
    assert lab.west.endpoint.ike_sas == []


def test_59_a_responder_with_another_identity_is_refused_and_hears_of_it(monkeypatch):
    other = IdResponder(Identity.parse("other.example"))
    spoil_build(monkeypatch, ike_auth.IkeAuthResponder, lambda payloads: [other, *payloads[1:]])
    lab = Lab()
    lab.connect()
    assert lab.west.one(AuthenticationFailed).reason == (
        "the peer is other.example, expected is east.example"
    )
    assert lab.east.one(IkeDown).detail == "the peer did not accept our authentication"
    assert lab.west.of(IkeEstablished) == lab.west.of(ChildUp) == []
    assert lab.west.spis.used == set()
    assert lab.west.endpoint.ike_sas == lab.east.endpoint.ike_sas == []


@pytest.mark.parametrize("missing", [2, 3, 4], ids=["SA", "TSi", "TSr"])
def test_an_incomplete_child_answer_in_ike_auth_fails_the_child_and_undoes_it(monkeypatch, missing):
    def drop(payloads):
        return [payload for index, payload in enumerate(payloads) if index != missing]

    spoil_build(monkeypatch, ike_auth.IkeAuthResponder, drop)
    lab = Lab()
    lab.connect()
    assert lab.west.one(IkeEstablished)
    assert "message has no" in lab.west.one(ChildFailed).reason
    assert lab.west.of(ChildUp) == []
    assert lab.east.one(ChildDown).reason is DownReason.PEER_DELETE
    assert lab.west.spis.used == set()


def test_a_malformed_response_on_an_established_ike_sa_ends_it(monkeypatch):
    spoil_build(monkeypatch, create_child.CreateChildResponder, lambda payloads: payloads[:1])
    lab = Lab()
    lab.connect()
    lab.west.endpoint.rekey_child(lab.west.one(ChildUp).child.spi_in, lab.now)
    lab.settle()
    down = lab.west.one(IkeDown)
    assert (down.reason, down.detail) == (
        DownReason.PROTOCOL_ERROR,
        "message has no NONCE payload",
    )
    assert lab.east.one(IkeDown).reason is DownReason.PEER_DELETE
    assert lab.west.spis.used == {lab.west.one(ChildDown).child.spi_in}


def test_unknown_error_types_fail_the_request_and_nothing_else(monkeypatch):
    spoil_build(monkeypatch, create_child.CreateChildResponder, lambda _: [Notify(8191)])
    lab = Lab()
    ike = lab.connect()
    lab.west.endpoint.create_child(ike, "net", lab.now)
    lab.settle()
    assert lab.west.one(ChildFailed).reason == "8191"
    assert lab.west.of(IkeDown) == []


@pytest.mark.parametrize("data", [b"", bytes(1), bytes([255]) * 3000], ids=len)
def test_a_refusal_for_the_sake_of_no_key_exchange_method_fails_the_request_alone(
    monkeypatch, data
):
    refusal = Notify(NotifyType.INVALID_KE_PAYLOAD, data)
    spoil_build(monkeypatch, create_child.CreateChildResponder, lambda _: [refusal])
    lab = Lab()
    ike = lab.connect()
    lab.west.endpoint.create_child(ike, "net", lab.now)
    lab.settle()
    failed = lab.west.one(ChildFailed)
    assert (failed.reason, failed.detail) == ("INVALID_KE_PAYLOAD", "")
    assert lab.west.of(IkeDown) == []


@pytest.mark.parametrize(
    ("half", "honest"), [(rekey_ike.RekeyIke, "east"), (rekey_ike.RekeyIkeResponder, "west")]
)
def test_a_short_nonce_in_a_rekey_of_the_ike_sa_leaves_no_new_one(monkeypatch, half, honest):
    proposals = (Template.ike("aes256gcm16-prfsha512-x25519"),)
    lab = Lab(west_config(proposals=proposals), east_config(proposals=proposals))
    ike = lab.connect()
    short = Nonce(bytes(16))
    spoil_build(monkeypatch, half, lambda payloads: altered(payloads, Nonce, lambda _: short))
    lab.west.endpoint.rekey_ike(ike, lab.now)
    lab.run(30)
    node = getattr(lab, honest)
    assert "nonce of 16 octets" in node.one(IkeDown).detail
    assert list(node.endpoint._entries.values()) == []


def test_a_peer_whose_configuration_does_not_allow_the_chosen_suite_is_refused():
    """IKE_SA_INIT is answered before the identity is known; IKE_AUTH must look again."""
    lab = Lab()
    strict = east_config(proposals=(Template.ike("aes192gcm8-prfsha256-x25519"),))
    other = east_config(name="other", remote_id=Identity.parse("other.example"))
    lab.east.endpoint._peers = lambda _: (strict, other)
    lab.connect()
    assert "no configuration for peer west.example" in lab.east.one(AuthenticationFailed).reason


def test_72_child_requests_are_put_off_while_we_delete_the_ike_sa(monkeypatch):
    """East's Delete is lost at first, so west's request meets an IKE SA that is going."""
    lab = Lab()
    ike = lab.connect()
    lab.fate = lambda d: [LATENCY] if toward(EAST, d) else []
    lab.east.endpoint.delete_ike(lab.east.one(IkeEstablished).ike.spi, lab.now)
    lab.west.endpoint.create_child(ike, "net", lab.now)
    lab.settle()
    reasons = [trace.reason for trace in lab.east.traces]
    assert any(reason.startswith("TEMPORARY_FAILURE") for reason in reasons)
    lab.fate = lambda _: [LATENCY]
    lab.run(30)
    assert lab.west.one(IkeDown).reason is DownReason.PEER_DELETE
    assert lab.west.spis.used == {lab.west.one(ChildUp).child.spi_in}


def test_deleting_the_ike_sa_forgets_what_was_put_off(monkeypatch):
    def busy(*_):
        raise create_child.Refusal(NotifyType.TEMPORARY_FAILURE, "busy")

    monkeypatch.setattr(create_child.CreateChildResponder, "process", busy)
    lab = Lab()
    ike = lab.connect()
    lab.west.endpoint.create_child(ike, "net", lab.now)
    lab.settle()
    lab.west.endpoint.delete_ike(ike, lab.now)
    lab.run(60)
    assert lab.west.one(IkeDown).reason is DownReason.LOCAL_DELETE
    assert lab.west.endpoint.get_timer() is None


def test_a_child_sa_is_not_deleted_twice(monkeypatch):
    lab = Lab(fate=lambda _: [LATENCY])
    lab.connect()
    spi = lab.west.one(ChildUp).child.spi_in
    lab.west.endpoint.delete_child(spi, lab.now)
    with pytest.raises(CommandError, match="being deleted already"):
        lab.west.endpoint.delete_child(spi, lab.now)


def test_a_liveness_answer_may_hold_anything(monkeypatch):
    extra = [Notify(NotifyType.INITIAL_CONTACT), Notify(40000, b"x")]
    spoil_build(monkeypatch, informational.InformationalResponder, lambda _: extra)
    lab = Lab()
    ike = lab.connect()
    lab.west.endpoint.check_liveness(ike, lab.now)
    lab.settle()
    assert lab.west.of(IkeDown) == []
