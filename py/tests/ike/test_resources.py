"""Child SAs for a resource each (RFC 9611): SA_RESOURCE_INFO and TS_MAX_QUEUE."""

from dataclasses import replace

import pytest
from ike_formats import OFFERED, offer
from ike_lab import EAST, EAST_NET, WEST_NET, Lab, child, east_config, net, toward, west_config
from ike_ledger import ask, assert_mirrored, ike_of, live

from p4esp.ike.codec.payloads import Nonce, Notify
from p4esp.ike.codec.proposal import Proposal, SecurityAssociation
from p4esp.ike.codec.selectors import TsInitiator, TsResponder
from p4esp.ike.config import Settings
from p4esp.ike.constants import ExchangeType, NotifyType, ProtocolId
from p4esp.ike.drops import Drop
from p4esp.ike.events import ChildDown, ChildFailed, ChildRekeyed
from p4esp.ike.extensions.resources import Resources, name_of_resource, number_of
from p4esp.ike.proposals import Template
from p4esp.ipsec.sa import EVERYTHING, Share

INFO = NotifyType.SA_RESOURCE_INFO
RESOURCES = 4
ESP = (Template.esp("aes256gcm16-aes128gcm16-esn-noesn"),)


def lab_of(here=RESOURCES, there=RESOURCES, *, esp=(ESP, ESP), connect=True, **options):
    """West and east whose child has so many resources each."""
    ours = replace(child(WEST_NET, EAST_NET), resources=here, proposals=esp[0])
    theirs = replace(child(EAST_NET, WEST_NET), resources=there, proposals=esp[1])
    lab = Lab(west_config(children=(ours,)), east_config(children=(theirs,)), **options)
    if connect:
        lab.connect()
    return lab


def share_of(number):
    return Share(name_of_resource(number))


def want(lab, *numbers, node=None):
    """An end asks for SAs of resources, all at once."""
    node = node or lab.west
    ike = ike_of(node)
    for number in numbers:
        node.endpoint.create_child(ike, "net", lab.now, share=share_of(number))
    lab.settle()


def resources(node):
    """Numbers of the resources of an end's SAs; None: the fallback."""
    numbers = [number_of(sa.share) for sa in live(node).values()]
    return sorted(numbers, key=lambda number: -1 if number is None else number)


def ignored(node):
    return [record.reason for record in node.traces if record.drop is Drop.IGNORED_NOTIFY]


def notifies(answer):
    """Types and data of an answer's notifies."""
    return [(notify.type, notify.data) for notify in answer.every(Notify)]


# Agreed on


@pytest.mark.parametrize("role", ["west", "east"])
def test_four_extra_sas_are_agreed_on_and_each_end_gives_its_own_resources_one(role):
    lab = lab_of()
    want(lab, *range(4), node=getattr(lab, role))
    assert_mirrored(lab)
    assert resources(lab.west) == resources(lab.east) == [None, 0, 1, 2, 3]
    keys = {sa.keymat.outbound.key for sa in live(lab.west).values()}
    assert len(keys) == 5


def test_extra_sas_are_like_the_fallback_in_all_but_resource_spis_and_keys():
    lab = lab_of()
    want(lab, 0, 1)
    first, *extras = live(lab.west).values()
    for extra in extras:
        same = {"spi_in": first.spi_in, "spi_out": first.spi_out, "keymat": first.keymat}
        assert replace(extra, share=EVERYTHING, **same) == first


def test_the_answer_names_the_resource_that_has_fewest_sas_and_the_first_sa_none():
    lab = lab_of(there=2, connect=False)
    lab.connect()
    names = [notifies(offer_of(lab, Notify(INFO), spi))[-1] for spi in range(1, 6)]
    assert names == [(INFO, name_of_resource(number)) for number in (0, 1, 0, 1, 0)]


@pytest.mark.parametrize("octets", [0, 4, 16])
def test_names_of_any_size_are_taken_and_never_compared(octets):
    lab = lab_of()
    for spi in (1, 2):
        answer = offer_of(lab, Notify(INFO, bytes(octets)), spi)
        assert answer.error() is None
        assert answer.notify(INFO) is not None
    assert resources(lab.east) == [None, 0, 1]


def test_the_notify_with_the_first_sa_is_answered_and_that_sa_is_for_all_resources(monkeypatch):
    monkeypatch.setattr(Resources, "asked", lambda *_: [Notify(INFO)])
    lab = lab_of()
    assert resources(lab.west) == resources(lab.east) == [None]
    assert ignored(lab.west) == ["ignored: SA_RESOURCE_INFO, for which nobody asked"]


def offer_of(lab, *notifies, spi=None):
    """An offer of west's that is like the first SA but for what is said here."""
    *said, number = (*notifies, spi) if spi is not None else notifies
    return offer_like(lab, said, number)


def offer_like(lab, said, number, net_=EAST_NET, esp="aes256gcm16-esn"):
    proposal = Proposal(
        1, ProtocolId.ESP, (0xC9000000 + number).to_bytes(4, "big"), Template.esp(esp).transforms
    )
    config = lab.west_config.children[0]
    selectors = TsInitiator(config.local_ts), TsResponder(net(net_))
    association = SecurityAssociation((proposal,))
    kind = ExchangeType.CREATE_CHILD_SA
    return ask(lab, kind, *said, association, Nonce(bytes(32)), *selectors)


def test_both_ends_begin_at_once_and_none_of_the_extra_sas_is_taken_for_a_duplicate():
    lab = lab_of()
    for node in (lab.west, lab.east):
        node.endpoint.create_child(ike_of(node), "net", lab.now, share=share_of(0))
    lab.run(5)
    assert_mirrored(lab)
    assert len(live(lab.west)) == 3
    assert not lab.west.of(ChildDown)
    assert not lab.east.of(ChildDown)


# Without support, or another opinion


def test_a_peer_without_support_says_nothing_and_the_sa_is_used_all_the_same():
    lab = lab_of(there=0)
    want(lab, 2)
    assert resources(lab.west) == [None, 2]
    assert resources(lab.east) == [None, None]
    assert_mirrored(lab)


def test_a_peer_that_asks_for_nothing_gets_an_ordinary_sa():
    lab = lab_of(here=0)
    answer = offer(lab)
    assert answer.notify(INFO) is None
    assert resources(lab.east) == [None, None]


def test_par_03_at_the_limit_the_answer_is_ts_max_queue_and_the_ike_sa_goes_on():
    """2 * max(resources, 8) + 1 SAs, whatever the owner's own limit says."""
    lab = lab_of()
    want(lab, *range(16))
    assert len(live(lab.east)) == 17
    want(lab, 16)
    failed = lab.west.one(ChildFailed)
    assert (failed.refusal, failed.share) == (NotifyType.TS_MAX_QUEUE, share_of(16))
    assert len(lab.west.endpoint.ike_sas) == 1
    lab.west.endpoint.delete_child(list(live(lab.west))[-1], lab.now)
    lab.settle()
    want(lab, 16)
    assert len(live(lab.east)) == 17


@pytest.mark.parametrize("asked", [True, False])
def test_who_asks_for_a_resource_never_hears_that_there_are_no_more_child_sas(asked):
    lab = lab_of(settings=Settings(max_children=1))
    answer = offer(lab, *([Notify(INFO)] if asked else []))
    expected = NotifyType.TS_MAX_QUEUE if asked else NotifyType.NO_ADDITIONAL_SAS
    assert answer.error().type == expected


def test_without_an_spi_the_answer_is_ts_max_queue_too(monkeypatch):
    lab = lab_of()

    def none_left(*_):
        raise LookupError("all are in use")

    monkeypatch.setattr(lab.east.spis, "allocate", none_left)
    assert offer(lab, Notify(INFO)).error().type == NotifyType.TS_MAX_QUEUE
    assert offer(lab).error().type == NotifyType.NO_ADDITIONAL_SAS


def test_an_extra_sa_with_narrower_selectors_is_refused():
    lab = lab_of()
    answer = offer_like(lab, [Notify(INFO)], 1, net_="10.2.3.0/24")
    assert answer.error().type == NotifyType.TS_UNACCEPTABLE
    assert resources(lab.east) == [None]
    assert offer_like(lab, [], 2, net_="10.2.3.0/24").error() is None


def test_an_extra_sa_with_other_algorithms_is_refused():
    lab = lab_of()
    answer = offer_like(lab, [Notify(INFO)], 1, esp="aes128gcm16-esn")
    assert answer.error().type == NotifyType.NO_PROPOSAL_CHOSEN
    answer = offer_like(lab, [Notify(INFO)], 2, esp="aes256gcm16-noesn")
    assert answer.error().type == NotifyType.NO_PROPOSAL_CHOSEN
    assert resources(lab.east) == [None]


def test_a_narrower_answer_is_not_taken_and_the_peer_told_to_forget_the_sa():
    lab = lab_of(there=0)
    narrow = replace(lab.east_config.children[0], local_ts=net("10.2.3.0/24"))
    entry = lab.east.endpoint._entries[ike_of(lab.east)]
    entry.sa._state.peer = replace(lab.east_config, children=(narrow,))
    want(lab, 0)
    assert "not the selectors and mode" in lab.west.one(ChildFailed).reason
    assert resources(lab.west) == resources(lab.east) == [None]
    assert len(lab.west.spis.used) == 1


def test_an_offer_for_a_resource_names_the_algorithms_of_the_fallback_alone():
    """The peer has turned its preferences round meanwhile."""
    lab = lab_of(esp=((Template.esp("aes128gcm16-aes256gcm16-noesn"),), ESP))
    first = next(iter(live(lab.west).values()))
    turned = (Template.esp("aes256gcm16-aes128gcm16-noesn"),)
    entry = lab.east.endpoint._entries[ike_of(lab.east)]
    config = replace(lab.east_config.children[0], proposals=turned)
    entry.sa._state.peer = replace(lab.east_config, children=(config,))
    want(lab, 0)
    assert {sa.suite for sa in live(lab.east).values()} == {first.suite}


def test_without_any_sa_of_the_child_none_can_be_had_for_a_resource():
    lab = lab_of(connect=False)
    lab.connect(child=None)
    want(lab, 0)
    assert "no SA to which one for a resource" in lab.west.one(ChildFailed).reason
    assert lab.west.spis.used == set()


# Rekeys and deletes


@pytest.mark.parametrize("role", ["west", "east"])
def test_a_rekeyed_sa_stays_with_its_resource_at_both_ends(role):
    lab = lab_of()
    want(lab, 2, 3)
    node = getattr(lab, role)
    for _ in range(2):
        spi = next(s for s, sa in live(lab.west).items() if number_of(sa.share) == 2)
        spi = spi if role == "west" else live(lab.west)[spi].spi_out
        node.endpoint.rekey_child(spi, lab.now)
        lab.settle()
        assert resources(lab.west) == [None, 2, 3]
        assert resources(lab.east) == [None, 0, 1]
        for event in (*lab.west.of(ChildRekeyed), *lab.east.of(ChildRekeyed)):
            assert event.old.share == event.new.share


def test_a_rekey_without_the_notify_keeps_the_resource_and_the_answer_says_nothing(monkeypatch):
    """strongSwan's never has it."""
    lab = lab_of()
    want(lab, 2)
    monkeypatch.setattr(Resources, "asked", lambda *_: [])
    spi = next(s for s, sa in live(lab.west).items() if number_of(sa.share) == 2)
    lab.west.endpoint.rekey_child(spi, lab.now)
    lab.settle()
    assert resources(lab.west) == [None, 2]
    assert resources(lab.east) == [None, 0]
    assert not ignored(lab.west)


def test_a_rekey_at_the_limit_is_no_new_sa():
    lab = lab_of()
    want(lab, *range(16))
    lab.west.endpoint.rekey_child(list(live(lab.west))[-1], lab.now)
    lab.settle()
    assert not lab.west.of(ChildFailed)
    assert len(live(lab.west)) == 17


def test_a_rekeyed_ike_sa_keeps_them_all_and_takes_more():
    lab = lab_of()
    want(lab, 0, 1)
    lab.west.endpoint.rekey_ike(ike_of(lab.west), lab.now)
    lab.settle()
    (info,) = lab.west.endpoint.ike_sas
    lab.west.endpoint.create_child(info.spi, "net", lab.now, share=share_of(2))
    lab.settle()
    assert resources(lab.west) == [None, 0, 1, 2]
    assert_mirrored(lab)


def test_deleting_one_leaves_the_others_and_its_resource_is_given_out_again():
    lab = lab_of()
    want(lab, 0, 1, 2)
    spi = next(s for s, sa in live(lab.west).items() if number_of(sa.share) == 1)
    lab.west.endpoint.delete_child(spi, lab.now)
    lab.settle()
    assert resources(lab.west) == [None, 0, 2]
    assert resources(lab.east) == [None, 0, 2]
    want(lab, 1)
    assert resources(lab.east) == [None, 0, 1, 2]


def test_one_that_the_peer_has_lost_is_made_anew_for_the_same_resource(monkeypatch):
    lab = lab_of()
    want(lab, 3)
    spi = next(s for s, sa in live(lab.west).items() if number_of(sa.share) == 3)
    entry = lab.east.endpoint._entries[ike_of(lab.east)]
    state = entry.sa._state
    lost = state.children.by_outbound(spi)
    state.children.remove(lost)
    lab.west.endpoint.rekey_child(spi, lab.now)
    lab.settle()
    assert resources(lab.west) == [None, 3]


def test_the_fallback_may_go_and_come_again_beside_the_others():
    lab = lab_of()
    want(lab, 0)
    first = next(s for s, sa in live(lab.west).items() if sa.share == EVERYTHING)
    lab.west.endpoint.delete_child(first, lab.now)
    lab.settle()
    lab.west.endpoint.create_child(ike_of(lab.west), "net", lab.now)
    lab.settle()
    assert resources(lab.west) == resources(lab.east) == [None, 0]


# Bad input


@pytest.mark.parametrize(
    "bad",
    [
        [Notify(INFO, bytes(256))],
        [Notify(INFO, b"cpu", spi=OFFERED)],
        [Notify(INFO, b"1"), Notify(INFO, b"2")],
    ],
    ids=["too long", "SPI", "twice"],
)
def test_a_malformed_notify_counts_as_none_and_is_recorded(bad):
    lab = lab_of()
    answer = offer(lab, *bad)
    assert answer.error() is None
    assert answer.notify(INFO) is None
    assert resources(lab.east) == [None, None]
    assert any("SA_RESOURCE_INFO" in reason for reason in ignored(lab.east))


@pytest.mark.parametrize(
    "bad", [Notify(INFO, bytes(256)), Notify(INFO, spi=OFFERED)], ids=["too long", "SPI"]
)
def test_a_malformed_answer_is_none_and_the_sa_is_used(bad, monkeypatch):
    lab = lab_of()
    monkeypatch.setattr(Resources, "answered", lambda *_: [bad])
    want(lab, 1)
    assert resources(lab.west) == [None, 1]
    assert ignored(lab.west)


@pytest.mark.parametrize("exchange", [ExchangeType.INFORMATIONAL], ids=str)
def test_in_another_exchange_it_means_nothing(exchange):
    lab = lab_of()
    answer = ask(lab, exchange, Notify(INFO))
    assert answer is not None
    assert notifies(answer) == []
    assert resources(lab.east) == [None]


def test_nobody_between_the_two_can_take_the_notify_out_of_the_answer():
    """A changed answer is not authentic; the true one comes with the retransmission."""
    changed = []

    def fate(datagram):
        if not changed and lab.now > 1 and not toward(EAST, datagram):
            changed.append(datagram)
            forged = bytearray(datagram.data)
            forged[-1] ^= 1
            lab.deliver(replace(datagram, data=bytes(forged)))
            return []
        return [0.01]

    lab = lab_of()
    lab.run(2)
    lab.fate = fate
    want(lab, 1)
    lab.run(10)
    assert changed
    assert any(record.drop is Drop.NOT_AUTHENTIC for record in lab.west.traces)
    assert resources(lab.west) == [None, 1]
    assert resources(lab.east) == [None, 0]


def test_resources_of_a_labelled_child_have_its_label():
    """The label is part of what is the same (RFC 9478)."""
    label = b"system_u:object_r:ipsec_spd_t:s0"
    ours = replace(child(WEST_NET, EAST_NET), resources=2, labels=(label,))
    theirs = replace(child(EAST_NET, WEST_NET), resources=2, labels=(label,))
    lab = Lab(west_config(children=(ours,)), east_config(children=(theirs,)))
    lab.connect()
    want(lab, 0, 1)
    assert {sa.share.label for sa in live(lab.east).values()} == {label}
    assert resources(lab.west) == resources(lab.east) == [None, 0, 1]
