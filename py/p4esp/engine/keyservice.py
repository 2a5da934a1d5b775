"""What a controller asks of an engine, whether it runs in the same process or behind a socket."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from p4esp.engine.core import Engine, EngineStats
from p4esp.engine.features import FEATURES
from p4esp.engine.keystore import KeySpec
from p4esp.engine.transforms import offered


@dataclass(frozen=True, slots=True)
class EngineHealth:
    """State of an engine. Another ``epoch`` than before means that all handles are gone.

    ``ready`` says whether the crypto port is attached, ``detail`` to what, or why not. ``features``
    is what the engine has beyond version 1 of the crypto port (``features.FEATURES``).
    """

    epoch: str
    ready: bool
    detail: str
    transforms: tuple[str, ...]
    keys: int
    features: tuple[str, ...] = ()


class KeyService(Protocol):
    """Keys in, handles out. EngineUnavailableError from any method of a remote engine."""

    async def install(self, spec: KeySpec) -> int:
        """Install a key; its handle. KeyStoreError when the engine refuses it.

        With ``spec.subs`` sub keys get consecutive handles, the first of which is returned.
        """
        ...

    async def remove(self, handle: int) -> None:
        """Remove and overwrite a key; KeyStoreError when there is none of that handle.

        The first handle of sub keys removes them all, another one none.
        """
        ...

    async def derive(self, handle: int, spi: int) -> bytes:
        """Derive the key of an SPI from PSP master keys, for the peer that sends with it.

        KeyStoreError when the handle has none. It is the one call that a key comes out of.
        """
        ...

    async def renew(self, handle: int, half: int, master: bytes | bytearray) -> None:
        """Replace the first (0) or the second (1) of PSP master keys under their handle.

        KeyStoreError when the handle has none, or the key has not 32 bytes or is there already.
        """
        ...

    async def remove_all(self) -> int:
        """Remove every key; how many there were."""
        ...

    async def stats(self) -> EngineStats:
        """Return all counters."""
        ...

    async def health(self) -> EngineHealth:
        """Return epoch and readiness."""
        ...


class LocalKeys:
    """The KeyService of an engine in this process.

    ``attachment`` returns (ready, detail) of the crypto port.
    """

    def __init__(
        self, engine: Engine, attachment: Callable[[], tuple[bool, str]] = lambda: (True, "local")
    ) -> None:
        self._engine = engine
        self._attachment = attachment

    async def install(self, spec: KeySpec) -> int:
        """Install a key (KeyService)."""
        return self._engine.install(spec)

    async def remove(self, handle: int) -> None:
        """Remove a key (KeyService)."""
        self._engine.remove(handle)

    async def derive(self, handle: int, spi: int) -> bytes:
        """Derive the key of an SPI (KeyService)."""
        return self._engine.derive(handle, spi)

    async def renew(self, handle: int, half: int, master: bytes | bytearray) -> None:
        """Replace a PSP master key (KeyService)."""
        self._engine.renew(handle, half, master)

    async def remove_all(self) -> int:
        """Remove every key (KeyService)."""
        return self._engine.remove_all()

    async def stats(self) -> EngineStats:
        """Return all counters (KeyService)."""
        return self._engine.stats()

    async def health(self) -> EngineHealth:
        """Return epoch and readiness (KeyService)."""
        ready, detail = self._attachment()
        epoch, keys = self._engine.epoch, self._engine.key_count
        return EngineHealth(epoch, ready, detail, offered(), keys, FEATURES)
