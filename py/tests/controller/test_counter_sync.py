"""Counters that skip forward (RFC 6311 5.2): no number is sent that may have been sent before."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from controller_samples import record

from p4esp.controller.counter_sync import skip_counters
from p4esp.controller.sa_entries import Handles, SaSettings, pair_entries
from p4esp.controller.sa_installer import LiveSa
from p4esp.controller.state_channel import StateChannel
from p4esp.ipsec.sa import Layout

SENT, HARD = 100, 1000


async def skipped(layout: Layout, delta: int, sent: int = SENT) -> tuple[bool, int]:
    """Whether an SA of at most `HARD` packets goes on after a skip, and its number then."""
    made = record()
    settings = SaSettings(hard_packets=HARD)
    live = LiveSa(made, Handles(1, 2), pair_entries(made, Handles(1, 2), 1, settings))
    live.record = replace(made, child=replace(made.child, layout=layout))
    numbers = {7: sent}

    async def read(space: int) -> int:
        return numbers[space]

    async def advance(space: int, number: int) -> None:
        assert number > numbers[space]
        numbers[space] = number

    state: Any = SimpleNamespace(read_sequence=read, advance_sequence=advance)
    return await skip_counters(live, cast(StateChannel, state), delta), numbers[7]


@pytest.mark.parametrize("delta", [1, 899])
async def test_an_sa_skips_as_far_as_it_is_told(delta: int) -> None:
    assert await skipped(Layout(), delta) == (True, SENT + delta)


@pytest.mark.parametrize("delta", [900, 1 << 31, (1 << 64) - 1])
async def test_one_that_has_not_so_many_left_sends_nothing_more(delta: int) -> None:
    """The peer, or the member before, may have used what is left; its successor sends."""
    assert await skipped(Layout(), delta) == (False, HARD)
    assert await skipped(Layout(), delta, sent=HARD) == (False, HARD)


async def test_one_that_sends_low_octets_of_numbers_sends_nothing_more() -> None:
    """The peer would make other numbers of them, and take nothing more."""
    assert await skipped(Layout("diet-esp", spi_octets=1, sn_octets=1), 300) == (False, HARD)
