"""Loss, duplication, reordering, delay: both ends agree in the end (RFC 7296 2.1-2.4)."""

import itertools
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ike_lab import EAST, LATENCY, WEST, Lab, toward, west_config

from p4esp.ike.config import Retransmission, Settings
from p4esp.ike.events import (
    ChildDown,
    ChildRekeyed,
    ChildUp,
    DownReason,
    IkeDown,
    IkeEstablished,
    NegotiationFailed,
    PeerAlive,
)
from p4esp.ike.trace import TraceKind


def lossy(seed, loss, duplicates=0.2, spread=3.0):
    """A wire that loses, doubles and reorders at random."""
    rng = random.Random(seed)

    def fate(_):
        copies = 0 if rng.random() < loss else 1 + (rng.random() < duplicates)
        return [LATENCY + rng.random() * spread for _ in range(copies)]

    return fate


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32), loss=st.floats(0, 0.3))
def test_whatever_the_wire_does_both_ends_end_up_with_the_same_state(seed, loss):
    lab = Lab(fate=lossy(seed, loss))
    lab.west.endpoint.initiate(lab.west_config, 0.0, child="net")
    lab.run(400)
    if lab.west.of(NegotiationFailed):
        return
    assert len(lab.west.of(IkeEstablished)) == 1
    west, east = lab.west.one(ChildUp).child, lab.east.one(ChildUp).child
    assert west.keymat.inbound == east.keymat.outbound
    lab.west.endpoint.rekey_child(west.spi_in, lab.now)
    lab.run(400)
    if lab.west.of(IkeDown):
        return
    new_west, new_east = lab.west.one(ChildRekeyed).new, lab.east.one(ChildRekeyed).new
    assert new_west.keymat.outbound == new_east.keymat.inbound
    assert lab.west.one(ChildDown).child == west
    assert lab.east.one(ChildDown).child == east
    assert lab.west.spis.used >= {new_west.spi_in}


@pytest.mark.parametrize("lost", [0, 1, 2, 3])
def test_each_single_loss_of_the_handshake_is_healed_by_retransmission(lost):
    count = iter(range(100))
    lab = Lab(fate=lambda _: [] if next(count) == lost else [LATENCY])
    lab.west.endpoint.initiate(lab.west_config, 0.0, child="net")
    lab.run(5)
    assert lab.west.one(ChildUp)
    assert lab.east.one(ChildUp)
    assert len(lab.east.endpoint.ike_sas) == 1


def test_52_requests_are_repeated_bit_for_bit_with_growing_waits_then_given_up():
    lab = Lab(fate=lambda _: [])
    lab.west.endpoint.initiate(lab.west_config, 0.0)
    lab.run(300)
    times = [time for time, _ in lab.wire]
    waits = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert waits == pytest.approx([4, 7.2, 12.96, 23.328, 41.9904])
    assert len({datagram.data for _, datagram in lab.wire}) == 1
    assert lab.west.one(NegotiationFailed).reason == "no answer to IKE_SA_INIT, sent 6 times"
    assert lab.west.endpoint.get_timer() is None


def test_jitter_shortens_waits_and_never_lengthens_them():
    policy = Retransmission(first=4, base=2, jitter=0.5)
    assert [policy.wait(n, 0.0) for n in range(3)] == [4, 8, 16]
    assert policy.wait(0, 0.999) == pytest.approx(2.0, abs=0.01)


def test_52_an_answer_after_giving_up_is_ignored():
    held = []

    def fate(datagram):
        if toward(WEST, datagram):
            held.append(datagram)
            return []
        return [LATENCY]

    lab = Lab(fate=fate)
    lab.west.endpoint.initiate(lab.west_config, 0.0)
    lab.run(200)
    assert lab.west.one(NegotiationFailed)
    lab.deliver(held[0])
    assert lab.west.of(IkeEstablished) == []
    assert lab.west.endpoint.ike_sas == []


def test_38_the_same_ike_sa_init_request_again_makes_one_sa_and_gets_the_identical_answer():
    lab = Lab(fate=lambda d: [LATENCY] * 5 if toward(EAST, d) else [LATENCY])
    lab.west.endpoint.initiate(lab.west_config, 0.0)
    lab.settle(0.015)
    answers = [datagram.data for _, datagram in lab.wire[1:]]
    assert len(answers) == 5
    assert len(set(answers)) == 1
    assert len(lab.east.endpoint.ike_sas) == 1


def test_48_only_the_last_request_is_answered_again_and_an_older_one_is_ignored():
    lab = Lab()
    ike = lab.connect()
    lab.west.endpoint.check_liveness(ike, lab.now)
    lab.settle()
    requests = [d for _, d in lab.wire if toward(EAST, d)]
    last_answer = lab.wire[-1][1].data
    sent = len(lab.wire)
    lab.deliver(requests[-1])
    assert lab.wire[-1][1].data == last_answer
    assert lab.east.traces[-1].kind is TraceKind.REPEATED
    for old in requests[:-1]:
        lab.deliver(old)
    assert len(lab.wire) == sent + 1


def test_50_duplicate_and_late_responses_change_nothing():
    lab = Lab()
    ike = lab.connect()
    lab.west.endpoint.check_liveness(ike, lab.now)
    lab.settle()
    for _, datagram in list(lab.wire):
        if toward(WEST, datagram):
            lab.deliver(datagram)
    assert len(lab.west.of(PeerAlive)) == 1
    assert len(lab.west.of(ChildUp)) == 1


def test_51_requests_that_cross_are_both_answered():
    lab = Lab()
    ike = lab.connect()
    east = lab.east.one(IkeEstablished).ike.spi
    lab.west.endpoint.check_liveness(ike, lab.now)
    lab.east.endpoint.check_liveness(east, lab.now)
    lab.settle()
    assert lab.west.one(PeerAlive)
    assert lab.east.one(PeerAlive)


def test_77_a_dead_peer_is_found_by_the_timer_and_all_its_sas_go():
    alive = [True]
    lab = Lab(west_config(dpd_delay=30.0), fate=lambda _: [LATENCY] if alive[0] else [])
    lab.connect()
    lab.run(300)
    checks = [trace for trace in lab.west.traces if trace.message.startswith("INFORMATIONAL req")]
    assert len(checks) in (9, 10)
    assert lab.west.of(IkeDown) == []
    alive[0] = False
    lab.run(30 + 165.1)
    down = lab.west.one(IkeDown)
    assert (down.reason, down.detail) == (
        DownReason.PEER_DEAD,
        "no answer to INFORMATIONAL, sent 6 times",
    )
    assert lab.west.one(ChildDown).reason is DownReason.IKE_SA_GONE
    assert lab.west.endpoint.ike_sas == []
    assert lab.west.endpoint.get_timer() is None


def test_77_traffic_on_a_child_sa_makes_liveness_checks_needless():
    lab = Lab(west_config(dpd_delay=30.0))
    lab.connect()
    spi = lab.west.one(ChildUp).child.spi_in
    for _ in range(20):
        lab.run(20)
        lab.west.endpoint.note_inbound_traffic(spi, lab.now)
    assert all("INFORMATIONAL" not in trace.message for trace in lab.west.traces)


def test_a_half_open_ike_sa_is_forgotten_in_time():
    lab = Lab(fate=lambda d: [LATENCY] if toward(EAST, d) else [])
    lab.west.endpoint.initiate(lab.west_config, 0.0)
    lab.settle()
    assert lab.east.endpoint.half_open == 1
    lab.run(29.9)
    assert lab.east.endpoint.half_open == 1
    lab.run(0.2)
    assert lab.east.endpoint.half_open == 0
    assert lab.east.endpoint.ike_sas == []
    assert lab.east.events == []


def test_settings_change_the_schedule():
    quick = Settings(retransmission=Retransmission(first=0.5, base=2, tries=2, jitter=0.0))
    lab = Lab(fate=lambda _: [], settings=quick)
    lab.west.endpoint.initiate(lab.west_config, 0.0)
    lab.run(3.6)
    assert [time for time, _ in lab.wire] == [0.0, 0.5, 1.5]
    assert lab.west.one(NegotiationFailed)
