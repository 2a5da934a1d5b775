"""Additional key exchanges before IKE_AUTH (RFC 9370, RFC 9242, ikev2-mlkem; cases 32, 85)."""

import itertools
import os
from dataclasses import replace

import pytest
from ike_lab import EAST, LATENCY, WEST, Lab, east_config, toward, west_config

from p4esp.ike.choosing import select, verify_choice
from p4esp.ike.codec.chain import encode_chain
from p4esp.ike.codec.header import Header
from p4esp.ike.codec.message import parse_message
from p4esp.ike.codec.payloads import KeyExchange, Notify
from p4esp.ike.codec.proposal import Proposal, Transform
from p4esp.ike.constants import NotifyType
from p4esp.ike.crypto.int_auth import IntAuth, plain_form
from p4esp.ike.crypto.mlkem import MlKem768, MlKem1024
from p4esp.ike.crypto.prf import HMAC_SHA2_256
from p4esp.ike.crypto.schedule import FreshInput, Nonces, ike_keys, rekeyed_skeyseed
from p4esp.ike.errors import KeyExchangeError, ProposalError
from p4esp.ike.events import ChildUp, IkeEstablished, NegotiationFailed
from p4esp.ike.proposals import Template, offers
from p4esp.ike.protection import Protection
from p4esp.ike.tasks.ike_intermediate import IkeIntermediate, IkeIntermediateResponder
from p4esp.ike.transport import NON_ESP_MARKER
from p4esp.ipsec.algorithms import AES256_GCM

h = bytes.fromhex
BASE = "aes256gcm16-prfsha256-x25519"
HYBRID = f"{BASE}-ke1_mlkem768"


def lab_for(west=HYBRID, east=HYBRID, **more):
    """Two ends whose IKE proposals are given, best first, separated by commas."""

    def templates(text):
        return tuple(Template.ike(one, allow_weak=True) for one in text.split(","))

    return Lab(
        west_config(proposals=templates(west)), east_config(proposals=templates(east)), **more
    )


def exchanges(lab):
    """The exchange types of the whole messages on the wire, fragments counted once."""
    headers = [parse_message(datagram.data).header for _, datagram in lab.wire]
    return [
        kind
        for kind, _, _ in dict.fromkeys((x.exchange, x.message_id, x.response) for x in headers)
    ]


def test_mlkem768_runs_in_ike_intermediate_and_ike_sa_init_stays_small():
    lab = lab_for()
    lab.connect()
    assert exchanges(lab) == [34, 34, 43, 43, 35, 35]
    assert lab.west.one(IkeEstablished).ike.suite == HYBRID
    assert lab.east.one(ChildUp).child.keymat.inbound == lab.west.one(ChildUp).child.keymat.outbound
    assert all(len(datagram.data) < 600 for _, datagram in lab.wire[:2])
    assert max(len(datagram.data) for _, datagram in lab.wire) <= 1280


def test_all_seven_keys_change_with_each_exchange():
    lab = lab_for(f"{HYBRID}-ke2_ecp384", f"{HYBRID}-ke2_ecp384")
    lab.connect()
    assert lab.west.keys == lab.east.keys
    first, second, third = (keys for *_, keys in lab.west.keys)
    for name in ("d", "ei", "er", "pi", "pr"):
        assert len({bytes(getattr(keys, name)) for keys in (first, second, third)}) == 3


SEVEN = ["mlkem768", "mlkem1024", "ecp256", "ecp384", "ecp521", "modp2048", "modp3072"]


@pytest.mark.parametrize(
    ("west", "rounds"),
    [
        ("-".join(f"ke{n}_{name}" for n, name in enumerate(SEVEN, 1)), 7),
        ("ke1_mlkem768-ke2_none-ke3_ecp256", 2),
        ("ke4_mlkem1024", 1),
        ("ke1_none-ke1_mlkem768", 0),
    ],
    ids=["seven", "gap", "slot 4", "none first"],
)
def test_as_many_exchanges_as_were_agreed_on_run_in_the_order_of_their_types(west, rounds):
    lab = lab_for(f"{BASE}-{west}", f"{BASE}-{west}")
    lab.connect()
    assert exchanges(lab)[2:-2] == [43] * (2 * rounds)
    kept = [word for word in west.split("-") if "none" not in word] if rounds else []
    assert lab.east.one(IkeEstablished).ike.suite == "-".join([BASE, *kept])
    assert lab.east.one(ChildUp)


def test_a_peer_without_additional_exchanges_gets_the_plain_proposal():
    lab = lab_for(f"{HYBRID},{BASE}", BASE)
    lab.connect()
    assert exchanges(lab) == [34, 34, 35, 35]
    assert lab.west.one(IkeEstablished).ike.suite == BASE


@pytest.mark.parametrize(("east", "agreed"), [(f"{HYBRID}-ke1_none", True), (HYBRID, False)])
def test_without_ike_intermediate_no_additional_exchange_is_chosen(east, agreed, monkeypatch):
    """The offer names one, but the initiator does not announce IKE_INTERMEDIATE."""
    monkeypatch.setattr("p4esp.ike.extensions.intermediate.Intermediate.additions", silent)
    lab = lab_for(f"{HYBRID}-ke1_none", east)
    lab.connect()
    assert bool(lab.east.of(IkeEstablished)) is agreed
    assert 43 not in exchanges(lab)


def silent(self, sa, exchange, *, response):
    return []


def test_a_method_is_never_chosen_twice():
    template = Template.ike(f"{BASE}-ecp256-ke1_x25519-ke1_ecp256-ke2_x25519-ke2_none")
    (offer,) = offers([template])
    chosen = select([offer], [template])
    assert chosen.transforms[2:] == (Transform(4, 31), Transform(6, 19))
    twice = Proposal(1, 1, b"", (*chosen.transforms[:3], Transform(6, 31)))
    with pytest.raises(ProposalError, match="same key exchange method twice"):
        verify_choice([twice], [offer])


def test_an_additional_exchange_that_was_not_offered_is_refused():
    (offer,) = offers([Template.ike(HYBRID)])
    other = tuple(Transform(6, 37) if t.type == 6 else t for t in offer.transforms)
    with pytest.raises(ProposalError, match="not offered"):
        verify_choice([Proposal(1, 1, b"", other)], [offer])
    with pytest.raises(ProposalError, match="one of each offered"):
        verify_choice([Proposal(1, 1, b"", offer.transforms[:-1])], [offer])


@pytest.mark.parametrize(
    ("read", "text", "reason"),
    [
        (
            Template.ike,
            f"{BASE}-mlkem768",
            "mlkem768 does not fit into IKE_SA_INIT; accepted: ke",
        ),
        (Template.ike, f"{BASE}-ke1_mlkem512", "'ke1_mlkem512' is no IKE algorithm; .*mlkem768"),
        (Template.ike, f"{BASE}-ke8_mlkem768", "ke1_ to ke7_ before a key exchange method"),
        (Template.esp, "aes256gcm16-ke1_modp1024", "'ke1_modp1024' is weak"),
    ],
)
def test_what_cannot_be_an_additional_exchange_is_refused_by_name(read, text, reason):
    with pytest.raises(ProposalError, match=reason):
        read(text)


@pytest.mark.parametrize("index", range(8))
@pytest.mark.parametrize("copies", [0, 3], ids=["lost", "three copies"])
def test_85_loss_and_repetition_around_the_key_switch_change_nothing(index, copies):
    count = -1

    def fate(_):
        nonlocal count
        count += 1
        return [LATENCY] * copies if count == index else [LATENCY]

    lab = lab_for(f"{HYBRID}-ke2_ecp256", f"{HYBRID}-ke2_ecp256", fate=fate)
    lab.connect()
    lab.run(20)
    assert lab.west.one(IkeEstablished)
    assert lab.east.one(ChildUp)


def test_ike_auth_before_all_exchanges_have_run_is_not_looked_at(monkeypatch):
    monkeypatch.setattr(IkeIntermediate, "prepare", lambda self, sa: False)
    lab = lab_for()
    lab.connect()
    assert 43 not in exchanges(lab)
    assert any("exchange is not the one expected" in t.reason for t in lab.east.traces)
    lab.run(300)
    assert lab.east.endpoint.ike_sas == lab.west.endpoint.ike_sas == []
    assert lab.east.events == []


def spoilt(change):
    """The KE payload of IKE_INTERMEDIATE, changed before it leaves."""

    def wrapper(build):
        return lambda self, sa: [change(ke) for ke in build(self, sa)]

    return wrapper


SPOIL = {
    "other method": lambda ke: KeyExchange(37, ke.data),
    "short": lambda ke: KeyExchange(ke.method, ke.data[:-1]),
    "long": lambda ke: KeyExchange(ke.method, ke.data + b"\0"),
    "none": lambda ke: Notify(NotifyType.USE_TRANSPORT_MODE),
}


@pytest.mark.parametrize("change", [*SPOIL.values(), lambda ke: KeyExchange(36, b"\xff" * 1184)])
def test_a_bad_request_is_answered_invalid_syntax_and_ends_the_attempt(change, monkeypatch):
    monkeypatch.setattr(IkeIntermediate, "build", spoilt(change)(IkeIntermediate.build))
    lab = lab_for()
    lab.connect()
    assert "INVALID_SYNTAX" in lab.west.one(NegotiationFailed).reason
    lab.run(60)
    assert lab.east.endpoint.ike_sas == lab.west.endpoint.ike_sas == []
    assert lab.west.spis.used == lab.east.spis.used == set()


@pytest.mark.parametrize("change", SPOIL.values(), ids=SPOIL)
def test_a_bad_response_ends_the_attempt(change, monkeypatch):
    build = IkeIntermediateResponder.build
    monkeypatch.setattr(IkeIntermediateResponder, "build", spoilt(change)(build))
    lab = lab_for()
    lab.connect()
    assert lab.west.one(NegotiationFailed)
    lab.run(60)
    assert lab.east.endpoint.ike_sas == lab.west.endpoint.ike_sas == []


def test_32_a_ciphertext_for_another_key_shows_as_messages_that_do_not_open(monkeypatch):
    other = spoilt(lambda ke: KeyExchange(ke.method, bytes(len(ke.data))))
    build = IkeIntermediateResponder.build
    monkeypatch.setattr(IkeIntermediateResponder, "build", other(build))
    lab = lab_for()
    lab.connect()
    assert any("integrity check failed" in trace.reason for trace in lab.east.traces)
    assert lab.west.of(IkeEstablished) == lab.east.of(IkeEstablished) == []


def test_what_intermediate_exchanges_said_is_authenticated(monkeypatch):
    """One end remembers other octets than were on the wire: AUTH must not verify."""
    add, ends = IntAuth.add_response, itertools.count()

    def add_altered(self, prf, key, octets):
        add(self, prf, key, octets + bytes([next(ends)]))

    monkeypatch.setattr(IntAuth, "add_response", add_altered)
    lab = lab_for()
    lab.connect()
    assert lab.west.of(IkeEstablished) == lab.east.of(IkeEstablished) == []


@pytest.mark.parametrize("method", [MlKem768, MlKem1024], ids=lambda m: m.name)
def test_32_keys_that_fail_the_modulus_check_are_refused(method):
    with pytest.raises(KeyExchangeError, match="not acceptable"):
        method.respond(os.urandom, b"\xff" * method.public_size)


def test_one_more_exchange_of_the_digest():
    """SKEYSEED(1) of the composite vectors."""
    nonces = Nonces(bytes(range(32)), bytes(range(32, 64)))
    sk_d = h("7b3a7b73648865c2ecc2cdfb6847b7384e99c313443b263ee761be733603d05c")
    seed = rekeyed_skeyseed(HMAC_SHA2_256, sk_d, FreshInput(nonces, bytes(range(0x60, 0x80))))
    assert seed == h("0891953c4c72e3ef59de233f16386b1ff83f5c912fecc9aa29af26c2006c7780")
    stream = HMAC_SHA2_256.expand(seed, nonces.joined + b"\x11" * 8 + b"\x22" * 8, 32)
    assert stream == h("b772630b61fa8d30c12aba6e84fba46d82b166eebccb437e20a6f63679137bd1")


def sealed_by(protection_limit=None):
    """A message of 3000 octets, whole or in fragments, and what it holds."""
    nonces = Nonces(bytes(32), bytes(32))
    keys = ike_keys(HMAC_SHA2_256, AES256_GCM, b"seed", nonces, bytes(16))
    protection = Protection(AES256_GCM, keys, True, os.urandom)
    payloads = [KeyExchange(36, bytes(3000))]
    header = Header(b"i" * 8, b"r" * 8, 43, True, False, 1)
    packets = (
        protection.seal_within(header, payloads, protection_limit)
        if protection_limit
        else (protection.seal(header, payloads),)
    )
    return packets, encode_chain(payloads)[1]


def test_85_fragments_and_the_whole_message_count_the_same():
    (whole,), inner = sealed_by()
    fragments, _ = sealed_by(600)
    assert len(fragments) > 5
    assert plain_form(whole, inner) == plain_form(fragments[0], inner)
    assert plain_form(whole, inner) == (
        b"i" * 8 + b"r" * 8 + h("2e202b0800000001") + (32 + 3008).to_bytes(4, "big")
        + h("2200") + (4 + 3008).to_bytes(2, "big") + h("00000bc000240000") + bytes(3000)
    )  # fmt: skip


def test_clear_payloads_before_sk_count_too():
    """A = everything up to the generic header of SK, whatever precedes it (RFC 9242 3.3.2)."""
    clear = h("2e000006aabb")
    message = h("00" * 16 + "2b202b0800000001") + (28 + 6 + 4 + 9).to_bytes(4, "big")
    got = plain_form(message + clear + h("2900000d") + bytes(9), b"plain")
    assert (
        got == message[:24] + (28 + 6 + 4 + 5).to_bytes(4, "big") + clear + h("29000009") + b"plain"
    )


def test_int_auth_chains_both_directions_and_ends_in_the_message_id_of_ike_auth():
    prf, chain = HMAC_SHA2_256, IntAuth()
    assert chain.octets == b""
    for number in (b"1", b"2"):
        chain.add_request(prf, b"pi" + number, b"request" + number)
        chain.add_response(prf, b"pr" + number, b"response" + number)
    sent = prf(b"pi2", prf(b"pi1", b"request1") + b"request2")
    received = prf(b"pr2", prf(b"pr1", b"response1") + b"response2")
    assert chain.octets == sent + received + bytes([0, 0, 0, 3])


def test_an_attacker_cannot_end_the_attempt_with_forged_messages():
    lab = lab_for()
    lab.fate = lambda d: [] if toward(EAST, d) and d.data[18] == 43 else [LATENCY]
    lab.connect()
    spis = lab.wire[-1][1].data[:16]
    forged = spis + h("2e202b2000000001") + (28 + 33).to_bytes(4, "big") + h("00000021") + bytes(29)
    lab.west.endpoint.receive_datagram(forged, lab.wire[1][1].path, lab.now)
    lab.fate = lambda _: [LATENCY]
    lab.run(30)
    assert lab.west.one(IkeEstablished)
    assert WEST in lab.nodes


def test_behind_a_nat_ike_intermediate_already_goes_to_port_4500():
    """RFC 9242 3.2."""
    lab = lab_for()
    lab.west_config = replace(lab.west_config, force_encapsulation=True)
    lab.connect()
    ports = {
        (parse_message(d.data.removeprefix(NON_ESP_MARKER)).header.exchange, d.path.remote.port)
        for _, d in lab.wire
    }
    assert ports == {(34, 500), (43, 4500), (35, 4500)}
