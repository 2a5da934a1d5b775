"""Counters skip forward (RFC 6311 5.2) as far as the SA can, and the peer can follow."""

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


async def skipped(layout: Layout, delta: int) -> dict[int, int] | None:
    """To which numbers an SA of at most `HARD` packets skips, by space; None: it is replaced."""
    made = record()
    settings = SaSettings(hard_packets=HARD)
    live = LiveSa(made, Handles(1, 2), pair_entries(made, Handles(1, 2), 1, settings))
    live.record = replace(made, child=replace(made.child, layout=layout))
    moved: dict[int, int] = {}

    async def read(_: int) -> int:
        return SENT

    async def advance(space: int, number: int) -> None:
        moved[space] = number

    state: Any = SimpleNamespace(read_sequence=read, advance_sequence=advance)
    return moved if await skip_counters(live, cast(StateChannel, state), delta) else None


@pytest.mark.parametrize(("delta", "number"), [(1, 101), (899, 999), (900, None), (1 << 31, None)])
async def test_an_sa_that_would_send_nothing_more_is_replaced(
    delta: int, number: int | None
) -> None:
    assert await skipped(Layout(), delta) == (None if number is None else {7: number})


async def test_an_sa_that_sends_low_octets_of_numbers_is_replaced() -> None:
    """The peer would make other numbers of them, and take nothing more."""
    assert await skipped(Layout("diet-esp", spi_octets=1, sn_octets=1), 300) is None
