"""Deletes, and what is answered to them (RFC 7296 1.4.1, 2.25.1)."""

import pytest
from ike_lab import EAST_NET, WEST_NET, Lab, child, east_config, west_config
from ike_ledger import ask, assert_mirrored, ike_of, live

from p4esp.ike.codec.payloads import Delete, KeyExchange, Nonce, Notify
from p4esp.ike.codec.proposal import Proposal, SecurityAssociation
from p4esp.ike.codec.selectors import TsInitiator, TsResponder
from p4esp.ike.constants import ExchangeType, NotifyType, ProtocolId
from p4esp.ike.events import ChildDown, DownReason, IkeDown
from p4esp.ike.tasks.informational import InformationalResponder

INFORMATIONAL = ExchangeType.INFORMATIONAL
UNKNOWN = b"\x12\x34\x56\x78"


@pytest.fixture
def lab():
    more = [("10.7.0.0/16", "10.8.0.0/16", "second"), ("10.9.0.0/16", "10.10.0.0/16", "third")]
    lab = Lab(
        west_config(children=(child(WEST_NET, EAST_NET), *(child(*names) for names in more))),
        east_config(
            children=(
                child(EAST_NET, WEST_NET),
                *(child(there, here, name) for here, there, name in more),
            )
        ),
    )
    lab.connect()
    for _, _, name in more:
        lab.west.endpoint.create_child(ike_of(lab.west), name, lab.now)
        lab.settle()
    return lab


def esp(*spis):
    return Delete(ProtocolId.ESP, tuple(spi.to_bytes(4, "big") for spi in spis))


def test_one_delete_may_name_several_sas_and_is_answered_with_their_pairs(lab):
    (a, x), (b, y), (c, z) = ((mine, sa.spi_out) for mine, sa in live(lab.west).items())
    answer = ask(lab, INFORMATIONAL, esp(a, b))
    assert answer.payloads == (esp(x, y),)
    assert set(live(lab.east)) == {z}
    assert {down.reason for down in lab.east.of(ChildDown)} == {DownReason.PEER_DELETE}
    assert ask(lab, INFORMATIONAL, esp(a), esp(c)).payloads == (esp(z),)
    assert live(lab.east) == {}


def test_an_sa_named_twice_is_deleted_and_answered_once(lab):
    a, sa = next(iter(live(lab.west).items()))
    assert ask(lab, INFORMATIONAL, esp(a, a), esp(a)).payloads == (esp(sa.spi_out),)
    assert len(lab.east.of(ChildDown)) == 1


@pytest.mark.parametrize(
    "delete",
    [
        Delete(ProtocolId.ESP, (UNKNOWN,)),
        Delete(ProtocolId.ESP),
        Delete(ProtocolId.AH),
        Delete(ProtocolId.AH, (UNKNOWN,)),
    ],
)
def test_deletes_of_what_is_not_there_are_answered_with_nothing(lab, delete):
    assert ask(lab, INFORMATIONAL, delete).payloads == ()
    assert len(live(lab.east)) == 3


def test_an_ah_delete_does_not_touch_an_esp_sa_with_the_same_spi(lab):
    spi = next(iter(live(lab.west))).to_bytes(4, "big")
    assert ask(lab, INFORMATIONAL, Delete(ProtocolId.AH, (spi,))).payloads == ()
    assert len(live(lab.east)) == 3


def test_what_else_an_answer_lists_is_not_deleted(lab, monkeypatch):
    a, b, _ = live(lab.west).values()
    monkeypatch.setattr(InformationalResponder, "build", lambda *_: [esp(b.spi_out)])
    lab.west.endpoint.delete_child(a.spi_in, lab.now)
    lab.settle()
    assert b.spi_in in live(lab.west)
    assert a.spi_in not in live(lab.west)


@pytest.mark.parametrize("answer", [[], [Notify(NotifyType.INVALID_SYNTAX)]])
def test_a_deleted_sa_is_gone_whatever_the_answer(lab, monkeypatch, answer):
    a = next(iter(live(lab.west)))
    monkeypatch.setattr(InformationalResponder, "build", lambda *_: answer)
    lab.west.endpoint.delete_child(a, lab.now)
    lab.settle()
    assert a not in live(lab.west)
    assert_mirrored(lab)


def rekey_notify(protocol, spi):
    return Notify(NotifyType.REKEY_SA, protocol=protocol, spi=spi)


def ike_offer(lab, spi):
    transforms = lab.west_config.proposals[0].transforms
    proposal = Proposal(1, ProtocolId.IKE, spi, transforms)
    ke = KeyExchange(31, bytes([9]) + bytes(31))
    return SecurityAssociation((proposal,)), Nonce(bytes(32)), ke


def test_a_rekey_notify_in_a_rekey_of_the_ike_sa_means_nothing(lab):
    before = live(lab.east)
    notify = rekey_notify(ProtocolId.ESP, UNKNOWN)
    answer = ask(lab, ExchangeType.CREATE_CHILD_SA, notify, *ike_offer(lab, b"new spi!"))
    assert answer.error() is None
    assert live(lab.east) == before


def test_an_heir_is_not_rekeyed_before_its_predecessor_is_deleted(lab):
    """So a peer cannot pile up IKE SAs by rekeying what it never deletes."""
    ask(lab, ExchangeType.CREATE_CHILD_SA, *ike_offer(lab, b"new spi!"))
    again = ask(lab, ExchangeType.CREATE_CHILD_SA, *ike_offer(lab, b"2nd spi!"))
    assert again.error().type == NotifyType.TEMPORARY_FAILURE
    (heir,) = lab.east.endpoint.ike_sas
    state = lab.east.endpoint._entries[heir.spi].sa._state
    assert state.predecessor is not None
    assert ask(lab, INFORMATIONAL, Delete(ProtocolId.IKE)).payloads == ()
    assert lab.east.one(IkeDown).reason is DownReason.REKEYED
    assert state.predecessor is None


def child_offer(lab):
    config = lab.west_config.children[0]
    proposal = Proposal(1, ProtocolId.ESP, b"\xc9\0\0\1", config.proposals[0].transforms)
    selectors = TsInitiator(config.local_ts), TsResponder(config.remote_ts)
    return SecurityAssociation((proposal,)), Nonce(bytes(32)), *selectors


@pytest.mark.parametrize(
    ("protocol", "error"),
    [
        (ProtocolId.AH, NotifyType.CHILD_SA_NOT_FOUND),
        (ProtocolId.IKE, NotifyType.INVALID_SYNTAX),
        (ProtocolId.NONE, NotifyType.INVALID_SYNTAX),
        (200, NotifyType.INVALID_SYNTAX),
    ],
)
def test_68_a_rekey_notify_of_another_protocol_names_no_esp_sa(lab, protocol, error):
    spi = next(iter(live(lab.west))).to_bytes(4, "big")
    notify = rekey_notify(protocol, spi)
    answer = ask(lab, ExchangeType.CREATE_CHILD_SA, notify, *child_offer(lab))
    assert answer.error().type == error
    if error is NotifyType.CHILD_SA_NOT_FOUND:
        assert (answer.error().protocol, answer.error().spi) == (protocol, spi)
        assert len(live(lab.east)) == 3
