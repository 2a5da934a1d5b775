"""Choosing and checking proposals (RFC 7296 2.7, 3.3; cases 22-27)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p4esp.ike.choosing import select, verify_choice
from p4esp.ike.codec.proposal import Attribute, Proposal, Transform
from p4esp.ike.config import DEFAULT_ESP, DEFAULT_IKE
from p4esp.ike.constants import NotifyType
from p4esp.ike.errors import ProposalError, Refusal
from p4esp.ike.keywords import describe
from p4esp.ike.proposals import Template, esp_suite, ike_suite, offers

GCM128, GCM256 = Transform.of(1, 20, 128), Transform.of(1, 20, 256)
CBC256, CHACHA = Transform.of(1, 12, 256), Transform(1, 28)
SHA256, SHA512 = Transform(2, 5), Transform(2, 7)
INTEG, INTEG_NONE = Transform(3, 12), Transform(3, 0)
X25519, ECP256, MODP2048, KE_NONE = (Transform(4, n) for n in (31, 19, 14, 0))
NO_ESN, ESN = Transform(5, 0), Transform(5, 1)
UNSPECIFIED, UNKNOWN_SN = Transform(5, 2), Transform(5, 77)
ADDKE = Transform(6, 36)

IKE = [Template.ike("aes256gcm16-aes128gcm16-prfsha256-x25519-ecp256")]
ESP = [Template.esp("aes256gcm16-aes128gcm16-esn-noesn")]


def ike(*transforms, number=1):
    return Proposal(number, 1, b"", transforms)


def esp(*transforms, number=1):
    return Proposal(number, 3, b"\xc0\0\0\1", transforms)


def refused(offered, templates):
    with pytest.raises(Refusal) as caught:
        select(offered, templates)
    assert caught.value.notify is NotifyType.NO_PROPOSAL_CHOSEN
    return caught.value.reason


def test_one_transform_of_each_type_is_chosen_in_our_order():
    offer = ike(GCM128, GCM256, SHA512, SHA256, MODP2048, ECP256, X25519)
    chosen = select([offer], IKE)
    assert chosen.transforms == (GCM256, SHA256, X25519)
    assert str(ike_suite(chosen)) == "aes256gcm16-prfsha256-x25519"


def test_23_a_proposal_with_an_unknown_transform_type_is_passed_over_for_the_next():
    hybrid = ike(GCM256, SHA256, X25519, ADDKE, number=1)
    plain = ike(GCM256, SHA256, X25519, number=2)
    assert select([hybrid, plain], IKE).number == 2
    assert "ke1_mlkem768" in refused([hybrid], IKE)
    strange = ike(GCM256, SHA256, X25519, Transform(200, 1), number=1)
    assert select([strange, plain], IKE).number == 2
    assert "200/1" in refused([strange], IKE)


def test_24_aead_with_a_real_integrity_transform_is_refused_and_with_none_accepted():
    refused([ike(GCM256, SHA256, INTEG, X25519)], IKE)
    chosen = select([ike(GCM256, SHA256, INTEG_NONE, X25519)], IKE)
    assert chosen.transforms == (GCM256, SHA256, X25519)
    assert select([esp(GCM256, INTEG_NONE, INTEG, ESN)], ESP).transforms == (GCM256, ESN)


@pytest.mark.parametrize(
    "transforms",
    [
        (GCM256, SHA256),
        (GCM256, SHA256, KE_NONE),
        (CBC256, SHA256, INTEG_NONE, X25519),
        (Transform(1, 11), SHA256, X25519),
        (GCM256, X25519),
        (SHA256, X25519),
        (),
    ],
    ids=describe,
)
def test_25_incomplete_or_forbidden_ike_proposals_are_refused(transforms):
    refused([ike(*transforms)], IKE)


@pytest.mark.parametrize(
    "attributes",
    [
        (),
        (Attribute(14, b"\x00\x7f"),),
        (Attribute(14, b"\x00\x00"),),
        (Attribute(14, b"\x02\x00"),),
        (Attribute(14, b"\x01\x00", fixed=False),),
        (Attribute(14, b"\x01\x00"), Attribute(14, b"\x01\x00")),
        (Attribute(14, b"\x01\x00"), Attribute(99, b"\x00\x01")),
    ],
    ids=str,
)
def test_22_a_transform_with_other_attributes_is_unusable_and_the_next_of_its_type_is_not(
    attributes,
):
    strange = Transform(1, 20, attributes)
    refused([ike(strange, SHA256, X25519)], IKE)
    assert select([ike(strange, GCM128, SHA256, X25519)], IKE).transforms[0] == GCM128


def test_22_chacha20_must_not_carry_a_key_length():
    template = [Template.ike("chacha20poly1305-prfsha256-x25519")]
    assert select([ike(CHACHA, SHA256, X25519)], template)
    refused([ike(Transform.of(1, 28, 256), SHA256, X25519)], template)


@pytest.mark.parametrize(
    ("offered", "policy", "chosen"),
    [
        ((ESN,), "esn", True),
        ((ESN,), "noesn", None),
        ((ESN,), "esn-noesn", True),
        ((NO_ESN,), "esn", None),
        ((NO_ESN,), "noesn", False),
        ((NO_ESN,), "esn-noesn", False),
        ((NO_ESN, ESN), "esn", True),
        ((NO_ESN, ESN), "noesn", False),
        ((NO_ESN, ESN), "noesn-esn", False),
        ((), "noesn", None),
        ((UNKNOWN_SN, NO_ESN), "noesn", False),
        ((UNSPECIFIED, NO_ESN), "noesn", False),
        ((UNSPECIFIED, ESN), "esn-noesn", True),
        ((UNSPECIFIED,), "esn-noesn", None),
        ((UNKNOWN_SN, UNSPECIFIED), "esn-noesn", None),
    ],
)
def test_27_sequence_number_sizes_are_never_assumed(offered, policy, chosen):
    """RFC 9827: an unknown ID is skipped, and unspecified numbers are for groups alone."""
    templates = [Template.esp(f"aes256gcm16-{policy}")]
    if chosen is None:
        refused([esp(GCM256, *offered)], templates)
    else:
        assert esp_suite(select([esp(GCM256, *offered)], templates))[1] is chosen


def test_a_key_exchange_for_a_child_sa_is_refused_unless_none_is_offered_too():
    refused([esp(GCM256, X25519, ESN)], ESP)
    assert select([esp(GCM256, X25519, KE_NONE, ESN)], ESP).transforms == (GCM256, ESN)


def test_a_proposal_for_another_protocol_is_refused():
    refused([Proposal(1, 2, b"\0\0\1\0", (GCM256, ESN))], ESP)


def test_the_first_template_wins_over_the_first_offer():
    templates = [Template.esp("chacha20poly1305"), Template.esp("aes256gcm16")]
    offer = [esp(GCM256, NO_ESN, number=1), esp(CHACHA, NO_ESN, number=2)]
    assert select(offer, templates).number == 2


OFFERED = (*offers(IKE), ike(CHACHA, SHA256, X25519, number=2))


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ([], "0 proposals"),
        ([ike(GCM256, SHA256, X25519)] * 2, "2 proposals"),
        ([ike(GCM256, SHA256, X25519, number=3)], "proposal 3, which was not offered"),
        ([Proposal(1, 3, bytes(4), (GCM256, SHA256, X25519))], "which was not offered"),
        ([ike(GCM256, SHA256, MODP2048)], "were not offered"),
        ([ike(CHACHA, SHA256, X25519)], "were not offered"),
        ([ike(Transform.of(1, 20, 192), SHA256, X25519)], "were not offered"),
        ([ike(GCM256, GCM128, SHA256, X25519)], "one of each offered"),
        ([ike(GCM256, SHA256)], "one of each offered"),
        ([ike(GCM256, SHA256, X25519, INTEG)], "were not offered"),
    ],
)
def test_26_an_answer_that_is_no_choice_from_our_offer_is_refused(answer, reason):
    with pytest.raises(ProposalError, match=reason):
        verify_choice(answer, OFFERED)


def test_26_a_proper_answer_is_taken_with_or_without_integrity_none():
    plain = ike(GCM128, SHA256, ECP256)
    assert verify_choice([plain], OFFERED) == plain
    assert verify_choice([ike(GCM128, SHA256, INTEG_NONE, ECP256)], OFFERED) == plain


menu = st.sampled_from(
    [GCM128, GCM256, CHACHA, SHA256, SHA512, X25519, ECP256, INTEG, INTEG_NONE, ADDKE]
)


@given(st.lists(menu, max_size=8))
def test_whatever_is_selected_passes_the_initiators_check(transforms):
    offer = ike(*dict.fromkeys(transforms))
    try:
        chosen = select([offer], IKE)
    except Refusal:
        return
    assert verify_choice([chosen], [offer]) == chosen


@pytest.mark.parametrize(
    ("read", "text", "reason"),
    [
        (Template.ike, "aes256gcm16-prfsha256", "names no KE algorithm; accepted: x25519, ecp256"),
        (Template.ike, "prfsha256-x25519", "names no ENCR algorithm"),
        (Template.ike, "rc5-prfsha256-x25519", "'rc5' is no IKE algorithm; accepted: aes256gcm"),
        (Template.ike, "aes128gcm16-prfsha256-modp768", "'modp768' is no IKE algorithm"),
        (Template.ike, "3des-sha256-x25519", "'3des' is weak .* unless the peer has allow_weak"),
        (Template.ike, "aes128gcm16-prfsha1-x25519", "'prfsha1' is weak"),
        (Template.ike, "aes128gcm16-prfsha256-modp1536", "'modp1536' is weak"),
        (Template.ike, "aes128-prfsha256-x25519", "no INTEG algorithm; accepted: sha256, sha384"),
        (Template.ike, "aes128-aes128gcm16-sha256-x25519", "mixes AEAD and other ciphers"),
        (Template.ike, "aes128gcm16iiv-prfsha256-x25519", "'aes128gcm16iiv' protects ESP only"),
        (Template.ike, "chacha20poly1305iiv-prfsha256-x25519", "protects ESP only, never IKE"),
        (Template.ike, "aes256gmac-prfsha256-x25519", "'aes256gmac' protects ESP only"),
        (Template.ike, "null-sha256-x25519", "'null' .*; accepted: aes256gcm16, .*aes192gcm8, sha"),
        (Template.esp, "aes128gcm16-sha256", "names sha256 beside an AEAD"),
        (Template.esp, "aes128gmac-sha256", "names sha256 beside an AEAD"),
        (Template.esp, "aes128gcm16iiv-sha256", "names sha256 beside an AEAD"),
        (Template.esp, "null-esn", "names no INTEG algorithm; accepted: sha256, sha384, sha512"),
        (Template.esp, "null-aes128gmac-sha256", "mixes AEAD and other ciphers"),
        (Template.esp, "aes128-sha1", "'sha1' is weak"),
        (Template.esp, "aes256gcm16-prfsha256", "'prfsha256' is no ESP algorithm"),
        (Template.esp, "esn", "names no ENCR algorithm"),
        (Template.esp, "", "'' is no ESP algorithm"),
    ],
)
def test_proposal_strings_that_cannot_be_used_say_what_is_accepted(read, text, reason):
    with pytest.raises(ProposalError, match=reason):
        read(text)


@pytest.mark.parametrize(
    ("text", "transforms", "suite"),
    [
        ("null-sha256", (Transform(1, 11), INTEG), "null-sha256"),
        ("aes256gmac", (Transform.of(1, 21, 256),), "aes256gmac"),
        ("aes128gcm16iiv", (Transform.of(1, 30, 128),), "aes128gcm16iiv"),
        ("chacha20poly1305iiv", (Transform(1, 31),), "chacha20poly1305iiv"),
    ],
)
def test_suites_for_esp_only_have_ianas_numbers(text, transforms, suite):
    """RFC 2410, RFC 4543, RFC 8750: with a key length exactly where there are several."""
    template = Template.esp(text)
    assert template.transforms == (*transforms, NO_ESN)
    chosen = select([esp(*transforms, NO_ESN)], [template])
    assert esp_suite(chosen)[0].name == suite


def test_the_explicit_iv_beside_the_implicit_one_is_what_an_older_peer_takes():
    """RFC 8750 5: the initiator offers both; the peer that knows one of them chooses that."""
    ours = [Template.esp("aes256gcm16iiv-aes256gcm16-esn")]
    offered = offers(ours, b"\xc0\0\0\1")
    assert esp_suite(select(offered, ours))[0].name == "aes256gcm16iiv"
    assert esp_suite(select(offered, ESP[:1]))[0].name == "aes256gcm16"


def test_the_built_in_proposals_hold_nothing_that_does_not_encrypt_and_no_implicit_iv():
    for template in (*DEFAULT_ESP, *DEFAULT_IKE):
        assert all(suite.encrypts and not suite.esp_only for suite in template.suites())


@pytest.mark.parametrize(
    "transforms",
    [
        (Transform(1, 11), INTEG, ESN),
        (Transform(1, 11), ESN),
        (Transform.of(1, 21, 256), ESN),
        (Transform.of(1, 30, 256), ESN),
        (Transform(1, 31), ESN),
        (CBC256, INTEG_NONE, ESN),
    ],
    ids=describe,
)
def test_what_the_configuration_does_not_name_is_never_chosen(transforms):
    refused([esp(*transforms)], DEFAULT_ESP)


@pytest.mark.parametrize("integrity", [(), (INTEG_NONE,)])
def test_null_without_integrity_is_never_chosen(integrity):
    """RFC 8221 4: ESP without integrity MUST NOT be."""
    refused([esp(Transform(1, 11), *integrity, NO_ESN)], [Template.esp("null-sha256")])
