"""Keeps the children up that the operator wants up, and makes those that traffic asks for.

A child that was lost is made again after a moment. One that cannot be made (the peer refuses it or
us, does not answer, or takes it down at once) is tried less and less often, whoever asks for it:
traffic that waits for it must not turn into a storm of attempts.
"""

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

from p4esp.ike.config import PeerConfig
from p4esp.ike.delete_reason import DeleteReason
from p4esp.ike.errors import CommandError
from p4esp.ike.events import DownReason, IkeSaInfo, Redirected
from p4esp.ipsec.sa import ChildSaParams
from p4esp.service.backoff import RETRY, RETRY_MOST, Backoff
from p4esp.service.driver import Driver
from p4esp.service.established import Established
from p4esp.service.journal import Entry, Journal, Kind
from p4esp.service.reactions import Course, Reaction, reaction_to

Wanted = tuple[str, str]
"""A peer's name and a child's."""


class ChildRecord(Protocol):
    """Who knows which children are up."""

    def serves(self, peer: str, name: str) -> bool:
        """Whether there is such a child and IKE can still speak of it."""


class Connections:
    """The children of one endpoint, as the operator wants them.

    `retry` and `retry_most` are the least and the most seconds between two attempts; `fraction`
    spreads them, 0 <= fraction() < 1.
    """

    def __init__(
        self,
        gateway: str,
        peers: Iterable[PeerConfig],
        sas: ChildRecord,
        ike: Driver,
        *,
        journal: Journal,
        retry: float = RETRY,
        retry_most: float = RETRY_MOST,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
        fraction: Callable[[], float] = random.random,
    ) -> None:
        self._gateway = gateway
        self._peers = {peer.name: peer for peer in peers}
        self._sas = sas
        self._ike = ike
        self._journal = journal
        self._retry = retry
        self._sleep = sleep
        self._clock = clock
        self._fraction = fraction
        self._backoff = Backoff(retry, retry_most, fraction)
        self._kept_up: frozenset[Wanted] = frozenset()
        self._under_way: defaultdict[str, set[str]] = defaultdict(set)
        self._waiting: defaultdict[str, list[str]] = defaultdict(list)
        """Of the children under way, by peer, those that wait for the IKE SA of another."""
        self._up_since: dict[Wanted, float] = {}
        self._pausing: dict[Wanted, asyncio.Task[None]] = {}
        self._refused: set[Wanted] = set()
        """Those that nobody may try: before their pause is over, or at all."""
        self.told: dict[str, DeleteReason] = {}
        """Why each peer last deleted an SA, of those that say."""
        self.established = Established()

    def keep_up(self, children: Iterable[Wanted]) -> None:
        """Which children are to be up always."""
        self._kept_up = frozenset(children)

    def start(self) -> None:
        """Bring up what is to be up and is not. What failed before counts no longer."""
        self.stop()
        self._refused.clear()
        self._backoff.forget()
        for peer, child in self._kept_up:
            self.bring_up(peer, child)

    def stop(self) -> None:
        """No more attempts."""
        for task in self._pausing.values():
            task.cancel()
        self._pausing.clear()

    def bring_up(self, peer: str, child: str) -> None:
        """Make a child, unless it is up, being made, or was refused a moment ago; with a new IKE
        SA if there is none.

        One that outlived its IKE SA is replaced.
        """
        wanted = (peer, child)
        hopeless = wanted in self._refused
        if hopeless or child in self._under_way[peer] or self._sas.serves(*wanted):
            return
        comes = self.established.of_peer(peer) is None and bool(self._under_way[peer])
        self._under_way[peer].add(child)
        if comes:
            self._waiting[peer].append(child)  # a second IKE SA would end the first one
        else:
            self._try(wanted)

    def ike_up(self, ike: IkeSaInfo) -> None:
        """There is an IKE SA: the children that have waited for one are made under it."""
        self.established[ike.spi] = ike
        for child in self._waiting.pop(ike.peer, ()):
            if child in self._under_way[ike.peer]:
                self._try((ike.peer, child))

    def _try(self, wanted: Wanted) -> None:
        try:
            self._request(*wanted)
        except CommandError as error:
            self._journal.add(Entry(self._gateway, Kind.REFUSED, "/".join(wanted), str(error)))
            self.attempt_failed(wanted)

    def _request(self, peer: str, child: str) -> None:
        ike = self.established.of_peer(peer)
        if ike is not None:
            self._ike.command(lambda endpoint, now: endpoint.create_child(ike, child, now))
        elif peer in self._peers:
            config = self._peers[peer]
            self._ike.command(lambda endpoint, now: endpoint.initiate(config, now, child=child))
        else:
            raise CommandError(f"there is no peer {peer!r}; accepted: {', '.join(self._peers)}")

    def child_up(self, wanted: Wanted) -> None:
        """A child was made, by whomever."""
        self._settle(wanted)
        self._end_pause(wanted)
        self._up_since[wanted] = self._clock()

    def attempt_failed(self, wanted: Wanted) -> None:
        """A child was not made: it is tried again where it is to be up, but not at once.

        A name is empty where the peer asked for something that is none of our children.
        """
        self._settle(wanted)
        if wanted[1]:
            self._pause(wanted, self._backoff.failed(wanted))
            self._refused.add(wanted)

    def child_down(
        self, child: ChildSaParams, reason: DownReason, told: DeleteReason | None = None
    ) -> None:
        """A child SA is gone; with it the child, unless another SA took its place."""
        if reason not in (DownReason.REKEYED, DownReason.COLLISION):
            by_peer = reason is DownReason.PEER_DELETE
            self.child_lost((child.peer, child.name), by_peer=by_peer, told=told)

    def child_lost(
        self, wanted: Wanted, *, by_peer: bool = False, told: DeleteReason | None = None
    ) -> None:
        """A child is gone: there will be another where it is to be up, unless one is being made.

        One that the peer (`by_peer`) takes down as soon as it is up, was refused; `told` is what it
        says why, and what follows from that comes first.
        """
        since = self._up_since.pop(wanted, None)
        if told is not None and self._heed(wanted, told):
            return
        if since is not None and by_peer and self._clock() - since < self._retry:
            self.attempt_failed(wanted)
            return
        if since is not None:
            self._backoff.succeeded(wanted)
        if wanted in self._kept_up and wanted not in self._pausing:
            self._pause(wanted, self._retry)

    def peer_failed(self, peer: str, told: DeleteReason | None = None) -> None:
        """No IKE SA came of an attempt, or it is gone; `told` is what the peer says why."""
        self._waiting.pop(peer, None)
        if told is not None:
            self.told[peer] = told
        for child in list(self._under_way[peer]):
            self._settle((peer, child))
            if told is None or not self._heed((peer, child), told):
                self.attempt_failed((peer, child))

    def _heed(self, wanted: Wanted, told: DeleteReason) -> bool:
        """Act on what a peer says; False when it says nothing that we know."""
        self.told[wanted[0]] = told
        reaction = reaction_to(told, self._fraction())
        if reaction is None:
            return False
        self._react(wanted, reaction)
        if reaction.alert:
            self._journal.add(Entry(self._gateway, Kind.ALERT, "/".join(wanted), str(told)))
        return True

    def _react(self, wanted: Wanted, reaction: Reaction) -> None:
        match reaction.course:
            case Course.SLOWLY:
                self.attempt_failed(wanted)
            case Course.SOON:
                self._backoff.succeeded(wanted)
                self._pause(wanted, self._retry)
            case Course.HELD:
                self._pause(wanted, reaction.pause)
                self._refused.add(wanted)
            case Course.STOPPED:
                self._end_pause(wanted)
                self._refused.add(wanted)
            case Course.ON_DEMAND:
                self._end_pause(wanted)

    @property
    def held(self) -> list[str]:
        """Children that are not tried at present, as `peer/child`."""
        return sorted("/".join(wanted) for wanted in self._refused)

    def redirected(self, event: Redirected) -> None:
        """A peer sends us to another gateway (RFC 5685): go there, or it counts as a refusal."""
        peer = event.ike.peer
        try:
            self._ike.command(
                lambda endpoint, now: endpoint.follow_redirect(self._peers[peer], event, now)
            )
        except CommandError as error:
            self._journal.add(Entry(self._gateway, Kind.REFUSED, peer, str(error)))
            self.peer_failed(peer)

    def _settle(self, wanted: Wanted) -> None:
        peer, child = wanted
        self._under_way[peer].discard(child)
        if child in self._waiting[peer]:
            self._waiting[peer].remove(child)

    def _pause(self, wanted: Wanted, seconds: float) -> None:
        """Wait, and then try again what is to be up."""
        self._end_pause(wanted)
        self._pausing[wanted] = asyncio.create_task(self._again(wanted, seconds))

    def _end_pause(self, wanted: Wanted) -> None:
        self._refused.discard(wanted)
        task = self._pausing.pop(wanted, None)
        if task is not None:
            task.cancel()

    async def _again(self, wanted: Wanted, seconds: float) -> None:
        await self._sleep(seconds)
        del self._pausing[wanted]
        self._refused.discard(wanted)
        if wanted in self._kept_up:
            self.bring_up(*wanted)
