"""BEET mode: asked for and declined, kept by rekeys, and what is no proper notify of it
(draft-ietf-ipsecme-ikev2-beet-mode; strongSwan's number under its vendor ID, or under ours).
"""

from dataclasses import replace

import pytest
from ike_lab import EAST, STEADY, WEST, Lab, east_config, net, toward, west_config
from ike_ledger import ask, assert_mirrored, ike_of, live
from ike_meddler import malformed

from p4esp.ike.codec.header import parse_header
from p4esp.ike.codec.message import encode_clear, parse_message
from p4esp.ike.codec.payloads import Nonce, Notify, VendorId
from p4esp.ike.codec.proposal import Proposal, SecurityAssociation
from p4esp.ike.codec.selectors import TsInitiator, TsResponder
from p4esp.ike.config import ChildConfig, Settings
from p4esp.ike.constants import ExchangeType, NotifyType, ProtocolId
from p4esp.ike.drops import Drop
from p4esp.ike.errors import Refusal
from p4esp.ike.events import AuthenticationFailed, ChildDown, ChildFailed, ChildRekeyed
from p4esp.ike.extension_wishes import ExtensionWishes
from p4esp.ike.extensions.standard import STANDARD
from p4esp.ike.extensions.vendor import PrivateNumbers
from p4esp.ike.negotiation import Agreement, ChildOffer
from p4esp.ike.path import Datagram
from p4esp.ike.tasks.create_child import CreateChildResponder
from p4esp.ipsec.sa import Mode
from p4esp.ipsec.selectors import TrafficSelector

HERE, THERE = net("10.1.0.10/32"), net("10.2.0.10/32")
WEST_BEET = ChildConfig("net", HERE, THERE, mode=Mode.BEET)
EAST_BEET = ChildConfig("net", THERE, HERE, mode=Mode.BEET)
WEST_ANY, EAST_ANY = (replace(one, mode_required=False) for one in (WEST_BEET, EAST_BEET))
EAST_TUNNEL = replace(EAST_BEET, mode=Mode.TUNNEL)
WEST_TUNNEL = replace(WEST_BEET, mode=Mode.TUNNEL)
OURS = ExtensionWishes(pfs_info=True)
"""Any that has a private number: with it goes our vendor ID."""
BEET, TRANSPORT = Notify(NotifyType.USE_BEET_MODE), Notify(NotifyType.USE_TRANSPORT_MODE)


def lab_of(west=WEST_BEET, east=EAST_BEET, *, vendor=True, connect=True, **options):
    """`vendor`: whether both send strongSwan's vendor ID; else ours alone."""
    extensions = STANDARD
    if not vendor:
        extensions = tuple(one for one in STANDARD if not isinstance(one, PrivateNumbers))
    lab = Lab(
        west_config(children=(west,), extensions=OURS),
        east_config(children=(east,), extensions=OURS),
        settings=Settings(retransmission=STEADY, experimental=True),
        extensions=extensions,
        **options,
    )
    if connect:
        lab.connect()
    return lab


def modes(lab):
    """Of the child SAs of both ends."""
    return [[made.mode for made in live(node).values()] for node in (lab.west, lab.east)]


BOTH_BEET, BOTH_TUNNEL = [[Mode.BEET]] * 2, [[Mode.TUNNEL]] * 2


@pytest.mark.parametrize("vendor", [True, False], ids=["strongSwan's", "ours"])
def test_the_number_means_something_under_either_vendor_id(vendor):
    lab = lab_of(vendor=vendor)
    assert modes(lab) == BOTH_BEET
    assert_mirrored(lab)


# The responder declines


def test_a_tunnel_in_place_of_beet_is_deleted_where_beet_is_required():
    lab = lab_of(east=EAST_TUNNEL)
    assert "asked for was beet" in lab.west.one(ChildFailed).reason
    assert lab.east.one(ChildDown).child.mode is Mode.TUNNEL
    assert modes(lab) == [[], []]
    assert lab.west.spis.used == set()


@pytest.mark.parametrize("role", ["west", "east"])
def test_a_tunnel_in_place_of_beet_is_kept_where_it_will_do_and_stays_one(role):
    """Each rekey repeats what the SA is, not what was wished for."""
    lab = lab_of(west=WEST_ANY, east=EAST_TUNNEL)
    for _ in range(2):
        assert modes(lab) == BOTH_TUNNEL
        assert_mirrored(lab)
        node = getattr(lab, role)
        node.endpoint.rekey_child(next(iter(live(node))), lab.now)
        lab.settle()
    lab.west.endpoint.rekey_ike(ike_of(lab.west), lab.now)
    lab.settle()
    assert modes(lab) == BOTH_TUNNEL


def test_a_peer_that_cannot_know_the_number_is_asked_for_a_tunnel():
    plain = east_config(children=(EAST_TUNNEL,))
    lab = Lab(west_config(children=(WEST_ANY,)), plain)
    lab.connect()
    assert modes(lab) == BOTH_TUNNEL
    assert not any("USE_BEET_MODE" in str(trace.payloads) for trace in lab.east.traces)


def test_nor_is_it_asked_for_more_when_it_wants_a_single_pair(monkeypatch):
    seen = []

    def picky(_, sa, request):
        seen.append(request.payloads.notify(NotifyType.USE_BEET_MODE))
        raise Refusal(NotifyType.SINGLE_PAIR_REQUIRED, "test")

    monkeypatch.setattr(CreateChildResponder, "process", picky)
    tunnel = replace(EAST_BEET, mode=Mode.TUNNEL)
    lab = Lab(west_config(children=(WEST_ANY,)), east_config(children=(tunnel,)))
    lab.connect(child=None)
    lab.west.endpoint.create_child(ike_of(lab.west), "net", lab.now, (HERE[0], THERE[0]))
    lab.settle()
    assert seen == [None, None]


def test_a_responder_that_does_not_insist_takes_a_tunnel_and_beet():
    assert modes(lab_of(west=WEST_TUNNEL, east=EAST_ANY)) == BOTH_TUNNEL
    assert modes(lab_of(west=WEST_BEET, east=EAST_ANY)) == BOTH_BEET
    assert modes(lab_of(west=WEST_ANY, east=EAST_ANY)) == BOTH_BEET


def test_transport_mode_that_is_declined_may_be_a_tunnel_as_well():
    """RFC 7296 1.3.1: deleted where that is unacceptable to the initiator."""
    ends = [(TrafficSelector(host, host),) for host in (WEST, EAST)]
    west = ChildConfig("net", *ends, mode=Mode.TRANSPORT, mode_required=False)
    east = ChildConfig("net", *ends[::-1])
    assert modes(lab_of(west=west, east=east)) == BOTH_TUNNEL
    assert modes(lab_of(west=west, east=replace(east, mode=Mode.TRANSPORT))) == [
        [Mode.TRANSPORT],
        [Mode.TRANSPORT],
    ]


# Rekeying


def propose(lab, *notifies, rekey=False):
    """West proposes a further child SA, or a successor, whatever its configuration says."""
    config = lab.west_config.children[0]
    proposal = Proposal(1, ProtocolId.ESP, b"\xc9\0\0\1", config.proposals[0].transforms)
    (old,) = live(lab.west)
    named = Notify(NotifyType.REKEY_SA, protocol=ProtocolId.ESP, spi=old.to_bytes(4, "big"))
    return ask(
        *(lab, ExchangeType.CREATE_CHILD_SA),
        *([named] if rekey else []),
        *notifies,
        SecurityAssociation((proposal,)),
        Nonce(bytes(32)),
        TsInitiator(config.local_ts),
        TsResponder(config.remote_ts),
    )


@pytest.mark.parametrize(
    ("east", "notifies"),
    [(EAST_BEET, []), (EAST_ANY, []), (EAST_ANY, [TRANSPORT])],
    ids=["tunnel", "tunnel that a new child might be", "transport"],
)
def test_a_rekey_that_changes_the_mode_is_refused(east, notifies):
    lab = lab_of(east=east)
    assert propose(lab, *notifies, rekey=True).error().type == NotifyType.NO_PROPOSAL_CHOSEN
    assert modes(lab) == BOTH_BEET
    assert propose(lab, BEET, rekey=True).notify(NotifyType.USE_BEET_MODE) is not None


def test_a_tunnel_stays_one_when_its_rekey_wishes_for_beet():
    """strongSwan asks for the configured mode again."""
    lab = lab_of(west=WEST_TUNNEL, east=EAST_ANY)
    answer = propose(lab, BEET, rekey=True)
    assert answer.error() is None
    assert answer.notify(NotifyType.USE_BEET_MODE) is None
    assert lab.east.one(ChildRekeyed).new.mode is Mode.TUNNEL


def test_an_answer_to_a_rekey_in_another_mode_is_refused(monkeypatch):
    lab = lab_of(west=WEST_ANY)
    real = Agreement.payloads
    monkeypatch.setattr(Agreement, "payloads", lambda *a: without_beet(real(*a)))
    (old,) = live(lab.west)
    lab.west.endpoint.rekey_child(old, lab.now)
    lab.settle()
    assert "asked for was beet" in lab.west.one(ChildFailed).reason
    assert old in live(lab.west)


def without_beet(payloads):
    return [one for one in payloads if one != BEET]


# What is no proper notify

MALFORMED = malformed(NotifyType.USE_BEET_MODE)


@pytest.mark.parametrize("notifies", MALFORMED.values(), ids=MALFORMED)
@pytest.mark.parametrize(("east", "result"), [(EAST_BEET, [[], []]), (EAST_ANY, BOTH_TUNNEL)])
def test_a_malformed_wish_counts_as_none_and_is_recorded(monkeypatch, notifies, east, result):
    real = ChildOffer.payloads
    monkeypatch.setattr(ChildOffer, "payloads", lambda *a: [*notifies, *without_beet(real(*a))])
    lab = lab_of(west=WEST_ANY, east=east)
    assert modes(lab) == result
    assert lab.east.endpoint.drops[Drop.IGNORED_NOTIFY] == 1


@pytest.mark.parametrize("notifies", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_answer_is_refused_and_its_sa_deleted(monkeypatch, notifies):
    """The peer has agreed to something: we must know to what."""
    real = Agreement.payloads
    monkeypatch.setattr(Agreement, "payloads", lambda *a: [*notifies, *without_beet(real(*a))])
    lab = lab_of(west=WEST_ANY)
    assert "USE_BEET_MODE" in lab.west.one(ChildFailed).reason
    assert modes(lab) == [[], []]


def test_two_modes_at_once_are_invalid_syntax_of_the_child_alone():
    """The draft forbids it; the IKE SA stays."""
    lab = lab_of()
    assert propose(lab, BEET, TRANSPORT).error().type == NotifyType.INVALID_SYNTAX
    assert modes(lab) == BOTH_BEET
    assert len(lab.east.endpoint.ike_sas) == 1


def test_an_answer_with_two_modes_is_refused(monkeypatch):
    real = Agreement.payloads
    monkeypatch.setattr(Agreement, "payloads", lambda *a: [TRANSPORT, *real(*a)])
    lab = lab_of()
    assert "transport and beet" in lab.west.one(ChildFailed).reason
    assert modes(lab) == [[], []]


def test_an_answer_in_beet_mode_that_nobody_asked_for_is_refused(monkeypatch):
    real = Agreement.payloads
    monkeypatch.setattr(Agreement, "payloads", lambda *a: [BEET, *real(*a)])
    lab = lab_of(west=WEST_TUNNEL, east=EAST_TUNNEL, vendor=False)
    assert "asked for was tunnel" in lab.west.one(ChildFailed).reason


AGGFRAG = Notify(NotifyType.USE_AGGFRAG, b"\0")


def test_aggfrag_beside_beet_is_declined():
    """The draft defines no such pair; we have no AGGFRAG at all (RFC 9347 5.1)."""
    lab = lab_of()
    answer = propose(lab, BEET, AGGFRAG)
    assert [notify.type for notify in answer.every(Notify)] == [NotifyType.USE_BEET_MODE]


def test_aggfrag_that_nobody_asked_for_is_ignored_and_recorded(monkeypatch):
    real = Agreement.payloads
    monkeypatch.setattr(Agreement, "payloads", lambda *a: [AGGFRAG, *real(*a)])
    lab = lab_of()
    assert modes(lab) == BOTH_BEET
    assert lab.west.endpoint.drops[Drop.IGNORED_NOTIFY] == 1


def test_the_notify_in_another_exchange_says_nothing():
    lab = lab_of(west=WEST_TUNNEL, east=EAST_TUNNEL)
    assert ask(lab, ExchangeType.INFORMATIONAL, BEET).every(Notify) == []
    assert modes(lab) == BOTH_TUNNEL


# An attacker in the middle


@pytest.mark.parametrize("victim", [WEST, EAST], ids=["answer", "request"])
def test_who_takes_the_vendor_ids_out_gets_no_tunnel_and_no_ike_sa(victim):
    """The AUTH payloads cover both messages (RFC 7296 2.15)."""
    lab = lab_of(west=WEST_ANY, east=EAST_ANY, connect=False)
    honest = lab.deliver
    lab.deliver = lambda datagram: honest(stripped(datagram, victim))
    lab.connect()
    assert modes(lab) == [[], []]
    assert lab.west.of(AuthenticationFailed) + lab.east.of(AuthenticationFailed)


def stripped(datagram, victim):
    header = parse_header(datagram.data.removeprefix(bytes(4)))
    if header.exchange != ExchangeType.IKE_SA_INIT or not toward(victim, datagram):
        return datagram
    message = parse_message(datagram.data)
    kept = [one for one in message.clear.payloads if not isinstance(one, VendorId)]
    assert len(kept) < len(message.clear.payloads)
    return Datagram(encode_clear(message.header, kept), datagram.path)
