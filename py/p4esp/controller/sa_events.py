"""Digests of the pipeline: an SA comes to the end of its sequence numbers, or its peer moves."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

from p4esp.controller.numbers import SaEvent
from p4esp.controller.peer_moves import PeerMoves
from p4esp.controller.sa_formats import count_of
from p4esp.controller.sa_installer import LiveSa
from p4esp.controller.sa_manager import SaManager
from p4esp.controller.state_channel import StateChannel
from p4esp.controller.target import Session
from p4esp.ike.errors import CommandError
from p4esp.ike.events import DownReason
from p4esp.service.connections import Connections
from p4esp.service.driver import Driver
from p4esp.service.journal import Entry, Journal, Kind


class SaEvents:
    """Acts on the digests of one session."""

    def __init__(
        self,
        session: Session,
        sas: SaManager,
        ike: Driver,
        connections: Connections,
        journal: Journal,
        *,
        acquire: Callable[[tuple[str, str], int], Awaitable[None]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`acquire` takes a child, by peer and name, and a bucket that wants an SA of its own."""
        self._acquire = acquire
        self._session = session
        self._sas = sas
        self._ike = ike
        self._connections = connections
        self._journal = journal
        self._moves = PeerMoves(ike, clock)

    async def run(self) -> None:
        """Serve until cancelled."""
        async for digest in self._session.digests():
            await self._deal_with(digest)

    async def _deal_with(self, digest: Mapping[str, int]) -> None:
        """An event that is not of the SA's present generation came too late."""
        kind, index, generation = digest["kind"], digest["sa"], digest["generation"]
        if kind == SaEvent.PEER_MOVED:
            live = self._sas.live.by_inbound_index(index)
            if live is not None and live.record.placement.generation_in == generation:
                self._peer_moved(live, digest)
        elif kind in (SaEvent.SOFT_LIMIT, SaEvent.HARD_LIMIT, SaEvent.ACQUIRE):
            live = self._sas.live.by_outbound_index(index)
            if live is not None and live.record.placement.generation_out == generation:
                await self._of_outbound(live, digest)

    async def _of_outbound(self, live: LiveSa, digest: Mapping[str, int]) -> None:
        child, kind = live.record.child, digest["kind"]
        if kind == SaEvent.ACQUIRE:
            await self._acquire((child.peer, child.name), digest["peer_low"])
        else:
            self._act(live, kind, count_of(child.layout, digest["seq"]))

    def _peer_moved(self, live: LiveSa, digest: Mapping[str, int]) -> None:
        """The peer's NAT has another mapping for it: its SAs follow, by way of IKE."""
        child = live.record.child
        if child.spi_in in self._sas.negotiated:
            self._moves.moved(child, digest)

    async def catch_up(self, state: StateChannel) -> None:
        """Act on limits that were reached while nobody took the digests."""
        present = list(self._sas.live.values())
        await asyncio.gather(*(self._examine(live, state) for live in present))

    async def _examine(self, live: LiveSa, state: StateChannel) -> None:
        seq = await state.last_sequence(live.record.placement)
        reached = _limit_reached(live, seq)
        is_live = self._sas.live.get(live.record.child.spi_in) is live
        if is_live and reached is not SaEvent.NONE:
            self._act(live, reached, seq)

    def _act(self, live: LiveSa, kind: int, seq: int) -> None:
        """At the soft limit rekey; at the hard one there is nothing left to send with.

        An SA that outlived its IKE SA is replaced by a new child instead.
        """
        child = live.record.child
        name = SaEvent(kind).name
        self._journal.add(
            Entry(live.record.gateway, Kind.LIMIT, f"{child.spi_out:08x}", f"{name} at {seq}")
        )
        if child.spi_in in self._sas.negotiated:
            self._tell_ike(child.spi_in, kind)
        elif kind == SaEvent.SOFT_LIMIT:
            self._connections.bring_up(child.peer, child.name)
        else:
            self._sas.down(child, DownReason.IKE_SA_GONE)

    def _tell_ike(self, spi_in: int, kind: int) -> None:
        try:
            if kind == SaEvent.SOFT_LIMIT:
                self._ike.command(lambda endpoint, now: endpoint.rekey_child(spi_in, now))
            else:
                self._ike.command(lambda endpoint, now: endpoint.delete_child(spi_in, now))
        except CommandError:
            return  # it is being replaced or deleted already


def _limit_reached(live: LiveSa, seq: int) -> SaEvent:
    outbound = live.entries.outbound
    if seq >= outbound.arg("seq_hard"):
        return SaEvent.HARD_LIMIT
    return SaEvent.SOFT_LIMIT if seq >= outbound.arg("seq_soft") else SaEvent.NONE
