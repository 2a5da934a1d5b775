"""Peers that compress: their entry is there while any of their SAs receives."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from ipaddress import IPv4Address

from controller_samples import CHILD

from p4esp.controller.diet_peers import DietPeers, DietPeerTable
from p4esp.controller.entries import Key, Op, Update
from p4esp.controller.writer import TableWriter
from p4esp.ipsec.sa import ChildSaParams, Layout

COMPRESSED = Layout("diet-esp", spi_octets=1, sn_octets=2)


class Bench:
    """The table of one switch, which answers a moment later."""

    def __init__(self) -> None:
        self.present: set[Key] = set()
        self.peers = DietPeers()
        self.table = DietPeerTable(self.peers, TableWriter(self.write), lambda _: 1)

    async def write(self, updates: Sequence[Update]) -> dict[int, tuple[str, str]]:
        await asyncio.sleep(0)
        for update in updates:
            assert (update.entry.key in self.present) == (update.op is Op.DELETE)
            self.present ^= {update.entry.key}
        return {}

    async def arrive(self, child: ChildSaParams) -> int:
        number = self.peers.join(child)
        await self.table.know(child)
        return number

    async def depart(self, child: ChildSaParams, number: int) -> None:
        """As an installer does: the number is given back once the engine has dropped the keys."""
        await self.table.forget(child)
        await asyncio.sleep(0.01)
        self.peers.leave(number)


def children(count: int) -> list[ChildSaParams]:
    return [replace(CHILD, spi_in=0x1000 + n, layout=COMPRESSED) for n in range(count)]


async def test_sas_that_end_together_leave_no_entry_of_their_peer() -> None:
    bench = Bench()
    for _ in range(2):
        sas = children(3)
        numbers = await asyncio.gather(*map(bench.arrive, sas))
        assert len(bench.present) == 1
        await asyncio.gather(*map(bench.depart, sas, numbers))
        assert not bench.present


async def test_one_that_comes_while_the_last_one_leaves_has_the_entry() -> None:
    bench = Bench()
    first, second = children(2)
    number = await bench.arrive(first)
    await asyncio.gather(bench.depart(first, number), bench.arrive(second))
    assert len(bench.present) == 1


async def test_taken_over_they_go_with_the_last() -> None:
    bench = Bench()
    sas = children(2)
    for child in sas:
        bench.peers.adopt(child, 7)
    bench.present = {entry.key for entry in bench.peers.entries(lambda _: 1)}
    assert IPv4Address(bench.peers.entries(lambda _: 1)[0].field("src")) == CHILD.remote
    await bench.depart(sas[0], 7)
    assert bench.present
    await bench.depart(sas[1], 7)
    assert not bench.present
