"""Diet-ESP agreed on (digest 9.9, draft-ietf-ipsecme-ikev2-diet-esp-extension)."""

import random
from dataclasses import replace

import ike_formats
import pytest
from ike_formats import (
    IMPLICIT,
    OFFERED,
    SETTINGS,
    formats_in,
    lab_of,
    layouts,
    made_by_offer,
    offer,
    required,
)
from ike_lab import Lab, east_config, net, west_config
from ike_ledger import ike_of, live

from p4esp.ike import negotiation
from p4esp.ike.codec.compression import Field, HcpProposal, parse_proposals
from p4esp.ike.codec.payloads import Notify
from p4esp.ike.codec.proposal import Attribute
from p4esp.ike.config import ChildConfig, FormatWish, Settings
from p4esp.ike.constants import NotifyType
from p4esp.ike.drops import Drop
from p4esp.ike.errors import ParseError, ProposalError
from p4esp.ike.events import ChildFailed
from p4esp.ike.extension_wishes import ExtensionWishes
from p4esp.ipsec.diet import Apart
from p4esp.ipsec.sa import Layout
from p4esp.ipsec.selectors import TrafficSelector
from p4esp.service.spi_pool import SpiPool

WISH = FormatWish("diet-esp", spi_octets=1, sn_octets=2, trailer=False)
PLAIN = FormatWish()
AGREED = Layout("diet-esp", spi_octets=1, sn_octets=2, trailer=False)
KEPT = replace(AGREED, trailer=True)
PRIVATE = ExtensionWishes(delete_reason=True)
"""Something else that takes our vendor ID."""
HERE, THERE = "10.1.0.10/32", "10.2.0.10/32"
HCP = NotifyType.HCP_PROPOSAL


def child_of(wish, ends):
    """A child that is one UDP flow, or with no ports any traffic between two hosts."""
    sides = [TrafficSelector.of_network(end, *((17, (n, n)) if n else ())) for end, n in ends]
    return ChildConfig("net", (sides[0],), (sides[1],), IMPLICIT, format=wish)


def diet_lab(
    west=WISH, east=None, *, flow=True, connect=True, settings=SETTINGS, both=None, **options
):
    """West asks; without `east` both ends wish for the same. `options` are of west, `both` of both
    ends.
    """
    both = both or {}
    options |= both
    ports = (4660, 53) if flow else (0, 0)
    ends = list(zip((HERE, THERE), ports, strict=True))
    ours, theirs = child_of(west, ends), child_of(west if east is None else east, ends[::-1])
    configs = west_config(children=(ours,), **options), east_config(children=(theirs,), **both)
    lab = Lab(*configs, settings=settings)
    if connect:
        lab.connect()
    return lab


def value(field, number):
    return Attribute(field, number.to_bytes(2, "big"))


def span(field, low, high):
    ends = value(field, low).encode() + value(field, high).encode()
    return Attribute(Field.RANGE, ends, fixed=False)


GOOD = {
    Field.FLOW_LABEL_CDA: 2,
    Field.ALIGNMENT: 0,
    Field.ESP_SPI_LSB: 8,
    Field.ESP_SN_LSB: 16,
    Field.ESP_TRAILER: 1,
}
"""One UDP flow over IPv4, whose identification is generated."""


def proposal(number=1, *, name=0, more=(), **changed):
    """A proposal that is acceptable but for what is changed; None: not said."""
    known = GOOD | {Field[key]: one for key, one in changed.items()}
    said = [value(field, one) for field, one in known.items() if one is not None]
    return HcpProposal(number, name, (*said, *more))


def asking(*proposals):
    return Notify(HCP, b"".join(one.encode() for one in proposals))


def ignored(node):
    return [trace.reason for trace in node.traces if trace.drop is Drop.IGNORED_NOTIFY]


# The codec


def test_the_layout_is_that_of_the_digest():
    data = proposal().encode()
    assert data.hex() == "010000148002000280030000800400088005001080060001"
    assert parse_proposals(data + data) == (proposal(), proposal())


def test_what_is_not_said_has_its_default():
    values = HcpProposal(1).values()
    assert [values[Field(number)][0] for number in range(7)] == [0, 0, 0, 3, 32, 32, 0]
    assert HcpProposal.of(1, values) == HcpProposal(1)


def test_a_range_is_its_least_and_its_greatest_value():
    values = HcpProposal(1, 0, (span(Field.ESP_SPI_LSB, 8, 24),)).values()
    assert values[Field.ESP_SPI_LSB] == range(8, 25)
    made = HcpProposal.of(1, values)
    assert made.encode().hex() == "0100000c7fff00088004000880040018"


@pytest.mark.parametrize("size", range(1, len(proposal().encode())))
def test_a_proposal_that_is_cut_off_is_a_syntax_error(size):
    with pytest.raises(ParseError, match="HCP_PROPOSAL"):
        parse_proposals(proposal().encode()[:size])


def test_there_are_no_more_proposals_than_an_sa_payload_may_have():
    assert len(parse_proposals(proposal().encode() * 32)) == 32
    with pytest.raises(ParseError, match="more than 32 proposals"):
        parse_proposals(proposal().encode() * 33)


STRANGE = {
    "unknown": (Attribute(7, b"\0\1"),),
    "not fixed": (Attribute(Field.ECN_CDA, b"\0\1", fixed=False),),
    "twice": (value(Field.ESP_SPI_LSB, 8),),
    "range backwards": (span(Field.ECN_CDA, 1, 0),),
    "range of two": (
        Attribute(Field.RANGE, value(0, 0).encode() + value(1, 1).encode(), fixed=False),
    ),
    "range of one": (Attribute(Field.RANGE, value(Field.ECN_CDA, 0).encode(), fixed=False),),
    "range of ranges": (Attribute(Field.RANGE, b"\x7f\xff\0\4" + bytes(4), fixed=False),),
    "fixed range": (Attribute(Field.RANGE, b"\0\0"),),
}


@pytest.mark.parametrize("more", STRANGE.values(), ids=STRANGE)
def test_an_attribute_that_is_not_understood_is_named(more):
    with pytest.raises(ProposalError):
        proposal(more=more).values()


def test_random_octets_raise_nothing_but_the_typed_errors():
    source = random.Random(9)
    for _ in range(2000):
        data = bytearray(asking(proposal(), proposal(2, more=STRANGE["range of two"])).data)
        for _ in range(source.randrange(1, 6)):
            data[source.randrange(len(data))] = source.randrange(256)
        try:
            for one in parse_proposals(bytes(data)):
                one.values()
        except (ParseError, ProposalError):
            pass


# What both want


@pytest.mark.parametrize("role", ["west", "east"])
def test_compression_is_agreed_on_and_again_by_each_rekey(role):
    lab = diet_lab(required(WISH))
    node = getattr(lab, role)
    for _ in range(3):
        assert layouts(lab) == (AGREED, AGREED)
        ((spi, _),) = live(node).items()
        node.endpoint.rekey_child(spi, lab.now)
        lab.settle()


def test_it_survives_a_rekey_of_the_ike_sa():
    lab = diet_lab()
    lab.west.endpoint.rekey_ike(ike_of(lab.west), lab.now)
    lab.settle()
    lab.east.endpoint.rekey_child(next(iter(live(lab.east))), lab.now)
    lab.settle()
    assert layouts(lab) == (AGREED, AGREED)


@pytest.mark.parametrize(
    ("east", "agreed"),
    [
        (WISH, AGREED),
        (replace(WISH, spi_octets=2, sn_octets=1), replace(AGREED, spi_octets=2)),
        (replace(WISH, spi_octets=4, sn_octets=4), replace(AGREED, spi_octets=4, sn_octets=4)),
        (replace(WISH, trailer=True), KEPT),
    ],
)
def test_of_two_policies_the_one_that_sends_more_counts(east, agreed):
    """A range is resolved; with a trailer the second proposal is chosen."""
    assert layouts(diet_lab(WISH, east)) == (agreed, agreed)
    assert layouts(diet_lab(east, WISH)) == (agreed, agreed)


@pytest.mark.parametrize("wishes", [(WISH, PLAIN), (PLAIN, WISH)])
def test_without_consent_it_is_plain_esp(wishes):
    assert layouts(diet_lab(*wishes)) == (Layout(), Layout())


@pytest.mark.parametrize("asks", [True, False])
def test_where_it_is_required_there_is_no_child_instead(asks):
    wishes = (required(WISH), PLAIN) if asks else (PLAIN, required(WISH))
    lab = diet_lab(*wishes)
    assert not live(lab.west)
    assert not live(lab.east)
    assert lab.west.of(ChildFailed)
    assert ike_of(lab.west)


def test_without_our_vendor_id_nothing_is_said_or_read():
    lab = diet_lab(settings=Settings())
    assert layouts(lab) == (Layout(), Layout())
    assert formats_in(offer(lab, asking(proposal()))) == []


def test_an_optimized_rekey_inherits_it():
    """No notify about it is said again (digest 9.6)."""
    both = {"extensions": ExtensionWishes(optimized_rekey=True, pfs_info=True)}
    lab = diet_lab(both=both)
    before = {child.spi_in & 0xFF for child in live(lab.east).values()}
    lab.west.endpoint.rekey_child(next(iter(live(lab.west))), lab.now)
    lab.settle()
    assert "OPTIMIZED_REKEY_SUPPORTED" in lab.west.endpoint.ike_sas[0].extensions
    assert layouts(lab) == (AGREED, AGREED)
    assert before.isdisjoint(child.spi_in & 0xFF for child in live(lab.east).values())


# What the selectors say


@pytest.mark.parametrize("required_too", [False, True])
def test_selectors_that_no_template_fits_are_not_compressed(required_too):
    """Prefixes of 16 bits: never offered, and refused by name where that is required."""
    lab = lab_of(replace(WISH, required=required_too))
    assert [node.of(ChildFailed) != [] for node in (lab.west,)] == [required_too]
    if required_too:
        assert "accepted: two hosts, or two prefixes of 24 bits" in str(lab.west.of(ChildFailed))
    else:
        assert layouts(lab) == (Layout(), Layout())


def test_between_two_hosts_the_identification_is_sent():
    lab = diet_lab(flow=False)
    assert layouts(lab) == (AGREED, AGREED)
    answer = offer(lab, asking(proposal(), proposal(2, FLOW_LABEL_CDA=0)))
    assert formats_in(answer)[0].data[0] == 2


# Offers of a peer's


def one_of(*proposals):
    """What east answers to an offer beside a child that compresses."""
    lab = diet_lab()
    answer = offer(lab, asking(*proposals))
    said = formats_in(answer)
    return lab, said


def test_an_answer_is_one_proposal_without_ranges():
    wide = proposal(7, ESP_SPI_LSB=None, more=(span(Field.ESP_SPI_LSB, 0, 32),))
    lab, (said,) = one_of(wide)
    assert parse_proposals(said.data) == (proposal(7),)
    assert made_by_offer(lab) == AGREED


REFUSED = {
    "dscp lower": ({"DSCP_CDA": 1}, "dscp_cda 1; accepted: 0"),
    "dscp of the SA": ({"DSCP_CDA": 2}, "dscp_cda 2; accepted: 0"),
    "ecn lower": ({"ECN_CDA": 1}, "ecn_cda 1; accepted: 0"),
    "identification": ({"FLOW_LABEL_CDA": 1}, "flow_label_cda 1; accepted: 2"),
    "alignment 16": ({"ALIGNMENT": 1}, "alignment 1 with esp_trailer 1; accepted: 0 with"),
    "alignment 64": ({"ALIGNMENT": None}, "alignment 3 with esp_trailer 1"),
    "trailer of 8 bits": ({"ESP_TRAILER": 0}, "alignment 0 with esp_trailer 0"),
    "4 bits": ({"ESP_SPI_LSB": 4}, "esp_spi_lsb 4; accepted: 8"),
    "no number": ({"ESP_SN_LSB": 0}, "esp_sn_lsb 0; accepted: 16"),
    "fewer bits": ({"ESP_SN_LSB": 8}, "esp_sn_lsb 8; accepted: 16"),
    "another name": ({"name": 1}, "compression 1; accepted: 0"),
    "unknown": ({"more": STRANGE["unknown"]}, "attribute 7; accepted: 0 to 6"),
}


@pytest.mark.parametrize(("changed", "said"), REFUSED.values(), ids=REFUSED)
def test_what_the_data_plane_cannot_do_is_refused_by_name_and_the_next_is_chosen(changed, said):
    """An unknown attribute discards its proposal."""
    lab, (answer,) = one_of(proposal(1, **changed), proposal(2))
    assert answer.data[0] == 2
    answer = offer(lab, asking(proposal(1, **changed)))
    assert answer.error().type == NotifyType.NO_PROPOSAL_CHOSEN  # for plain ESP beside the others
    assert any(said in reason for reason in ignored(lab.east))


def test_where_it_is_required_and_nothing_acceptable_it_is_no_proposal_chosen():
    lab = diet_lab(required(WISH))
    answer = offer(lab, asking(proposal(DSCP_CDA=1)))
    assert answer.error().type == NotifyType.NO_PROPOSAL_CHOSEN
    assert len(live(lab.east)) == 1


@pytest.mark.parametrize("data", [proposal().encode()[:-1], b"\1\0\0\xff"])
def test_a_length_past_the_end_is_invalid_syntax(data):
    answer = offer(diet_lab(), Notify(HCP, data))
    assert answer.error().type == NotifyType.INVALID_SYNTAX


MALFORMED = {
    "protocol": [Notify(HCP, proposal().encode(), protocol=3)],
    "spi": [Notify(HCP, proposal().encode(), protocol=3, spi=bytes(4))],
    "twice": [asking(proposal())] * 2,
}


@pytest.mark.parametrize("notifies", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_notify_asks_for_nothing_and_is_audited(notifies):
    lab = diet_lab(PLAIN, WISH, extensions=PRIVATE)
    assert formats_in(offer(lab, *notifies)) == []
    assert made_by_offer(lab) == Layout()
    assert any("HCP_PROPOSAL" in reason for reason in ignored(lab.east))


def test_beside_a_plain_child_nothing_is_compressed():
    lab = diet_lab(PLAIN, WISH, extensions=PRIVATE)
    assert formats_in(offer(lab, asking(proposal()))) == []
    assert any("beside format esp; accepted: all child SAs" in one for one in ignored(lab.east))


def test_an_empty_list_asks_for_nothing():
    lab = diet_lab(PLAIN, WISH, extensions=PRIVATE)
    assert formats_in(offer(lab, Notify(HCP))) == []
    assert made_by_offer(lab) == Layout()


# Answers of a peer's


def answered(monkeypatch, change):
    """What becomes of west's child when east answers otherwise."""
    lab = diet_lab(connect=False)
    real = negotiation.formats_answered
    monkeypatch.setattr(
        negotiation, "formats_answered", lambda *args: tuple(map(change, real(*args)))
    )
    lab.connect()
    return str(lab.west.of(ChildFailed))


WRONG = {
    "another number": (asking(proposal(9)), "was not offered"),
    "fewer bits": (asking(proposal(ESP_SN_LSB=8)), "was not offered"),
    "two": (asking(proposal(), proposal(2)), "2 compressions; accepted: one"),
    "none": (Notify(HCP), "0 compressions; accepted: one"),
    "a range": (
        asking(proposal(ESP_SPI_LSB=None, more=(span(Field.ESP_SPI_LSB, 8, 16),))),
        "was not offered",
    ),
    "cut off": (Notify(HCP, b"\1\0\0\5"), "attributes needs 5 octets"),
    "unknown": (asking(proposal(more=STRANGE["unknown"])), "attribute 7"),
    "protocol": (Notify(HCP, proposal().encode(), protocol=3), "of protocol 3"),
}


@pytest.mark.parametrize(("said", "reason"), WRONG.values(), ids=WRONG)
def test_an_answer_that_is_not_within_the_offer_makes_no_child(monkeypatch, said, reason):
    found = answered(monkeypatch, lambda _: said)
    assert reason in found


def test_an_answer_without_a_request_makes_no_child(monkeypatch):
    monkeypatch.setattr(negotiation, "formats_answered", lambda *_: (asking(proposal()),))
    lab = diet_lab(PLAIN, WISH, extensions=PRIVATE)
    assert "N(HCP_PROPOSAL), which was not offered" in str(lab.west.of(ChildFailed))


# Beside other SAs of the peer


def test_a_second_child_has_the_widths_of_the_first():
    """West would send 8 bits of the number, and has 16."""
    lab = diet_lab()
    answer = offer(lab, asking(proposal(ESP_SN_LSB=None, more=(span(Field.ESP_SN_LSB, 8, 32),))))
    assert parse_proposals(formats_in(answer)[0].data) == (proposal(),)
    answer = offer(diet_lab(), asking(proposal(ESP_SN_LSB=32)))
    assert answer.error().type == NotifyType.NO_PROPOSAL_CHOSEN


def test_a_plain_child_beside_one_that_compresses_is_refused_by_name():
    lab = diet_lab()
    answer = offer(lab)
    assert answer.error().type == NotifyType.NO_PROPOSAL_CHOSEN
    assert len(live(lab.east)) == 1


def test_a_peers_spi_that_is_not_told_from_another_is_refused(monkeypatch):
    lab = diet_lab()
    ((_, made),) = live(lab.east).items()
    low = (made.spi_out & 0xFF).to_bytes(1, "big")
    monkeypatch.setattr(ike_formats, "OFFERED", OFFERED[:3] + low)
    answer = offer(lab, asking(proposal()))
    assert answer.error().type == NotifyType.NO_PROPOSAL_CHOSEN
    monkeypatch.setattr(ike_formats, "OFFERED", OFFERED[:3] + b"\0")
    assert offer(lab, asking(proposal())).error().type == NotifyType.NO_PROPOSAL_CHOSEN


# SPIs


ENDS = (net(HERE)[0].first, net(THERE)[0].first)


def test_spis_of_one_peer_differ_in_what_is_sent_of_them_and_when_none_is_left_it_says_so():
    pool, apart = SpiPool(random.Random(1).getrandbits), Apart(ENDS, 1)
    spis = [pool.allocate(1, apart) for _ in range(255)]
    assert sorted(spi & 0xFF for spi in spis) == list(range(1, 256))
    with pytest.raises(LookupError, match="all 8 low bits of the SPIs"):
        pool.allocate(1, apart)
    pool.release(spis[7])
    assert pool.allocate(1, apart) & 0xFF == spis[7] & 0xFF
    assert pool.allocate(1, replace(apart, ends=ENDS[::-1]))


def test_a_collision_makes_another_spi():
    numbers = iter((0x100001, 0x200001, 0x200100, 0x200002))
    pool = SpiPool(lambda _: next(numbers))
    assert [pool.allocate(1, Apart(ENDS, 1)) for _ in range(2)] == [0x100001, 0x200002]


def test_when_no_spi_is_left_the_peer_is_told(monkeypatch):
    lab = diet_lab()

    def none_left(count=1, apart=None):
        assert apart == Apart(apart.ends, 1)
        raise LookupError("all 8 low bits of the SPIs are in use")

    monkeypatch.setattr(lab.east.spis, "allocate", none_left)
    answer = offer(lab, asking(proposal()))
    assert answer.error().type == NotifyType.NO_ADDITIONAL_SAS
