"""Choosing between ESP and EESP, and what may stand in a proposal of either
(draft-ietf-ipsecme-eesp-ikev2-02; esp-evolution g.8, K.8).
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p4esp.ike import constants
from p4esp.ike.choosing import select, verify_choice
from p4esp.ike.codec.payloads import Notify
from p4esp.ike.codec.proposal import Proposal, SecurityAssociation, Transform
from p4esp.ike.config import ChildConfig, FormatWish
from p4esp.ike.constants import NotifyType, ProtocolId, TransformType
from p4esp.ike.eesp import announcements, eesp_templates
from p4esp.ike.errors import ProposalError, Refusal
from p4esp.ike.keywords import describe
from p4esp.ike.proposals import Template, esp_suite, offers

SPI = bytes.fromhex("00001001")
GCM, IIV, CBC = Transform.of(1, 20, 256), Transform.of(1, 30, 256), Transform.of(1, 12, 256)
GMAC = Transform.of(1, 21, 256)
INTEG, INTEG_NONE = Transform(3, 12), Transform(3, 0)
X25519, KE_NONE = Transform(4, 31), Transform(4, 0)
SHORT, EXTENDED, UNSPECIFIED, WHOLE, NONE = (Transform(5, n) for n in (0, 1, 2, 1024, 1025))
HKDF, HKDF_384, NO_SSKDF = (Transform(241, n) for n in (1, 2, 0))
OPTIMIZED = FormatWish("eesp-optimized", subs=16)


def templates(wish=OPTIMIZED, text="aes256gcm16iiv-aes256gcm16-noesn"):
    """What a child of that wish takes: EESP, then ESP."""
    config = ChildConfig("net", (), (), (Template.esp(text),), format=wish)
    return (*eesp_templates(config), *config.proposals)


def esp(*transforms, number=1):
    return Proposal(number, 3, SPI, transforms)


def eesp(*transforms, number=1):
    return Proposal(number, 201, SPI, transforms)


def refused(offered, accepted):
    with pytest.raises(Refusal) as caught:
        select(offered, accepted)
    assert caught.value.notify is NotifyType.NO_PROPOSAL_CHOSEN
    return caught.value.reason


# Octets


def test_a_proposal_has_the_octets_of_the_digest():
    """K.8: SPI 0x1001, AES-GCM-16-256, SSKDF 1, 64-bit numbers."""
    octets = bytes.fromhex(
        "0000002c 00000028 01c90403 00001001 0300000c 01000014 800e0100 03000008 f1000001 "
        "00000008 05000400"
    )
    body = SecurityAssociation((eesp(GCM, HKDF, WHOLE),)).encode()
    assert bytes(2) + (4 + len(body)).to_bytes(2, "big") + body == octets
    assert SecurityAssociation.parse(octets[4:]).proposals == (eesp(GCM, HKDF, WHOLE),)


@pytest.mark.parametrize(
    ("wish", "derived", "octets"),
    [
        (FormatWish("eesp-optimized", subs=4), True, ["0000c8010003"]),
        (FormatWish("eesp-full", shown=32), False, ["0000c80208"]),
        (FormatWish("eesp-full", subs=4, shown=32), True, ["0000c8010003", "0000c80208"]),
        (FormatWish("eesp-full", subs=4), False, []),
    ],
)
def test_maxima_have_the_octets_of_the_digest(wish, derived, octets):
    """K.8. That of sub SAs means nothing without key derivation."""
    assert [n.encode().hex() for n in announcements(wish, derived=derived)] == octets


def test_numbers_are_those_that_the_digest_gives():
    """0.4: none of them is allocated, so none may change unnoticed."""
    assert (ProtocolId.EESP, TransformType.SSKDF) == (201, 241)
    numbers = constants.SequenceNumbers
    assert (numbers.WHOLE, numbers.NONE) == (1024, 1025)
    assert (constants.SSKDF_NONE, constants.SSKDF_HKDF_SHA2_256) == (0, 1)
    assert (NotifyType.EESP_MAX_SUB_SA_ID, NotifyType.EESP_MAX_CRYPT_OFFSET) == (51201, 51202)
    assert NotifyType.USE_WESPV2_MODE == 51207


# What is offered


def test_eesp_is_offered_in_front_of_esp_with_numbers_and_keys_of_its_own():
    mine = offers(templates(), SPI)
    assert [proposal.protocol for proposal in mine] == [201, 3]
    assert mine[0].transforms == (IIV, GCM, WHOLE, HKDF, NO_SSKDF)
    assert mine[1].transforms == (IIV, GCM, SHORT)
    assert {proposal.spi for proposal in mine} == {SPI}
    assert [describe(proposal.transforms) for proposal in mine] == [
        "aes256gcm16iiv-aes256gcm16-seq64-sskdfsha256-nosskdf",
        "aes256gcm16iiv-aes256gcm16-noesn",
    ]


def test_without_sub_sas_there_is_no_key_derivation_in_the_offer():
    assert templates(FormatWish("eesp-full"))[0].transforms == (IIV, GCM, WHOLE)


def test_without_numbers_no_implicit_iv_is_offered():
    """g.8. The IV would be the number."""
    wish = FormatWish("eesp-optimized", numbered=False)
    assert templates(wish)[0].transforms == (GCM, NONE)
    only = templates(wish, "aes256gcm16iiv-noesn")
    assert [template.protocol for template in only] == [ProtocolId.ESP]


@pytest.mark.parametrize("text", ["aes256-sha256-noesn", "aes256gmac-noesn"])
def test_ciphers_that_are_not_for_eesp_are_offered_for_esp_alone(text):
    assert [template.protocol for template in templates(text=text)] == [ProtocolId.ESP]


def test_key_exchanges_go_with_both_and_esn_stays_with_esp():
    """KE is optional in EESP (g.8)."""
    eesp_one, esp_one = templates(text="aes256gcm16-x25519-modpnone-esn-noesn")
    assert eesp_one.transforms == (GCM, X25519, KE_NONE, WHOLE, HKDF, NO_SSKDF)
    assert esp_one.transforms == (GCM, X25519, KE_NONE, EXTENDED, SHORT)


# What is chosen

NOT_ALLOWED = {
    "EESP with a 32-bit number": eesp(GCM, SHORT),
    "EESP with ESN": eesp(GCM, EXTENDED),
    "EESP with unspecified numbers": eesp(GCM, UNSPECIFIED),
    "EESP with any number of ESP": eesp(GCM, SHORT, EXTENDED, UNSPECIFIED, HKDF),
    "EESP without a number": eesp(GCM, HKDF),
    "EESP without numbers, which nobody asked for": eesp(GCM, NONE, HKDF),
    "EESP with CBC": eesp(CBC, INTEG, WHOLE),
    "EESP with CBC alone": eesp(CBC, WHOLE),
    "EESP with GMAC": eesp(GMAC, WHOLE),
    "EESP with an integrity algorithm": eesp(GCM, INTEG, WHOLE),
    "EESP without a cipher": eesp(WHOLE, HKDF),
    "EESP with another key derivation": eesp(GCM, WHOLE, HKDF_384),
    "EESP with an unknown transform type": eesp(GCM, WHOLE, Transform(242, 1)),
    "ESP with the number of EESP": esp(GCM, WHOLE),
    "ESP with no number as EESP has it": esp(GCM, NONE),
    "ESP with key derivation": esp(GCM, SHORT, HKDF),
    "ESP with no key derivation, which it has no word for": esp(GCM, SHORT, NO_SSKDF),
    "a protocol that nobody knows": Proposal(1, 202, bytes(8), (GCM, WHOLE)),
}


@pytest.mark.parametrize("offered", NOT_ALLOWED.values(), ids=NOT_ALLOWED)
def test_a_proposal_without_a_transform_that_is_allowed_there_is_not_chosen(offered):
    refused([offered], templates())
    next_one = Proposal(2, 3, SPI, (GCM, SHORT))
    assert select([offered, next_one], templates()) == next_one


SKIPPED = {
    "ESP's numbers in EESP": (eesp(GCM, SHORT, EXTENDED, WHOLE), (GCM, WHOLE)),
    "EESP's numbers in ESP": (esp(GCM, WHOLE, NONE, SHORT), (GCM, SHORT)),
    "CBC beside an AEAD": (eesp(CBC, GCM, WHOLE), (GCM, WHOLE)),
    "integrity beside none": (eesp(GCM, INTEG, INTEG_NONE, WHOLE), (GCM, WHOLE)),
    "another key derivation beside ours": (eesp(GCM, WHOLE, HKDF_384, HKDF), (GCM, WHOLE, HKDF)),
    "no key derivation": (eesp(GCM, WHOLE, NO_SSKDF), (GCM, WHOLE)),
    "no key exchange": (eesp(GCM, X25519, KE_NONE, WHOLE), (GCM, WHOLE)),
    "no numbers beside some": (eesp(GCM, NONE, WHOLE), (GCM, WHOLE)),
    "an implicit IV, with numbers": (eesp(GCM, IIV, NONE, WHOLE), (IIV, WHOLE)),
}


@pytest.mark.parametrize(("offered", "chosen"), SKIPPED.values(), ids=SKIPPED)
def test_a_transform_that_is_not_allowed_is_skipped_as_an_unknown_one(offered, chosen):
    assert select([offered], templates()).transforms == chosen


def test_no_numbers_are_chosen_only_by_who_asks_for_them_and_never_with_an_implicit_iv():
    wish = FormatWish("eesp-optimized", numbered=False)
    asking = templates(wish)[:1]
    assert select([eesp(IIV, GCM, WHOLE, NONE)], asking).transforms == (GCM, NONE)
    refused([eesp(IIV, NONE)], asking)
    refused([eesp(GCM, WHOLE)], asking)
    reason = refused([eesp(GCM, NONE)], templates()[:1])
    assert reason == (
        "offered EESP aes256gcm16-noseq; accepted "
        "EESP aes256gcm16iiv-aes256gcm16-seq64-sskdfsha256-nosskdf"
    )


@pytest.mark.parametrize("first", [3, 201])
def test_of_esp_and_eesp_the_responders_preference_counts_whatever_the_order(first):
    both = [esp(GCM, SHORT), eesp(GCM, WHOLE, HKDF)]
    both = sorted(both, key=lambda proposal: proposal.protocol != first)
    both = [Proposal(n, p.protocol, p.spi, p.transforms) for n, p in enumerate(both, 1)]
    assert select(both, templates()).protocol == ProtocolId.EESP
    plain = select(both, templates()[1:])
    assert (plain.protocol, plain.transforms) == (ProtocolId.ESP, (GCM, SHORT))


# What is answered


@pytest.mark.parametrize(
    "answer",
    [
        eesp(GCM, SHORT),
        eesp(GCM, NONE),
        eesp(GCM, WHOLE, HKDF_384),
        eesp(GCM, WHOLE, HKDF, NO_SSKDF),
        eesp(CBC, WHOLE),
        eesp(GCM),
        esp(GCM, SHORT),
        eesp(GCM, SHORT, number=2),
    ],
    ids=lambda proposal: f"{proposal.number} {proposal.protocol} {describe(proposal.transforms)}",
)
def test_an_answer_is_one_transform_of_each_type_of_the_proposal_it_names(answer):
    with pytest.raises(ProposalError):
        verify_choice([answer], offers(templates(), SPI))


def test_an_answer_may_leave_the_key_derivation_out():
    mine = offers(templates(), SPI)
    for rest in ((NO_SSKDF,), ()):
        assert verify_choice([eesp(GCM, WHOLE, *rest)], mine).transforms == (GCM, WHOLE)
    taken = verify_choice([eesp(IIV, HKDF, WHOLE)], mine)
    suite, esn = esp_suite(taken)
    assert (str(suite), esn) == ("aes256gcm16iiv", False)


# Any proposals

POOL = (
    *(GCM, IIV, CBC, GMAC, INTEG, INTEG_NONE, X25519, KE_NONE),
    *(SHORT, EXTENDED, UNSPECIFIED, WHOLE, NONE, HKDF, HKDF_384, NO_SSKDF),
)
proposals = st.builds(
    Proposal,
    st.just(1),
    st.sampled_from([1, 2, 3, 201, 202]),
    st.just(SPI),
    st.lists(st.sampled_from(POOL), unique=True).map(tuple),
)
wishes = st.builds(
    FormatWish,
    st.sampled_from(["eesp-optimized", "eesp-full"]),
    st.sampled_from([1, 16]),
    st.just(0),
    st.booleans(),
    st.booleans(),
)


def legal(chosen):
    """The rules of g.8 once more, for a proposal with one transform of each type."""
    ids = {transform.type: transform for transform in chosen.transforms}
    assert len(ids) == len(chosen.transforms)
    allowed = {201: (WHOLE, NONE), 3: (SHORT, EXTENDED)}[chosen.protocol]
    assert ids[5] in allowed
    assert 3 not in ids
    assert ids[1] in (GCM, IIV)
    assert 241 not in ids or (chosen.protocol, ids[241]) == (201, HKDF)
    assert (ids[1], ids[5]) != (IIV, NONE)
    return True


@given(st.lists(proposals, min_size=1, max_size=4), wishes)
def test_whatever_is_offered_what_is_chosen_is_allowed_and_was_offered(offered, wish):
    offered = [Proposal(n, p.protocol, p.spi, p.transforms) for n, p in enumerate(offered, 1)]
    try:
        chosen = select(offered, templates(wish))
    except Refusal:
        return
    assert legal(chosen)
    assert set(chosen.transforms) <= set(offered[chosen.number - 1].transforms)
    assert (NONE in chosen.transforms) <= (not wish.numbered)
    assert (HKDF in chosen.transforms) <= (wish.subs > 1)


@given(st.lists(st.sampled_from(POOL), max_size=6).map(tuple), wishes)
def test_whatever_is_answered_what_is_accepted_is_allowed(transforms, wish):
    try:
        assert legal(verify_choice([eesp(*transforms)], offers(templates(wish), SPI)))
    except ProposalError:
        return


def test_notifies_that_announce_have_no_protocol_and_no_spi():
    for notify in announcements(FormatWish("eesp-full", subs=4, shown=32), derived=True):
        assert notify == Notify(notify.type, notify.data, 0, b"")
