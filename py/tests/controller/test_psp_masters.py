"""SPIs of PSP are handed out once in the life of their master key, and master keys are rotated."""

import asyncio
from collections.abc import Iterable
from dataclasses import replace

import pytest
from engine_helpers import status_of

from p4esp.controller.psp_masters import (
    FIRST_INDEX,
    LAST_INDEX,
    SECOND,
    HandedOut,
    PspMasters,
    PspMastersError,
)
from p4esp.engine import Direction, Engine, EngineUnavailableError, KeySpec, Status
from p4esp.engine.check.psp_cases import PspPacket
from p4esp.engine.errors import KeyStoreError
from p4esp.engine.keyservice import EngineHealth, LocalKeys

INNER = bytes(36)


class Bed(LocalKeys):
    """An engine that may be restarted or away, and a record of what was withdrawn."""

    def __init__(self) -> None:
        super().__init__(Engine())
        self.gone: list[list[int]] = []
        self.features: tuple[str, ...] | None = None
        self.away: set[str] = set()
        self.masters = PspMasters(self, self.withdraw)

    @property
    def engine(self) -> Engine:
        return self._engine

    async def withdraw(self, spis: Iterable[int]) -> None:
        self.need("withdraw")
        self.gone.append(list(spis))

    async def health(self) -> EngineHealth:
        health = await super().health()
        return health if self.features is None else replace(health, features=self.features)

    async def renew(self, handle: int, half: int, master: bytes | bytearray) -> None:
        self.need("renew")
        await super().renew(handle, half, master)

    async def derive(self, handle: int, spi: int) -> bytes:
        await asyncio.sleep(0)
        self.need("derive")
        return await super().derive(handle, spi)

    def need(self, call: str) -> None:
        if call in self.away:
            raise EngineUnavailableError(call)

    def restart(self) -> None:
        self._engine = Engine()

    def opens(self, sender: HandedOut) -> Status:
        packet = PspPacket(sender.spi, 1, b"", INNER)
        request = packet.open(self.masters.handle, packet.sealed(sender.key))
        return status_of(self.engine, request)


@pytest.fixture
async def bed() -> Bed:
    bed = Bed()
    await bed.masters.start()
    return bed


async def test_spis_of_a_master_key_follow_each_other_and_begin_above_255(bed: Bed) -> None:
    handed = [await bed.masters.hand_out() for _ in range(5)]
    assert [sender.spi for sender in handed] == [FIRST_INDEX + n for n in range(5)]
    assert FIRST_INDEX == 256
    assert len({sender.key for sender in handed}) == 5
    assert all(bed.opens(sender) is Status.DONE for sender in handed)
    assert bed.masters.live() == {sender.spi for sender in handed}


@pytest.mark.parametrize(("version", "length"), [(0, 16), (1, 32)])
async def test_version_says_how_long_keys_are(bed: Bed, version: int, length: int) -> None:
    masters = PspMasters(bed, bed.withdraw, version=version)
    await masters.start()
    sender = await masters.hand_out()
    assert (len(sender.key), sender.version) == (length, version)


async def test_a_rotation_turns_the_first_bit_of_new_spis(bed: Bed) -> None:
    bits = []
    for _ in range(4):
        bits.append((await bed.masters.hand_out()).spi & SECOND)
        await bed.masters.rotate()
    assert bits == [0, SECOND, 0, SECOND]


async def test_an_spi_works_until_the_second_rotation_and_is_withdrawn_then(bed: Bed) -> None:
    old = await bed.masters.hand_out()
    assert await bed.masters.rotate() == frozenset()
    newer = await bed.masters.hand_out()
    assert (bed.opens(old), bed.opens(newer)) == (Status.DONE, Status.DONE)
    assert await bed.masters.rotate() == {old.spi}
    assert bed.gone[-1] == [old.spi]
    assert (bed.opens(old), bed.opens(newer)) == (Status.BAD_ICV, Status.DONE)
    assert bed.masters.live() == {newer.spi}
    latest = await bed.masters.hand_out()
    assert (latest.spi, bed.opens(latest)) == (old.spi, Status.DONE)
    assert latest.key != old.key
    assert await bed.masters.rotate() == {newer.spi}


async def test_no_key_and_spi_are_handed_out_twice(bed: Bed) -> None:
    seen: set[tuple[int, bytes]] = set()
    for _ in range(6):
        for _ in range(20):
            sender = await bed.masters.hand_out()
            assert (sender.spi, sender.key) not in seen
            seen.add((sender.spi, sender.key))
            bed.masters.give_back(sender.spi)
        await bed.masters.rotate()
    assert len({key for _, key in seen}) == len(seen) == 120


async def test_calls_at_the_same_time_have_spis_of_their_own_and_keys_that_open(bed: Bed) -> None:
    """A key that is derived while its master key is renewed would be handed out once more."""
    many = [bed.masters.hand_out() for _ in range(8)]
    calls = [*many, bed.masters.rotate(), bed.masters.hand_out(), bed.masters.rotate()]
    results = await asyncio.gather(*calls, *(bed.masters.hand_out() for _ in range(8)))
    handed = [made for made in results if isinstance(made, HandedOut)]
    assert len({(made.spi, made.key) for made in handed}) == 17
    live = [made for made in handed if made in results[9:]]
    assert all(bed.opens(made) is Status.DONE for made in live)
    assert all(bed.opens(made) is Status.BAD_ICV for made in handed if made not in live)


async def test_what_was_given_back_is_not_withdrawn_and_not_handed_out_again(bed: Bed) -> None:
    first, second = [await bed.masters.hand_out() for _ in range(2)]
    bed.masters.give_back(first.spi)
    bed.masters.give_back(12345)
    assert (await bed.masters.hand_out()).spi == second.spi + 1
    await bed.masters.rotate()
    assert await bed.masters.rotate() == {second.spi, second.spi + 1}


async def test_a_failed_derivation_uses_its_spi_up(bed: Bed) -> None:
    bed.away.add("derive")
    with pytest.raises(EngineUnavailableError):
        await bed.masters.hand_out()
    bed.away.clear()
    assert (await bed.masters.hand_out()).spi == FIRST_INDEX + 1


@pytest.mark.parametrize("call", ["withdraw", "renew"])
async def test_a_failed_rotation_changes_no_phase_and_may_be_tried_again(
    bed: Bed, call: str
) -> None:
    old = await bed.masters.hand_out()
    await bed.masters.rotate()
    bed.away.add(call)
    with pytest.raises(EngineUnavailableError):
        await bed.masters.rotate()
    newer = await bed.masters.hand_out()
    assert newer.spi & SECOND
    assert bed.opens(old) is Status.DONE, "its master key is there still"
    assert bed.masters.live() == {old.spi, newer.spi}
    bed.away.clear()
    assert await bed.masters.rotate() == {old.spi}, "nobody was told yet that it has ended"
    assert bed.gone[-1] == [old.spi]
    assert bed.masters.live() == {newer.spi}
    assert (bed.opens(old), bed.opens(newer)) == (Status.BAD_ICV, Status.DONE)


async def test_entries_are_withdrawn_before_their_master_key_goes(bed: Bed) -> None:
    old = await bed.masters.hand_out()
    await bed.masters.rotate()
    opened = []

    async def look(spis: Iterable[int]) -> None:
        opened.append((list(spis), bed.opens(old)))

    bed.masters._withdraw = look
    await bed.masters.rotate()
    assert opened == [([old.spi], Status.DONE)]


async def test_when_all_spis_are_used_only_a_rotation_helps(bed: Bed) -> None:
    bed.masters._phases[0].next = LAST_INDEX
    assert (await bed.masters.hand_out()).spi == LAST_INDEX
    with pytest.raises(PspMastersError, match="accepted: a rotation"):
        await bed.masters.hand_out()
    await bed.masters.rotate()
    assert (await bed.masters.hand_out()).spi == SECOND | FIRST_INDEX


async def test_before_the_start_there_is_nothing_to_hand_out_or_rotate() -> None:
    masters = Bed().masters
    for call in (masters.hand_out, masters.rotate):
        with pytest.raises(PspMastersError, match="accepted: start first"):
            await call()


async def test_an_engine_that_was_restarted_gets_a_new_pair_and_nothing_old_is_used(
    bed: Bed,
) -> None:
    old = await bed.masters.hand_out()
    bed.restart()
    for call in (bed.masters.hand_out, bed.masters.rotate):
        with pytest.raises(PspMastersError, match="accepted: start again"):
            await call()
    await bed.masters.start()
    assert bed.gone[-1] == [old.spi]
    again = await bed.masters.hand_out()
    assert again.spi == old.spi
    assert again.key != old.key
    assert bed.opens(old) is Status.BAD_ICV


async def test_another_start_removes_the_pair_before(bed: Bed) -> None:
    before = bed.masters.handle
    await bed.masters.start(generation=7, sa_index=3)
    (row,) = bed.engine.stats().keys
    assert (row.handle, row.generation, row.sa_index) == (bed.masters.handle, 7, 3)
    assert before != bed.masters.handle
    await bed.remove(bed.masters.handle)
    assert await bed.masters.start() != before


async def test_an_engine_that_cannot_renew_is_refused_by_name() -> None:
    bed = Bed()
    bed.features = ("shown", "psp")
    with pytest.raises(PspMastersError, match="cannot renew master keys; accepted: psp-renew"):
        await bed.masters.start()
    assert bed.engine.key_count == 0


async def test_no_key_is_in_a_repr_or_an_error(bed: Bed) -> None:
    sender = await bed.masters.hand_out()
    shown = f"{sender!r} {bed.masters!r} {vars(bed.masters)!r}"
    assert sender.key.hex() not in shown
    assert repr(sender.key)[2:-1] not in shown


async def test_an_ordinary_handle_is_no_pair(bed: Bed) -> None:
    spec = KeySpec(Direction.OPEN, "AES-GCM-16-128", bytes(16), b"salt")
    bed.masters.handle = await bed.install(spec)
    with pytest.raises(KeyStoreError, match="no PSP master keys"):
        await bed.masters.rotate()
