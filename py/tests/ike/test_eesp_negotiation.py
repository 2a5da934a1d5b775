"""EESP agreed on by IKE: layouts, keys, maxima, rekeys and deletes (esp-evolution g.4, g.8)."""

from dataclasses import replace

import pytest
from ike_formats import (
    OFFERED,
    formats_in,
    lab_of,
    layouts,
    made_by_offer,
    offer,
    required,
    vendor_ids,
)
from ike_lab import STEADY, make_node
from ike_ledger import ask, assert_mirrored, ike_of, live
from ike_orders import Meeting, assert_settled, delete_child, every_order, rekey_child

from p4esp.ike import negotiation
from p4esp.ike.codec.message import parse_message
from p4esp.ike.codec.payloads import Delete, Nonce, Notify
from p4esp.ike.codec.proposal import Proposal, Transform
from p4esp.ike.config import FormatWish, Settings
from p4esp.ike.constants import ExchangeType, NotifyType, ProtocolId
from p4esp.ike.crypto.schedule import FreshInput, Nonces, child_keymat
from p4esp.ike.drops import Drop
from p4esp.ike.events import ChildDown, ChildFailed, DownReason
from p4esp.ike.extensions.experimental import P4ESP
from p4esp.ike.negotiation import make_offer
from p4esp.ike.proposals import Template
from p4esp.ipsec.layouts import sent_subs
from p4esp.ipsec.sa import Layout, Mode

EXPLICIT = (Template.esp("aes256gcm16-noesn"),)
OPTIMIZED = FormatWish("eesp-optimized", subs=16)
FULL = FormatWish("eesp-full", subs=16, shown=32)
ONE_KEY = FormatWish("eesp-optimized")
NO_NUMBERS = FormatWish("eesp-optimized", numbered=False)
PLAIN = FormatWish()
ESP = Layout()
SUB_IDS, OFFSET = NotifyType.EESP_MAX_SUB_SA_ID, NotifyType.EESP_MAX_CRYPT_OFFSET
INFORMATIONAL = ExchangeType.INFORMATIONAL
LAYOUTS = {
    "sub SAs": (OPTIMIZED, Layout("eesp-optimized", 16, 16)),
    "something shown": (FULL, Layout("eesp-full", 16, 16, 32, 32)),
    "one key": (ONE_KEY, Layout("eesp-optimized", one_key=True)),
    "one key, shown": (
        FormatWish("eesp-full", shown=32),
        Layout("eesp-full", 1, 1, 32, 32, one_key=True),
    ),
    "no numbers": (NO_NUMBERS, Layout("eesp-optimized", one_key=True, numbered=False)),
    "no numbers, sub SAs": (
        replace(OPTIMIZED, numbered=False),
        Layout("eesp-optimized", 16, 16, numbered=False),
    ),
}


def eesp(lab, *transforms, number=1):
    """An EESP proposal; without transforms the first one that west would make."""
    (proposal, *_) = made_offer(lab).proposals
    return Proposal(number, 201, OFFERED, transforms or proposal.transforms)


def made_offer(lab):
    """What west would offer for its child."""
    state = lab.west.endpoint._entries[ike_of(lab.west)].sa._state
    return make_offer(state, lab.west_config.children[0])


# What both want is agreed on


@pytest.mark.parametrize(("wish", "layout"), LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("role", ["west", "east"])
def test_both_ends_have_the_same_and_again_by_each_rekey(wish, layout, role):
    lab = lab_of(required(wish), proposals=EXPLICIT)
    node, seen = getattr(lab, role), set()
    for _ in range(3):
        assert layouts(lab) == (layout, layout)
        ((spi, made),) = live(node).items()
        seen.add(made.keymat.outbound.key)
        node.endpoint.rekey_child(spi, lab.now)
        lab.settle()
    assert len(seen) == 3
    assert lab.west.of(ChildFailed) == lab.east.of(ChildFailed) == []


def test_a_rekey_of_the_ike_sa_and_a_key_exchange_in_the_rekey_of_a_child():
    """KE is optional, and the vendor IDs were in IKE_SA_INIT."""
    lab = lab_of(required(OPTIMIZED), proposals=(Template.esp("aes256gcm16-x25519-noesn"),))
    lab.west.endpoint.rekey_ike(ike_of(lab.west), lab.now)
    lab.settle()
    lab.east.endpoint.rekey_child(next(iter(live(lab.east))), lab.now)
    lab.settle()
    assert layouts(lab) == (Layout("eesp-optimized", 16, 16),) * 2
    state = lab.east.endpoint._entries[lab.east.endpoint.ike_sas[0].spi].sa._state
    assert [child.method for child in state.children] == [31]


@pytest.mark.parametrize("shown", [0, 8])
def test_what_has_no_inner_header_is_full_whether_something_is_shown_or_not(shown):
    """g.2: a payload info header must say what the payload is."""
    lab = lab_of(required(FormatWish("eesp-full", shown=shown)), mode=Mode.TRANSPORT)
    assert layouts(lab) == (Layout("eesp-full", 1, 1, shown, shown, one_key=True),) * 2


def test_a_tunnel_is_full_only_towards_who_says_how_much_it_takes_in_clear():
    """Each direction by itself: g.2, and what the receiver announces in g.8."""
    lab = lab_of(required(FormatWish("eesp-full", shown=32)), required(ONE_KEY))
    west, east = layouts(lab)
    assert west == Layout("eesp-full", 1, 1, 32, 0, "eesp-optimized", one_key=True)
    assert east == Layout("eesp-optimized", 1, 1, 0, 0, "eesp-full", one_key=True)
    assert str(west) == "eesp-full in, eesp-optimized out, shown 32 in, 0 out"


def test_nobody_shows_more_than_the_peer_takes_or_than_itself_would():
    west, east = layouts(lab_of(FULL, replace(FULL, shown=20)))
    assert (west.shown_in, west.shown_out) == (32, 20)
    assert (east.shown_in, east.shown_out) == (20, 20)


def test_each_end_states_what_it_receives_and_the_other_sends_within_that():
    west, east = layouts(lab_of(OPTIMIZED, replace(OPTIMIZED, subs=12)))
    assert (west.subs_in, west.subs_out) == (east.subs_out, east.subs_in) == (16, 12)
    assert (sent_subs(west), sent_subs(east)) == (8, 8)


@pytest.mark.parametrize("wishes", [(OPTIMIZED, ONE_KEY), (ONE_KEY, OPTIMIZED)])
def test_where_one_end_has_no_sub_sas_there_is_one_key(wishes):
    assert layouts(lab_of(*map(required, wishes))) == (LAYOUTS["one key"][1],) * 2


# Keys


@pytest.mark.parametrize("wish", [OPTIMIZED, ONE_KEY])
def test_keymat_gives_roots_of_32_octets_with_key_derivation_and_else_keys_and_salts(wish):
    """g.8: initiator to responder first; RFC 7296 2.17 without SSKDF."""
    (made,) = live(lab_of(wish).west).values()
    assert len(made.keymat.outbound.key) == 32
    assert len(made.keymat.outbound.salt) == (0 if wish is OPTIMIZED else 4)


@pytest.mark.parametrize(("wish", "size"), [(OPTIMIZED, 32), (ONE_KEY, 36)])
def test_keys_are_cut_from_keymat_initiator_to_responder_first(wish, size):
    lab = lab_of(wish)
    (made,) = live(lab.west).values()
    nonces = Nonces(*(parse_message(d.data).clear.one(Nonce).data for _, d in lab.wire[:2]))
    _, _, suite, keys = lab.west.keys[0]
    stream = bytes(child_keymat(suite.prf, keys.d, FreshInput(nonces), 2 * size))
    ends = made.keymat.outbound, made.keymat.inbound
    assert [end.key + end.salt for end in ends] == [stream[:size], stream[size:]]
    assert made.keymat.outbound.key.hex() not in repr((made, lab.west.events, lab.west.traces))


# Fallback and policy


@pytest.mark.parametrize("wish", [OPTIMIZED, FULL, NO_NUMBERS])
def test_without_the_peers_consent_the_child_is_plain_esp(wish):
    """The responder picks ESP of the two that are offered."""
    for wishes in ((wish, PLAIN), (PLAIN, wish)):
        assert layouts(lab_of(*wishes, proposals=EXPLICIT)) == (ESP, ESP)


@pytest.mark.parametrize("wish", [OPTIMIZED, FULL, NO_NUMBERS])
def test_where_one_end_requires_it_and_the_other_does_not_know_it_there_is_no_child(wish):
    lab = lab_of(required(wish), PLAIN, proposals=EXPLICIT)
    assert "is required" in lab.west.one(ChildFailed).reason
    lab = lab_of(PLAIN, required(wish), proposals=EXPLICIT)
    assert lab.west.one(ChildFailed).reason == "NO_PROPOSAL_CHOSEN"
    assert "is required" in lab.east.one(ChildFailed).reason
    assert live(lab.west) == live(lab.east) == {}
    assert lab.west.spis.used == lab.east.spis.used == set()


OTHERS = {
    "numbers and none": (OPTIMIZED, replace(OPTIMIZED, numbered=False)),
    "a format of ESP": (OPTIMIZED, FormatWish("subspaces", subs=16)),
}


@pytest.mark.parametrize("wishes", OTHERS.values(), ids=OTHERS)
def test_ends_that_want_other_things_have_plain_esp_or_nothing(wishes):
    """Both have the vendor ID, so EESP alone is offered where it is required."""
    for west, east in (wishes, wishes[::-1]):
        assert layouts(lab_of(west, east, proposals=EXPLICIT)) == (ESP, ESP)
        lab = lab_of(required(west), east, proposals=EXPLICIT)
        reasons = [down.reason for down in lab.west.of(ChildFailed)]
        assert len(reasons) == 1
        assert reasons[0] == "NO_PROPOSAL_CHOSEN" or "does not agree" in reasons[0]
        lab.settle()
        assert live(lab.west) == live(lab.east) == {}


def test_a_required_eesp_is_offered_alone_and_refused_with_no_proposal_chosen():
    lab = lab_of(required(OPTIMIZED), replace(OPTIMIZED, numbered=False), proposals=EXPLICIT)
    assert [proposal.protocol for proposal in made_offer(lab).proposals] == [201]
    assert lab.west.one(ChildFailed).reason == "NO_PROPOSAL_CHOSEN"


def test_without_the_vendor_id_eesp_is_neither_offered_nor_chosen():
    """201 is private, and the peer may mean something else by it (RFC 7296 3.12)."""
    lab = lab_of(OPTIMIZED, PLAIN)
    assert vendor_ids(lab) == [[P4ESP], []]
    assert [proposal.protocol for proposal in made_offer(lab).proposals] == [3]
    lab = lab_of(PLAIN, OPTIMIZED)
    gcm, esp = Transform.of(1, 30, 256), made_offer(lab).proposals[0].transforms
    strange = Proposal(1, 201, bytes(8), (gcm, Transform(5, 1024)))
    assert offer(lab, proposals=(strange, Proposal(2, 3, OFFERED, esp))).error() is None
    assert made_by_offer(lab) == ESP


@pytest.mark.parametrize("without", ["west", "east"])
def test_without_experimental_eesp_is_neither_offered_nor_chosen(without):
    lab = lab_of(OPTIMIZED, connect=False)
    node = make_node([getattr(lab, f"{without}_config")], 7, Settings(retransmission=STEADY))
    host = next(host for host, old in lab.nodes.items() if old is getattr(lab, without))
    lab.nodes[host] = node
    setattr(lab, without, node)
    lab.connect()
    assert layouts(lab) == (ESP, ESP)
    assert [proposal.protocol for proposal in made_offer(lab).proposals] == [3]


@pytest.mark.parametrize("must", [False, True])
def test_behind_a_nat_eesp_is_neither_offered_nor_chosen(must):
    """It has no UDP encapsulation here: plain ESP, or nothing and the reason."""
    wish = replace(OPTIMIZED, required=must)
    lab = lab_of(wish, force_encapsulation=True)
    if must:
        assert "cannot travel in UDP" in lab.west.one(ChildFailed).reason
        assert live(lab.west) == {}
    else:
        assert layouts(lab) == (ESP, ESP)
    gcm = Transform.of(1, 30, 256)
    proposals = (Proposal(1, 201, OFFERED, (gcm, Transform(5, 1024))),)
    answer = offer(lab, proposals=proposals)
    assert answer.error().type == NotifyType.NO_PROPOSAL_CHOSEN


# What the other end announces


def test_maxima_are_announced_and_not_echoed():
    lab = lab_of(FULL)
    notifies = Notify(SUB_IDS, b"\0\3"), Notify(OFFSET, b"\x02")
    answer = offer(lab, *notifies, proposals=(eesp(lab),))
    assert formats_in(answer) == [Notify(SUB_IDS, b"\0\x0f"), Notify(OFFSET, b"\x08")]
    assert made_by_offer(lab) == Layout("eesp-full", 16, 4, 32, 8)


def test_who_announces_nothing_sets_no_limit_to_sub_sas_and_is_shown_nothing():
    lab = lab_of(FULL)
    offer(lab, proposals=(eesp(lab),))
    assert made_by_offer(lab) == Layout("eesp-full", 16, 65536, 32, 0, "eesp-optimized")


def test_a_maximum_of_sub_sas_means_nothing_without_key_derivation():
    lab = lab_of(OPTIMIZED)
    gcm, whole = made_offer(lab).proposals[0].transforms[:2]
    answer = offer(lab, Notify(SUB_IDS, b"\0\3"), proposals=(eesp(lab, gcm, whole),))
    assert formats_in(answer) == []
    assert made_by_offer(lab) == Layout("eesp-optimized", one_key=True)


def test_the_highest_bits_of_an_offset_do_not_count_and_0_is_an_offset_too():
    lab = lab_of(FormatWish("eesp-full", shown=32))
    offer(lab, Notify(OFFSET, b"\xc3"), proposals=(eesp(lab),))
    assert made_by_offer(lab).shown_out == 12
    lab = lab_of(FormatWish("eesp-full", shown=32))
    offer(lab, Notify(OFFSET, b"\0"), proposals=(eesp(lab),))
    assert made_by_offer(lab) == Layout("eesp-full", 1, 1, 32, 0, one_key=True)


OF_ESP = {
    "no TFC": Notify(NotifyType.ESP_TFC_PADDING_NOT_SUPPORTED),
    "WESP": Notify(NotifyType.USE_WESP_MODE),
    "subspaces": Notify(NotifyType.REPLAY_SUBSPACES, bytes((1, 16, 0, 16))),
}


@pytest.mark.parametrize("notify", OF_ESP.values(), ids=OF_ESP)
def test_what_is_said_of_esp_means_nothing_to_eesp(notify):
    """Sub SAs and subspaces do not go together, either (digest 11.3)."""
    lab = lab_of(ONE_KEY)
    assert formats_in(offer(lab, notify, proposals=(eesp(lab),))) == []
    assert made_by_offer(lab) == LAYOUTS["one key"][1]


MALFORMED = {
    "long": (Notify(SUB_IDS, bytes(3)), Notify(OFFSET, bytes(2))),
    "empty": (Notify(SUB_IDS), Notify(OFFSET)),
    "with an SPI": (
        Notify(SUB_IDS, b"\0\x0f", spi=bytes(4)),
        Notify(OFFSET, b"\x08", spi=bytes(4)),
    ),
    "twice": (*[Notify(SUB_IDS, b"\0\x0f")] * 2, *[Notify(OFFSET, b"\x08")] * 2),
}


@pytest.mark.parametrize("notifies", MALFORMED.values(), ids=MALFORMED)
def test_a_maximum_that_cannot_be_read_counts_as_the_least_and_is_audited(notifies):
    lab = lab_of(FULL)
    assert offer(lab, *notifies, proposals=(eesp(lab),)).error() is None
    assert made_by_offer(lab) == Layout("eesp-full", 16, 1, 32, 0, "eesp-optimized")
    assert lab.east.endpoint.drops == {Drop.IGNORED_NOTIFY: 2}


@pytest.mark.parametrize("notifies", MALFORMED.values(), ids=MALFORMED)
def test_a_maximum_in_an_answer_that_cannot_be_read_ends_the_child(notifies, monkeypatch):
    monkeypatch.setattr(negotiation, "formats_answered", lambda *_: notifies)
    lab = lab_of(FULL)
    assert "the peer answered with N(EESP_MAX_" in lab.west.one(ChildFailed).reason
    lab.settle()
    assert live(lab.west) == live(lab.east) == {}
    assert lab.west.spis.used == set()


def test_an_spi_that_is_not_4_octets_is_refused():
    lab = lab_of(ONE_KEY)
    wrong = replace(eesp(lab), spi=bytes(range(8)))
    assert offer(lab, proposals=(wrong,)).error().type == NotifyType.NO_PROPOSAL_CHOSEN


# Rekeys and deletes by protocol


def delete(protocol, *spis):
    return Delete(protocol, tuple(spi.to_bytes(4, "big") for spi in spis))


def test_a_delete_names_the_protocol_and_is_answered_under_it():
    lab = lab_of(OPTIMIZED)
    ((spi, made),) = live(lab.west).items()
    assert ask(lab, INFORMATIONAL, delete(ProtocolId.ESP, spi)).payloads == ()
    assert len(live(lab.east)) == 1
    answer = ask(lab, INFORMATIONAL, delete(ProtocolId.EESP, spi, 0xFFFF))
    assert answer.payloads == (delete(ProtocolId.EESP, made.spi_out),)
    assert lab.east.one(ChildDown).reason is DownReason.PEER_DELETE


def test_deletes_of_both_protocols_in_one_message_are_answered_apart():
    lab = lab_of(OPTIMIZED)
    ((spi, made),) = live(lab.west).items()
    esp = made_offer(lab).proposals[1]
    offer(lab, proposals=(replace(esp, number=1, spi=OFFERED),))
    plain = next(sa for sa in live(lab.east).values() if sa.layout == ESP)
    both = delete(ProtocolId.EESP, spi), delete(ProtocolId.ESP, plain.spi_out)
    assert set(ask(lab, INFORMATIONAL, *both).payloads) == {
        delete(ProtocolId.EESP, made.spi_out),
        delete(ProtocolId.ESP, plain.spi_in),
    }
    assert live(lab.east) == {}


@pytest.mark.parametrize("role", ["west", "east"])
def test_either_end_deletes_and_both_are_rid_of_it(role):
    lab = lab_of(OPTIMIZED)
    node = getattr(lab, role)
    node.endpoint.delete_child(next(iter(live(node))), lab.now)
    lab.settle()
    assert live(lab.west) == live(lab.east) == {}
    assert_mirrored(lab)


@pytest.mark.parametrize(
    ("protocol", "error"),
    [
        (ProtocolId.ESP, NotifyType.CHILD_SA_NOT_FOUND),
        (ProtocolId.AH, NotifyType.CHILD_SA_NOT_FOUND),
        (200, NotifyType.INVALID_SYNTAX),
        (ProtocolId.EESP, None),
    ],
)
def test_a_rekey_names_the_protocol_of_the_sa_that_it_replaces(protocol, error):
    lab = lab_of(OPTIMIZED)
    spi = next(iter(live(lab.west))).to_bytes(4, "big")
    notify = Notify(NotifyType.REKEY_SA, protocol=protocol, spi=spi)
    answer = offer(lab, notify, proposals=(eesp(lab),))
    assert (answer.error() and answer.error().type) == error
    if error is NotifyType.CHILD_SA_NOT_FOUND:
        assert (answer.error().protocol, answer.error().spi) == (protocol, spi)


def test_a_rekey_of_an_esp_sa_does_not_find_it_under_eesp():
    lab = lab_of(OPTIMIZED, PLAIN)
    spi = next(iter(live(lab.west))).to_bytes(4, "big")
    notify = Notify(NotifyType.REKEY_SA, protocol=ProtocolId.EESP, spi=spi)
    assert offer(lab, notify).error().type == NotifyType.CHILD_SA_NOT_FOUND


@pytest.mark.parametrize(
    "pair",
    [(rekey_child, rekey_child), (rekey_child, delete_child), (delete_child, delete_child)],
)
def test_rekeys_and_deletes_that_collide_end_alike_at_both_ends_in_every_order(pair):
    """RFC 7296 2.8.1, 2.25, as for ESP."""
    orders = 0
    for choose in every_order(20_000):
        lab = lab_of(required(OPTIMIZED))
        Meeting(lab, [(lab.west, pair[0]), (lab.east, pair[1])], 0).run(choose)
        assert_settled(lab)
        assert {sa.layout for sa in live(lab.west).values()} <= {Layout("eesp-optimized", 16, 16)}
        orders += 1
    assert orders > 1


@pytest.mark.parametrize("must", [False, True])
def test_what_was_not_taken_up_is_deleted_under_each_protocol_it_was_offered_for(must, monkeypatch):
    lab = lab_of(replace(OPTIMIZED, required=must), connect=False)
    deletes = []
    monkeypatch.setattr(
        "p4esp.ike.tasks.deleting.Delete", lambda *said: deletes.append(said) or Delete(*said)
    )
    monkeypatch.setattr(negotiation, "formats_answered", lambda *_: MALFORMED["long"])
    lab.connect()
    assert [protocol for protocol, _ in deletes] == ([201] if must else [201, 3])
    assert live(lab.east) == {}
    assert lab.west.spis.used == set()


def test_a_rekey_inherits_nothing():
    """The peer agrees anew: it may no longer know EESP."""
    lab = lab_of(OPTIMIZED)
    (child,) = lab.east_config.children
    state = lab.east.endpoint._entries[lab.east.endpoint.ike_sas[0].spi].sa._state
    for made in state.children:
        made.config = replace(child, format=PLAIN)
    lab.west.endpoint.rekey_child(next(iter(live(lab.west))), lab.now)
    lab.settle()
    assert layouts(lab) == (ESP, ESP)
    assert not lab.west.of(ChildFailed)
