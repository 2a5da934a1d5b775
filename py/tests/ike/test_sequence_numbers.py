"""Transform type SN (RFC 9827): a number, not a switch; what is not known is passed over, and what
is for groups is never chosen.
"""

import pytest
from ike_ledger import ask, live
from ike_methods import NEITHER, methods_lab, only_child, sent

from p4esp.ike.choosing import select, verify_choice
from p4esp.ike.codec.payloads import Nonce
from p4esp.ike.codec.proposal import Proposal, SecurityAssociation, Transform
from p4esp.ike.codec.selectors import TsInitiator, TsResponder
from p4esp.ike.constants import ExchangeType, NotifyType, ProtocolId, SequenceNumbers
from p4esp.ike.errors import ProposalError
from p4esp.ike.events import ChildFailed
from p4esp.ike.keywords import KEYWORDS
from p4esp.ike.proposals import Template, offers

GCM = Transform.of(1, 20, 256)
SPI = b"\xc9\0\0\1"
SHORT, EXTENDED = "aes256gcm16-noesn", "aes256gcm16-esn"


def sn(*ids):
    return tuple(Transform(5, id_) for id_ in ids)


def offered(*ids):
    return Proposal(1, ProtocolId.ESP, SPI, (GCM, *sn(*ids)))


def asked(policy, *ids):
    """East's answer to a child SA that proposes these IDs."""
    lab = methods_lab(policy, wishes=(NEITHER, NEITHER))
    config = lab.west_config.children[0]
    selectors = TsInitiator(config.local_ts), TsResponder(config.remote_ts)
    association = SecurityAssociation((offered(*ids),))
    answer = ask(lab, ExchangeType.CREATE_CHILD_SA, association, Nonce(bytes(32)), *selectors)
    return lab, answer


@pytest.mark.parametrize(
    ("policy", "ids", "chosen"),
    [
        (SHORT, (0, 1), 0),
        (EXTENDED, (0, 1), 1),
        ("aes256gcm16-esn-noesn", (1, 0), 1),
        (SHORT, (77, 0), 0),
        (SHORT, (0, 77, 65535), 0),
        (EXTENDED, (2, 1024, 1), 1),
        ("aes256gcm16-esn-noesn", (2, 0), 0),
    ],
)
def test_the_first_number_that_is_known_and_allowed_is_chosen(policy, ids, chosen):
    lab, answer = asked(policy, *ids)
    (proposal,) = answer.one(SecurityAssociation).proposals
    assert [t.id for t in proposal.of_type(5)] == [chosen]
    made = max(live(lab.east).values(), key=lambda child: child.spi_in)
    assert made.esn == (chosen == SequenceNumbers.EXTENDED)


@pytest.mark.parametrize(
    "ids", [(2,), (77,), (2, 77), (1024,), (1025,), ()], ids=lambda ids: "-".join(map(str, ids))
)
def test_what_is_unknown_for_groups_or_of_eesp_is_no_choice_and_no_syntax_error(ids):
    lab, answer = asked("aes256gcm16-esn-noesn", *ids)
    assert answer.error().type == NotifyType.NO_PROPOSAL_CHOSEN
    assert len(lab.east.endpoint.ike_sas) == 1


@pytest.mark.parametrize("id_", [2, 77, 1025])
def test_an_answer_with_such_a_number_is_refused(id_):
    offer = offers((Template.esp("aes256gcm16-esn-noesn"),), SPI)
    answer = Proposal(1, ProtocolId.ESP, SPI, (GCM, *sn(id_)))
    with pytest.raises(ProposalError, match="not offered"):
        verify_choice([answer], offer)


def test_no_keyword_names_numbers_of_groups():
    named = {t.id for words in KEYWORDS.values() for t in words.values() if t.type == 5}
    assert named == {SequenceNumbers.SHORT, SequenceNumbers.EXTENDED}


def test_the_registry_has_these_numbers():
    assert [number.value for number in SequenceNumbers] == [0, 1, 2, 1024, 1025]


def test_the_choice_keeps_the_number_as_it_is():
    chosen = select([offered(0, 1)], (Template.esp(EXTENDED),))
    assert chosen.of_type(5) == sn(1)


@pytest.mark.parametrize(("west", "east"), [(SHORT, EXTENDED), (EXTENDED, SHORT)])
def test_ends_that_want_different_numbers_make_no_child_sa(west, east):
    lab = methods_lab(west, east, wishes=(NEITHER, NEITHER))
    assert lab.west.one(ChildFailed).reason == "NO_PROPOSAL_CHOSEN"
    assert "noesn" in lab.east.one(ChildFailed).reason


@pytest.mark.parametrize("text", [SHORT, EXTENDED])
def test_a_rekey_stays_with_the_number_in_use(text):
    lab = methods_lab(f"{text} aes128gcm16-esn-noesn", wishes=(NEITHER, NEITHER))
    before = only_child(lab.west).chosen.of_type(5)
    lab.west.endpoint.rekey_child(only_child(lab.west).params.spi_in, lab.now)
    lab.settle()
    assert only_child(lab.west).chosen.of_type(5) == before
    assert len(sent(lab.west, ExchangeType.CREATE_CHILD_SA)) == 1
