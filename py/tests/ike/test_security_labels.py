"""Security labels of child SAs (RFC 9478): what is offered, chosen, kept and refused."""

from dataclasses import replace

import pytest
from ike_lab import (
    EAST,
    EAST_NET,
    LATENCY,
    STEADY,
    WEST_NET,
    Lab,
    child,
    east_config,
    toward,
    west_config,
)
from ike_ledger import ask, assert_mirrored, ike_of, live

from p4esp.ike import child_scope
from p4esp.ike.codec.payloads import Nonce, Notify
from p4esp.ike.codec.proposal import Proposal, SecurityAssociation
from p4esp.ike.codec.selectors import SecurityLabel, TsInitiator, TsResponder, UnknownSelector
from p4esp.ike.config import Settings
from p4esp.ike.constants import ExchangeType, NotifyType, ProtocolId
from p4esp.ike.drops import Drop
from p4esp.ike.errors import ParseError
from p4esp.ike.events import ChildDown, ChildFailed, IkeDown
from p4esp.ike.extension_wishes import ExtensionWishes
from p4esp.ike.extensions.resources import name_of_resource
from p4esp.ike.negotiation import Agreement
from p4esp.ipsec.sa import Share

SECRET, PUBLIC = b"system_u:object_r:secret_t:s0", b"system_u:object_r:public_t:s0"
ROLES = ("west", "east")
WITH_NUL = SecurityLabel(SECRET + b"\0")


def labelled(config, *labels, required=True):
    return replace(config, labels=labels, label_required=required)


def lab_of(west=(), east=(), *, need=(True, True), connect=True):
    """One child at each end with these labels; `need`: whether west and east require them."""
    ours = labelled(child(WEST_NET, EAST_NET), *west, required=need[0])
    theirs = labelled(child(EAST_NET, WEST_NET), *east, required=need[1])
    lab = Lab(west_config(children=(ours,)), east_config(children=(theirs,)))
    if connect:
        lab.connect()
    return lab


def labels(lab):
    """The labels of the child SAs, which both ends know to be the same."""
    assert_mirrored(lab)
    east = live(lab.east)
    for mine in live(lab.west).values():
        assert mine.share == east[mine.spi_out].share
    return sorted(mine.share.label for mine in live(lab.west).values())


def refused(lab):
    """Why west has no child SA; the IKE SA is there all the same, and nothing else is left."""
    lab.run(1)
    assert live(lab.west) == live(lab.east) == {}
    assert lab.west.spis.used == set()
    assert lab.east.spis.used == {down.child.spi_in for down in lab.east.of(ChildDown)}
    assert len(lab.west.endpoint.ike_sas) == len(lab.east.endpoint.ike_sas) == 1
    return lab.west.of(ChildFailed)[-1].reason


# What is on the wire


def payload_of(*entries):
    return TsInitiator((*child(WEST_NET, EAST_NET).local_ts, *entries))


@pytest.mark.parametrize("octets", [SECRET, SECRET + b"\0", b"\xff\n", b"\0", b""])
def test_a_label_is_type_10_with_a_zero_octet_its_length_and_what_it_is(octets):
    encoded = payload_of(SecurityLabel(octets)).encode()
    assert encoded[0] == 2
    assert encoded.endswith(b"\x0a\0" + (4 + len(octets)).to_bytes(2, "big") + octets)
    assert TsInitiator.parse(encoded).labels == (SecurityLabel(octets),)
    assert TsInitiator.parse(encoded).selectors == child(WEST_NET, EAST_NET).local_ts


@pytest.mark.parametrize("cut", range(1, 8))
def test_a_label_that_is_cut_is_no_label(cut):
    with pytest.raises(ParseError):
        TsInitiator.parse(payload_of(SecurityLabel(b"abcd")).encode()[:-cut])


def test_labels_are_the_same_but_for_one_nul_at_the_end():
    assert SecurityLabel(b"a").bare == SecurityLabel(b"a\0").bare == b"a"
    assert SecurityLabel(b"a\0\0").bare != b"a"
    assert SecurityLabel(b"\0").bare == SecurityLabel(b"").bare == b""


def test_nobody_on_the_way_sees_a_label():
    lab = lab_of([SECRET], [SECRET])
    assert labels(lab) == [SECRET]
    assert not any(SECRET in datagram.data for _, datagram in lab.wire)


# What both have is agreed on


@pytest.mark.parametrize("initiator", ROLES)
@pytest.mark.parametrize("ike_auth", [True, False])
def test_the_label_that_both_have_in_either_exchange_and_whoever_begins(initiator, ike_auth):
    lab = lab_of([SECRET], [SECRET], connect=False)
    lab.connect("net" if ike_auth else None)
    if not ike_auth:
        node = getattr(lab, initiator)
        node.endpoint.create_child(ike_of(node), "net", lab.now)
        lab.settle()
    assert labels(lab) == [SECRET]


@pytest.mark.parametrize(
    ("west", "east", "chosen"),
    [
        ([SECRET, PUBLIC], [PUBLIC], PUBLIC),
        ([PUBLIC], [SECRET, PUBLIC], PUBLIC),
        ([SECRET, PUBLIC], [PUBLIC, SECRET], PUBLIC),
        ([b"a", b"b", SECRET], [b"c", SECRET, b"b"], SECRET),
    ],
)
def test_one_of_a_list_the_best_of_the_responders(west, east, chosen):
    assert labels(lab_of(west, east)) == [chosen]


def test_two_labels_give_two_children_with_equal_selectors():
    """Each is found by its label, whatever the order of configuration."""
    names = {"secret": SECRET, "public": PUBLIC}
    ours = [labelled(child(WEST_NET, EAST_NET, n), names[n]) for n in names]
    theirs = [labelled(child(EAST_NET, WEST_NET, n), names[n]) for n in reversed(names)]
    lab = Lab(west_config(children=tuple(ours)), east_config(children=tuple(theirs)))
    lab.connect("secret")
    lab.east.endpoint.create_child(ike_of(lab.east), "public", lab.now)
    lab.settle()
    assert labels(lab) == sorted(names.values())
    for made in (*live(lab.west).values(), *live(lab.east).values()):
        assert names[made.name] == made.share.label


def test_a_further_child_for_a_certain_label_of_the_list():
    lab = lab_of([SECRET, PUBLIC], [SECRET, PUBLIC])
    share = Share(label=PUBLIC)
    lab.west.endpoint.create_child(ike_of(lab.west), "net", lab.now, share=share)
    lab.settle()
    assert labels(lab) == [PUBLIC, SECRET]


def test_for_the_pair_of_addresses_of_a_packet_the_label_is_offered_too(monkeypatch):
    """N(SINGLE_PAIR_REQUIRED): asked again for the pair alone."""
    real, seen = child_scope.agreed_scope, []

    def picky(sa, offer, replaces):
        seen.append(offer.one(TsInitiator))
        if len(seen) == 1:
            raise child_scope.Refusal(NotifyType.SINGLE_PAIR_REQUIRED, "test")
        return real(sa, offer, replaces)

    monkeypatch.setattr("p4esp.ike.negotiation.agreed_scope", picky)
    lab = lab_of([SECRET], [SECRET], connect=False)
    lab.connect(None)
    packet = child("10.1.7.7/32", "10.2.0.1/32")
    pair = packet.local_ts[0], packet.remote_ts[0]
    lab.west.endpoint.create_child(ike_of(lab.west), "net", lab.now, pair)
    lab.settle()
    assert [payload.labels for payload in seen] == [(WITH_NUL,)] * 2
    assert labels(lab) == [SECRET]


def test_an_sa_for_a_resource_is_like_that_of_its_label_and_of_no_other():
    """RFC 9611: the label is part of what makes two SAs the same but for the resource."""
    both = (SECRET, PUBLIC)
    ours = replace(labelled(child(WEST_NET, EAST_NET), *both), resources=2)
    theirs = replace(labelled(child(EAST_NET, WEST_NET), *both), resources=2)
    lab = Lab(west_config(children=(ours,)), east_config(children=(theirs,)))
    lab.connect()
    create = lab.west.endpoint.create_child
    for share in (Share(name_of_resource(0), label=SECRET), Share(label=PUBLIC)):
        create(ike_of(lab.west), "net", lab.now, share=share)
        lab.settle()
    names = {(made.share.resource, made.share.label) for made in live(lab.east).values()}
    assert names == {(None, SECRET), (name_of_resource(0), SECRET), (None, PUBLIC)}
    assert_mirrored(lab)


# What they do not both have is refused


@pytest.mark.parametrize(
    ("west", "east"),
    [([SECRET], [PUBLIC]), ([SECRET], []), ([], [SECRET]), ([SECRET + b"\0"], [SECRET + b"1"])],
)
@pytest.mark.parametrize("ike_auth", [True, False])
def test_none_in_common_or_one_side_without(west, east, ike_auth):
    lab = lab_of(west, east, connect=False)
    lab.connect("net" if ike_auth else None)
    if not ike_auth:
        lab.west.endpoint.create_child(ike_of(lab.west), "net", lab.now)
        lab.settle()
    assert refused(lab) == "TS_UNACCEPTABLE"
    assert "label" in str(lab.east.traces) or "label" in str(lab.east.of(ChildFailed))


def test_a_responder_that_needs_none_takes_what_has_none():
    assert labels(lab_of([], [SECRET], need=(True, False))) == [b""]


def ignorant(monkeypatch):
    """Make east one of those that do not know type 10, and leave it out (RFC 7296 2.9)."""
    monkeypatch.setattr(child_scope, "agreed_label", lambda *_: ())


@pytest.mark.parametrize("ike_auth", [True, False])
def test_a_peer_that_knows_no_labels_is_asked_to_delete_its_half(monkeypatch, ike_auth):
    ignorant(monkeypatch)
    lab = lab_of([SECRET], [], connect=False)
    lab.connect("net" if ike_auth else None)
    if not ike_auth:
        lab.west.endpoint.create_child(ike_of(lab.west), "net", lab.now)
        lab.settle()
    assert refused(lab) == "the peer answered without a security label"
    assert lab.west.of(IkeDown) == lab.east.of(IkeDown) == []


def test_where_labels_are_optional_such_a_peer_gets_an_sa_without(monkeypatch):
    ignorant(monkeypatch)
    lab = lab_of([SECRET], [], need=(False, True))
    assert labels(lab) == [b""]


def test_what_knows_labels_but_not_this_one_gets_none_though_it_is_optional():
    assert refused(lab_of([SECRET], [PUBLIC], need=(False, False))) == "TS_UNACCEPTABLE"


# Rekeys


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("both", [[SECRET], [PUBLIC, SECRET]])
def test_rekeys_of_child_and_ike_sa_keep_the_label(role, both):
    lab = lab_of(both, both)
    node = getattr(lab, role)
    for _ in range(2):
        node.endpoint.rekey_child(next(iter(live(node))), lab.now)
        lab.settle()
        node.endpoint.rekey_ike(node.endpoint.ike_sas[0].spi, lab.now)
        lab.settle()
        assert labels(lab) == both[:1]
    assert lab.west.of(ChildFailed) == lab.east.of(ChildFailed) == []


def test_a_rekey_offers_the_label_in_use_and_no_other():
    lab = lab_of([SECRET, PUBLIC], [PUBLIC, SECRET])
    seen = []
    real = child_scope.agreed_label

    def watched(config, offer, replaces):
        seen.append(offer.one(TsInitiator).labels)
        return real(config, offer, replaces)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(child_scope, "agreed_label", watched)
        lab.west.endpoint.rekey_child(next(iter(live(lab.west))), lab.now)
        lab.settle()
    assert seen == [(SecurityLabel(PUBLIC + b"\0"),)]
    assert labels(lab) == [PUBLIC]


@pytest.mark.parametrize(
    ("first", "then"),
    [([WITH_NUL], [SecurityLabel(PUBLIC)]), ([WITH_NUL], []), ([], [WITH_NUL])],
)
def test_a_rekey_to_another_label_to_none_or_from_none_is_refused(first, then):
    lab = lab_of([], [SECRET, PUBLIC], need=(True, False), connect=False)
    lab.connect(None)
    answer = offer(lab, first, first)
    spi = answer.one(SecurityAssociation).proposals[0].spi
    old = int.from_bytes(spi, "big")
    rekey = Notify(NotifyType.REKEY_SA, protocol=ProtocolId.ESP, spi=b"\xc9\0\0\1")
    refusal = offer(lab, then, then, rekey, spi=b"\xc9\0\0\2").error()
    assert refusal.type == NotifyType.TS_UNACCEPTABLE
    assert list(live(lab.east)) == [old]


def test_an_answer_to_a_rekey_with_another_label_is_refused_and_the_old_sa_stays(monkeypatch):
    lab = lab_of([SECRET, PUBLIC], [SECRET, PUBLIC])
    old = list(live(lab.west))
    answer_with(monkeypatch, [SecurityLabel(PUBLIC)], [SecurityLabel(PUBLIC)])
    lab.west.endpoint.rekey_child(old[0], lab.now)
    lab.settle()
    assert "which was not offered" in lab.west.one(ChildFailed).reason
    assert list(live(lab.west)) == old


@pytest.mark.parametrize("role", ROLES)
def test_an_optimized_rekey_which_has_no_selectors_keeps_the_label(role):
    wishes = ExtensionWishes(optimized_rekey=True, pfs_info=True)
    ours = labelled(child(WEST_NET, EAST_NET), SECRET, PUBLIC)
    theirs = labelled(child(EAST_NET, WEST_NET), PUBLIC, SECRET)
    lab = Lab(
        west_config(children=(ours,), extensions=wishes),
        east_config(children=(theirs,), extensions=wishes),
        settings=Settings(retransmission=STEADY, experimental=True),
    )
    lab.connect()
    node = getattr(lab, role)
    for _ in range(2):
        node.endpoint.rekey_child(next(iter(live(node))), lab.now)
        lab.settle()
        assert labels(lab) == [PUBLIC]
    (asked, *_) = [t for t in node.traces if "CREATE_CHILD_SA" in t.message]
    assert "TSI" not in asked.payloads


# Offers and answers of a test's own making


def offer(lab, initiators, responders, *more, addresses=True, spi=b"\xc9\0\0\1"):
    """A CREATE_CHILD_SA request of west's with these selectors beside the addresses."""
    config = lab.west_config.children[0]
    ours, theirs = (config.local_ts, config.remote_ts) if addresses else ((), ())
    proposal = Proposal(1, ProtocolId.ESP, spi, config.proposals[0].transforms)
    return ask(
        *(lab, ExchangeType.CREATE_CHILD_SA, *more, SecurityAssociation((proposal,))),
        *(Nonce(bytes(32)), TsInitiator((*ours, *initiators)), TsResponder((*theirs, *responders))),
    )


def offering_lab():
    lab = lab_of([], [SECRET], connect=False)
    lab.connect(None)
    return lab


@pytest.mark.parametrize("form", [SECRET, SECRET + b"\0"])
def test_the_answer_has_the_label_in_the_octets_of_the_offer_on_both_sides(form):
    """NUL or not: each side gets what it has sent."""
    lab, label = offering_lab(), SecurityLabel(form)
    answer = offer(lab, [SecurityLabel(PUBLIC), label], [label, SecurityLabel(PUBLIC)])
    assert answer.one(TsInitiator).labels == answer.one(TsResponder).labels == (label,)
    assert [made.share.label for made in live(lab.east).values()] == [SECRET]


EMPTY, OTHER = SecurityLabel(b""), SecurityLabel(PUBLIC)


@pytest.mark.parametrize(
    ("initiators", "responders"),
    [
        ([WITH_NUL], []),
        ([], [WITH_NUL]),
        ([WITH_NUL], [OTHER]),
        ([EMPTY], [EMPTY]),
        ([SecurityLabel(b"\0")], [SecurityLabel(b"\0")]),
        ([SecurityLabel(SECRET + b"\0\0")], [SecurityLabel(SECRET + b"\0\0")]),
        ([SecurityLabel(SECRET[:-1])], [SecurityLabel(SECRET[:-1])]),
        ([OTHER] * 250, [OTHER] * 250),
        ([UnknownSelector(11, 0, SECRET)], [UnknownSelector(11, 0, SECRET)]),
    ],
    ids=["TSi", "TSr", "differ", "empty", "NUL", "2 NUL", "prefix", "many", "unknown type"],
)
def test_an_offer_whose_labels_are_none_for_us_is_unacceptable(initiators, responders):
    lab = offering_lab()
    assert offer(lab, initiators, responders).error().type == NotifyType.TS_UNACCEPTABLE
    assert live(lab.east) == {}
    assert lab.east.spis.used == set()


def test_without_addresses_a_label_is_no_selector():
    """RFC 9478 2.2: it never stands alone."""
    answer = offer(offering_lab(), [WITH_NUL], [WITH_NUL], addresses=False)
    assert answer.error().type == NotifyType.TS_UNACCEPTABLE


def test_an_empty_label_is_not_looked_at_beside_a_good_one_and_recorded():
    lab = offering_lab()
    answer = offer(lab, [EMPTY, WITH_NUL], [WITH_NUL, EMPTY])
    assert answer.one(TsResponder).labels == (WITH_NUL,)
    (record,) = [t for t in lab.east.traces if t.drop is Drop.IGNORED_NOTIFY]
    assert record.reason == "ignored: an empty security label"


def test_an_empty_label_is_no_wildcard_and_no_way_to_an_sa_without():
    """RFC 9478 2.2, where labels are optional, too."""
    lab = lab_of([], [SECRET], need=(True, False), connect=False)
    lab.connect(None)
    assert offer(lab, [EMPTY], [EMPTY]).error().type == NotifyType.TS_UNACCEPTABLE


def test_a_label_that_is_long_or_ugly_stays_out_of_the_log():
    lab, ugly = offering_lab(), SecurityLabel(b"\n\x1b[2J" + b"x" * 3000)
    offer(lab, [ugly], [ugly])
    reason = lab.east.traces[-2].reason
    assert "\n" not in reason
    assert "\x1b" not in reason
    assert len(reason) < 200


def answer_with(monkeypatch, initiators, responders):
    """Have east answer with these labels, whatever it has agreed to."""
    real = Agreement.payloads

    def spoiled(self, *fresh):
        *others, theirs, ours = real(self, *fresh)
        theirs = TsInitiator((*theirs.selectors, *initiators))
        return [*others, theirs, TsResponder((*ours.selectors, *responders))]

    monkeypatch.setattr(Agreement, "payloads", spoiled)


@pytest.mark.parametrize(
    ("initiators", "responders", "reason"),
    [
        ([WITH_NUL], [], "the same one on both sides"),
        ([], [WITH_NUL], "the same one on both sides"),
        ([WITH_NUL], [OTHER], "the same one on both sides"),
        ([WITH_NUL, WITH_NUL], [WITH_NUL, WITH_NUL], "the same one on both sides"),
        ([WITH_NUL, OTHER], [WITH_NUL, OTHER], "the same one on both sides"),
        ([OTHER], [OTHER], "which was not offered"),
        ([EMPTY], [EMPTY], "which was not offered"),
        ([], [], "without a security label"),
    ],
    ids=["TSi", "TSr", "differ", "twice", "two", "another", "empty", "none"],
)
def test_an_answer_that_is_not_one_of_the_offer_is_taken_back(
    monkeypatch, initiators, responders, reason
):
    answer_with(monkeypatch, initiators, responders)
    assert reason in refused(lab_of([SECRET], [SECRET]))


def test_a_label_in_an_answer_to_an_offer_without_is_refused(monkeypatch):
    answer_with(monkeypatch, [WITH_NUL], [WITH_NUL])
    assert "which was not offered" in refused(lab_of())


def test_the_answer_may_have_the_nul_or_not(monkeypatch):
    bare = SecurityLabel(SECRET)
    answer_with(monkeypatch, [bare], [WITH_NUL])
    assert labels(lab_of([SECRET], [SECRET])) == [SECRET]


# An attacker in the middle


def test_who_changes_the_offer_on_the_way_gets_nothing_and_the_label_comes_with_the_next_try():
    """Where labels are optional the downgrade would be to none: no such answer is authentic."""
    spoiled = []

    def attack(datagram):
        if len(lab.wire) == 3 and toward(EAST, datagram) and not spoiled:
            spoiled.append(datagram)
            data = bytearray(datagram.data)
            data[-20] ^= 1
            lab.deliver(replace(datagram, data=bytes(data)))
            return []
        return [LATENCY]

    lab = lab_of([SECRET], [SECRET], need=(False, False), connect=False)
    lab.fate = attack
    lab.connect()
    assert live(lab.east) == {}
    lab.run(10)
    assert spoiled
    assert labels(lab) == [SECRET]


def test_the_end_of_one_labels_child_leaves_the_others():
    lab = lab_of([SECRET, PUBLIC], [SECRET, PUBLIC])
    share = Share(label=PUBLIC)
    lab.west.endpoint.create_child(ike_of(lab.west), "net", lab.now, share=share)
    lab.settle()
    first = next(spi for spi, made in live(lab.west).items() if made.share.label == SECRET)
    lab.west.endpoint.delete_child(first, lab.now)
    lab.settle()
    assert labels(lab) == [PUBLIC]
    assert lab.east.one(ChildDown).child.share.label == SECRET
