"""CREATE_CHILD_SA and deletes, alone and colliding (RFC 7296 1.3, 1.4, 2.8, 2.25)."""

import itertools

import pytest
from ike_lab import EAST_NET, LATENCY, WEST_NET, Lab, child, east_config, west_config
from ike_ledger import ask, assert_mirrored, ike_of, live

from p4esp.ike.codec.payloads import Delete, Nonce, Notify
from p4esp.ike.codec.proposal import Proposal, SecurityAssociation
from p4esp.ike.codec.selectors import TsInitiator, TsResponder
from p4esp.ike.config import Settings
from p4esp.ike.constants import NotifyType, ProtocolId
from p4esp.ike.errors import CommandError
from p4esp.ike.events import (
    ChildDown,
    ChildFailed,
    ChildRekeyed,
    ChildUp,
    DownReason,
    IkeDown,
    IkeEstablished,
    PeerAlive,
)
from p4esp.ike.negotiation import Agreement
from p4esp.ike.tasks import create_child

SECOND = child("10.7.0.0/16", "10.8.0.0/16", "second")
SECOND_BACK = child("10.8.0.0/16", "10.7.0.0/16", "second")


@pytest.fixture
def lab():
    lab = Lab(
        west_config(children=(child(WEST_NET, EAST_NET), SECOND)),
        east_config(children=(child(EAST_NET, WEST_NET), SECOND_BACK)),
    )
    lab.connect()
    return lab


@pytest.mark.parametrize("role", ["west", "east"])
def test_a_second_child_sa_can_be_made_from_either_side_with_keys_of_its_own(lab, role):
    node = getattr(lab, role)
    node.endpoint.create_child(ike_of(node), "second", lab.now)
    lab.settle()
    assert_mirrored(lab)
    children = list(live(lab.west).values())
    assert len(children) == 2
    assert len({child.keymat.inbound.key for child in children}) == 2
    assert node.of(ChildUp)[-1].child.initiator


@pytest.mark.parametrize("role", ["west", "east"])
def test_68_rekeying_makes_before_it_breaks(lab, role):
    node, peer = (lab.west, lab.east) if role == "west" else (lab.east, lab.west)
    (old,) = live(node).values()
    node.endpoint.rekey_child(old.spi_in, lab.now)
    lab.settle()
    assert_mirrored(lab)
    (new,) = live(node).values()
    assert (new.local_ts, new.remote_ts) == (old.local_ts, old.remote_ts)
    assert new.keymat.inbound.key != old.keymat.inbound.key
    for side, initiator in ((node, True), (peer, False)):
        rekeyed, down = side.one(ChildRekeyed), side.one(ChildDown)
        assert side.events.index(rekeyed) < side.events.index(down)
        assert rekeyed.new.initiator is initiator
        assert down.reason is DownReason.REKEYED
        assert down.child == rekeyed.old


def test_68_a_hundred_rekeys_from_alternating_sides_leave_one_child_sa(lab):
    for node, _ in zip(itertools.cycle((lab.west, lab.east)), range(100), strict=False):
        (spi,) = live(node)
        node.endpoint.rekey_child(spi, lab.now)
        lab.settle()
    assert_mirrored(lab)
    assert len(live(lab.west)) == 1
    keys = [event.new.keymat.inbound.key for event in lab.west.of(ChildRekeyed)]
    assert len(set(keys)) == 100


@pytest.mark.parametrize("role", ["west", "east"])
def test_a_child_sa_is_deleted_at_both_ends_and_the_ike_sa_stays(lab, role):
    node, peer = (lab.west, lab.east) if role == "west" else (lab.east, lab.west)
    (spi,) = live(node)
    node.endpoint.delete_child(spi, lab.now)
    lab.settle()
    assert node.one(ChildDown).reason is DownReason.LOCAL_DELETE
    assert peer.one(ChildDown).reason is DownReason.PEER_DELETE
    assert len(lab.west.endpoint.ike_sas) == len(lab.east.endpoint.ike_sas) == 1


@pytest.mark.parametrize("role", ["west", "east"])
def test_deleting_the_ike_sa_takes_its_child_sas_along(lab, role):
    node, peer = (lab.west, lab.east) if role == "west" else (lab.east, lab.west)
    node.endpoint.delete_ike(ike_of(node), lab.now)
    lab.settle()
    assert node.one(IkeDown).reason is DownReason.LOCAL_DELETE
    assert peer.one(IkeDown).reason is DownReason.PEER_DELETE
    for side in (node, peer):
        assert side.one(ChildDown).reason is DownReason.IKE_SA_GONE
        assert side.endpoint.ike_sas == []
    lab.run(60)
    assert lab.west.endpoint.get_timer() is lab.east.endpoint.get_timer() is None


def test_76_deletes_of_the_ike_sa_that_cross_end_it_once_on_each_side(lab):
    lab.west.endpoint.delete_ike(ike_of(lab.west), lab.now)
    lab.east.endpoint.delete_ike(ike_of(lab.east), lab.now)
    lab.run(60)
    for node in (lab.west, lab.east):
        assert len(node.of(IkeDown)) == len(node.of(ChildDown)) == 1
        assert node.endpoint.get_timer() is None


def test_76_deletes_of_the_same_child_that_cross_end_it_once_on_each_side(lab):
    for node in (lab.west, lab.east):
        (spi,) = live(node)
        node.endpoint.delete_child(spi, lab.now)
    lab.settle()
    assert live(lab.west) == live(lab.east) == {}
    assert len(lab.west.of(ChildDown)) == len(lab.east.of(ChildDown)) == 1


def test_a_delete_of_the_ike_sa_waits_for_the_outstanding_request(lab):
    lab.west.endpoint.check_liveness(ike_of(lab.west), lab.now)
    lab.west.endpoint.delete_ike(ike_of(lab.west), lab.now)
    lab.settle()
    assert lab.west.one(PeerAlive)
    assert lab.east.one(IkeDown)


@pytest.mark.parametrize("seed", range(8))
def test_70_simultaneous_rekeys_leave_exactly_one_child_sa(seed):
    """The exchange with the lowest nonce loses, whoever started it."""
    lab = Lab(seed=10 * seed + 1)
    lab.connect()
    for node in (lab.west, lab.east):
        (spi,) = live(node)
        node.endpoint.rekey_child(spi, lab.now)
    lab.settle()
    assert_mirrored(lab)
    assert len(live(lab.west)) == 1
    reasons = [event.reason for node in (lab.west, lab.east) for event in node.of(ChildDown)]
    assert reasons.count(DownReason.COLLISION) == 1
    lab.west.endpoint.rekey_child(next(iter(live(lab.west))), lab.now)
    lab.settle()
    assert_mirrored(lab)
    assert len(live(lab.west)) == 1


def test_70_the_exchange_with_the_lowest_of_the_four_nonces_loses_on_either_side(monkeypatch):
    real, made = create_child.enter_child, []

    def recording(*arguments):
        made.append(real(*arguments))
        return made[-1]

    monkeypatch.setattr(create_child, "enter_child", recording)
    losers = set()
    for seed in range(8):
        made.clear()
        lab = Lab(seed=10 * seed + 1)
        lab.connect()
        for node in (lab.west, lab.east):
            node.endpoint.rekey_child(next(iter(live(node))), lab.now)
        lab.settle()
        loser, winner = sorted(
            (child_sa for child_sa in made if child_sa.params.initiator),
            key=lambda child_sa: min(child_sa.nonces.initiator, child_sa.nonces.responder),
        )
        node = lab.west if winner.params.peer == "east" else lab.east
        assert list(live(node)) == [winner.params.spi_in]
        losers.add(loser.params.peer)
    assert losers == {"west", "east"}


@pytest.mark.parametrize("lost", range(6))
def test_70_simultaneous_rekeys_survive_the_loss_of_any_one_message(lost):
    count = itertools.count()
    lab = Lab()
    lab.connect()
    lab.fate = lambda _: [] if next(count) == lost else [LATENCY]
    for node in (lab.west, lab.east):
        node.endpoint.rekey_child(next(iter(live(node))), lab.now)
    lab.run(30)
    assert_mirrored(lab)
    assert len(live(lab.west)) == 1


def test_72_a_rekey_that_meets_a_delete_ends_with_no_child_sa(lab):
    lab.west.endpoint.rekey_child(next(iter(live(lab.west))), lab.now)
    lab.east.endpoint.delete_child(next(iter(live(lab.east))), lab.now)
    lab.run(60)
    assert live(lab.west) == live(lab.east) == {}
    assert len(lab.west.endpoint.ike_sas) == 1


@pytest.mark.parametrize("command", ["rekey_child", "delete_child"])
def test_72_a_child_sa_that_one_side_uses_before_the_other_has_its_answer(lab, command):
    """West makes a child SA; east, whose answer is late, already rekeys or deletes it."""
    late = iter([[LATENCY], [1.0]])
    lab.fate = lambda _: next(late, [LATENCY])
    lab.west.endpoint.create_child(ike_of(lab.west), "second", lab.now)
    lab.run(0.1)
    (spi,) = (event.child.spi_in for event in lab.east.of(ChildUp)[1:])
    getattr(lab.east.endpoint, command)(spi, lab.now)
    lab.run(60)
    assert_mirrored(lab)
    assert len(live(lab.west)) == (2 if command == "rekey_child" else 1)
    down = {event.child.spi_in for event in lab.west.of(ChildDown)}
    assert lab.west.spis.used == set(live(lab.west)) | down


def test_72_temporary_failure_is_tried_again_after_a_while_and_not_at_once(lab, monkeypatch):
    real = create_child._check_possible
    refusals = iter([True, True])

    def busy(sa):
        if next(refusals, False):
            raise create_child.Refusal(NotifyType.TEMPORARY_FAILURE, "busy")
        real(sa)

    monkeypatch.setattr(create_child, "_check_possible", busy)
    lab.west.endpoint.rekey_child(next(iter(live(lab.west))), lab.now)
    lab.settle()
    sent = len(lab.wire)
    lab.run(4.9)
    assert len(lab.wire) == sent
    lab.run(40)
    assert_mirrored(lab)
    assert lab.west.one(ChildRekeyed)
    assert len(lab.west.spis.used) == 2


def test_72_a_peer_that_lost_the_child_sa_gets_a_new_one(lab):
    """CHILD_SA_NOT_FOUND: drop it here too, and make a fresh one (RFC 7296 2.25.1)."""
    (old,) = live(lab.west)
    east = lab.east.endpoint._entries[ike_of(lab.east)].sa
    east._state.children.remove(east.children[0])
    lab.west.endpoint.rekey_child(old, lab.now)
    lab.settle()
    assert lab.west.one(ChildDown).child.spi_in == old
    assert len(lab.west.of(ChildUp)) == 2
    assert len(lab.east.of(ChildUp)) == 2


def test_no_additional_sas_when_the_limit_of_child_sas_is_reached():
    lab = Lab(settings=Settings(max_children=1))
    lab.connect()
    lab.west.endpoint.create_child(ike_of(lab.west), "net", lab.now)
    lab.settle()
    assert lab.west.one(ChildFailed).reason == "NO_ADDITIONAL_SAS"
    assert len(lab.west.spis.used) == len(lab.east.spis.used) == 1


def test_at_the_limit_of_child_sas_each_can_be_replaced_but_no_more_be_piled_up():
    lab = Lab(settings=Settings(max_children=1))
    lab.connect()
    for _ in range(3):
        lab.west.endpoint.rekey_child(next(iter(live(lab.west))), lab.now)
        lab.settle()
    assert lab.west.of(ChildFailed) == []
    assert len(live(lab.west)) == len(live(lab.east)) == 1
    errors = []
    for number in range(1, 4):
        lab.run(1)
        newest = [*live(lab.east).values()][-1].spi_out.to_bytes(4, "big")
        rekey = Notify(NotifyType.REKEY_SA, protocol=ProtocolId.ESP, spi=newest)
        offer = offer_like(lab, bytes.fromhex(f"c900000{number}"))
        errors.append(ask(lab, create_child.CreateChild.exchange, rekey, *offer).error())
    assert errors[0] is None
    assert [error.type for error in errors[1:]] == [NotifyType.NO_ADDITIONAL_SAS] * 2
    assert len(live(lab.east)) == 2


def offer_like(lab, spi=b"\xc9\x00\x00\x01", protocol=ProtocolId.ESP):
    config = lab.west_config.children[0]
    proposal = Proposal(1, protocol, spi, config.proposals[0].transforms)
    return [
        SecurityAssociation((proposal,)),
        Nonce(bytes(32)),
        TsInitiator(config.local_ts),
        TsResponder(config.remote_ts),
    ]


def error_of(answer):
    return NotifyType(answer.error().type)


def test_68_rekeying_an_unknown_spi_is_answered_with_that_spi(lab):
    rekey = Notify(NotifyType.REKEY_SA, protocol=ProtocolId.ESP, spi=b"\x12\x34\x56\x78")
    answer = ask(lab, create_child.CreateChild.exchange, rekey, *offer_like(lab))
    assert answer.payloads == (
        Notify(NotifyType.CHILD_SA_NOT_FOUND, b"", ProtocolId.ESP, b"\x12\x34\x56\x78"),
    )


def test_68_a_child_sa_that_the_peer_has_replaced_is_not_replaced_twice(lab):
    (spi,) = live(lab.west)
    rekey = Notify(NotifyType.REKEY_SA, protocol=ProtocolId.ESP, spi=spi.to_bytes(4, "big"))
    first = ask(lab, create_child.CreateChild.exchange, rekey, *offer_like(lab))
    assert first.error() is None
    again = offer_like(lab, b"\xc9\x00\x00\x02")
    second = ask(lab, create_child.CreateChild.exchange, rekey, *again)
    assert error_of(second) is NotifyType.TEMPORARY_FAILURE
    assert len(live(lab.east)) == 2


@pytest.mark.parametrize("spi", [b"", b"\x12\x34\x56\x78\x12\x34\x56\x78"])
def test_68_a_rekey_notify_with_a_malformed_spi_is_fatal(lab, spi):
    rekey = Notify(NotifyType.REKEY_SA, protocol=ProtocolId.ESP, spi=spi)
    answer = ask(lab, create_child.CreateChild.exchange, rekey, *offer_like(lab))
    assert error_of(answer) is NotifyType.INVALID_SYNTAX
    assert lab.east.one(IkeDown).reason is DownReason.PROTOCOL_ERROR
    assert "REKEY_SA" in lab.east.one(IkeDown).detail


@pytest.mark.parametrize("spi", [bytes(4), b"\0\0\0\xff"])
def test_69_a_reserved_esp_spi_is_refused(lab, spi):
    answer = ask(lab, create_child.CreateChild.exchange, *offer_like(lab, spi))
    assert error_of(answer) is NotifyType.NO_PROPOSAL_CHOSEN


def test_69_an_esp_spi_that_is_in_use_is_refused(lab):
    (spi,) = live(lab.west)
    answer = ask(lab, create_child.CreateChild.exchange, *offer_like(lab, spi.to_bytes(4, "big")))
    assert error_of(answer) is NotifyType.NO_PROPOSAL_CHOSEN
    assert len(live(lab.east)) == 1


def test_65_selectors_of_unknown_type_only_are_unacceptable(lab):
    sa, nonce, _, tsr = offer_like(lab)
    unknown = TsInitiator.parse(bytes([1, 0, 0, 0, 9, 0, 0, 8, 0, 0, 0, 0]))
    answer = ask(lab, create_child.CreateChild.exchange, sa, nonce, unknown, tsr)
    assert error_of(answer) is NotifyType.TS_UNACCEPTABLE


@pytest.mark.parametrize("payload", [0, 1, 2, 3])
def test_a_request_without_a_mandatory_payload_is_fatal(lab, payload):
    offer = offer_like(lab)
    del offer[payload]
    answer = ask(lab, create_child.CreateChild.exchange, *offer)
    assert error_of(answer) is NotifyType.INVALID_SYNTAX
    assert lab.east.endpoint.ike_sas == []
    assert lab.east.one(ChildDown).reason is DownReason.IKE_SA_GONE


def test_15_a_payload_twice_where_one_is_allowed_is_fatal(lab):
    offer = offer_like(lab)
    answer = ask(lab, create_child.CreateChild.exchange, *offer, offer[1])
    assert error_of(answer) is NotifyType.INVALID_SYNTAX


def test_75_a_delete_of_unknown_or_foreign_spis_deletes_nothing(lab):
    (child_sa,) = live(lab.west).values()
    spis = (b"\x12\x34\x56\x78", child_sa.spi_out.to_bytes(4, "big"))
    answer = ask(lab, 37, Delete(ProtocolId.ESP, spis))
    assert answer.payloads == ()
    assert len(live(lab.east)) == 1


def test_75_a_delete_of_many_spis_answers_only_those_known(lab):
    (child_sa,) = live(lab.west).values()
    spis = [(0xD0000000 + n).to_bytes(4, "big") for n in range(5000)]
    spis[4000] = child_sa.spi_in.to_bytes(4, "big")
    answer = ask(lab, 37, Delete(ProtocolId.ESP, tuple(spis)))
    assert answer.payloads == (Delete(ProtocolId.ESP, (child_sa.spi_out.to_bytes(4, "big"),)),)


def test_76_a_delete_of_the_ike_sa_outweighs_deletes_of_children(lab):
    (child_sa,) = live(lab.west).values()
    spis = (child_sa.spi_in.to_bytes(4, "big"),)
    answer = ask(lab, 37, Delete(ProtocolId.ESP, spis), Delete(ProtocolId.IKE))
    assert answer.payloads == ()
    assert lab.east.one(IkeDown).reason is DownReason.PEER_DELETE


@pytest.mark.parametrize("kind", [8191, 9999, 20000, 65535])
def test_78_unknown_notifies_in_a_request_are_ignored(lab, kind):
    assert ask(lab, 37, Notify(kind, b"data")).payloads == ()
    assert lab.east.of(IkeDown) == []


def test_an_answer_that_widens_the_selectors_is_refused_and_undone(lab, monkeypatch):
    """Case 67: the initiator deletes what the responder made of it."""
    everything = TsResponder(child("0.0.0.0/0", "0.0.0.0/0").local_ts)
    real = Agreement.payloads
    monkeypatch.setattr(
        Agreement, "payloads", lambda *arguments: [*real(*arguments)[:-1], everything]
    )
    lab.west.endpoint.create_child(ike_of(lab.west), "second", lab.now)
    lab.settle()
    assert "not within" in lab.west.one(ChildFailed).reason
    assert len(live(lab.west)) == len(live(lab.east)) == 1
    assert len(lab.west.spis.used) == 1


def test_commands_name_what_is_wrong(lab):
    endpoint, (spi,) = lab.west.endpoint, live(lab.west)
    with pytest.raises(CommandError, match="no IKE SA with SPI 0000000000000000"):
        endpoint.delete_ike(bytes(8), lab.now)
    with pytest.raises(CommandError, match="no child SA with inbound SPI 00000001"):
        endpoint.rekey_child(1, lab.now)
    with pytest.raises(CommandError, match="it has net, second"):
        endpoint.create_child(ike_of(lab.west), "third", lab.now)
    endpoint.rekey_child(spi, lab.now)
    with pytest.raises(CommandError, match="being replaced"):
        endpoint.rekey_child(spi, lab.now)
    endpoint.delete_ike(ike_of(lab.west), lab.now)
    with pytest.raises(CommandError, match="must be ESTABLISHED"):
        endpoint.check_liveness(ike_of(lab.west), lab.now)


def exhausted(_count, _apart):
    raise LookupError("the table is full")


@pytest.mark.parametrize("role", ["west", "east"])
def test_an_allocator_that_has_no_spi_refuses_the_child_sa_and_nothing_else(lab, role):
    getattr(lab, role).spis.allocate = exhausted
    lab.west.endpoint.create_child(ike_of(lab.west), "second", lab.now)
    lab.settle()
    assert "NO_ADDITIONAL_SAS" in lab.west.one(ChildFailed).reason
    assert_mirrored(lab)
    fresh = Lab()
    getattr(fresh, role).spis.allocate = exhausted
    fresh.connect()
    assert "NO_ADDITIONAL_SAS" in fresh.west.one(ChildFailed).reason
    assert fresh.west.one(IkeEstablished)
    assert fresh.west.spis.used == fresh.east.spis.used == set()
