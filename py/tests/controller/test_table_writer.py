"""Writes share batches, keep their order, and fail for themselves only."""

import asyncio
from collections.abc import Sequence

import pytest

from p4esp.controller import tables
from p4esp.controller.entries import Op, Update, deletes, difference, inserts, modifies
from p4esp.controller.errors import SwitchUnreachableError, TableWriteError
from p4esp.controller.writer import MAX_BATCH, TableWriter


def sad(spi: int, index: int = 1):
    return tables.sad(1, spi, index, 0)


class Switch:
    """Records batches; refuses the SPIs it is told to."""

    def __init__(self, refused: tuple[int, ...] = ()) -> None:
        self.batches: list[list[Update]] = []
        self._refused = refused

    async def send(self, updates: Sequence[Update]) -> dict[int, tuple[str, str]]:
        self.batches.append(list(updates))
        await asyncio.sleep(0)
        bad = enumerate(update.entry.field("spi") in self._refused for update in updates)
        return {i: ("ALREADY_EXISTS", "there is one") for i, refused in bad if refused}


async def test_writes_that_are_ready_together_share_one_rpc() -> None:
    switch = Switch()
    writer = TableWriter(switch.send)
    await asyncio.gather(*(writer.write(inserts([sad(spi)])) for spi in range(300)))
    assert [len(batch) for batch in switch.batches] == [300]


async def test_updates_of_one_entry_never_share_a_batch_and_keep_their_order() -> None:
    switch = Switch()
    writer = TableWriter(switch.send)
    await asyncio.gather(
        writer.write(inserts([sad(1)])),
        writer.write(modifies([sad(1, 2)])),
        writer.write(deletes([sad(1)])),
    )
    operations = [batch[0].op for batch in switch.batches]
    assert operations == [Op.INSERT, Op.MODIFY, Op.DELETE]


async def test_a_batch_ends_before_it_is_too_long() -> None:
    switch = Switch()
    writer = TableWriter(switch.send)
    half = [sad(spi) for spi in range(MAX_BATCH)]
    await asyncio.gather(writer.write(inserts(half)), writer.write(inserts([sad(MAX_BATCH)])))
    assert [len(batch) for batch in switch.batches] == [MAX_BATCH, 1]


async def test_a_refused_update_fails_its_caller_only_and_is_named() -> None:
    writer = TableWriter(Switch(refused=(2,)).send)
    first, second = await asyncio.gather(
        writer.write(inserts([sad(1)])), writer.write(inserts([sad(2)])), return_exceptions=True
    )
    assert first is None
    assert isinstance(second, TableWriteError)
    assert second.codes == {"ALREADY_EXISTS"}
    assert "insert sad[local_id=0x1 protocol=0x32 spi=0x2]" in str(second)


async def test_a_lost_switch_fails_all_who_wait_and_nobody_later() -> None:
    answers = iter([SwitchUnreachableError("gone"), {}])

    async def send(_: Sequence[Update]) -> dict[int, tuple[str, str]]:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    writer = TableWriter(send)
    lost = await asyncio.gather(
        writer.write(inserts([sad(1)])), writer.write(inserts([sad(2)])), return_exceptions=True
    )
    assert [type(error) for error in lost] == [SwitchUnreachableError] * 2
    await writer.write(inserts([sad(3)]))


def test_difference_is_the_least_that_makes_one_table_the_other() -> None:
    same, changed, gone, new = sad(1), sad(2), sad(3), sad(4)
    updates = difference([same, changed, gone], [same, sad(2, 9), new])
    expected = [Update(Op.INSERT, new), Update(Op.MODIFY, sad(2, 9)), Update(Op.DELETE, gone)]
    assert updates == expected


@pytest.mark.parametrize("op", list(Op))
def test_an_update_prints_its_operation_and_entry(op: Op) -> None:
    assert str(Update(op, sad(5))).startswith(f"{op.value} sad[")


async def test_a_closed_writer_keeps_nobody_waiting() -> None:
    sending = asyncio.Event()

    async def hang(_: Sequence[Update]) -> dict[int, tuple[str, str]]:
        sending.set()
        await asyncio.Event().wait()
        return {}

    writer = TableWriter(hang)
    writes = [asyncio.create_task(writer.write(inserts([sad(1, index)]))) for index in (1, 2)]
    await sending.wait()
    writer.close(SwitchUnreachableError("the session is over"))
    async with asyncio.timeout(5):
        outcomes = await asyncio.gather(*writes, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [SwitchUnreachableError] * 2
    with pytest.raises(SwitchUnreachableError, match="the session is over"):
        await writer.write(inserts([sad(2)]))
