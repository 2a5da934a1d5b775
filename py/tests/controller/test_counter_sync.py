"""Counters that skip forward (RFC 6311 5.2): no number is sent that may have been sent before."""

from types import SimpleNamespace

import pytest

from p4esp.controller.counter_sync import LAST, LAST_EXTENDED, skip_counters
from p4esp.ipsec.sa import Layout

PLAIN = Layout()


class Registers(dict):
    """Outbound spaces and their numbers."""

    async def read_sequence(self, space: int) -> int:
        return self[space]

    async def advance_sequence(self, space: int, value: int) -> None:
        assert value > self[space]
        self[space] = value


def sa(*, esn: bool, spaces: int = 2, layout: Layout = PLAIN, hard: int | None = None):
    place = SimpleNamespace(space_out=4, spaces_out=spaces)
    record = SimpleNamespace(placement=place, child=SimpleNamespace(esn=esn, layout=layout))
    limit = hard or (LAST_EXTENDED if esn else LAST)
    outbound = SimpleNamespace(arg={"seq_hard": limit}.__getitem__)
    return SimpleNamespace(record=record, entries=SimpleNamespace(outbound=outbound))


async def test_all_spaces_of_an_sa_skip() -> None:
    registers = Registers({4: 10, 5: 0, 6: 7})
    assert await skip_counters(sa(esn=True), registers, 1000)
    assert registers == {4: 1010, 5: 1000, 6: 7}


@pytest.mark.parametrize(("esn", "last"), [(False, LAST), (True, LAST_EXTENDED)])
async def test_one_that_has_not_so_many_left_sends_nothing_more(esn, last) -> None:
    """The peer, or the member before, may have used what is left; its successor sends."""
    registers = Registers({4: last - 5, 5: last})
    assert not await skip_counters(sa(esn=esn), registers, 6)
    assert registers == {4: last, 5: last}
    assert not await skip_counters(sa(esn=esn), registers, (1 << 64) - 1)


@pytest.mark.parametrize(("delta", "enough"), [(889, True), (890, False)])
async def test_one_that_comes_to_its_hard_limit_is_replaced(delta: int, enough: bool) -> None:
    registers = Registers({4: 10, 5: 110})
    assert await skip_counters(sa(esn=True, hard=1000), registers, delta) is enough
    assert registers == {4: 10 + delta, 5: 110 + delta}


async def test_one_that_sends_low_octets_of_numbers_skips_and_is_replaced() -> None:
    """The peer would make other numbers of them, and take nothing more."""
    registers, layout = Registers({4: 10}), Layout("diet-esp", spi_octets=1, sn_octets=1)
    assert not await skip_counters(sa(esn=False, spaces=1, layout=layout), registers, 300)
    assert registers == {4: 310}
