"""Pauses between attempts grow, and no two gateways keep step."""

import random

from p4esp.service.backoff import Backoff


def test_a_pause_is_shortened_by_up_to_a_half_at_random() -> None:
    backoff = Backoff(8, 8, random.Random(1).random)
    pauses = [backoff.failed("peer") for _ in range(200)]
    assert 4 <= min(pauses) < 4.5
    assert 7.5 < max(pauses) <= 8


def test_failures_of_one_do_not_slow_down_another() -> None:
    backoff = Backoff(1, 100, lambda: 0.0)
    assert [backoff.failed("a"), backoff.failed("a"), backoff.failed("b")] == [1, 2, 1]


def test_a_success_starts_over() -> None:
    backoff = Backoff(1, 100, lambda: 0.0)
    assert [backoff.failed("a"), backoff.failed("a")] == [1, 2]
    backoff.succeeded("a")
    assert backoff.failed("a") == 1


def test_years_of_failures_do_not_overflow() -> None:
    backoff = Backoff(5, 300, lambda: 0.0)
    assert {backoff.failed("a") for _ in range(5000)} == {5, 10, 20, 40, 80, 160, 300}
