"""Makes, keeps and ends the SAs that carry a share of a child's traffic: a resource's (RFC 9611),
or a class of DSCPs.

The end that made a child's first SA makes those that are to be there always; those on demand each
end makes for its own resources, when the pipeline says that one sends. A refusal says nothing of
what there is: that goes on being used, and nothing is asked for until a while has passed or one of
ours is gone.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from typing import Final, Protocol

from p4esp.controller.errors import ControllerError
from p4esp.controller.share_plans import SharePlan
from p4esp.ike.constants import NotifyType
from p4esp.ike.errors import CommandError
from p4esp.ike.events import ChildFailed, DownReason
from p4esp.ike.extensions.resources import name_of_resource, number_of
from p4esp.ipsec.sa import ChildSaParams, Share
from p4esp.service.backoff import RETRY, RETRY_MOST, Backoff
from p4esp.service.driver import Driver
from p4esp.service.journal import Entry, Journal, Kind

PATIENCE: Final = 300.0
"""Seconds without asking after the peer has said that it makes no more (RFC 9611 5)."""
_REFUSALS: Final = frozenset(
    (
        NotifyType.TS_MAX_QUEUE,
        NotifyType.TS_UNACCEPTABLE,
        NotifyType.NO_PROPOSAL_CHOSEN,
        NotifyType.NO_ADDITIONAL_SAS,
    )
)
_REPLACED: Final = (DownReason.REKEYED, DownReason.COLLISION)

Wanted = tuple[str, str]
"""A peer's name and a child's."""
Group = tuple[Wanted, tuple[int, ...]]
"""A child and a class: what a refusal is about."""


class ChildRecord(Protocol):
    """Who knows which SAs IKE has."""

    def negotiated_of(self, peer: str, name: str) -> Collection[ChildSaParams]:
        """Those of a child."""


class Arming(Protocol):
    """Who has the pipeline say when resources send that have no SA."""

    async def arm(self, wanted: Wanted, resources: Collection[int], *, wanting: bool) -> None:
        """`ControllerError` when the switch does not follow."""


class Shares:
    """Those of one gateway. `retry` and `retry_most` are the least and the most seconds between two
    attempts; `fraction` spreads them, 0 <= fraction() < 1.
    """

    def __init__(
        self,
        gateway: str,
        plans: Mapping[Wanted, SharePlan],
        sas: ChildRecord,
        ike: Driver,
        established: Callable[[str], bytes | None],
        *,
        arming: Arming,
        bring_up: Callable[[str, str], None],
        journal: Journal,
        patience: float = PATIENCE,
        retry: float = RETRY,
        retry_most: float = RETRY_MOST,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
        fraction: Callable[[], float] = random.random,
    ) -> None:
        """`established` gives our SPI of a peer's IKE SA; `bring_up` makes a child's first SA."""
        self._gateway = gateway
        self._plans = plans
        self._sas = sas
        self._ike = ike
        self._established = established
        self._arming = arming
        self._bring_up = bring_up
        self._journal = journal
        self._patience = patience
        self._retry = retry
        self._sleep = sleep
        self._clock = clock
        self._backoff = Backoff(retry, retry_most, fraction)
        self._ours: set[Wanted] = set()
        """Children whose first SA we have made."""
        self._asked: set[tuple[Wanted, Share]] = set()
        self._resting: dict[Group, asyncio.Task[None]] = {}
        self._since: dict[int, float] = {}
        """When SAs came up, by inbound SPI."""
        self._used: dict[int, float] = {}
        """When they were seen to carry something."""

    def stop(self) -> None:
        """No more attempts, and nothing is under way."""
        for task in self._resting.values():
            task.cancel()
        self._resting.clear()
        self._asked.clear()

    async def child_up(self, child: ChildSaParams, *, rekeyed: bool = False) -> None:
        """An SA was made, by whomever."""
        wanted, share = (child.peer, child.name), child.share
        if wanted not in self._plans:
            return
        self._answered(child)
        self._since[child.spi_in] = self._used[child.spi_in] = self._clock()
        if share.partial:
            self._end_rest((wanted, share.dscps))
            await self._arm(wanted, {number_of(share)}, wanting=True)
        elif not rekeyed:
            (self._ours.add if child.initiator else self._ours.discard)(wanted)
            # what was asked for under an IKE SA that is gone, is not under way any more
            await self._arm(wanted, range(self._plans[wanted].resources), wanting=True)
        self._complete(wanted)

    def _answered(self, child: ChildSaParams) -> None:
        """What was asked for has been made."""
        wanted, share = (child.peer, child.name), child.share
        self._asked -= {one for one in self._asked if one[0] == wanted and _is_of(share, one[1])}

    def not_carried(self, child: ChildSaParams) -> None:
        """An SA was made that the switch does not take: the next one is not asked for at once."""
        wanted = (child.peer, child.name)
        if wanted in self._plans:
            self._answered(child)
            self._rest((wanted, child.share.dscps), self._backoff.failed(wanted))

    def _complete(self, wanted: Wanted) -> None:
        """Ask for what is to be there always and is not."""
        if wanted in self._ours and self._has_first(wanted):
            for share in self._plans[wanted].permanent():
                self._ask(wanted, share)

    def _has_first(self, wanted: Wanted) -> bool:
        return any(not child.share.partial for child in self._sas.negotiated_of(*wanted))

    def _ask(self, wanted: Wanted, share: Share) -> None:
        """Ask for an SA, unless it is there, asked for already, or was refused a moment ago."""
        there = any(_is_of(child.share, share) for child in self._sas.negotiated_of(*wanted))
        if there or (wanted, share) in self._asked or (wanted, share.dscps) in self._resting:
            return
        peer, name = wanted
        ike = self._established(peer)
        try:
            if ike is None:
                raise CommandError(f"there is no IKE SA with {peer}")
            self._ike.command(lambda it, now: it.create_child(ike, name, now, share=share))
        except CommandError as error:
            self._journal.add(Entry(self._gateway, Kind.REFUSED, f"{peer}/{name}", str(error)))
            self._rest((wanted, share.dscps), self._backoff.failed(wanted))
        else:
            self._asked.add((wanted, share))

    def failed(self, event: ChildFailed) -> None:
        """One that we asked for was not made; where the peer says so, for a while none is asked
        for.
        """
        wanted = (event.ike.peer, event.name)
        self._asked.discard((wanted, event.share))
        if wanted in self._plans:
            refused = event.refusal in _REFUSALS
            seconds = self._patience if refused else self._backoff.failed(wanted)
            self._rest((wanted, event.share.dscps), seconds)

    def child_down(self, child: ChildSaParams, reason: DownReason) -> None:
        """An SA is gone, of whatever share: what was refused may be had now. One that the peer
        takes down as soon as it is up, was refused.
        """
        wanted, group = (child.peer, child.name), ((child.peer, child.name), child.share.dscps)
        self._used.pop(child.spi_in, None)
        since = self._since.pop(child.spi_in, None)
        if since is None or reason in _REPLACED:
            return
        self._end_rest(group)
        refused = reason is DownReason.PEER_DELETE and self._clock() - since < self._retry
        if not refused:
            self._backoff.succeeded(wanted)
        if refused or wanted in self._ours:
            self._rest(group, self._backoff.failed(wanted))

    def peer_down(self, peer: str) -> None:
        """An IKE SA is gone, and with it what was asked for."""
        self._asked = {one for one in self._asked if one[0][0] != peer}

    async def acquire(self, wanted: Wanted, bucket: int) -> None:
        """A resource sends that has no SA: ask for one, and be told no more meanwhile."""
        plan = self._plans.get(wanted)
        resource = None if plan is None else plan.division.resource(bucket)
        if plan is None or resource is None or not plan.on_demand:
            return
        await self._arm(wanted, {resource}, wanting=False)
        self._ask(wanted, Share(name_of_resource(resource)))

    def carried(self, spis: Collection[int]) -> None:
        """SAs that have carried something since the last call, by inbound SPI. Those on demand that
        have not for long enough are deleted.
        """
        now = self._clock()
        self._used.update(dict.fromkeys(self._used.keys() & set(spis), now))
        for wanted, plan in self._plans.items():
            if plan.idle:
                present = self._sas.negotiated_of(*wanted)
                for child in (child for child in present if child.spi_in in self._used):
                    self._end_idle(child, now - plan.idle)

    def _end_idle(self, child: ChildSaParams, limit: float) -> None:
        spi = child.spi_in
        if child.share.resource is not None and self._used[spi] <= limit:
            with suppress(CommandError):  # it is being replaced or deleted already
                idle = DownReason.IDLE
                self._ike.command(lambda end, now: end.delete_child(spi, now, reason=idle))

    def _rest(self, group: Group, seconds: float) -> None:
        """Ask for nothing of a child's class for so long."""
        self._end_rest(group)
        self._resting[group] = asyncio.create_task(self._rested(group, seconds))

    def _end_rest(self, group: Group) -> None:
        task = self._resting.pop(group, None)
        if task is not None:
            task.cancel()

    async def _rested(self, group: Group, seconds: float) -> None:
        await self._sleep(seconds)
        del self._resting[group]
        wanted, _ = group
        if wanted in self._ours and self._sas.negotiated_of(*wanted):
            self._bring_up(*wanted)
        self._complete(wanted)
        await self._arm(wanted, range(self._plans[wanted].resources), wanting=True)

    async def _arm(
        self, wanted: Wanted, resources: Collection[int | None], *, wanting: bool
    ) -> None:
        numbers = [number for number in resources if number is not None]
        if not self._plans[wanted].on_demand or not numbers:
            return
        try:
            await self._arming.arm(wanted, numbers, wanting=wanting)
        except ControllerError as error:
            text = f"its resources: {error}"
            self._journal.add(Entry(self._gateway, Kind.REFUSED, "/".join(wanted), text))


def _is_of(share: Share, wanted: Share) -> bool:
    """Whether an SA's share is what was wanted, or what the peer has made of it."""
    same = (share.resource, bool(share.dscps)) == (wanted.resource, bool(wanted.dscps))
    return same and set(share.dscps) <= set(wanted.dscps)
