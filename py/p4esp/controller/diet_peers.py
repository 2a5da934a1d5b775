"""Peers whose packets are compressed (Diet-ESP): how the pipeline knows them.

Whatever such a peer sends to one of our addresses as ESP is read with the widths of its SAs. So all
of them have the same, and there is no other ESP between the two.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from p4esp.controller import tables
from p4esp.controller.entries import Entry, deletes, inserts
from p4esp.controller.numbers import PROTO_ESP
from p4esp.controller.pools import IndexPool
from p4esp.controller.sa_modes import UnsupportedSaError
from p4esp.controller.writer import TableWriter
from p4esp.ipsec.layouts import form_of, is_diet, named_by
from p4esp.ipsec.sa import ChildSaParams
from p4esp.ipsec.selectors import Address

SIZE: Final = 4096
"""That of each of the two tables (`SIZE_DIET_PEER`)."""
NOBODY: Final = 0
"""The number of a peer that does not compress."""
Ends = tuple[Address, Address]


@dataclass(slots=True)
class DietPeer:
    """One of them, while it has SAs."""

    number: int
    widths: tuple[int, int]
    """Octets of SPI and number."""
    users: int = 0
    heard: set[int] = field(default_factory=set)
    """Inbound SPIs of its SAs that receive: while there are any, the switch has its entry."""


class DietPeers:
    """Those of one gateway, by our address and theirs."""

    def __init__(self) -> None:
        self.changing = asyncio.Lock()
        """Held by whoever writes an entry of one, for several SAs have it in common."""
        self.reset()

    def reset(self) -> None:
        """The switch knows none, or is about to be asked."""
        self._numbers = IndexPool("peers that compress", SIZE)
        self._numbers.reserve(NOBODY)
        self._peers: dict[Ends, DietPeer] = {}
        self._ends: dict[int, Ends] = {}

    def check(self, child: ChildSaParams, others: Iterable[ChildSaParams]) -> None:
        """UnsupportedSaError for an SA that cannot be beside those there are."""
        peer = self._peers.get(_ends(child))
        if is_diet(form_of(child.layout)):
            if any(_ends(other) == _ends(child) and _is_other_esp(other) for other in others):
                raise _mixed(child)
            if peer is not None and peer.widths != _widths(child):
                raise _mixed(child)
        elif peer is not None and _is_other_esp(child):
            raise _mixed(child)

    def join(self, child: ChildSaParams) -> int:
        """One more SA: the number of its peer, which may be `NOBODY`. PoolExhaustedError when there
        are too many peers.
        """
        if not is_diet(form_of(child.layout)):
            return NOBODY
        peer = self._peers.get(_ends(child))
        if peer is None:
            peer = self._enter(child, DietPeer(self._numbers.acquire(), _widths(child)))
        peer.users += 1
        return peer.number

    def _enter(self, child: ChildSaParams, peer: DietPeer) -> DietPeer:
        self._peers[_ends(child)], self._ends[peer.number] = peer, _ends(child)
        return peer

    def adopt(self, child: ChildSaParams, number: int) -> None:
        """An SA that the switch holds already, under a number of its peer."""
        if number == NOBODY:
            return
        if _ends(child) not in self._peers:
            self._numbers.reserve(number)
            self._enter(child, DietPeer(number, _widths(child)))
        peer = self._peers[_ends(child)]
        peer.users += 1
        peer.heard.add(child.spi_in)

    def leave(self, number: int) -> None:
        """An SA of a peer is gone."""
        if number == NOBODY:
            return
        peer = self._peers[self._ends[number]]
        peer.users -= 1
        if not peer.users:
            del self._peers[self._ends.pop(number)]
            self._numbers.release(number)

    def of(self, child: ChildSaParams) -> DietPeer | None:
        """The peer of an SA that compresses."""
        return self._peers.get(_ends(child)) if is_diet(form_of(child.layout)) else None

    def entries(self, local_id: Callable[[Address], int]) -> list[Entry]:
        """What the switch must know of all of them."""
        return [_entry(ends, peer, local_id(ends[0])) for ends, peer in self._peers.items()]


class DietPeerTable:
    """Their entries in one switch: there with the first SA of a peer, gone with the last."""

    def __init__(
        self, peers: DietPeers, writer: TableWriter, local_id: Callable[[Address], int]
    ) -> None:
        self._peers = peers
        self._writer = writer
        self._local_id = local_id

    async def know(self, child: ChildSaParams) -> None:
        """An SA is about to receive."""
        peer = self._peers.of(child)
        if peer is None:
            return
        async with self._peers.changing:
            if not peer.heard:
                await self._writer.write(inserts([self._entry(child, peer)]))
            peer.heard.add(child.spi_in)

    async def forget(self, child: ChildSaParams) -> None:
        """An SA receives no more; it still counts, so that the peer's number stays in use."""
        peer = self._peers.of(child)
        if peer is None:
            return
        async with self._peers.changing:
            if peer.heard == {child.spi_in}:
                await self._writer.clear(deletes([self._entry(child, peer)]))
            peer.heard.discard(child.spi_in)

    def _entry(self, child: ChildSaParams, peer: DietPeer) -> Entry:
        return _entry(_ends(child), peer, self._local_id(child.local))


def _entry(ends: Ends, peer: DietPeer, local_id: int) -> Entry:
    return tables.diet_peer(local_id, ends[1], peer.number, *peer.widths)


def _ends(child: ChildSaParams) -> Ends:
    return child.local, child.remote


def _widths(child: ChildSaParams) -> tuple[int, int]:
    return child.layout.spi_octets, child.layout.sn_octets


def _is_other_esp(child: ChildSaParams) -> bool:
    """Whether its packets are of the IP protocol of those that are compressed."""
    form = form_of(child.layout)
    return not is_diet(form) and named_by(form) == PROTO_ESP and child.encapsulation is None


def _mixed(child: ChildSaParams) -> UnsupportedSaError:
    return UnsupportedSaError(
        f"format {child.layout} beside another one from {child.remote}; accepted: all ESP of a "
        "peer is compressed alike, or none"
    )
