"""What an endpoint says is dealt with in order for each peer, side by side for different ones."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from ipaddress import ip_address
from types import SimpleNamespace
from typing import Any

from p4esp.ike.constants import HEADER_SIZE
from p4esp.ike.events import ChildUp
from p4esp.ike.path import Datagram, Path, UdpAddress
from p4esp.ike.transport import Ports
from p4esp.service.driver import MAX_BACKLOG, Driver

PATH = Path(UdpAddress(ip_address("192.0.2.1"), 500), UdpAddress(ip_address("192.0.2.2"), 500))


def message(peer: str) -> bytes:
    """Octets that look like a message of an IKE SA."""
    return peer.encode().ljust(HEADER_SIZE, b"\0")


class Endpoint:
    """Says for each datagram `peer` that a child of the peer is up, and answers it."""

    ports = Ports()

    def __init__(self) -> None:
        self.events: deque[ChildUp] = deque()
        self.outbox: list[Datagram] = []

    def receive_datagram(self, payload: bytes, path: Path, now: float) -> None:
        peer = payload.decode().rstrip("\0")
        child: Any = SimpleNamespace(peer=peer)
        self.events.append(ChildUp(child))
        self.outbox.append(Datagram(payload, path, peer))

    def is_live(self, own_spi: bytes) -> bool:
        return True

    def handle_timer(self, now: float) -> None: ...

    def get_timer(self) -> float | None:
        return None

    def next_event(self) -> ChildUp | None:
        return self.events.popleft() if self.events else None

    def datagrams_to_send(self, now: float) -> list[Datagram]:
        outbox, self.outbox = self.outbox, []
        return outbox


class Bench:
    """A driver whose installations for `slow` wait until `go` is set."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.go = asyncio.Event()
        self.changed = asyncio.Event()
        endpoint: Any = Endpoint()
        self.driver = Driver(endpoint, self.installed, self.sent, lambda: 0.0)

    async def installed(self, event: Any) -> None:
        if event.child.peer == "slow":
            await self.go.wait()
        self.note(f"{event.child.peer} installed")

    async def sent(self, datagram: Datagram) -> None:
        self.note(f"{datagram.peer} answered")

    def note(self, what: str) -> None:
        self.seen.append(what)
        self.changed.set()

    async def until(self, done: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not done():
                self.changed.clear()
                await self.changed.wait()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.driver.run())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def test_no_answer_leaves_before_the_sa_that_it_promises_is_installed() -> None:
    """RFC 7296 2.8."""
    bench = Bench()
    async with bench.running():
        for _ in range(2):
            bench.driver.received(message("slow"), PATH)
        await asyncio.sleep(0.01)
        assert bench.seen == []
        bench.go.set()
        await bench.until(lambda: len(bench.seen) == 4)
    assert bench.seen == ["slow installed", "slow answered"] * 2


async def test_an_installation_that_hangs_holds_up_nobody_else() -> None:
    bench = Bench()
    async with bench.running():
        bench.driver.received(message("slow"), PATH)
        for peer in ("a", "b"):
            bench.driver.received(message(peer), PATH)
        await bench.until(lambda: len(bench.seen) == 4)
        assert sorted(bench.seen) == ["a answered", "a installed", "b answered", "b installed"]
        bench.go.set()
        await bench.until(lambda: len(bench.seen) == 6)


async def test_datagrams_to_a_peer_that_hangs_do_not_pile_up() -> None:
    bench = Bench()
    async with bench.running():
        for _ in range(2 * MAX_BACKLOG):
            bench.driver.received(message("slow"), PATH)
        bench.driver.received(message("a"), PATH)
        await bench.until(lambda: bool(bench.seen))
        bench.go.set()
        await bench.until(lambda: bench.seen.count("slow installed") == 2 * MAX_BACKLOG)
    assert bench.seen.count("slow answered") <= MAX_BACKLOG


async def test_a_handler_that_hangs_does_not_hold_the_driver_when_it_ends() -> None:
    bench = Bench()
    async with asyncio.timeout(5), bench.running():
        bench.driver.received(message("slow"), PATH)
        bench.driver.received(message("a"), PATH)
        await bench.until(lambda: bool(bench.seen))


async def test_timers_do_not_wait_for_the_end_of_a_flood() -> None:
    bench = Bench()
    endpoint, ticks = bench.driver.endpoint, asyncio.Queue[float]()
    take, endpoint.handle_timer = endpoint.receive_datagram, ticks.put_nowait  # type: ignore[method-assign]

    def flooded(payload: bytes, path: Path, now: float) -> None:
        bench.driver.received(b"a", PATH)
        take(payload, path, now)

    endpoint.receive_datagram = flooded  # type: ignore[method-assign]
    async with asyncio.timeout(5), bench.running():
        bench.driver.received(b"a", PATH)
        for _ in range(5):
            await ticks.get()
