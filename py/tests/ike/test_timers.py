"""Timers of many owners against a plain dictionary."""

from hypothesis import given
from hypothesis import strategies as st

from p4esp.ike.timers import MAX_STALE, Timers

OWNERS = st.sampled_from([b"a", b"b", b"c", b"d"])
CHANGES = st.lists(st.tuples(OWNERS, st.none() | st.integers(0, 20)), max_size=200)


@given(CHANGES, st.integers(0, 20))
def test_the_soonest_time_and_those_due_are_those_of_the_model(changes, now):
    timers, model = Timers(), {}
    for owner, time in changes:
        timers.set(owner, time)
        model[owner] = time
    times = {owner: time for owner, time in model.items() if time is not None}
    assert timers.next == min(times.values(), default=None)
    due = sorted((time, owner) for owner, time in times.items() if time <= now)
    assert list(timers.due(now)) == [owner for _, owner in due]
    assert timers.next == min((t for t in times.values() if t > now), default=None)


def test_an_owner_that_is_due_again_at_once_comes_again():
    timers = Timers()
    timers.set(b"a", 1.0)
    seen = []
    for owner in timers.due(2.0):
        seen.append(owner)
        if len(seen) < 3:
            timers.set(owner, 2.0)
    assert seen == [b"a"] * 3


def test_times_that_change_often_take_no_memory():
    timers = Timers()
    for time in range(10_000):
        timers.set(b"a", float(time))
    assert len(timers) <= MAX_STALE + 3
