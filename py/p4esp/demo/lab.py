"""Two sites in one process, a wire in memory between them, and one controller.

Tests use the same lab; whatever can be restarted in real life can be restarted here.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any, Final, TypeVar

from p4esp.controller.config import ControllerConfig, parse_config
from p4esp.controller.controller import Controller
from p4esp.controller.errors import ControllerError
from p4esp.controller.gateway import Gateway
from p4esp.controller.program import Program
from p4esp.controller.surroundings import Surroundings
from p4esp.demo.plan import LEFT, OUTSIDE, RIGHT, Change, gateway_section
from p4esp.demo.site import Site
from p4esp.ike.config import Retransmission, Settings
from p4esp.ike.trace import TraceRecord
from p4esp.service.journal import Entry, Journal, Kind
from p4esp.service.key_export import KeyExporter
from p4esp.store import Sealer, Store
from p4esp.switch.ports.memory import Link
from p4esp.switch.ports.pcap import PcapWriter

_T = TypeVar("_T")
TUNNEL_SECONDS: Final = 30.0
"""How long two gateways may take to agree, on a machine that has much else to do."""
_LAST_WORDS: Final = 4
"""Journal entries that tell why they did not."""


class LabError(ControllerError):
    """The lab does not come to where it should; the text ends with the journal's last entries."""


class Lab:
    """Both sites, the wire and the controller. Use `running_lab`."""

    def __init__(
        self,
        program: Program,
        change: Change,
        pcap: PcapWriter | None = None,
        store: Store | None = None,
        export_keys: KeyExporter | None = None,
    ) -> None:
        self.program = program
        self.change = change
        self.left = Site(LEFT)
        self.right = Site(RIGHT)
        self.store = store or Store(None, Sealer(os.urandom(32)))
        self.trace: list[tuple[str, TraceRecord]] = []
        self.listener: Callable[[Entry], None] = lambda _: None
        """Told of each journal entry, when it is made."""
        self._pcap = pcap
        self._export_keys = export_keys
        self._running: asyncio.Task[None] | None = None

    @property
    def sites(self) -> tuple[Site, Site]:
        """Left and right."""
        return self.left, self.right

    async def start(self) -> None:
        """Start everything. What fails leaves no server behind, which would not let go of grpc."""
        async with AsyncExitStack() as started:
            for site in self.sites:
                await site.start()
                started.push_async_callback(site.stop)
            self.plug()
            self.start_controller()
            started.pop_all()

    def plug(self) -> None:
        """Connect the two switches' outside ports."""
        loop = asyncio.get_running_loop()
        self.wire = Link(
            (self.left.device, OUTSIDE),
            (self.right.device, OUTSIDE),
            pcap=self._pcap,
            wakeup=lambda: loop.call_soon(self.wire.deliver),
        )

    def config(self) -> ControllerConfig:
        """The controller's configuration."""
        sections = {
            site.plan.name: gateway_section(site.plan, site.address, self.change)
            for site in self.sites
        }
        return parse_config({"gateways": sections}, "lab")

    def start_controller(self, **changed: Any) -> None:
        """Start a controller, with the store of the one before."""
        self.journal = Journal(self.listener)
        around = Surroundings(
            program=self.program,
            store=self.store,
            journal=self.journal,
            clock=time.monotonic,
            random_bytes=os.urandom,
            ike_settings=Settings(**self._ike_settings()),
            trace=lambda name, record: self.trace.append((name, record)),
            export_keys=self._export_keys,
            reconnect=0.02,
            retry=0.3,
            retry_most=1.0,
            health_interval=0.05,
        )
        services = {site.plan.name: site.engine for site in self.sites}
        self.controller = Controller(self.config(), services, replace(around, **changed))
        self._running = asyncio.create_task(self.controller.run())

    def _ike_settings(self) -> dict[str, Any]:
        return {"retransmission": Retransmission(first=0.5, tries=3), **self.change.ike}

    async def stop_controller(self) -> None:
        """Kill the controller; its last words are those of a crash."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait((self._running,))
            failed = None if self._running.cancelled() else self._running.exception()
            self._running = None
            if failed is not None:
                raise failed

    async def restart_switch(self, site: Site) -> None:
        """Power-cycle a switch."""
        await site.stop()
        self.wire.disconnect()
        await site.start()
        self.plug()

    async def stop(self) -> None:
        """Stop everything."""
        await self.stop_controller()
        for site in self.sites:
            await site.stop()

    def gateway(self, site: Site) -> Gateway:
        """The controller's side of a site."""
        return self.controller.gateways[site.plan.name]

    async def happened(self, site: Site, kind: Kind, text: str = "") -> Entry:
        """Wait until the journal says that something has happened."""
        return await self._first(site, lambda entry: entry.kind is kind and text in str(entry))

    async def _first(self, site: Site, wanted: Callable[[Entry], bool]) -> Entry:
        name = site.plan.name
        return await self._while_running(
            self.journal.has(lambda entry: entry.gateway == name and wanted(entry))
        )

    async def _while_running(self, wait: Coroutine[Any, Any, _T]) -> _T:
        """Wait for something, but not for a controller that has died."""
        waiting = asyncio.create_task(wait)
        tasks: set[asyncio.Task[Any]] = {waiting}
        if self._running is not None:
            tasks.add(self._running)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if waiting.done():
                return waiting.result()
        finally:
            waiting.cancel()
        await self.stop_controller()
        raise LabError(f"the controller ended; {self._last_words()}")

    async def tunnel_up(self, seconds: float = TUNNEL_SECONDS) -> None:
        """Wait until both sites have a child SA; LabError when IKE fails or takes too long."""
        try:
            async with asyncio.timeout(seconds):
                ends = [await self._first(site, _is_end) for site in self.sites]
        except TimeoutError:
            raise LabError(f"no tunnel after {seconds:g} s; {self._last_words()}") from None
        if any(entry.kind is Kind.IKE_FAILED for entry in ends):
            raise LabError(f"no tunnel; {self._last_words()}")

    def _last_words(self) -> str:
        return "; ".join(str(entry) for entry in self.journal.entries[-_LAST_WORDS:])


def _is_end(entry: Entry) -> bool:
    return entry.kind in (Kind.SA_UP, Kind.IKE_FAILED)


@asynccontextmanager
async def running_lab(
    program: Program, change: Change | None = None, **options: Any
) -> AsyncIterator[Lab]:
    """A started lab, stopped at the end of the block."""
    lab = Lab(program, change or Change(), **options)
    await lab.start()
    try:
        yield lab
    finally:
        await lab.stop()
