"""One site for real: an embedded switch, its crypto engine, and the host behind it."""

import os
from collections.abc import Callable

from p4esp.controller.numbers import CRYPTO_PORT
from p4esp.demo.plan import INSIDE, Plan
from p4esp.engine.attach import attach_engine
from p4esp.engine.core import Engine, EngineStats
from p4esp.engine.datapath import SealEvent
from p4esp.engine.errors import EngineUnavailableError
from p4esp.engine.keyservice import EngineHealth, LocalKeys
from p4esp.engine.keystore import KeySpec
from p4esp.switch.ports.memory import MemoryPort
from p4esp.switch.service import SwitchOptions, SwitchService


class LabEngine:
    """A crypto engine that can be unplugged and restarted; also its key service."""

    def __init__(self, random_bytes: Callable[[int], bytes] = os.urandom) -> None:
        self._random_bytes = random_bytes
        self.tamper: Callable[[bytes, bytes | None], bytes | None] = lambda _, reply: reply
        """Stands between the engine and the port: gets request and reply, gives the reply."""
        self.exchanged: Callable[[bytes, bytes | None], None] = lambda _, __: None
        """Told of each request and the engine's own reply."""
        self.sealed: Callable[[SealEvent], None] = lambda _: None
        """Told of each nonce that was used."""
        self.up = True
        self.restart()

    def restart(self) -> None:
        """A new engine without keys takes the old one's place."""
        self.engine = Engine(self._random_bytes, self._tell_sealed)
        self._keys = LocalKeys(self.engine)

    def _tell_sealed(self, event: SealEvent) -> None:
        self.sealed(event)

    def process(self, frame: bytes) -> bytes | None:
        """The crypto port's side."""
        if not self.up:
            return None
        reply = self.engine.process(frame)
        self.exchanged(frame, reply)
        return self.tamper(frame, reply)

    def _service(self) -> LocalKeys:
        if not self.up:
            raise EngineUnavailableError("the engine is unplugged")
        return self._keys

    async def install(self, spec: KeySpec) -> int:
        """Install a key (KeyService)."""
        return await self._service().install(spec)

    async def remove(self, handle: int) -> None:
        """Remove a key (KeyService)."""
        await self._service().remove(handle)

    async def renew(self, handle: int, half: int, master: bytes | bytearray) -> None:
        """Replace a PSP master key (KeyService)."""
        await self._service().renew(handle, half, master)

    async def derive(self, handle: int, spi: int) -> bytes:
        """Derive the key of an SPI (KeyService)."""
        return await self._service().derive(handle, spi)

    async def remove_all(self) -> int:
        """Remove every key (KeyService)."""
        return await self._service().remove_all()

    async def stats(self) -> EngineStats:
        """Return all counters (KeyService)."""
        return await self._service().stats()

    async def health(self) -> EngineHealth:
        """Return epoch and readiness (KeyService)."""
        return await self._service().health()


class Site:
    """One switch with its engine and the host behind it."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.engine = LabEngine()
        self.address = "127.0.0.1:0"

    async def start(self) -> None:
        """Start the switch, empty, on the address it had before."""
        self.service = SwitchService(SwitchOptions(grpc_address=self.address))
        await self.service.start()
        self.address = self.service.grpc_address
        self.device = self.service.device
        self.host = MemoryPort(self.device, INSIDE)
        attach_engine(self.device, CRYPTO_PORT, self.engine.process)

    async def stop(self) -> None:
        """Stop the switch: tables and registers are gone."""
        await self.service.stop(0)
