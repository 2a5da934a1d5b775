"""Counters that skip forward (RFC 6311 5.2): no number is sent that may have been sent before."""

from types import SimpleNamespace

import pytest

from p4esp.controller.counter_sync import LAST, LAST_EXTENDED, skip_counters


class Registers(dict):
    """Outbound spaces and their numbers."""

    async def read_sequence(self, space: int) -> int:
        return self[space]

    async def advance_sequence(self, space: int, value: int) -> None:
        assert value > self[space]
        self[space] = value


def sa(*, esn: bool, spaces: int = 2):
    place = SimpleNamespace(space_out=4, spaces_out=spaces)
    return SimpleNamespace(record=SimpleNamespace(placement=place, child=SimpleNamespace(esn=esn)))


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
