"""The rate search: finds the highest loss-free rate of a simulated switch, and never floods it."""

import pytest
from bench.load import FACTOR, Trial, highest_lossless
from hypothesis import given
from hypothesis import strategies as st

START = 4000.0


class SimulatedSwitch:
    """Forwards up to `capacity` packets/s and loses the rest."""

    def __init__(self, capacity: float, sender_limit: float = 1e9) -> None:
        self.capacity, self.sender_limit = capacity, sender_limit
        self.offered: list[float] = []

    def step(self, rate: float) -> Trial:
        self.offered.append(rate)
        sent = int(min(rate, self.sender_limit))
        return Trial(sent, min(sent, int(self.capacity)), 1.0)


@given(st.floats(500, 200_000))
def test_the_rate_found_is_at_most_five_percent_below_the_capacity(capacity: float) -> None:
    found = highest_lossless(SimulatedSwitch(capacity).step, START)
    assert 0.95 * capacity <= found <= capacity


@given(st.floats(5_000, 200_000))
def test_a_switch_is_never_offered_much_more_than_it_carries(capacity: float) -> None:
    switch = SimulatedSwitch(capacity)
    highest_lossless(switch.step, START)
    assert max(switch.offered) <= FACTOR * capacity * 1.001


def test_a_switch_that_loses_at_every_rate_gets_zero() -> None:
    assert highest_lossless(SimulatedSwitch(0).step, START) == 0


def test_a_sender_at_its_limit_ends_the_search() -> None:
    switch = SimulatedSwitch(1e9, sender_limit=50_000)
    assert highest_lossless(switch.step, START) == pytest.approx(50_000, rel=0.01)
    assert max(switch.offered) < 2 * 50_000


def test_one_disturbed_trial_does_not_lower_the_rate() -> None:
    switch = SimulatedSwitch(40_000)
    undisturbed = highest_lossless(switch.step, START)
    trials = 0

    def disturbed(rate: float) -> Trial:
        nonlocal trials
        trials += 1
        trial = switch.step(rate)
        return Trial(trial.sent, 0, 1.0) if trials == 3 else trial

    assert highest_lossless(disturbed, START) == undisturbed


@pytest.mark.parametrize(("lost", "lossless"), [(0, True), (10, True), (11, False)])
def test_a_loss_of_one_in_a_thousand_is_still_loss_free(lost: int, lossless: bool) -> None:
    assert Trial(10_000, 10_000 - lost, 1.0).lossless is lossless
