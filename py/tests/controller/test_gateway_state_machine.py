"""Whatever restarts, whenever: no invariant breaks, and traffic comes back.

Rules install (by bringing children up), rekey by hand, delete, crash and restart switch, engine and
controller, break the P4Runtime stream, hold packets in the engine across all that, and replay what
was on the wire. The engine dies at a certain call while it gets its keys back, the controller at a
certain one in the middle of a rekey. After each of them both gateways must agree on their SAs and
carry packets; in the end every packet, nonce, window and counter is held against the invariants of
design section 2.
"""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from lab_helpers import PROGRAM, delivered, drops, host_frame, sa_tables

from p4esp.controller.entries import Entry
from p4esp.controller.errors import SwitchUnreachableError
from p4esp.controller.numbers import CRYPTO_PORT
from p4esp.demo.lab import Lab
from p4esp.demo.plan import OUTSIDE, Change
from p4esp.demo.site import LabEngine, Site
from p4esp.demo.traffic import is_esp
from p4esp.demo.watch import Watch
from p4esp.engine.datapath import SealEvent
from p4esp.engine.errors import EngineUnavailableError
from p4esp.ike.errors import CommandError
from p4esp.service.journal import Entry as Note
from p4esp.service.journal import Kind

BUDGET = 40.0
"""Seconds, from the first example on, after which further steps are skipped."""
LEAST = 12
"""Steps that the budget must suffice for."""
PATIENCE = 20.0
"""Seconds in which every step must settle, on a busy machine too."""

Call = Callable[..., Coroutine[Any, Any, Any]]
Act = Callable[..., Coroutine[Any, Any, None]]

sides = st.sampled_from([0, 1])


def same_guard_secret(count: int) -> bytes:
    """Random, but for the 32 octets that name keys: they stay the same over engine restarts."""
    return bytes(32) if count == 32 else os.urandom(count)


class CallPoint:
    """One call of many, counted from 0, at which something else happens."""

    def __init__(self, number: int) -> None:
        self._left = number
        self.reached = False

    @contextmanager
    def watching(self, *methods: tuple[Any, str], act: Act) -> Iterator[None]:
        """Count the calls of some objects' methods."""
        for owner, name in methods:
            setattr(owner, name, self._counted(getattr(owner, name), act))
        try:
            yield
        finally:
            for owner, name in methods:
                setattr(owner, name, getattr(owner, name).original)

    def _counted(self, call: Call, act: Act) -> Call:
        async def counted(*arguments: Any) -> Any:
            self._left -= 1
            self.reached = self.reached or self._left < 0
            return await (act(call, *arguments) if self._left == -1 else call(*arguments))

        counted.original = call  # type: ignore[attr-defined]
        return counted

    async def happens(self) -> None:
        """Wait for the call."""
        while not self.reached:
            await asyncio.sleep(0.01)

    @staticmethod
    async def carry_out(call: Call, *arguments: Any) -> Any:
        return await call(*arguments)

    @staticmethod
    async def stop(call: Call, *arguments: Any) -> None:
        """The caller never gets any further."""
        await asyncio.Event().wait()

    @staticmethod
    async def stop_after(call: Call, *arguments: Any) -> None:
        """The call is carried out, but the caller does not live to hear of it."""
        await call(*arguments)
        await asyncio.Event().wait()

    @staticmethod
    async def refuse(call: Call, *arguments: Any) -> None:
        raise EngineUnavailableError("it fails once")


class Budget:
    """What all examples of the test may take together, and what they have done."""

    def __init__(self) -> None:
        self.end: float | None = None
        self.steps: Counter[str] = Counter()

    def start(self) -> None:
        self.end = self.end or time.monotonic() + BUDGET

    @property
    def is_left(self) -> bool:
        return time.monotonic() < (self.end or 0.0)


class GatewayMachine(RuleBasedStateMachine):
    """Drives a lab; see the module's text."""

    budget = Budget()

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.nonces: Counter[tuple[bytes, int]] = Counter()
        self.sent = 0
        self.arrived: Counter[bytes] = Counter()
        self.watches: list[Watch] = []
        self.current: dict[str, Watch] = {}
        self.held: list[tuple[Site, bytes]] = []
        self.on_wire: list[bytes] = []
        self.lab: Lab | None = None

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        if self.budget.is_left:
            self._finish(work)
            self.budget.steps[work.__qualname__] += 1
        else:
            work.close()

    def _finish(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            self.loop.run_until_complete(asyncio.wait_for(work, PATIENCE))
        except TimeoutError:
            raise AssertionError(f"nothing settles:\n{self._story()}") from None

    def _story(self) -> str:
        """Which SAs each gateway has, what is dropped, and the end of the journal."""
        lines = []
        for site in self.lab.sites:
            live = self.lab.gateway(site).sas.live.values()
            pairs = [f"{sa.record.child.spi_in:08x}/{sa.record.child.spi_out:08x}" for sa in live]
            lines.append(f"{site.plan.name}: {pairs} {drops(site)}")
        return "\n".join([*lines, *map(str, self.lab.journal.entries[-40:])])

    @initialize()
    def start(self) -> None:
        self.budget.start()
        self.lab = Lab(PROGRAM, Change())
        for site in self.lab.sites:
            site.engine = LabEngine(same_guard_secret)
        self.lab.listener = self.noted
        self._finish(self._start(self.lab))

    async def _start(self, lab: Lab) -> None:
        await lab.start()
        await self._settled(lab)

    def noted(self, entry: Note) -> None:
        """Watch each switch from the moment its pipeline is there."""
        if entry.kind is Kind.CONNECTED and "loaded" in entry.text:
            site = next(site for site in self.lab.sites if site.plan.name == entry.gateway)
            self.current[entry.gateway] = Watch(site)
            self.watches.append(self.current[entry.gateway])
            site.engine.sealed = self.sealed
            self._tap()

    def sealed(self, event: SealEvent) -> None:
        self.nonces[event.key_id, event.iv] += 1

    def _tap(self) -> None:
        def tap(frame: bytes) -> bytes:
            if is_esp(frame):
                self.on_wire.append(frame)
            return frame

        self.lab.wire.on_wire = tap

    async def _settled(self, lab: Lab) -> None:
        """Both gateways agree on their SAs, no removal is under way, packets pass."""
        while True:
            gateways = [lab.gateway(site) for site in lab.sites]
            for gateway in gateways:
                await gateway.sas.settled()
            left, right = ([sa.record.child for sa in g.sas.live.values()] for g in gateways)
            pairs = {(child.spi_in, child.spi_out) for child in left}
            agreed = pairs == {(child.spi_out, child.spi_in) for child in right}
            if pairs and agreed and await self._traffic(lab):
                break
            await asyncio.sleep(0.01)
        self._check_windows(lab)

    async def _traffic(self, lab: Lab) -> bool:
        there = await self._passes(lab.left, lab.right)
        return await self._passes(lab.right, lab.left) and there

    async def _passes(self, source: Site, target: Site) -> bool:
        """Whether a packet that is like no other one arrives."""
        self.sent += 1
        payload = self.sent.to_bytes(8, "big")
        source.host.send(host_frame(source, target, payload))
        await asyncio.sleep(0)
        self.lab.wire.deliver()
        return payload in self._collect(target)

    def _collect(self, site: Site) -> list[bytes]:
        """Payloads that have arrived, each of them for the first time."""
        payloads = delivered(site.host.receive())
        self.arrived.update(payloads)
        assert all(self.arrived[payload] == 1 for payload in payloads), "delivered twice"
        return payloads

    def _check_windows(self, lab: Lab) -> None:
        for site in lab.sites:
            for live in lab.gateway(site).sas.live.values():
                self.current[site.plan.name].window_of(live)

    @rule(side=sides, count=st.integers(1, 40))
    def send(self, side: int, count: int) -> None:
        async def work() -> None:
            source, target = self.lab.sites[side], self.lab.sites[1 - side]
            for _ in range(count):
                assert await self._passes(source, target)

        self.run(work())

    @rule(side=sides, pause=st.floats(0, 0.03))
    def rekey(self, side: int, pause: float) -> None:
        async def work() -> None:
            gateway = self.lab.gateway(self.lab.sites[side])
            old = next(iter(gateway.sas.live))
            gateway.rekey_child(old)
            while old in gateway.sas.live:
                await asyncio.sleep(pause)
            await self._settled(self.lab)

        self.run(work())

    @rule(side=sides, both=st.booleans())
    def rekey_ike(self, side: int, both: bool) -> None:
        """The IKE SA is replaced under its child; traffic does not notice."""

        async def work() -> None:
            for site in self.lab.sites if both else self.lab.sites[side : side + 1]:
                gateway = self.lab.gateway(site)
                for ike in list(gateway.connections.established):
                    with suppress(CommandError):  # the other side was faster
                        gateway.ike.command(lambda ep, now, ike=ike: ep.rekey_ike(ike, now))
            for site, target in (self.lab.sites, self.lab.sites[::-1]):
                assert await self._passes(site, target)
            await self._settled(self.lab)

        self.run(work())

    @rule(side=sides)
    def delete(self, side: int) -> None:
        async def work() -> None:
            gateway = self.lab.gateway(self.lab.sites[side])
            old = next(iter(gateway.sas.live))
            assert gateway.delete_child(old)
            while old in gateway.sas.live:
                await asyncio.sleep(0.001)
            await self._settled(self.lab)

        self.run(work())

    @rule(side=sides)
    def power_cycle_switch(self, side: int) -> None:
        async def work() -> None:
            site = self.lab.sites[side]
            self.current[site.plan.name].count()
            await self.lab.restart_switch(site)
            self._tap()
            await self.lab.journal.next(lambda entry: entry.kind is Kind.REGISTERS_LOST)
            await self._settled(self.lab)

        self.run(work())

    @rule()
    def restart_controller(self) -> None:
        async def work() -> None:
            await self.lab.stop_controller()
            await self._controller_again(self.lab)

        self.run(work())

    async def _controller_again(self, lab: Lab) -> None:
        lab.start_controller()
        for site in lab.sites:
            await lab.happened(site, Kind.READY)
        await lab.tunnel_up()
        await self._settled(lab)

    @rule(side=sides, call=st.integers(0, 20), done=st.booleans())
    def crash_controller_in_a_rekey(self, side: int, call: int, done: bool) -> None:
        """Before or after a certain call to the switch or the engine; after the last: at rest."""

        async def work() -> None:
            site = self.lab.sites[side]
            point = CallPoint(call)
            gateway = self.lab.gateway(site)
            channels = ((gateway.link.writer, "_send"), (gateway.link.state, "_send"))
            engine = ((site.engine, "install"), (site.engine, "remove"))
            with point.watching(*channels, *engine, act=point.stop_after if done else point.stop):
                old = next(iter(gateway.sas.live))
                gateway.rekey_child(old)
                while old in gateway.sas.live and not point.reached:
                    await asyncio.sleep(0)
                await self.lab.stop_controller()
            await self._controller_again(self.lab)

        self.run(work())

    @rule(side=sides)
    def lose_the_stream(self, side: int) -> None:
        async def work() -> None:
            here = self.lab.gateway(self.lab.sites[side])
            here.link.session.end(SwitchUnreachableError("the stream ended"))
            await self.lab.journal.next(
                lambda entry: entry.gateway == here.name and entry.kind is Kind.READY
            )
            await self._settled(self.lab)

        self.run(work())

    @rule(side=sides, failing=st.integers(0, 3))
    def restart_engine(self, side: int, failing: int) -> None:
        """It may fail once while it gets its keys back."""

        async def work() -> None:
            engine = self.lab.sites[side].engine
            point = CallPoint(failing)
            with point.watching((engine, "install"), (engine, "health"), act=point.refuse):
                engine.restart()
                await self._settled(self.lab)
                await point.happens()
            await self._checked(engine)
            await self._settled(self.lab)

        self.run(work())

    async def _checked(self, engine: LabEngine) -> None:
        """Wait until a whole health check has passed: what the controller found is written."""
        next_but_one = CallPoint(1)
        with next_but_one.watching((engine, "health"), act=CallPoint.carry_out):
            await next_but_one.happens()

    @rule(side=sides)
    def unplug_engine(self, side: int) -> None:
        async def work() -> None:
            site = self.lab.sites[side]
            site.engine.up = False
            await self.lab.journal.next(lambda entry: entry.kind is Kind.ENGINE_DOWN)
            before = drops(site).get("NO_ENGINE", 0)
            assert not await self._passes(site, self.lab.sites[1 - side])
            assert drops(site)["NO_ENGINE"] > before
            site.engine.up = True
            await self.lab.journal.next(lambda entry: entry.kind is Kind.ENGINE_UP)
            await self._settled(self.lab)

        self.run(work())

    @rule(side=sides)
    def hold_a_packet_in_the_engine(self, side: int) -> None:
        async def work() -> None:
            site = self.lab.sites[side]
            site.engine.tamper = lambda _, reply: self.held.append((site, reply))
            assert not await self._passes(site, self.lab.sites[1 - side])
            site.engine.tamper = lambda _, reply: reply

        self.run(work())

    @rule()
    def release_what_the_engine_holds(self) -> None:
        """It passes if its SA still stands, and is refused as stale if not: never misdirected."""

        async def work() -> None:
            for site, reply in self.held:
                if reply is not None:
                    site.device.inject(CRYPTO_PORT, reply)
            self.held.clear()
            self.lab.wire.deliver()
            await self._settled(self.lab)

        self.run(work())

    @rule(back=st.integers(0, 49))
    def replay_from_the_wire(self, back: int) -> None:
        """Only what never arrived, because an engine was away, may pass now."""

        async def work() -> None:
            frame = self.on_wire[-1 - back % len(self.on_wire)]
            for site in self.lab.sites:
                site.device.inject(OUTSIDE, frame)
                self._collect(site)

        self.run(work())

    def teardown(self) -> None:
        try:
            if self.lab is not None:
                self._finish(self._verify(self.lab))
        finally:
            self._finish(self._stop())
            self.loop.close()

    async def _verify(self, lab: Lab) -> None:
        await self._settled(lab)
        for site in lab.sites:
            while self._differences(lab, site, await sa_tables(lab, site)):
                await asyncio.sleep(0.05)  # another SA is on its way in or out
            self.current[site.plan.name].count()
        assert [nonce for nonce, times in self.nonces.items() if times > 1] == []
        for watch in self.watches:
            watch.recorder.assert_none()

    def _differences(self, lab: Lab, site: Site, entries: set[Entry]) -> list[str]:
        """Tables, engine, store and replay cells must hold the live SAs and nothing else."""
        sas = lab.gateway(site).sas.live.values()
        handles = {handle for sa in sas for handle in (sa.handles.open, sa.handles.seal)}
        expected = {entry for sa in sas for entry in sa.entries.all}
        keys = {key.handle for key in site.engine.engine.stats().keys}
        stored = {record.child.spi_in for record in lab.store.sas(site.plan.name)}
        places = [sa.record.placement for sa in sas]
        owned = {cell for p in places for cell in range(p.cell_base, p.cell_base + p.cells)}
        cells = site.device.register_array("window_cell")
        found = {
            "entries": {e for e in entries if e.table != "sa_select"} == expected,
            "selection": {e.arg("sa") for e in entries if e.table == "sa_select"}
            <= {place.sa_out for place in places},
            "engine": keys == handles,
            "store": stored == set(lab.gateway(site).sas.live),
            "cells": not any(cells.read(cell) for cell in range(4096) if cell not in owned),
        }
        return [name for name, right in found.items() if not right]

    async def _stop(self) -> None:
        if self.lab is not None:
            await self.lab.stop()


class TestGatewayStateMachine(GatewayMachine.TestCase):
    """The machine, and that it was not idle."""

    def tearDown(self) -> None:
        steps = GatewayMachine.budget.steps
        assert sum(steps.values()) >= LEAST, f"{BUDGET:g} s were enough for {dict(steps)} only"


TestGatewayStateMachine.settings = settings(
    max_examples=6,
    stateful_step_count=10,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
    phases=(Phase.reuse, Phase.generate),
)
