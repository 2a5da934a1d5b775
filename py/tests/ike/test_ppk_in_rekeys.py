"""A fresh postquantum preshared key in CREATE_CHILD_SA (RFC 9867 3.2, in our own reading)."""

from dataclasses import replace

import pytest
from ike_lab import STEADY
from ike_ledger import assert_mirrored
from ike_meddler import opened, prf, prf_plus, sent, seven
from ppk_lab import AUTH, INT, PLAIN, SECRET, Ring, key, lab_for, named, once, policy

from p4esp.ike.codec.payloads import Nonce, Notify
from p4esp.ike.config import Settings
from p4esp.ike.constants import NotifyType
from p4esp.ike.drops import Drop
from p4esp.ike.events import (
    ChildFailed,
    ChildRekeyed,
    ChildUp,
    IkeDown,
    IkeEstablished,
    IkeRekeyed,
    IkeRekeyFailed,
)
from p4esp.ike.extension_wishes import ExtensionWishes
from p4esp.ike.ke_payloads import answer_key_exchange
from p4esp.ike.proposals import Template
from p4esp.ike.tasks.create_child import CreateChildResponder

FRESH = bytes(range(0xA0, 0xC0))
NAMED, TAKEN = NotifyType.PPK_IDENTITY_KEY, NotifyType.PPK_IDENTITY
REKEY = policy(rekey=True)


def ring_of(*names):
    return Ring([once(name, FRESH) for name in names] + [key()])


def with_source(source, **more):
    return replace(policy(rekey=True, **more), source=source)


def one_time_lab(proposals=PLAIN, **more):
    """Both ends have `first` for the IKE SA, and `a` and `b` for later."""
    rings = ring_of("first", "a", "b"), ring_of("first", "a", "b")
    return (*rings, lab_for(with_source(rings[0]), with_source(rings[1]), proposals, **more))


def rekey_child(lab):
    spi = lab.west.one(ChildUp).child.spi_in
    lab.west.endpoint.rekey_child(spi, lab.now)
    lab.settle()


def rekey_ike(lab):
    lab.west.endpoint.rekey_ike(lab.west.one(IkeEstablished).ike.spi, lab.now)
    lab.settle()


def last_exchange(lab, stage=1):
    """Request and response of the first CREATE_CHILD_SA."""
    pair = sent(lab, 36)[0], sent(lab, 36, response=True)[0]
    return [opened(lab, datagram, stage) for datagram in pair]


def nonces(lab):
    return b"".join(payloads.one(Nonce).data for payloads in last_exchange(lab))


def test_a_rekeyed_child_sa_has_the_key_in_it():
    _, _, lab = one_time_lab()
    rekey_child(lab)
    *_, keys = lab.west.keys[-1]
    fresh = prf_plus(FRESH, bytes(keys.d), 32)
    keymat = prf_plus(fresh, nonces(lab), 72)
    child = lab.west.one(ChildRekeyed).new.keymat
    assert child.outbound.key + child.outbound.salt == keymat[:36]
    assert_mirrored(lab)


def test_a_new_child_sa_has_the_key_in_it():
    west, east, lab = one_time_lab()
    lab.west.endpoint.create_child(lab.west.one(IkeEstablished).ike.spi, "net", lab.now)
    lab.settle()
    assert len(lab.west.of(ChildUp)) == 2
    assert west.used == east.used == [b"\x01first", b"\x01a"]
    assert_mirrored(lab)


@pytest.mark.parametrize("what", ["child", "ike"])
def test_the_end_that_did_not_begin_rekeys_with_a_key_of_its_own(what):
    west, east, lab = one_time_lab()
    west.keys.remove(once("a", FRESH))  # used elsewhere
    east.used.append(b"\x01a")
    node = lab.east
    if what == "child":
        node.endpoint.rekey_child(node.one(ChildUp).child.spi_in, lab.now)
    else:
        node.endpoint.rekey_ike(node.one(IkeEstablished).ike.spi, lab.now)
    lab.settle()
    assert west.used[-1] == east.used[-1] == b"\x01b"
    assert_mirrored(lab)


def test_a_rekeyed_ike_sa_has_the_key_in_it_and_says_so():
    _, _, lab = one_time_lab()
    rekey_ike(lab)
    new = lab.west.one(IkeRekeyed).new
    assert (new.ppk, new.ppk_id) == (INT, "opaque:a")
    assert lab.west.keys == lab.east.keys
    assert lab.east.one(IkeRekeyed).new.ppk_id == "opaque:a"
    assert lab.east.one(IkeEstablished).ike.ppk_id == "opaque:first"


def test_the_keys_of_a_rekeyed_ike_sa_worked_out_with_hmac_alone(monkeypatch):
    """With a key exchange whose secret is known here."""
    monkeypatch.setattr("p4esp.ike.ke_payloads.KeyOffer.conclude", lambda *_: b"g^ir")
    monkeypatch.setattr(
        "p4esp.ike.tasks.rekey_ike.answer_key_exchange",
        lambda *asked: (answer_key_exchange(*asked)[0], b"g^ir"),
    )
    _, _, lab = one_time_lab()
    rekey_ike(lab)
    (*_, old), (spi_i, spi_r, _, new) = lab.west.keys[1:]
    fresh = prf_plus(FRESH, bytes(old.d), 32)
    seed = prf(fresh, b"g^ir" + nonces(lab))
    assert seven(new) == prf_plus(seed, nonces(lab) + spi_i + spi_r, 3 * 32 + 2 * 36)


def test_the_confirmation_covers_the_nonce_and_the_spis_of_the_ike_sa():
    _, _, lab = one_time_lab()
    rekey_child(lab)
    request, response = last_exchange(lab)
    spi_i, spi_r, *_ = lab.west.keys[0]
    fresh = request.one(Nonce).data + spi_i + spi_r
    assert named(request, NAMED) == [
        b"\x01a" + prf(FRESH, fresh)[:8],
        b"\x02one" + prf(SECRET, fresh)[:8],
    ]
    assert named(response, TAKEN) == [b"\x01a"]


def test_a_fixed_key_may_be_used_again():
    lab = lab_for(REKEY, REKEY)
    rekey_child(lab)
    rekey_ike(lab)
    assert lab.east.one(IkeRekeyed).new.ppk_id == "fixed:one"
    *_, keys = lab.west.keys[1]
    keymat = prf_plus(prf_plus(SECRET, bytes(keys.d), 32), nonces(lab), 72)
    assert lab.west.one(ChildRekeyed).new.keymat.outbound.key == keymat[:32]


def test_a_key_that_is_taken_away_stays_good_for_ike_sas_that_have_it():
    rings = Ring([key()]), Ring([key()])
    lab = lab_for(*map(with_source, rings))
    rings[0].keys.clear()
    rings[1].keys.clear()
    rekey_ike(lab)
    assert lab.east.one(IkeRekeyed).new.ppk_id == "fixed:one"
    assert named(last_exchange(lab)[1], TAKEN) == [b"\x02one"]


@pytest.mark.parametrize(
    ("west", "east"),
    [(REKEY, policy()), (policy(), REKEY), (policy(), policy())],
    ids=["west", "east", "neither"],
)
@pytest.mark.parametrize("rekey", [rekey_child, rekey_ike])
def test_both_ends_must_want_it(west, east, rekey):
    lab = lab_for(west, east)
    rekey(lab)
    assert named(last_exchange(lab)[1], TAKEN) == []
    assert lab.west.of(ChildRekeyed) or lab.west.of(IkeRekeyed)
    assert_mirrored(lab)


def test_off_unless_it_was_agreed_on_in_ike_sa_init():
    lab = lab_for(policy(modes=(AUTH,), rekey=True), policy(modes=(AUTH,), rekey=True))
    rekey_child(lab)
    assert named(last_exchange(lab, 0)[0], NAMED) == []
    assert lab.west.one(IkeEstablished).ike.ppk is AUTH
    assert_mirrored(lab)


def test_the_key_that_the_ike_sa_has_is_offered_behind_fresh_ones():
    rings = Ring([key()]), Ring([key()])
    lab = lab_for(*map(with_source, rings))
    rings[0].keys[:] = [once("a")]
    rekey_child(lab)
    assert named(last_exchange(lab)[1], TAKEN) == [b"\x02one"]


def mismatched(**more):
    """After the IKE SA has come up with keys of one use, west has only some that east lacks."""
    rings = Ring([once("a")]), Ring([once("a")])
    lab = lab_for(*(with_source(ring, **more) for ring in rings))
    rings[0].keys.append(once("b"))
    return lab


def test_a_mandatory_key_that_does_not_meet_fails_the_child_sa_and_leaves_the_old_one():
    lab = mismatched(required=True)
    rekey_child(lab)
    assert lab.west.one(ChildFailed).reason == "NO_PROPOSAL_CHOSEN"
    assert lab.west.of(IkeDown) == lab.east.of(ChildRekeyed) == []
    assert len(lab.west.spis.used) == len(lab.east.spis.used) == 1


def test_a_mandatory_key_that_does_not_meet_fails_the_ike_sa_and_leaves_the_old_one():
    lab = mismatched(required=True)
    rekey_ike(lab)
    assert lab.west.one(IkeRekeyFailed).reason == "NO_PROPOSAL_CHOSEN"
    assert lab.west.of(IkeDown) == lab.east.of(IkeRekeyed) == []


def test_an_optional_key_that_does_not_meet_is_left_out():
    lab = mismatched()
    rekey_ike(lab)
    assert lab.east.one(IkeRekeyed).new.ppk_id == "opaque:a"
    rekey_child(lab)
    assert lab.west.one(ChildRekeyed)
    assert_mirrored(lab)


@pytest.mark.parametrize("rekey", [rekey_child, rekey_ike])
def test_a_peer_that_takes_none_does_not_use_up_keys_for_good(rekey):
    """It may never take any: it need not say so."""
    names = [f"k{number}" for number in range(9)]
    ours = ring_of("first", *names)
    lab = lab_for(with_source(ours), replace(policy(), source=ring_of("first")))
    rekey(lab)
    assert ours.used == [b"\x01first", b"\x01k0"]
    for _ in range(5):
        ike = lab.west.endpoint.ike_sas[0].spi
        lab.west.endpoint.create_child(ike, "net", lab.now)
        lab.settle()
        lab.west.endpoint.rekey_ike(ike, lab.now)
        lab.settle()
    assert ours.used == [b"\x01first", b"\x01k0"]
    assert_mirrored(lab)


def test_the_same_key_is_offered_again_when_the_peer_wants_another_key_exchange():
    ours, theirs = Ring([once("first"), once("a")]), Ring([once("first"), once("a")])
    lab = lab_for(with_source(ours), with_source(theirs), connect=False)
    children = [
        replace(config.children[0], proposals=(Template.esp(f"aes256gcm16-{methods}"),))
        for config, methods in (
            (lab.west_config, "x25519-ecp256"),
            (lab.east_config, "ecp256"),
        )
    ]
    lab = rebuilt(lab, *children)
    lab.connect()
    rekey_child(lab)
    assert len(sent(lab, 36)) == 2
    assert ours.used == theirs.used == [b"\x01first", b"\x01a"]
    assert_mirrored(lab)


def rebuilt(lab, west_child, east_child):
    return type(lab)(
        replace(lab.west_config, children=(west_child,)),
        replace(lab.east_config, children=(east_child,)),
    )


def test_with_additional_key_exchanges_the_key_comes_before_all_of_them():
    _, _, lab = one_time_lab(f"{PLAIN}-ke1_mlkem768")
    rekey_ike(lab)
    assert sent(lab, 44)
    assert lab.east.one(IkeRekeyed).new.ppk_id == "opaque:a"
    assert lab.west.keys == lab.east.keys


@pytest.mark.parametrize("what", ["child", "ike"])
def test_both_ends_rekey_at_once(what):
    _, _, lab = one_time_lab()
    for node in (lab.west, lab.east):
        if what == "child":
            node.endpoint.rekey_child(node.one(ChildUp).child.spi_in, lab.now)
        else:
            node.endpoint.rekey_ike(node.one(IkeEstablished).ike.spi, lab.now)
    lab.settle()
    lab.run(20)
    assert_mirrored(lab)
    assert lab.west.of(ChildRekeyed) or lab.west.of(IkeRekeyed)


@pytest.mark.parametrize("rekey", [rekey_child, rekey_ike])
def test_an_optimized_rekey_has_the_key_in_it_too(rekey):
    _, east, lab = one_time_lab(
        extensions=ExtensionWishes(optimized_rekey=True, pfs_info=True),
        settings=Settings(retransmission=STEADY, experimental=True),
    )
    rekey(lab)
    request, response = last_exchange(lab)
    assert request.notify(NotifyType.OPTIMIZED_REKEY)
    assert named(response, TAKEN) == [b"\x01a"]
    assert east.used == [b"\x01first", b"\x01a"]
    assert lab.west.keys == lab.east.keys
    assert_mirrored(lab)


BAD = {
    "not offered": [Notify(TAKEN, b"\x02two")],
    "empty": [Notify(TAKEN)],
    "twice": [Notify(TAKEN, b"\x02one")] * 2,
    "protocol": [Notify(TAKEN, b"\x02one", protocol=1)],
    "spi": [Notify(TAKEN, b"\x02one", protocol=3, spi=bytes(4))],
}


@pytest.mark.parametrize("notifies", BAD.values(), ids=BAD)
def test_an_answer_that_names_no_key_of_ours_makes_no_child_sa(monkeypatch, notifies):
    build = CreateChildResponder.build
    monkeypatch.setattr(CreateChildResponder, "build", lambda *asked: spoilt(build(*asked)))

    def spoilt(payloads):
        return [one for one in payloads if one != Notify(TAKEN, b"\x02one")] + notifies

    lab = lab_for(REKEY, REKEY)
    rekey_child(lab)
    assert lab.west.one(ChildFailed)
    assert lab.west.of(ChildRekeyed) == lab.west.of(IkeDown) == []
    lab.run(10)
    assert_mirrored(lab)


def test_an_answer_that_was_not_asked_for_is_not_looked_at(monkeypatch):
    build = CreateChildResponder.build
    monkeypatch.setattr(
        CreateChildResponder, "build", lambda *a: [*build(*a), Notify(TAKEN, b"\x02one")]
    )
    lab = lab_for(policy(), policy())
    rekey_child(lab)
    assert lab.west.one(ChildRekeyed)
    assert lab.west.endpoint.drops[Drop.IGNORED_NOTIFY] == 1
    assert_mirrored(lab)
