"""Rekeying the IKE SA (RFC 7296 1.3.2, 2.8.2, 2.18, 2.25.2)."""

import itertools
from dataclasses import replace

import pytest
from ike_lab import LATENCY, Lab, east_config, west_config
from ike_ledger import ask, assert_mirrored, ike_of, live

from p4esp.ike.codec.payloads import KeyExchange, Nonce
from p4esp.ike.codec.proposal import Proposal, SecurityAssociation
from p4esp.ike.constants import ExchangeType, NotifyType, ProtocolId
from p4esp.ike.errors import CommandError
from p4esp.ike.events import (
    ChildDown,
    ChildRekeyed,
    ChildUp,
    DownReason,
    IkeDown,
    IkeRekeyed,
    IkeRekeyFailed,
    PeerAlive,
)
from p4esp.ike.proposals import Template

ROLES = ["west", "east"]


@pytest.fixture
def lab():
    lab = Lab()
    lab.connect()
    return lab


def sides(lab, role):
    return (lab.west, lab.east) if role == "west" else (lab.east, lab.west)


def only_ike(node):
    (info,) = node.endpoint.ike_sas
    return info


def rekey(lab, node):
    node.endpoint.rekey_ike(only_ike(node).spi, lab.now)
    lab.settle()


@pytest.mark.parametrize("role", ROLES)
def test_the_new_ike_sa_takes_the_child_sas_over_and_the_old_one_goes(lab, role):
    node, peer = sides(lab, role)
    before = only_ike(node), only_ike(peer)
    children = live(node), live(peer)
    rekey(lab, node)
    for side, old, initiator in ((node, before[0], True), (peer, before[1], False)):
        rekeyed, down = side.one(IkeRekeyed), side.one(IkeDown)
        assert (rekeyed.old, rekeyed.new) == (old, only_ike(side))
        assert (down.ike, down.reason) == (old, DownReason.REKEYED)
        assert rekeyed.new.initiator is initiator
        assert rekeyed.new.peer_spi == only_ike(peer if side is node else node).spi
        assert side.of(ChildDown) == []
    assert (live(node), live(peer)) == children
    assert_mirrored(lab)


def test_the_new_ike_sa_has_keys_of_its_own_and_both_ends_the_same(lab):
    rekey(lab, lab.west)
    for old, new in (lab.west.keys, lab.east.keys):
        spi_i, spi_r, _, keys = new
        assert {spi_i, spi_r}.isdisjoint(old[:2])
        fields = ("d", "ei", "er", "pi", "pr")
        assert all(getattr(keys, name) != getattr(old[3], name) for name in fields)
    assert lab.west.keys[1] == lab.east.keys[1]


@pytest.mark.parametrize("role", ROLES)
def test_message_ids_start_again_from_zero_in_both_directions(lab, role):
    node, _ = sides(lab, role)
    lab.west.endpoint.check_liveness(only_ike(lab.west).spi, lab.now)
    lab.settle()
    rekey(lab, node)
    sent = len(lab.wire)
    for side in (lab.west, lab.east):
        side.endpoint.check_liveness(only_ike(side).spi, lab.now)
        lab.settle()
    ids = [datagram.data[20:24] for _, datagram in lab.wire[sent:]]
    assert ids == [bytes(4)] * 4
    assert len(lab.west.of(PeerAlive)) == 2


@pytest.mark.parametrize("role", ROLES)
def test_child_sas_are_rekeyed_and_deleted_under_the_new_ike_sa(lab, role):
    node, peer = sides(lab, role)
    rekey(lab, node)
    for side in (node, peer):
        side.endpoint.rekey_child(next(iter(live(side))), lab.now)
        lab.settle()
        assert_mirrored(lab)
    peer.endpoint.delete_child(next(iter(live(peer))), lab.now)
    lab.settle()
    assert live(node) == live(peer) == {}
    assert len(node.of(ChildRekeyed)) == 2


def test_rekeying_again_and_again_leaves_one_ike_sa_and_nothing_behind(lab):
    for node, _ in zip(itertools.cycle((lab.west, lab.east)), range(50), strict=False):
        rekey(lab, node)
    lab.run(60)
    assert_mirrored(lab)
    for side in (lab.west, lab.east):
        assert len(side.endpoint._entries) == 1
        assert len(side.of(IkeRekeyed)) == len(side.of(IkeDown)) == 50
        assert len({spi for keys in side.keys for spi in keys[:2]}) == 102
    (state,) = (entry.sa._state for entry in lab.west.endpoint._entries.values())
    assert state.predecessor is None


def test_what_was_queued_goes_out_under_the_new_ike_sa(lab):
    old = only_ike(lab.west).spi
    lab.west.endpoint.rekey_ike(old, lab.now)
    lab.west.endpoint.create_child(old, "net", lab.now)
    lab.settle()
    assert len(live(lab.west)) == 2
    assert_mirrored(lab)


def test_a_command_for_the_old_ike_sa_reaches_its_heir(lab):
    old = only_ike(lab.west).spi
    lab.fate = lambda d: [LATENCY] if d.data[19] & 0x20 or d.data[18] == 36 else []
    rekey(lab, lab.west)
    assert lab.west.of(IkeDown) == []
    lab.fate = lambda _: [LATENCY]
    lab.west.endpoint.delete_ike(old, lab.now)
    lab.run(60)
    assert [down.reason for down in lab.west.of(IkeDown)] == [
        DownReason.LOCAL_DELETE,
        DownReason.REKEYED,
    ]
    assert lab.west.endpoint.ike_sas == lab.east.endpoint.ike_sas == []


def test_an_ike_sa_is_not_rekeyed_twice_at_once(lab):
    ike = only_ike(lab.west).spi
    lab.west.endpoint.rekey_ike(ike, lab.now)
    with pytest.raises(CommandError, match="being rekeyed already"):
        lab.west.endpoint.rekey_ike(ike, lab.now)


def test_the_peers_rekey_makes_a_queued_one_of_ours_needless(lab):
    lab.fate = lambda d: [LATENCY] if d.path.local.host == lab.east_config.local else [2.0]
    lab.west.endpoint.check_liveness(only_ike(lab.west).spi, lab.now)
    lab.west.endpoint.rekey_ike(only_ike(lab.west).spi, lab.now)
    rekey(lab, lab.east)
    lab.run(60)
    assert len(lab.west.of(IkeRekeyed)) == 1
    assert not only_ike(lab.west).initiator


@pytest.mark.parametrize("role", ROLES)
def test_another_key_exchange_method_is_taken_when_the_peer_asks_for_it(role):
    lab = Lab(
        west_config(proposals=(Template.ike("aes256gcm16-prfsha256-x25519-ecp256"),)),
        east_config(proposals=(Template.ike("aes256gcm16-prfsha256-x25519-ecp256"),)),
    )
    lab.connect()
    node, peer = sides(lab, role)
    (state,) = (entry.sa._state for entry in peer.endpoint._entries.values())
    state.peer = replace(state.config, proposals=(Template.ike("aes256gcm16-prfsha256-ecp256"),))
    rekey(lab, node)
    assert only_ike(node).suite == only_ike(peer).suite == "aes256gcm16-prfsha256-ecp256"
    assert_mirrored(lab)


def test_a_peer_that_refuses_keeps_the_old_ike_sa(lab):
    (state,) = (entry.sa._state for entry in lab.east.endpoint._entries.values())
    proposals = (Template.ike("aes128gcm16-prfsha256-x25519"),)
    state.peer = replace(state.config, proposals=proposals)
    lab.west.endpoint._entries[ike_of(lab.west)].sa._state.peer = replace(
        lab.west_config, proposals=(Template.ike("aes256gcm16-prfsha256-x25519"),)
    )
    rekey(lab, lab.west)
    assert lab.west.one(IkeRekeyFailed).reason == "NO_PROPOSAL_CHOSEN"
    assert len(lab.west.endpoint.ike_sas) == len(lab.east.endpoint.ike_sas) == 1
    assert_mirrored(lab)


def ike_offer(lab, spi=b"new spi!"):
    transforms = lab.west_config.proposals[0].transforms
    return SecurityAssociation((Proposal(1, ProtocolId.IKE, spi, transforms),))


def test_an_ike_sa_is_never_rekeyed_without_a_new_key_exchange(lab):
    answer = ask(lab, ExchangeType.CREATE_CHILD_SA, ike_offer(lab), Nonce(bytes(32)))
    assert answer.error().type == NotifyType.INVALID_KE_PAYLOAD
    assert answer.error().data == (31).to_bytes(2, "big")
    assert len(lab.east.endpoint.ike_sas) == 1


@pytest.mark.parametrize("spi", [b"", bytes(8)])
def test_a_new_ike_sa_without_spi_is_malformed(lab, spi):
    ke = KeyExchange(31, bytes([9]) + bytes(31))
    answer = ask(lab, ExchangeType.CREATE_CHILD_SA, ike_offer(lab, spi), Nonce(bytes(32)), ke)
    assert answer.error().type == NotifyType.INVALID_SYNTAX


def test_a_rekeyed_ike_sa_that_the_peer_never_deletes_is_forgotten(lab):
    rekeyed = iter([True, True])
    lab.fate = lambda _: [LATENCY] if next(rekeyed, False) else []
    lab.west.endpoint.rekey_ike(only_ike(lab.west).spi, lab.now)
    lab.run(200)
    assert lab.east.one(IkeDown).reason is DownReason.REKEYED
    assert len(lab.east.endpoint._entries) == 1
    assert lab.east.of(ChildUp)[0].child.spi_in in live(lab.east)
