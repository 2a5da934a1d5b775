"""Two sites in one process: two embedded switches with P4Runtime servers on loopback, an engine
each, a wire in memory between them, and one controller.

Tests use the same lab; whatever can be restarted in real life can be restarted here.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address
from typing import Any, Final, TypeVar

from p4esp.controller.config import ControllerConfig, parse_config
from p4esp.controller.controller import Controller
from p4esp.controller.gateway import Gateway, Surroundings
from p4esp.controller.journal import Entry, Journal, Kind
from p4esp.controller.numbers import CRYPTO_PORT
from p4esp.controller.program import Program
from p4esp.engine.attach import attach_engine
from p4esp.engine.core import Engine
from p4esp.engine.datapath import SealEvent
from p4esp.engine.errors import EngineUnavailableError
from p4esp.engine.keyservice import EngineHealth, LocalKeys
from p4esp.engine.keystore import KeySpec
from p4esp.ike.config import Retransmission, Settings
from p4esp.ike.state import KeyExport
from p4esp.ike.trace import TraceRecord
from p4esp.store import Sealer, Store
from p4esp.switch.ports.memory import Link, MemoryPort
from p4esp.switch.ports.pcap import PcapWriter
from p4esp.switch.service import SwitchOptions, SwitchService

_T = TypeVar("_T")

INSIDE: Final = 0
OUTSIDE: Final = 1
PSK: Final = "correct horse battery staple"


@dataclass(frozen=True, slots=True)
class Plan:
    """Addresses of one site."""

    name: str
    number: int
    peer: str
    peer_number: int

    @property
    def network(self) -> str:
        """The protected network."""
        return f"10.{self.number}.0.0/16"

    @property
    def outer(self) -> IPv4Address:
        """The gateway's address on the wire."""
        return IPv4Address(f"192.0.2.{self.number}")

    @property
    def host(self) -> IPv4Address:
        """A host behind the gateway."""
        return IPv4Address(f"10.{self.number}.0.10")

    @property
    def host_mac(self) -> bytes:
        """The host's MAC address."""
        return bytes((2, 0, 0, 0, self.number, 0x10))

    def mac(self, port: int) -> bytes:
        """The gateway's MAC address on a port."""
        return bytes((2, 0, 0, 0, self.number, port))


LEFT: Final = Plan("left", 1, "right", 2)
RIGHT: Final = Plan("right", 2, "left", 1)


@dataclass
class Change:
    """How a lab differs from the ordinary one; a test changes what it is about."""

    psk: dict[str, str] = field(default_factory=dict)
    starts: tuple[str, ...] = ("left",)
    """Sites that bring the child up by themselves."""
    sa: dict[str, Any] = field(default_factory=lambda: {"grace": 0.0})
    esp: tuple[str, ...] = ("aes256gcm16-esn",)
    encapsulate: bool = False


def gateway_section(plan: Plan, address: str, change: Change) -> dict[str, Any]:
    """The configuration of one site, as a TOML file would hold it."""
    remote = f"10.{plan.peer_number}.0.0/16"
    child = {
        "name": "net",
        "local": [plan.network],
        "remote": [remote],
        "proposals": list(change.esp),
        "start": plan.name in change.starts,
    }
    peer = {
        "name": plan.peer,
        "local": str(plan.outer),
        "remote": f"192.0.2.{plan.peer_number}",
        "local_id": f"{plan.name}.example",
        "remote_id": f"{plan.peer}.example",
        "psk": change.psk.get(plan.name, PSK),
        "force_encapsulation": change.encapsulate,
        "children": [child],
    }
    policy = {
        "name": f"to-{plan.peer}",
        "action": "protect",
        "local": [plan.network],
        "remote": [remote],
        "child": f"{plan.peer}/net",
    }
    return {
        "address": address,
        "interfaces": _interfaces(plan),
        "routes": [{"destination": remote, "via": f"192.0.2.{plan.peer_number}"}],
        "neighbours": [{"address": str(plan.host), "mac": plan.host_mac.hex(":")}],
        "peers": [peer],
        "policies": [policy],
        "sa": change.sa,
    }


def _interfaces(plan: Plan) -> list[dict[str, Any]]:
    inside = {
        "port": INSIDE,
        "role": "protected",
        "mac": plan.mac(INSIDE).hex(":"),
        "addresses": [f"10.{plan.number}.0.1/16"],
    }
    outside = {
        "port": OUTSIDE,
        "role": "unprotected",
        "mac": plan.mac(OUTSIDE).hex(":"),
        "addresses": [f"{plan.outer}/24"],
    }
    return [inside, outside]


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

    async def remove_all(self) -> int:
        """Remove every key (KeyService)."""
        return await self._service().remove_all()

    async def stats(self) -> Any:
        """Return all counters (KeyService)."""
        return await self._service().stats()

    async def health(self) -> EngineHealth:
        """Return epoch and readiness (KeyService)."""
        return await self._service().health()


class Site:
    """One switch with its engine and the host behind it."""

    def __init__(self, plan: Plan, program: Program) -> None:
        self.plan = plan
        self.engine = LabEngine()
        self._program = program
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


class Lab:
    """Both sites, the wire and the controller. Use `running_lab`."""

    def __init__(
        self,
        program: Program,
        change: Change,
        pcap: PcapWriter | None = None,
        store: Store | None = None,
        export_keys: KeyExport | None = None,
    ) -> None:
        self.program = program
        self.change = change
        self.left = Site(LEFT, program)
        self.right = Site(RIGHT, program)
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
        """Start everything."""
        for site in self.sites:
            await site.start()
        self.plug()
        self.start_controller()

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
            ike_settings=Settings(retransmission=Retransmission(first=0.5, tries=3)),
            trace=lambda name, record: self.trace.append((name, record)),
            export_keys=self._export_keys,
            reconnect=0.02,
            retry=0.3,
            health_interval=0.05,
        )
        services = {site.plan.name: site.engine for site in self.sites}
        self.controller = Controller(self.config(), services, replace(around, **changed))
        self._running = asyncio.create_task(self.controller.run())

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
        name = site.plan.name
        return await self._while_running(
            self.journal.has(
                lambda entry: entry.gateway == name and entry.kind is kind and text in str(entry)
            )
        )

    async def _while_running(self, wait: Coroutine[Any, Any, _T]) -> _T:
        """Wait for something, but not for a controller that has died."""
        waiting = asyncio.create_task(wait)
        tasks: set[asyncio.Task[Any]] = {waiting}
        if self._running is not None:
            tasks.add(self._running)
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if waiting.done():
            return waiting.result()
        waiting.cancel()
        await self.stop_controller()
        raise RuntimeError("the controller ended")

    async def tunnel_up(self) -> None:
        """Wait until both sites have a child SA."""
        for site in self.sites:
            await self.happened(site, Kind.SA_UP)


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
