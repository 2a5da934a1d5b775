"""An SA installer on a switch of dictionaries and a real engine, whose steps can fail or wait."""

import asyncio
from collections.abc import Sequence

from controller_samples import CHILD

from p4esp.controller.engine_keys import PairKeys
from p4esp.controller.entries import Entry, Op, Update
from p4esp.controller.errors import SwitchUnreachableError
from p4esp.controller.numbers import Control
from p4esp.controller.placement import Placements
from p4esp.controller.sa_entries import SaSettings
from p4esp.controller.sa_installer import LiveSa, Numbers, SaInstaller, SwitchPort
from p4esp.controller.selection import SaSelection
from p4esp.controller.state_channel import ControlMessage, StateChannel
from p4esp.controller.writer import TableWriter
from p4esp.engine.core import Engine, EngineStats
from p4esp.engine.keyservice import LocalKeys
from p4esp.engine.keystore import KeySpec
from p4esp.store import SaState, Sealer, Store


class Bench:
    """An installer on a switch of dictionaries that notes the order of events."""

    def __init__(self, fail_at: str = "", unreachable: bool = False) -> None:
        self.events: list[str] = []
        self.entries: dict[object, Entry] = {}
        self.cells: list[tuple[int, int]] = []
        self.fail_at = fail_at
        self.unreachable = unreachable
        self.writing = asyncio.Event()
        """While it is clear, writes wait; so do keys on their way into the engine for `keying`."""
        self.keying = asyncio.Event()
        self.writing.set()
        self.keying.set()
        self.engine = Engine()
        self.store = Store(None, Sealer(bytes(32)))
        self.placements = Placements(self.store, "left", lambda bits: 0x12345678)
        self.keys = PairKeys(self)
        self.writer = writer = TableWriter(self.send)
        self.state = StateChannel(self.control, timeout=0.01, tries=1)
        self.selection = SaSelection(writer)
        self.installer = SaInstaller(
            SwitchPort(writer, self.state, self.selection),
            self.keys,
            Numbers(self.placements, lambda _: 1),
            self.store,
            settings=SaSettings(),
            grace=5.0,
            sleep=self.sleep,
        )

    async def sleep(self, seconds: float) -> None:
        self.events.append(f"wait {seconds:g}")

    async def install(self, spec: KeySpec) -> int:
        await self.keying.wait()
        self.step(f"key {spec.direction.name}")
        return await LocalKeys(self.engine).install(spec)

    async def stats(self) -> EngineStats:
        return await LocalKeys(self.engine).stats()

    async def remove(self, handle: int) -> None:
        self.events.append("key removed")
        await LocalKeys(self.engine).remove(handle)

    async def send(self, updates: Sequence[Update]) -> dict[int, tuple[str, str]]:
        await self.writing.wait()
        for update in updates:
            self.step(f"{update.op.value} {update.entry.table}")
        for update in updates:
            if update.op is Op.DELETE:
                if update.entry.key not in self.entries:
                    return {0: ("NOT_FOUND", "no such entry")}
                del self.entries[update.entry.key]
            else:
                self.entries[update.entry.key] = update.entry
        return {}

    async def control(self, message: ControlMessage) -> None:
        self.step(f"{Control(message.op).name.lower()}")
        if message.op == Control.SCRUB_CELLS:
            self.cells.append((message.index, message.value))
        self.state.answered(message)

    def step(self, name: str) -> None:
        if name == self.fail_at:
            self.events.append(f"{name} fails")
            if not self.unreachable:
                self.fail_at = ""
            raise SwitchUnreachableError(name)
        self.events.append(name)

    async def installed(self) -> LiveSa:
        return await self.installer.install("left", CHILD, 1)

    @property
    def handles(self) -> set[int]:
        """The keys that the engine has."""
        return {key.handle for key in self.engine.stats().keys}

    @property
    def states(self) -> list[SaState]:
        return [record.state for record in self.store.sas("left")]
