"""Exchanges that collide, in every order of commands and datagrams (RFC 7296 2.8, 2.25)."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ike_lab import EAST_NET, WEST_NET, Lab, child, east_config, west_config
from ike_ledger import live
from ike_orders import (
    HEAL,
    Meeting,
    assert_settled,
    check_liveness,
    create_child,
    delete_child,
    delete_ike,
    every_order,
    rekey_child,
    rekey_ike,
)

from p4esp.ike.proposals import Template
from p4esp.ike.state import Phase

LIMIT = 20_000
COMMANDS = [rekey_child, delete_child, create_child, rekey_ike, delete_ike, check_liveness]
PAIRS = list(itertools.combinations_with_replacement(COMMANDS, 2))
CHILDREN = {
    (rekey_child, rekey_child): {1},
    (rekey_child, rekey_ike): {1},
    (rekey_child, check_liveness): {1},
    (rekey_ike, rekey_ike): {1},
    (rekey_ike, check_liveness): {1},
    (rekey_child, create_child): {2},
    (create_child, create_child): {3},
    (create_child, rekey_ike): {2},
    (create_child, check_liveness): {2},
}


def names(pair):
    return "-".join(command.__name__ for command in pair)


def collide(pair, choose, seed=1, losses=0):
    lab = Lab(seed=seed)
    lab.connect()
    west, east = pair
    Meeting(lab, [(lab.west, west), (lab.east, east)], losses).run(choose)
    assert_settled(lab)
    return lab


@pytest.mark.parametrize("pair", PAIRS, ids=names)
def test_two_commands_end_in_the_same_state_at_both_ends_in_every_order(pair):
    orders = 0
    for choose in every_order(LIMIT):
        lab = collide(pair, choose)
        children = len(live(lab.west))
        assert children in CHILDREN.get(pair, {0, 1, 2})
        assert len(lab.west.endpoint.ike_sas) == (delete_ike not in pair)
        orders += 1
    assert orders >= 16


def test_of_two_new_ike_sas_the_one_with_the_lowest_of_four_nonces_goes():
    """All messages cross; who made the loser deletes it, who made the other deletes the old."""
    winners = set()
    for seed in range(1, 9):
        lab = Lab(seed=10 * seed + 1)
        old = lab.connect()
        state = lab.west.endpoint._entries[old].sa._state
        rekey_ike(lab.west, lab.now)
        rekey_ike(lab.east, lab.now)
        lab.settle()
        loser, winner = sorted(
            state.successors, key=lambda new: min(new.nonces.initiator, new.nonces.responder)
        )
        assert state.heir is winner
        assert loser.phase in (Phase.CLOSED, Phase.DEAD)
        lab.run(HEAL)
        assert_settled(lab)
        winners.add(winner.initiator)
    assert winners == {True, False}


REKEYS = [(rekey_child, rekey_child), (rekey_child, rekey_ike), (rekey_ike, rekey_ike)]


@pytest.mark.parametrize("pair", REKEYS, ids=names)
def test_colliding_rekeys_survive_the_loss_of_any_one_datagram_in_every_order(pair):
    for choose in every_order(LIMIT):
        lab = collide(pair, choose, seed=2, losses=1)
        assert len(live(lab.west)) == 1
        assert len(lab.west.endpoint.ike_sas) == 1


MEETINGS = st.lists(
    st.tuples(st.sampled_from(["west", "east"]), st.sampled_from(COMMANDS)), max_size=5
)


FOLLOWED = Template.ike("aes256gcm16-prfsha256-x25519-ke1_ecp256")
FOLLOWED_ESP = Template.esp("aes256gcm16-x25519-ke1_ecp256-esn")


def lab_with(seed, additional):
    """Two ends that are connected; `additional`: CREATE_CHILD_SA takes two exchanges (RFC 9370)."""
    changes = {"proposals": (FOLLOWED,)} if additional else {}
    esp = {"proposals": (FOLLOWED_ESP,)} if additional else {}
    here, there = child(WEST_NET, EAST_NET), child(EAST_NET, WEST_NET)
    west = west_config(children=(replace(here, **esp),), **changes)
    east = east_config(children=(replace(there, **esp),), **changes)
    lab = Lab(west, east, seed=seed)
    lab.connect()
    return lab


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    commands=MEETINGS,
    data=st.data(),
    seed=st.integers(1, 50),
    losses=st.integers(0, 3),
    additional=st.booleans(),
)
def test_any_few_commands_and_losses_in_any_order_end_in_agreement(
    commands, data, seed, losses, additional
):
    lab = lab_with(seed, additional)
    given_to = [(getattr(lab, side), command) for side, command in commands]
    Meeting(lab, given_to, losses).run(lambda n: data.draw(st.integers(0, n - 1)))
    assert_settled(lab)
