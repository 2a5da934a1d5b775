"""Commands that wait for what comes of them."""

import asyncio
from collections.abc import Callable
from typing import Final

from p4esp.ike.delete_reason import DeleteReason
from p4esp.ike.endpoint import IkeEndpoint
from p4esp.ike.errors import CommandError
from p4esp.ike.events import (
    AuthenticationFailed,
    ChildDown,
    ChildFailed,
    ChildRekeyed,
    ChildUp,
    Event,
    IkeDown,
    IkeEstablished,
    IkeRekeyed,
    IkeRekeyFailed,
    InitRefused,
    MoveRefused,
    NegotiationFailed,
    PathChanged,
    PeerAlive,
)
from p4esp.ike.path import Path
from p4esp.ike.redirection import Gateway
from p4esp.ipsec.sa import ChildSaParams
from p4esp.service.driver import Driver
from p4esp.service.event_hub import EventHub

PATIENCE: Final = 60.0
"""Seconds that a command waits for its outcome."""

Judge = Callable[[Event], Event | None]
"""The event, when it decides a command; None: it does not. `CommandError`: it failed."""


class Commander:
    """Gives commands to an endpoint and waits for the event that decides each."""

    def __init__(self, driver: Driver, hub: EventHub, patience: float = PATIENCE) -> None:
        self._driver = driver
        self._hub = hub
        self._patience = patience

    async def connect(
        self, start: Callable[[IkeEndpoint, float], bytes], child: tuple[str, str] | None
    ) -> Event:
        """Make an IKE SA and the child `(peer, name)`; returns the event that says it is up."""
        with self._hub.watch() as events:
            spi = self._driver.command(start)
            return await self._decided(events, _Connecting(spi, child).judge)

    async def create_child(self, ike: bytes, child: tuple[str, str]) -> Event:
        """Make a child `(peer, name)` under an IKE SA."""
        with self._hub.watch() as events:
            self._driver.command(lambda endpoint, now: endpoint.create_child(ike, child[1], now))
            return await self._decided(events, _Connecting(ike, child).judge)

    async def rekey_child(self, child: ChildSaParams) -> Event:
        """Replace a child SA."""

        def judge(event: Event) -> Event | None:
            match event:
                case ChildRekeyed(old=old) if old.spi_in == child.spi_in:
                    return event
                case ChildFailed(ike, name, reason) if (ike.peer, name) == (child.peer, child.name):
                    raise CommandError(reason)
                case ChildDown(old, reason) if old.spi_in == child.spi_in:
                    raise CommandError(f"it is gone: {reason}")
            return None

        with self._hub.watch() as events:
            self._driver.command(lambda endpoint, now: endpoint.rekey_child(child.spi_in, now))
            return await self._decided(events, judge)

    async def rekey_ike(self, ike: bytes) -> Event:
        """Replace an IKE SA."""

        def judge(event: Event) -> Event | None:
            match event:
                case IkeRekeyed(old=old) if old.spi == ike:
                    return event
                case IkeRekeyFailed(info, reason) | IkeDown(info, reason) if info.spi == ike:
                    raise CommandError(str(reason))
            return None

        with self._hub.watch() as events:
            self._driver.command(lambda endpoint, now: endpoint.rekey_ike(ike, now))
            return await self._decided(events, judge)

    async def delete_child(self, spi_in: int, told: DeleteReason | None = None) -> Event:
        """Delete a child SA at both ends; `told` is what the peer shall hear why."""

        def judge(event: Event) -> Event | None:
            return event if isinstance(event, ChildDown) and event.child.spi_in == spi_in else None

        with self._hub.watch() as events:
            self._driver.command(lambda endpoint, now: endpoint.delete_child(spi_in, now, told))
            return await self._decided(events, judge)

    async def delete_ike(self, ike: bytes, told: DeleteReason | None = None) -> Event:
        """Delete an IKE SA and its child SAs; `told` is what the peer shall hear why."""

        def judge(event: Event) -> Event | None:
            match event:
                case IkeDown(info) | NegotiationFailed(info) | AuthenticationFailed(info):
                    return event if info.spi == ike else None
            return None

        with self._hub.watch() as events:
            self._driver.command(lambda endpoint, now: endpoint.delete_ike(ike, now, told))
            return await self._decided(events, judge)

    async def check(self, ike: bytes) -> Event:
        """Ask the peer for a sign of life."""

        def judge(event: Event) -> Event | None:
            match event:
                case PeerAlive(info) if info.spi == ike:
                    return event
                case IkeDown(info, reason) if info.spi == ike:
                    raise CommandError(f"the IKE SA is gone: {reason}")
            return None

        with self._hub.watch() as events:
            self._driver.command(lambda endpoint, now: endpoint.check_liveness(ike, now))
            return await self._decided(events, judge)

    async def move(self, ike: bytes, path: Path) -> Event:
        """Move an IKE SA and its child SAs to another path (RFC 4555)."""

        def judge(event: Event) -> Event | None:
            match event:
                case PathChanged(info, new=new) if info.spi == ike and new == path:
                    return event
                case MoveRefused(info, reason) | IkeDown(info, reason) if info.spi == ike:
                    raise CommandError(str(reason))
            return None

        with self._hub.watch() as events:
            self._driver.command(lambda endpoint, now: endpoint.update_addresses(ike, path, now))
            return await self._decided(events, judge)

    async def send_away(self, ike: bytes, gateway: Gateway) -> Event:
        """Have the peer go to another gateway (RFC 5685), and wait until it has left."""

        def judge(event: Event) -> Event | None:
            return event if isinstance(event, IkeDown) and event.ike.spi == ike else None

        with self._hub.watch() as events:
            self._driver.command(lambda endpoint, now: endpoint.send_away(ike, gateway, now))
            return await self._decided(events, judge)

    async def _decided(self, events: asyncio.Queue[Event], judge: Judge) -> Event:
        try:
            async with asyncio.timeout(self._patience):
                while (result := judge(await events.get())) is None:
                    pass
                return result
        except TimeoutError:
            text = f"no outcome within {self._patience:g} s; it goes on being tried"
            raise CommandError(text) from None


class _Connecting:
    """What events mean for an IKE SA, or a child, that is being made."""

    def __init__(self, ike: bytes, child: tuple[str, str] | None) -> None:
        self._ike = ike
        self._child = child

    def judge(self, event: Event) -> Event | None:
        match event:
            case IkeEstablished(ike) if ike.spi == self._ike and self._child is None:
                return event
            case ChildUp(child) if (child.peer, child.name) == self._child:
                return event
            case ChildFailed(ike, name, reason) if ike.spi == self._ike:
                raise CommandError(f"child {name}: {reason}; the IKE SA is up")
            case InitRefused(ike, reason) if ike.spi == self._ike:
                raise CommandError(f"{reason}; it is not authentic, so trying goes on")
            case (
                NegotiationFailed(ike, reason)
                | AuthenticationFailed(ike, reason)
                | IkeDown(ike, reason)
            ) if ike.spi == self._ike:
                raise CommandError(str(reason))
        return None
