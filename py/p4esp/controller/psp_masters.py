"""Whose turn it is of two PSP master keys: SPIs are handed out, and master keys are rotated.

The engine has the pair (docs/crypto-port.md, section 9); here stands which SPIs each of the two has
been used for. An SPI is handed out once in the life of its master key, with the key that belongs to
it: with the same key, two senders would use an IV twice. Nobody remembers master keys here.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from p4esp.engine.errors import KeyStoreError
from p4esp.engine.features import PSP_RENEW
from p4esp.engine.keyservice import KeyService
from p4esp.engine.keystore import Direction, KeySpec
from p4esp.engine.psp import MASTER_LEN, PAIR_LEN

FIRST_INDEX: Final = 0x100
"""SPIs below 256 mean other things in ESP, and the pipeline refuses them."""
LAST_INDEX: Final = (1 << 31) - 1
SECOND: Final = 1 << 31
"""The bit of an SPI that chooses the master key."""
TRANSFORMS: Final = ("PSP-AES-GCM-128", "PSP-AES-GCM-256")
"""By version."""

Withdraw = Callable[[Iterable[int]], Awaitable[None]]
"""Removes the SAD entries of these SPIs; returns once they are gone."""


class PspMastersError(Exception):
    """What cannot be handed out or rotated; the text says what would."""


@dataclass(frozen=True, slots=True)
class HandedOut:
    """What a sender needs. The key goes to it over a channel that is encrypted and authentic."""

    spi: int
    version: int
    key: bytes = field(repr=False)


@dataclass(slots=True)
class _Phase:
    """The SPIs of one master key: the next one, and those that may be in use."""

    next: int = FIRST_INDEX
    live: set[int] = field(default_factory=set)


class PspMasters:
    """The pair of master keys of one engine.

    ``draw`` returns so many unpredictable bytes; ``withdraw`` is asked before a master key goes for
    the SPIs that go with it. Calls wait for each other: else a key that is on its way could be one
    of the next master key.
    """

    def __init__(
        self,
        service: KeyService,
        withdraw: Withdraw,
        *,
        version: int = 0,
        draw: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._service, self._withdraw, self._draw = service, withdraw, draw
        self.version = version
        self.handle = 0
        """That of the pair, which the entries of all its SAs name; 0: there is none."""
        self._epoch = ""
        self._current = 0
        self._phases = (_Phase(), _Phase())
        self._turn = asyncio.Lock()

    async def start(self, generation: int = 0, sa_index: int = 0) -> int:
        """Install a new pair, and return its handle. What an earlier one was used for is forgotten,
        with that pair.
        """
        async with self._turn:
            return await self._start(generation, sa_index)

    async def _start(self, generation: int, sa_index: int) -> int:
        health = await self._service.health()
        if PSP_RENEW not in health.features:
            raise PspMastersError(f"the engine cannot renew master keys; accepted: {PSP_RENEW}")
        await self._drop_pair(health.epoch)
        transform, pair = TRANSFORMS[self.version], self._draw(PAIR_LEN)
        spec = KeySpec(Direction.OPEN, transform, pair, b"", generation, sa_index)
        self.handle = await self._service.install(spec)
        self._epoch = health.epoch
        return self.handle

    async def hand_out(self) -> HandedOut:
        """An SPI of the current master key that nobody had, and its key."""
        async with self._turn:
            return await self._hand_out()

    async def _hand_out(self) -> HandedOut:
        await self._check_engine()
        phase = self._phases[self._current]
        if phase.next > LAST_INDEX:
            raise PspMastersError("all SPIs of this master key are used; accepted: a rotation")
        spi = phase.next | (SECOND if self._current else 0)
        # Used up from here on, whatever becomes of the key.
        phase.next += 1
        key = await self._service.derive(self.handle, spi)
        phase.live.add(spi)
        return HandedOut(spi, self.version, key)

    def give_back(self, spi: int) -> None:
        """The SPI's SA is gone. It is not handed out again under this master key."""
        self._phases[int(bool(spi & SECOND))].live.discard(spi)

    def live(self) -> frozenset[int]:
        """The SPIs that may be in use."""
        return frozenset().union(*(phase.live for phase in self._phases))

    async def rotate(self) -> frozenset[int]:
        """Renew the older master key and make it the current one; the SPIs that this has ended.

        They had until now to move. Those of the master key that was current have until the next
        rotation.
        """
        async with self._turn:
            return await self._rotate()

    async def _rotate(self) -> frozenset[int]:
        await self._check_engine()
        older = 1 - self._current
        ended = frozenset(self._phases[older].live)
        # Entries first: without one, a late packet is dropped by name and asks no engine.
        await self._withdraw(sorted(ended))
        await self._service.renew(self.handle, older, self._draw(MASTER_LEN))
        # Not before: where that fails, the next rotation ends them, and says so.
        self._phases[older].live -= ended
        self._phases[older].next = FIRST_INDEX
        self._current = older
        return ended

    async def _check_engine(self) -> None:
        """Neither hand out nor renew anything of a pair that is gone."""
        if not self.handle:
            raise PspMastersError("there are no master keys; accepted: start first")
        epoch = (await self._service.health()).epoch
        if epoch != self._epoch:
            raise PspMastersError("the engine has lost the master keys; accepted: start again")

    async def _drop_pair(self, epoch: str) -> None:
        """Nothing of the pair before is used any more."""
        await self._withdraw(sorted(self.live()))
        handle, self.handle = self.handle, 0
        self._current, self._phases = 0, (_Phase(), _Phase())
        if handle and epoch == self._epoch:
            try:
                await self._service.remove(handle)
            except KeyStoreError:
                return  # somebody else has removed it
