"""Keeps the children up that the operator wants up, and makes those that traffic asks for."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, Protocol

from p4esp.ike.config import PeerConfig
from p4esp.ike.errors import CommandError
from p4esp.ike.events import IkeSaInfo
from p4esp.service.driver import Driver
from p4esp.service.journal import Entry, Journal, Kind

RETRY: Final = 5.0
"""Seconds before a child that was lost or not made is tried again."""

Wanted = tuple[str, str]
"""A peer's name and a child's."""


class ChildRecord(Protocol):
    """Who knows which children are up."""

    def serves(self, peer: str, name: str) -> bool:
        """Whether there is such a child and IKE can still speak of it."""


class Connections:
    """The children of one endpoint, as the operator wants them."""

    def __init__(
        self,
        gateway: str,
        peers: Iterable[PeerConfig],
        sas: ChildRecord,
        ike: Driver,
        *,
        journal: Journal,
        retry: float = RETRY,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._gateway = gateway
        self._peers = {peer.name: peer for peer in peers}
        self._sas = sas
        self._ike = ike
        self._journal = journal
        self._retry = retry
        self._sleep = sleep
        self._kept_up: frozenset[Wanted] = frozenset()
        self._under_way: set[Wanted] = set()
        self._retrying: set[asyncio.Task[None]] = set()
        self.established: dict[bytes, IkeSaInfo] = {}
        """IKE SAs that are up, by our SPI."""

    def keep_up(self, children: Iterable[Wanted]) -> None:
        """Which children are to be up always."""
        self._kept_up = frozenset(children)

    def start(self) -> None:
        """Bring up what is to be up and is not."""
        for peer, child in self._kept_up:
            self.bring_up(peer, child)

    def stop(self) -> None:
        """No more attempts."""
        for task in self._retrying:
            task.cancel()

    def bring_up(self, peer: str, child: str) -> None:
        """Make a child, unless it is up or being made; with a new IKE SA if there is none.

        One that outlived its IKE SA is replaced.
        """
        wanted = (peer, child)
        if wanted in self._under_way or self._sas.serves(*wanted):
            return
        self._under_way.add(wanted)
        try:
            self._request(peer, child)
        except CommandError as error:
            self._under_way.discard(wanted)
            self._journal.add(Entry(self._gateway, Kind.REFUSED, f"{peer}/{child}", str(error)))

    def _request(self, peer: str, child: str) -> None:
        ike = next((spi for spi, info in self.established.items() if info.peer == peer), None)
        if ike is not None:
            self._ike.command(lambda endpoint, now: endpoint.create_child(ike, child, now))
        elif peer in self._peers:
            config = self._peers[peer]
            self._ike.command(lambda endpoint, now: endpoint.initiate(config, now, child=child))
        else:
            raise CommandError(f"there is no peer {peer!r}; accepted: {', '.join(self._peers)}")

    def child_up(self, wanted: Wanted) -> None:
        """A child was made, by whomever."""
        self._under_way.discard(wanted)

    def attempt_failed(self, wanted: Wanted) -> None:
        """A child was not made: it is tried again where it is to be up."""
        self._under_way.discard(wanted)
        self.child_lost(wanted)

    def child_lost(self, wanted: Wanted) -> None:
        """A child is gone: there will be another where it is to be up, unless one is being made."""
        if wanted in self._kept_up:
            task = asyncio.create_task(self._again(wanted))
            self._retrying.add(task)
            task.add_done_callback(self._retrying.discard)

    def peer_failed(self, peer: str) -> None:
        """No IKE SA came of an attempt."""
        for wanted in [item for item in self._under_way if item[0] == peer]:
            self.attempt_failed(wanted)

    async def _again(self, wanted: Wanted) -> None:
        await self._sleep(self._retry)
        self.bring_up(*wanted)
