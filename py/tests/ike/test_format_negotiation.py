"""Formats of ESP agreed on by private notifies (esp-evolution 0.7, a.8, b.8, c.7, d.5, e.6)."""

from dataclasses import replace
from itertools import pairwise
from typing import get_args

import pytest
from ike_formats import (
    SETTINGS,
    formats_in,
    lab_of,
    layouts,
    made_by_offer,
    offer,
    required,
    vendor_ids,
)
from ike_lab import (
    EAST,
    STEADY,
    make_node,
    toward,
)
from ike_ledger import ike_of, live

from p4esp.configuration.formats import FormatName
from p4esp.ike import negotiation
from p4esp.ike.codec.chain import encode_chain
from p4esp.ike.codec.message import PayloadSet, encode_clear, parse_message
from p4esp.ike.codec.payloads import Nonce, Notify, VendorId
from p4esp.ike.codec.proposal import SecurityAssociation
from p4esp.ike.config import FormatWish, Settings
from p4esp.ike.constants import ExchangeType, NotifyType
from p4esp.ike.crypto.schedule import FreshInput, Nonces, child_keymat
from p4esp.ike.drops import Drop
from p4esp.ike.events import AuthenticationFailed, ChildFailed
from p4esp.ike.extensions.experimental import P4ESP
from p4esp.ike.format_notifies import Stated, notify_of, stated
from p4esp.ike.keylog import esp_lines
from p4esp.ike.proposals import Template
from p4esp.ipsec.formats import format_named
from p4esp.ipsec.layouts import sent_subs
from p4esp.ipsec.sa import Layout, Wrap

WISHES = {
    "subspaces": FormatWish("subspaces", subs=16),
    "sub-child": FormatWish("sub-child", subs=4),
    "spi-block": FormatWish("spi-block", subs=5),
    "trailer-in-header": FormatWish("trailer-in-header"),
    "trailer-in-clear": FormatWish("trailer-in-clear"),
    "no-trailer": FormatWish("no-trailer"),
    "header-in-trailer": FormatWish("header-in-trailer"),
    "crypt-offset": FormatWish("crypt-offset", shown=28),
    "crypt-offset-shown": FormatWish("crypt-offset-shown", shown=28),
    "wesp": FormatWish("wesp"),
    "wesp-v2": FormatWish("wesp-v2", shown=28),
}
SUBSPACES = WISHES["subspaces"]
PLAIN = FormatWish()
REPLAY = NotifyType.REPLAY_SUBSPACES


# What both want is agreed on, by either end and again at each rekey


@pytest.mark.parametrize("name", WISHES)
@pytest.mark.parametrize("role", ["west", "east"])
def test_a_format_that_both_ends_want_is_agreed_on_and_again_by_each_rekey(name, role):
    lab, wish = lab_of(required(WISHES[name])), WISHES[name]
    node, seen = getattr(lab, role), set()
    for _ in range(3):
        same = Layout(name, wish.subs, wish.subs, wish.shown, wish.shown)
        assert layouts(lab) == (same, same)
        ((spi, made),) = live(node).items()
        seen.add(made.keymat.outbound.key)
        node.endpoint.rekey_child(spi, lab.now)
        lab.settle()
    assert len(seen) == 3


def test_a_format_survives_a_rekey_of_the_ike_sa():
    """The vendor IDs were in IKE_SA_INIT, which a rekey does not have (RFC 7296 2.18)."""
    lab = lab_of(required(SUBSPACES))
    lab.west.endpoint.rekey_ike(ike_of(lab.west), lab.now)
    lab.settle()
    lab.east.endpoint.rekey_child(next(iter(live(lab.east))), lab.now)
    lab.settle()
    assert layouts(lab) == (Layout("subspaces", 16, 16),) * 2


def test_each_end_states_what_it_receives_and_the_other_sends_within_that():
    west, east = layouts(lab_of(SUBSPACES, replace(SUBSPACES, subs=12)))
    assert (west.subs_in, west.subs_out) == (east.subs_out, east.subs_in) == (16, 12)
    assert (sent_subs(west), sent_subs(east)) == (8, 8)


def test_a_peer_that_receives_65536_makes_nobody_send_on_more_than_a_flow_can_choose():
    assert sent_subs(Layout("subspaces", 1 << 16, 1 << 16)) == 256


def test_a_peer_that_receives_more_makes_us_send_in_no_more_spaces_than_we_are_configured_for():
    """Spaces are one pool for all peers."""
    assert sent_subs(Layout("subspaces", 16, 1 << 16)) == 16


@pytest.mark.parametrize("name", ["crypt-offset", "crypt-offset-shown", "wesp-v2"])
def test_of_two_maxima_in_clear_the_lower_counts_both_ways(name):
    """A peer never makes us show more than our own configuration does."""
    wish = WISHES[name]
    low = Layout(name, 1, 1, 20, 20)
    assert layouts(lab_of(wish, replace(wish, shown=20))) == (low, low)
    assert layouts(lab_of(replace(wish, shown=20), wish)) == (low, low)


def test_a_rekey_inherits_nothing(monkeypatch):
    """Digest 0.7 (3): the peer agrees anew, or the successor is plain."""
    lab = lab_of(SUBSPACES)
    monkeypatch.setattr(negotiation, "layout_agreed", lambda *_: Layout())
    lab.west.endpoint.rekey_child(next(iter(live(lab.west))), lab.now)
    lab.settle()
    assert layouts(lab) == (Layout(), Layout())


# Keys


def test_roots_of_sub_keys_are_32_octets_each_of_keymat_initiator_to_responder_first():
    lab = lab_of(WISHES["sub-child"])
    (made,) = live(lab.west).values()
    nonces = Nonces(*(parse_message(d.data).clear.one(Nonce).data for _, d in lab.wire[:2]))
    _, _, suite, keys = lab.west.keys[0]
    stream = bytes(child_keymat(suite.prf, keys.d, FreshInput(nonces), 64))
    assert (made.keymat.outbound.key, made.keymat.inbound.key) == (stream[:32], stream[32:])
    assert (made.keymat.outbound.salt, made.keymat.inbound.salt) == (b"", b"")


def test_roots_are_shown_by_no_repr_and_in_no_trace():
    lab = lab_of(WISHES["sub-child"])
    (made,) = live(lab.west).values()
    said = repr((made, lab.west.events, lab.west.traces, lab.east.traces))
    assert made.keymat.outbound.key.hex() not in said
    assert repr(made.keymat.outbound.key)[2:-1] not in said


def test_keys_of_formats_are_not_exported_for_wireshark_which_cannot_read_them():
    (made,) = live(lab_of(SUBSPACES).west).values()
    with pytest.raises(Exception, match="by itself does not read ESP in format subspaces"):
        esp_lines(made)


# One side without support, or with another policy


@pytest.mark.parametrize("name", WISHES)
def test_without_the_peers_consent_the_child_is_plain_esp(name):
    for wishes in ((WISHES[name], PLAIN), (PLAIN, WISHES[name])):
        assert layouts(lab_of(*wishes)) == (Layout(), Layout())


def test_where_one_end_requires_what_the_other_does_not_know_there_is_no_child():
    lab = lab_of(required(SUBSPACES), PLAIN)
    assert "format subspaces is required" in lab.west.one(ChildFailed).reason
    assert not lab.east.of(ChildFailed)
    assert lab.west.spis.used == lab.east.spis.used == set()
    lab = lab_of(PLAIN, required(SUBSPACES))
    assert lab.west.one(ChildFailed).reason == "NO_PROPOSAL_CHOSEN"
    assert "format subspaces is required" in lab.east.one(ChildFailed).reason
    assert lab.west.spis.used == lab.east.spis.used == set()


PAIRS = [
    *pairwise(name for name in WISHES if name != "wesp"),
    ("no-trailer", "trailer-in-header"),
]


@pytest.mark.parametrize("names", PAIRS, ids="/".join)
def test_ends_that_want_different_formats_have_plain_esp_or_nothing(names):
    """Both know the numbers: the vendor IDs are there."""
    west, east = (WISHES[name] for name in names)
    assert layouts(lab_of(west, east)) == (Layout(), Layout())
    lab = lab_of(west, required(east))
    assert lab.west.one(ChildFailed).reason == "NO_PROPOSAL_CHOSEN"
    lab = lab_of(required(west), east)
    assert "the peer does not agree to it" in lab.west.one(ChildFailed).reason
    lab.settle()
    assert live(lab.west) == live(lab.east) == {}
    assert lab.west.spis.used == set()


def test_the_vendor_id_is_sent_only_where_a_child_has_a_format_and_answered_only_then():
    """RFC 7296 3.12. A responder does not show it to who did not."""
    assert vendor_ids(lab_of(SUBSPACES)) == [[P4ESP], [P4ESP]]
    assert vendor_ids(lab_of(SUBSPACES, PLAIN)) == [[P4ESP], []]
    assert vendor_ids(lab_of(PLAIN, SUBSPACES)) == [[], []]


@pytest.mark.parametrize("without", ["west", "east"])
def test_without_experimental_no_number_is_sent_or_heeded(without):
    lab = lab_of(SUBSPACES, connect=False)
    config = getattr(lab, f"{without}_config")
    node = make_node([config], 7, Settings(retransmission=STEADY))
    host = next(host for host, old in lab.nodes.items() if old is getattr(lab, without))
    lab.nodes[host] = node
    setattr(lab, without, node)
    lab.connect()
    assert layouts(lab) == (Layout(), Layout())
    assert sum(map(len, vendor_ids(lab))) == (0 if without == "west" else 1)


def test_without_the_vendor_id_the_number_means_nothing():
    """RFC 7296 3.10.1: unknown status notifies are ignored."""
    lab = lab_of(PLAIN, SUBSPACES)
    answer = offer(lab, notify_of(format_named("subspaces"), SUBSPACES))
    assert formats_in(answer) == []
    assert made_by_offer(lab) == Layout()


@pytest.mark.parametrize("must", [False, True])
def test_header_in_trailer_through_a_nat_falls_back_or_is_refused(must):
    """It cannot travel in UDP (digest d.5)."""
    wish = replace(WISHES["header-in-trailer"], required=must)
    lab = lab_of(wish, force_encapsulation=True)
    if must:
        assert "cannot travel in UDP" in lab.west.one(ChildFailed).reason
        assert live(lab.west) == {}
    else:
        assert layouts(lab) == (Layout(), Layout())
    answer = offer(lab, notify_of(format_named(wish.name), wish))
    refused = answer.error()
    assert (refused and refused.type) == (NotifyType.NO_PROPOSAL_CHOSEN if must else None)


def test_a_format_whose_numbers_are_sent_whole_is_not_agreed_on_together_with_esn():
    """The configuration offers no ESN with it; a proposal that does makes plain ESP."""
    extended = (Template.esp("aes256gcm16-esn"),)
    assert layouts(lab_of(SUBSPACES, proposals=extended)) == (Layout(), Layout())
    assert layouts(lab_of(WISHES["wesp-v2"], proposals=extended)) == (Layout(), Layout())
    lab = lab_of(required(WISHES["wesp-v2"]), proposals=extended)
    assert "accepted: noesn" in lab.east.one(ChildFailed).reason


# WESP, which RFC 5840 has


@pytest.mark.parametrize("experimental", [False, True])
def test_wesp_takes_no_vendor_id_and_no_switch(experimental):
    settings = replace(SETTINGS, experimental=experimental)
    lab = lab_of(required(WISHES["wesp"]), settings=settings)
    assert layouts(lab) == (Layout("wesp"), Layout("wesp"))
    assert vendor_ids(lab) == [[], []]
    assert {sa.wrap for sa in live(lab.west).values()} == {Wrap.ENCRYPTED}


def test_wesp_shows_where_the_payload_is_when_nobody_hides_it():
    """RFC 5840 2: of integrity-only SAs."""
    lab = lab_of(WISHES["wesp"], proposals=(Template.esp("aes256gmac-esn"),))
    assert layouts(lab) == (Layout("wesp"), Layout("wesp"))
    assert {sa.wrap for sa in live(lab.east).values()} == {Wrap.VISIBLE}


def test_an_answer_with_wesp_that_nobody_asked_for_ends_the_child(monkeypatch):
    """A number of the RFC means what it says, with vendor IDs and without."""
    notify = Notify(NotifyType.USE_WESP_MODE)
    monkeypatch.setattr(negotiation, "formats_answered", lambda *_: (notify,))
    assert "which was not offered" in lab_of(PLAIN).west.one(ChildFailed).reason


# Downgrade


@pytest.mark.parametrize("message", [0, 1])
def test_a_vendor_id_taken_out_on_the_way_fails_the_authentication_and_makes_no_plain_child(
    message,
):
    """IKE_SA_INIT is not protected, but the AUTH payloads cover both its messages."""
    lab = lab_of(SUBSPACES, connect=False)
    launch = lab._launch

    def strip(datagram):
        if len(lab.wire) == message:
            parsed = parse_message(datagram.data)
            kept = [p for p in parsed.clear.payloads if not isinstance(p, VendorId)]
            assert len(kept) == len(parsed.clear.payloads) - 1
            datagram = replace(datagram, data=encode_clear(parsed.header, kept))
        launch(datagram)

    lab._launch = strip
    lab.connect()
    lab.run(120)
    assert lab.west.of(AuthenticationFailed) or lab.east.of(AuthenticationFailed)
    assert live(lab.west) == live(lab.east) == {}


def test_a_notify_cannot_be_seen_or_taken_out_of_ike_auth():
    """It travels in SK: nothing outside shows it, and whatever is changed is not authentic."""
    lab = lab_of(SUBSPACES, connect=False)
    launch, altered = lab._launch, []
    wanted = encode_chain([notify_of(format_named("subspaces"), SUBSPACES)])[1][4:]

    def cut(datagram):
        parsed = parse_message(datagram.data)
        if parsed.header.exchange == ExchangeType.IKE_AUTH and toward(EAST, datagram):
            assert wanted not in datagram.data
            at = len(datagram.data) - 60 - len(altered)
            data = bytearray(datagram.data)
            data[at] ^= 1
            altered.append(at)
            datagram = replace(datagram, data=bytes(data))
        launch(datagram)

    lab._launch = cut
    lab.connect()
    lab.run(20)
    assert altered
    assert lab.east.endpoint.drops[Drop.NOT_AUTHENTIC] == len(altered)
    assert live(lab.west) == live(lab.east) == {}


# What notifies hold


@pytest.mark.parametrize(
    ("name", "wish", "octets"),
    [
        ("subspaces", FormatWish(subs=16), "01000010"),
        ("subspaces", FormatWish(subs=65536), "01000000"),
        ("trailer-in-header", FormatWish(), "80"),
        ("trailer-in-clear", FormatWish(), "40"),
        ("no-trailer", FormatWish(), "20"),
        ("header-in-trailer", FormatWish(), "01"),
        ("crypt-offset", FormatWish(shown=28), "0780"),
        ("crypt-offset-shown", FormatWish(shown=28), "07c0"),
        ("wesp", FormatWish(), ""),
        ("wesp-v2", FormatWish(shown=28), "07"),
        ("wesp-v2", FormatWish(shown=0), "00"),
        ("sub-child", FormatWish(subs=4), "010000030001"),
        ("spi-block", FormatWish(subs=4), "020200030001"),
    ],
)
def test_notifies_hold_the_octets_of_the_digest_and_are_read_back(name, wish, octets):
    """Digest K.8, and what the registry shows as example."""
    form = format_named(name)
    notify = notify_of(form, wish)
    assert (notify.type, notify.data.hex()) == (form.notify.number, octets)
    assert (notify.protocol, notify.spi) == (0, b"")
    said = stated(form, PayloadSet((notify,)), answer=True)
    assert said == Stated(wish.subs, wish.shown)


def test_every_format_that_a_child_may_have_but_plain_esp_has_a_notify_of_ours():
    forms = [format_named(name) for name in get_args(FormatName)]
    numbers = {form.notify.number for form in forms if form.notify}
    assert numbers == {16415, 51201, 51202, 51204, 51205, 51206, 51207, 51211, 52020, 52050}


MALFORMED = {
    "short": [Notify(REPLAY, b"\1\0\0")],
    "long": [Notify(REPLAY, b"\1\0\0\x10\0")],
    "empty": [Notify(REPLAY)],
    "with an SPI": [Notify(REPLAY, b"\1\0\0\x10", spi=b"\1\2\3\4")],
    "twice": [Notify(REPLAY, b"\1\0\0\x10"), Notify(REPLAY, b"\1\0\0\x20")],
}


@pytest.mark.parametrize("notifies", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_notify_in_a_request_is_ignored_and_audited(notifies):
    lab = lab_of(SUBSPACES)
    answer = offer(lab, *notifies)
    assert formats_in(answer) == []
    assert answer.has(SecurityAssociation)
    assert made_by_offer(lab) == Layout()
    assert lab.east.endpoint.drops == {Drop.IGNORED_NOTIFY: 1}
    (line,) = [trace for trace in lab.east.traces if trace.drop is Drop.IGNORED_NOTIFY]
    assert "N(REPLAY_SUBSPACES)" in line.reason
    assert line.peer == "west"


@pytest.mark.parametrize("notifies", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_notify_in_a_request_is_no_consent_to_a_format_that_is_required(notifies):
    lab = lab_of(required(SUBSPACES))
    assert offer(lab, *notifies).error().type == NotifyType.NO_PROPOSAL_CHOSEN
    assert len(live(lab.east)) == 1


@pytest.mark.parametrize("notifies", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_notify_in_an_answer_ends_the_child(notifies, monkeypatch):
    """The peer has agreed to something, and we cannot tell to what."""
    monkeypatch.setattr(negotiation, "formats_answered", lambda *_: tuple(notifies))
    lab = lab_of(SUBSPACES)
    assert "the peer answered with N(REPLAY_SUBSPACES)" in lab.west.one(ChildFailed).reason
    lab.settle()
    assert live(lab.west) == live(lab.east) == {}
    assert lab.west.spis.used == set()


OTHERS = {
    "another layout of subspaces": ("subspaces", Notify(REPLAY, b"\2\0\0\x10")),
    "two variants": ("trailer-in-header", Notify(NotifyType.ESP_TRAILER_IN_HEADER, b"\xc0")),
    "another variant": ("trailer-in-header", Notify(NotifyType.ESP_TRAILER_IN_HEADER, b"\x40")),
    "variant 2": ("header-in-trailer", Notify(NotifyType.ESP_HEADER_IN_TRAILER, b"\2")),
    "TIH shown": ("crypt-offset", Notify(NotifyType.ESP_CRYPT_OFFSET, b"\7\xc0")),
    "nothing shown": ("crypt-offset", Notify(NotifyType.ESP_CRYPT_OFFSET, b"\0\x80")),
    "another KDF": ("sub-child", Notify(NotifyType.SUB_CHILD_SA, b"\1\0\0\3\0\2")),
    "an SPI block": ("sub-child", Notify(NotifyType.SUB_CHILD_SA, b"\2\2\0\3\0\1")),
    "no block": ("spi-block", Notify(NotifyType.SUB_CHILD_SA, b"\1\0\0\3\0\1")),
    "more subs than SPIs": ("spi-block", Notify(NotifyType.SUB_CHILD_SA, b"\2\1\0\3\0\1")),
    "another format": ("sub-child", Notify(REPLAY, b"\1\0\0\x10")),
}


@pytest.mark.parametrize(("name", "notify"), OTHERS.values(), ids=OTHERS)
def test_an_answer_that_was_not_offered_ends_the_child(name, notify, monkeypatch):
    monkeypatch.setattr(negotiation, "formats_answered", lambda *_: (notify,))
    lab = lab_of(WISHES[name])
    assert "in a way that was not offered" in lab.west.one(ChildFailed).reason
    lab.settle()
    assert live(lab.west) == live(lab.east) == {}


@pytest.mark.parametrize(
    ("name", "notify"),
    [pair for what, pair in OTHERS.items() if what != "two variants"],
    ids=[what for what in OTHERS if what != "two variants"],
)
def test_a_request_for_another_variant_is_answered_with_plain_esp(name, notify):
    lab = lab_of(WISHES[name])
    assert formats_in(offer(lab, notify)) == []
    assert made_by_offer(lab) == Layout()
    assert lab.east.endpoint.drops == {}


def test_of_several_variants_in_a_request_exactly_one_is_echoed():
    lab = lab_of(WISHES["no-trailer"])
    answer = offer(lab, Notify(NotifyType.ESP_TRAILER_IN_HEADER, b"\xff"))
    assert formats_in(answer) == [Notify(NotifyType.ESP_TRAILER_IN_HEADER, b"\x20")]
    assert made_by_offer(lab) == Layout("no-trailer")


def test_reserved_bits_do_not_count():
    lab = lab_of(SUBSPACES)
    answer = offer(lab, Notify(REPLAY, b"\1\xff\0\x08"))
    assert formats_in(answer) == [Notify(REPLAY, b"\1\0\0\x10")]
    assert made_by_offer(lab) == Layout("subspaces", 16, 8)
    lab = lab_of(WISHES["crypt-offset"])
    answer = offer(lab, Notify(NotifyType.ESP_CRYPT_OFFSET, b"\7\xbf"))
    assert made_by_offer(lab) == Layout("crypt-offset", 1, 1, 28, 28)
    lab = lab_of(WISHES["wesp-v2"])
    answer = offer(lab, Notify(NotifyType.USE_WESPV2_MODE, b"\xc5"))
    assert formats_in(answer) == [Notify(NotifyType.USE_WESPV2_MODE, b"\7")]
    assert made_by_offer(lab) == Layout("wesp-v2", 1, 1, 20, 20)


@pytest.mark.parametrize("aligned", [False, True])
def test_a_block_of_spis_that_is_not_aligned_or_overlaps_is_refused(aligned):
    """`offer` is under SPI c9000001; a second one meets the block of the first."""
    lab = lab_of(WISHES["spi-block"])
    one = Notify(NotifyType.SUB_CHILD_SA, b"\2\0\0\0\0\1")
    eight = Notify(NotifyType.SUB_CHILD_SA, b"\2\3\0\7\0\1")
    if not aligned:
        assert offer(lab, eight).error().type == NotifyType.NO_PROPOSAL_CHOSEN
        assert len(live(lab.east)) == 1
        return
    assert offer(lab, one).error() is None
    assert offer(lab, one).error().type == NotifyType.NO_PROPOSAL_CHOSEN
    assert made_by_offer(lab) == Layout("spi-block", 5, 1)


def test_0_subspaces_mean_65536():
    lab = lab_of(SUBSPACES)
    offer(lab, Notify(REPLAY, b"\1\0\0\0"))
    assert made_by_offer(lab) == Layout("subspaces", 16, 65536)


def test_an_answer_with_a_format_that_nobody_asked_for_ends_the_child(monkeypatch):
    """The peer would send what we cannot read."""
    lab = lab_of(SUBSPACES)
    monkeypatch.setattr(negotiation, "formats_asked", lambda *_: ())
    monkeypatch.setattr(negotiation, "formats_answered", lambda *_: (Notify(REPLAY, bytes(4)),))
    lab.west.endpoint.rekey_child(next(iter(live(lab.west))), lab.now)
    lab.settle()
    assert "which was not offered" in lab.west.one(ChildFailed).reason


def test_without_vendor_ids_an_answer_with_such_a_number_is_ignored_and_audited(monkeypatch):
    """To the peer it means something else, or nothing (RFC 7296 3.10.1)."""
    monkeypatch.setattr(negotiation, "formats_answered", lambda *_: (Notify(REPLAY, bytes(4)),))
    lab = lab_of(PLAIN)
    assert layouts(lab) == (Layout(), Layout())
    assert lab.west.endpoint.drops == {Drop.IGNORED_NOTIFY: 1}
