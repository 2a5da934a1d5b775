"""Postquantum preshared keys in IKE_INTERMEDIATE (RFC 9867 3.1), beside RFC 8784 and RFC 9370."""

from dataclasses import replace

import pytest
from ike_lab import EAST, LATENCY, assert_nothing_left, east_config, make_node, toward, west_config
from ike_meddler import (
    exchange,
    init_nonces,
    opened,
    prf,
    prf_plus,
    sent,
    seven,
    without,
)
from ppk_lab import (
    AUTH,
    INT,
    NONE,
    PLAIN,
    SECRET,
    Ring,
    ids,
    key,
    lab_for,
    modes,
    named,
    once,
    policy,
)

from p4esp.ike.auth import ppk_offer
from p4esp.ike.auth.credentials import Anonymous, PeerAuth
from p4esp.ike.codec.message import parse_message
from p4esp.ike.codec.payloads import KeyExchange, Notify
from p4esp.ike.constants import NotifyType
from p4esp.ike.drops import Drop
from p4esp.ike.events import (
    AuthenticationFailed,
    ChildUp,
    IkeEstablished,
    InitRefused,
    NegotiationFailed,
)
from p4esp.ike.extensions.intermediate import Intermediate
from p4esp.ike.extensions.postquantum import PostquantumKeys
from p4esp.ike.tasks.ike_intermediate import IkeIntermediate, IkeIntermediateResponder

OTHER = bytes(range(0x80, 0xA0))
NAMED, TAKEN = NotifyType.PPK_IDENTITY_KEY, NotifyType.PPK_IDENTITY


def exchanges(lab):
    return [exchange(datagram) for _, datagram in lab.wire]


def spis_of(lab):
    spi_i, spi_r, *_ = lab.west.keys[0]
    return spi_i + spi_r


def mixed(lab, stage, secret=SECRET):
    """All keys after a PPK, from SK_d of the stage before (RFC 9867 3.1)."""
    *_, keys = lab.west.keys[stage]
    ni, nr = init_nonces(lab)
    seed = prf_plus(secret, bytes(keys.d), 32)
    return prf_plus(seed, ni + nr + spis_of(lab), 3 * 32 + 2 * 36)


def test_the_keys_are_those_of_the_rfc_worked_out_with_hmac_alone():
    lab = lab_for(policy(), policy())
    assert exchanges(lab) == [34, 34, 43, 43, 35, 35]
    assert lab.west.keys == lab.east.keys
    before, after = (keys for *_, keys in lab.west.keys)
    assert seven(after) == mixed(lab, 0)
    for name in ("d", "ei", "er", "pi", "pr"):
        assert getattr(before, name) != getattr(after, name)


def test_the_child_sa_comes_of_the_new_keys():
    lab = lab_for(policy(), policy())
    ni, nr = init_nonces(lab)
    keymat = prf_plus(lab.west.keys[1][3].d, ni + nr, 72)
    child = lab.west.one(ChildUp).child.keymat
    assert child.outbound.key + child.outbound.salt == keymat[:36]
    assert child.inbound.key + child.inbound.salt == keymat[36:]


def test_the_confirmation_is_the_first_8_octets_of_a_mac_over_nonces_and_spis():
    lab = lab_for(policy(), policy())
    request, response = sent(lab, 43)[0], sent(lab, 43, response=True)[0]
    ni, nr = init_nonces(lab)
    shows = prf(SECRET, ni + nr + spis_of(lab))[:8]
    assert named(opened(lab, request, 0), NAMED) == [b"\x02one" + shows]
    assert named(opened(lab, response, 0), TAKEN) == [b"\x02one"]


def test_both_ends_say_how_the_key_got_in_and_which():
    lab = lab_for(policy(), policy())
    assert modes(lab) == ["9867", "9867"]
    assert ids(lab) == ["fixed:one", "fixed:one"]


@pytest.mark.parametrize("rounds", [1, 2])
def test_the_key_goes_in_with_the_last_key_exchange_and_after_it(rounds):
    methods = ["ke1_mlkem768", "ke2_ecp256"][:rounds]
    lab = lab_for(policy(), policy(), "-".join([PLAIN, *methods]))
    assert modes(lab) == ["9867", "9867"]
    assert len(lab.west.keys) == len(lab.east.keys) == rounds + 2
    assert seven(lab.west.keys[-1][3]) == mixed(lab, rounds)
    requests = [
        trace for trace in lab.west.traces if trace.kind == "sent" and trace.header.exchange == 43
    ]
    assert [f"N({NAMED.name})" in trace.payloads for trace in requests] == [False] * (
        rounds - 1
    ) + [True]


def test_of_three_ids_the_one_that_the_responder_knows_is_taken():
    lab = lab_for(policy(key("a"), key("b"), key("c")), policy(key("b")))
    assert named(opened(lab, sent(lab, 43, response=True)[0], 0), TAKEN) == [b"\x02b"]
    assert ids(lab) == ["fixed:b", "fixed:b"]


@pytest.mark.parametrize("east", [policy(key(secret=OTHER)), policy(key("two")), None])
def test_keys_that_do_not_meet_are_left_out_where_they_are_optional(east):
    lab = lab_for(policy(), east)
    assert modes(lab) == ["none", "none"]
    assert lab.west.one(ChildUp)


def test_the_same_name_with_another_value_is_no_match():
    lab = lab_for(policy(key(secret=OTHER), key("two")), policy(key(), key("two")))
    assert ids(lab) == ["fixed:two", "fixed:two"]


@pytest.mark.parametrize(
    ("west", "east", "agreed"),
    [
        ((INT, AUTH), (INT, AUTH), "9867"),
        ((INT, AUTH), (AUTH,), "8784"),
        ((AUTH,), (INT, AUTH), "8784"),
        ((INT,), (INT,), "9867"),
        ((INT,), (AUTH,), "none"),
        ((AUTH,), (INT,), "none"),
    ],
)
def test_both_ways_are_offered_independently_and_the_better_one_is_used(west, east, agreed):
    lab = lab_for(policy(modes=west), policy(modes=east))
    assert modes(lab) == [agreed, agreed]
    (answer,) = sent(lab, 34, response=True)
    kinds = (NotifyType.USE_PPK_INT, NotifyType.USE_PPK)
    said = [kind for kind in kinds if parse_message(answer.data).clear.notify(kind)]
    assert said == {"9867": [kinds[0]], "8784": [kinds[1]], "none": []}[agreed]


def test_use_ppk_int_without_ike_intermediate_is_not_looked_at(monkeypatch):
    monkeypatch.setattr(Intermediate, "additions", lambda *_, **__: [])
    assert modes(lab_for(policy(), policy())) == ["8784", "8784"]


def test_an_answer_with_both_means_the_better_one(monkeypatch):
    both = [Notify(NotifyType.USE_PPK), Notify(NotifyType.USE_PPK_INT)]
    monkeypatch.setattr(PostquantumKeys, "additions", announced(both))
    assert modes(lab_for(policy(), policy())) == ["9867", "9867"]


def announced(notifies):
    def additions(self, sa, exchange, *, response):
        sa.ppk.announced = frozenset((INT, AUTH))
        return notifies if exchange == 34 else []

    return additions


@pytest.mark.parametrize("kind", [NotifyType.USE_PPK_INT, NotifyType.USE_PPK])
@pytest.mark.parametrize(
    "change",
    [
        lambda one: [replace(one, data=b"\0")],
        lambda one: [one, one],
        lambda one: [replace(one, protocol=3, spi=bytes(4))],
    ],
    ids=["data", "twice", "spi"],
)
def test_a_malformed_announcement_counts_as_none(monkeypatch, kind, change):
    monkeypatch.setattr(PostquantumKeys, "additions", announced(change(Notify(kind))))
    lab = lab_for(policy(), policy())
    assert modes(lab) == ["none", "none"]
    assert lab.east.endpoint.drops[Drop.IGNORED_NOTIFY] == 1


def test_the_initiator_stops_before_ike_auth_when_a_mandatory_key_is_not_taken():
    lab = lab_for(policy(required=True), policy(key("two")))
    assert "mandatory, and the peer took none" in lab.west.one(NegotiationFailed).reason
    assert 35 not in exchanges(lab)
    assert_nothing_left(lab)


def test_the_initiator_stops_before_ike_auth_when_the_responder_has_no_ppk():
    lab = lab_for(policy(required=True), None)
    assert "no use for the PPK" in lab.west.one(InitRefused).reason
    lab.run(200)
    assert set(exchanges(lab)) == {34}


def test_the_responder_refuses_ike_intermediate_when_its_key_is_mandatory():
    lab = lab_for(policy(), policy(key("two"), required=True))
    assert "AUTHENTICATION_FAILED" in lab.west.one(NegotiationFailed).reason
    assert "none of the peer's is ours" in lab.east.one(AuthenticationFailed).reason
    assert 35 not in exchanges(lab)
    assert_nothing_left(lab)


@pytest.mark.parametrize("west", [None, policy(modes=(AUTH,))], ids=["none", "8784 only"])
def test_the_responder_refuses_who_has_no_use_for_a_mandatory_key(west):
    lab = lab_for(west, policy(required=True, modes=(INT,)))
    assert "mandatory for west" in lab.east.one(AuthenticationFailed).reason
    assert lab.west.of(IkeEstablished) == []


def test_an_initiator_without_any_key_left_stops(monkeypatch):
    """The last one was used up meanwhile."""
    ring = Ring([once("a")])
    monkeypatch.setattr(IkeIntermediate, "__init__", using_up(ring, IkeIntermediate.__init__))
    lab = lab_for(policy_of(ring, required=True), policy(once("a")))
    assert "there is none to offer" in lab.west.one(NegotiationFailed).reason
    assert set(exchanges(lab)) == {34}


def using_up(ring, init):
    def wrapper(self):
        ring.used.append(b"\x01a")
        init(self)

    return wrapper


def policy_of(source, **more):
    return replace(policy(), source=source, **more)


BAD_ANSWERS = {
    "not offered": [Notify(TAKEN, b"\x02two")],
    "other type": [Notify(TAKEN, b"\x01one")],
    "empty": [Notify(TAKEN)],
    "no name": [Notify(TAKEN, b"\x02")],
    "too long": [Notify(TAKEN, b"\x02" + bytes(256))],
    "twice": [Notify(TAKEN, b"\x02one"), Notify(TAKEN, b"\x02one")],
    "spi": [Notify(TAKEN, b"\x02one", protocol=3, spi=bytes(4))],
}


@pytest.mark.parametrize("answer", BAD_ANSWERS.values(), ids=BAD_ANSWERS)
def test_an_answer_that_names_no_key_of_ours_ends_the_attempt(monkeypatch, answer):
    monkeypatch.setattr(IkeIntermediateResponder, "build", lambda self, sa: answer)
    lab = lab_for(policy(), policy())
    assert lab.west.one(NegotiationFailed)
    assert 35 not in exchanges(lab)
    assert_nothing_left(lab)


GOOD = b"\x02one" + bytes(8)
BAD_OFFERS = {
    "confirmation": [Notify(NAMED, GOOD)],
    "short": [Notify(NAMED, b"\x02" + bytes(8))],
    "empty": [Notify(NAMED)],
    "long": [Notify(NAMED, b"\x02" + bytes(256 + 8))],
    "unknown type": [Notify(NAMED, b"\x09one" + bytes(8))],
    "spi": [Notify(NAMED, GOOD, protocol=3, spi=bytes(4))],
    "missing": [],
}


@pytest.mark.parametrize("offer", BAD_OFFERS.values(), ids=BAD_OFFERS)
def test_an_offer_that_is_malformed_or_of_another_key_is_passed_over(monkeypatch, offer):
    monkeypatch.setattr(IkeIntermediate, "build", lambda self, sa: offer)
    lab = lab_for(policy(), policy())
    assert modes(lab) == ["none", "none"]
    assert lab.east.endpoint.drops[Drop.IGNORED_NOTIFY] == bool(offer)


def test_a_bad_offer_does_not_spoil_a_good_one(monkeypatch):
    build = IkeIntermediate.build
    monkeypatch.setattr(
        IkeIntermediate, "build", lambda self, sa: [Notify(NAMED), *build(self, sa)]
    )
    assert modes(lab_for(policy(), policy())) == ["9867", "9867"]


def test_in_an_exchange_before_the_last_an_offer_is_not_looked_at(monkeypatch):
    build = IkeIntermediate.build

    def early(self, sa):
        named = self._ppks.notifies(sa, ppk_offer.initial_context(sa))
        return build(self, sa)[:1] + (named if sa.additional.rounds == 2 else [])

    monkeypatch.setattr(IkeIntermediate, "build", early)
    lab = lab_for(policy(), policy(), f"{PLAIN}-ke1_ecp256-ke2_ecp384")
    assert modes(lab) == ["none", "none"]
    assert not any(
        named(opened(lab, one, n), TAKEN) for n, one in enumerate(sent(lab, 43, response=True))
    )


def test_no_more_than_eight_keys_of_an_offer_are_looked_at():
    many = [key(str(number)) for number in range(20)]
    lab = lab_for(policy(*many), policy(key("8")))
    assert len(named(opened(lab, sent(lab, 43)[0], 0), NAMED)) == 8
    assert modes(lab) == ["none", "none"]


@pytest.mark.parametrize("index", range(6))
@pytest.mark.parametrize("copies", [0, 3], ids=["lost", "three copies"])
def test_loss_and_repetition_around_the_key_switch_change_nothing(index, copies):
    lab, count = lab_for(policy(), policy(), connect=False), iter(range(100))
    lab.fate = lambda _: [LATENCY] * (copies if next(count) == index else 1)
    lab.connect()
    lab.run(20)
    assert modes(lab) == ["9867", "9867"]


def test_ike_auth_before_ike_intermediate_is_not_looked_at(monkeypatch):
    monkeypatch.setattr(IkeIntermediate, "prepare", lambda self, sa: False)
    lab = lab_for(policy(), policy())
    lab.run(300)
    assert lab.east.events == []


STRIPPED = (NotifyType.USE_PPK_INT, NotifyType.USE_PPK, NotifyType.INTERMEDIATE_EXCHANGE_SUPPORTED)


@pytest.mark.parametrize("kind", STRIPPED)
@pytest.mark.parametrize("response", [False, True])
def test_an_attacker_who_takes_an_offer_out_is_found_out(kind, response):
    lab = lab_for(policy(), policy(), connect=False)
    lab.change = lambda one: (
        without(one.data, kind)
        if exchange(one) == 34 and toward(EAST, one) is not response
        else one.data
    )
    lab.connect()
    lab.run(300)
    left_alone = kind is NotifyType.USE_PPK and response  # an answer has one of the two
    assert bool(lab.west.of(IkeEstablished)) is left_alone
    assert bool(lab.east.of(IkeEstablished)) is left_alone


def test_an_attacker_in_the_middle_without_the_key_gets_no_further(monkeypatch):
    """It has an IKE SA of its own with either end, and lets the names pass."""
    confirmation = ppk_offer._confirmation
    monkeypatch.setattr(
        ppk_offer,
        "_confirmation",
        lambda sa, *facts: confirmation(sa, *facts) if sa.initiator else bytes(8),
    )
    lab = lab_for(policy(required=True), policy())
    assert 35 not in exchanges(lab)


def peers_at_east(lab, *ppks):
    """East with several peers at the same address; the first is west."""
    configs = [east_config(ppk=ppk) for ppk in ppks]
    others = [
        replace(one, name=f"peer{number}", remote_id=replace(one.remote_id, data=b"p%d" % number))
        for number, one in enumerate(configs[1:], 1)
    ]
    lab.east = make_node([configs[0], *others], 2)
    lab.nodes[EAST] = lab.east
    lab.connect()
    return lab


@pytest.mark.parametrize("ours", [None, policy(key("two")), policy(modes=(AUTH,))])
def test_a_key_that_is_another_peers_is_refused(ours):
    """The responder takes it before it knows who asks."""
    lab = peers_at_east(lab_for(policy(), None, connect=False), ours, policy())
    assert "PPK fixed:one is not for west" in lab.east.one(AuthenticationFailed).reason
    assert lab.west.of(IkeEstablished) == []


def test_a_key_that_several_peers_share_serves_each():
    lab = peers_at_east(lab_for(policy(), None, connect=False), policy(), policy())
    assert modes(lab) == ["9867", "9867"]


def test_two_peers_may_give_the_same_name_to_different_keys():
    mine, others = policy(), policy(key(secret=OTHER))
    lab = peers_at_east(lab_for(policy(), None, connect=False), mine, others)
    assert modes(lab) == ["9867", "9867"]


@pytest.mark.parametrize("east", [policy(required=True), policy(key(secret=OTHER), required=True)])
def test_with_null_authentication_the_key_proves_the_peers(east):
    null = PeerAuth(Anonymous(), (Anonymous(),))
    lab = lab_for(policy(required=True), east, auth=null)
    assert bool(lab.west.of(IkeEstablished)) is (east.source.keys[0].secret == SECRET)


@pytest.mark.parametrize("mode", [INT, AUTH])
def test_a_key_of_one_use_is_used_once(mode):
    west, east = (Ring([once("a"), once("b")]) for _ in range(2))
    ends = [policy_of(ring, required=True, modes=(mode,)) for ring in (west, east)]
    lab = lab_for(*ends)
    assert ids(lab) == ["opaque:a", "opaque:a"]
    assert west.used == east.used == [b"\x01a"]
    lab.west.endpoint.initiate(lab.west_config, lab.now, child="net")
    lab.settle()
    assert west.used == east.used == [b"\x01a", b"\x01b"]
    lab.west.endpoint.initiate(lab.west_config, lab.now, child="net")
    lab.settle()
    assert len(lab.west.of(IkeEstablished)) == 2
    assert lab.west.of(InitRefused)


def test_a_key_of_one_use_that_one_end_has_used_already_costs_one_attempt_each():
    west, east = Ring([once("a"), once("b")]), Ring([once("a"), once("b")], [b"\x01a"])
    lab = lab_for(policy_of(west, required=True), policy_of(east))
    assert lab.west.one(NegotiationFailed)
    lab.west.endpoint.initiate(lab.west_config, lab.now, child="net")
    lab.settle()
    assert ids(lab) == ["opaque:b", "opaque:b"]


def test_who_only_names_a_key_of_one_use_does_not_use_it_up():
    """RFC 8784: the name comes before anybody is authenticated."""
    ring = Ring([once("a")])
    ends = policy(once("a", OTHER), modes=(AUTH,)), policy_of(ring, modes=(AUTH,))
    assert lab_for(*ends).west.of(IkeEstablished) == []
    ends = policy(once("a", OTHER)), policy_of(ring)
    assert modes(lab_for(*ends)) == ["none", "none"]
    assert ring.used == []


@pytest.mark.parametrize("required", [True, False])
def test_keys_that_cannot_be_read_are_not_there_and_that_is_recorded(required):
    ring = Ring([key()], broken=True)
    lab = lab_for(policy(), policy_of(ring, required=required))
    assert bool(lab.west.of(IkeEstablished)) is not required
    assert any("the disk is gone" in trace.reason for trace in lab.east.traces)
    assert modes(lab) == ([] if required else ["none", "none"])


def test_a_key_exchange_that_was_not_agreed_on_is_not_looked_at(monkeypatch):
    build = IkeIntermediate.build
    monkeypatch.setattr(
        IkeIntermediate, "build", lambda self, sa: [KeyExchange(31, bytes(32)), *build(self, sa)]
    )
    assert modes(lab_for(policy(), policy())) == ["9867", "9867"]


def test_nothing_of_the_key_is_shown():
    lab = lab_for(policy(), policy())
    seen = f"{lab.west.events}{lab.west.traces}{lab.west_config}"
    assert SECRET.hex() not in seen
    assert repr(SECRET)[2:-1] not in seen
    assert NONE.value == "none"
    assert west_config(ppk=policy()) == west_config(ppk=policy())
