"""The cost of an SA does not grow with their number (process time, so that load does not count)."""

import gc
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import count
from typing import Any

import pytest
from controller_samples import CHILD

from p4esp.controller.engine_keys import PairKeys
from p4esp.controller.entries import Update
from p4esp.controller.placement import Placements
from p4esp.controller.protect_rules import ProtectRules
from p4esp.controller.sa_entries import SaSettings
from p4esp.controller.sa_installer import Numbers, SaInstaller, SwitchPort
from p4esp.controller.sa_manager import SaManager
from p4esp.controller.selection import SaSelection
from p4esp.controller.state_channel import ControlMessage, StateChannel
from p4esp.controller.writer import TableWriter
from p4esp.engine.keystore import KeySpec
from p4esp.ike.events import DownReason
from p4esp.ipsec.policy import Action, PolicyRule
from p4esp.ipsec.sa import ChildSaParams
from p4esp.service.journal import Journal
from p4esp.store import Sealer, Store

SAS = 10_000
CHUNK = 500
GROWTH = 2.0
"""What the last chunks may take, against the first. A search of all SAs per event makes it 4."""


class Bench:
    """An SA manager whose switch and engine agree to everything at once."""

    def __init__(self, rules: Sequence[PolicyRule]) -> None:
        store = Store(None, Sealer(bytes(32)))
        spis = count(1000)
        self.placements = Placements(store, "left", lambda _: next(spis))
        self.handles = count(1)
        service: Any = self
        keys = PairKeys(service)
        self.manager = SaManager(
            *("left", store, keys, self.placements),
            rules=ProtectRules(rules),
            journal=Journal(),
        )
        writer = TableWriter(self.send)
        self.state = StateChannel(self.control)
        installer = SaInstaller(
            *(SwitchPort(writer, self.state, SaSelection(writer)), keys),
            *(Numbers(self.placements, lambda _: 1), store),
            settings=SaSettings(window=64),
            grace=0,
        )
        self.manager.connect(installer, ())

    async def send(self, updates: Sequence[Update]) -> dict[int, tuple[str, str]]:
        return {}

    async def control(self, message: ControlMessage) -> None:
        self.state.answered(message)

    async def install(self, spec: KeySpec) -> int:
        return next(self.handles)

    async def remove(self, handle: int) -> None: ...

    async def comes(self, child: ChildSaParams) -> None:
        """A child comes up; and what acquires, digests and new IKE SAs ask for."""
        assert await self.manager.up(child)
        self.manager.retire_strangers(child.peer)
        live = self.manager.live[child.spi_in]
        assert self.manager.serves(child.peer, child.name)
        assert self.manager.live.by_outbound_index(live.record.placement.sa_out) is live
        assert self.manager.child_of_policy(live.record.policy) == (child.peer, child.name)

    async def goes(self, child: ChildSaParams) -> None:
        """It ends, and is removed."""
        self.manager.down(child, DownReason.LOCAL_DELETE)
        await self.manager.settled()


def all_children() -> list[ChildSaParams]:
    """Half of them are one peer's, and each of the others has a peer of its own."""
    return [
        replace(CHILD, peer=peer, name=f"c{n}", spi_in=0x10000 + n, spi_out=n + 256)
        for n in range(SAS)
        for peer in ("big" if n % 2 else f"p{n}",)
    ]


def rule_of(child: ChildSaParams) -> PolicyRule:
    name = f"{child.peer}/{child.name}"
    return PolicyRule(name, Action.PROTECT, child.local_ts, child.remote_ts, child=name)


def growth(seconds: Sequence[float]) -> float:
    """How much longer the fastest of the last chunks took than the fastest of the first."""
    return min(seconds[-4:]) / min(seconds[:4])


async def paced(steps: Sequence[Callable[[], Awaitable[None]]]) -> list[float]:
    """Seconds of process time for each chunk of steps."""
    seconds = []
    for first in range(0, len(steps), CHUNK):
        start = time.process_time()
        for step in steps[first : first + CHUNK]:
            await step()
        seconds.append(time.process_time() - start)
    return seconds


@pytest.fixture
def no_garbage_collection() -> Iterator[None]:
    """Its full collections look at every object there is, ours and those of other tests."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_garbage_collection")
async def test_ten_thousand_sas_come_and_go_at_a_steady_pace() -> None:
    children = all_children()
    bench = Bench([rule_of(child) for child in children])
    came = await paced([partial(bench.comes, child) for child in children])
    assert len(bench.manager.live) == SAS
    went = await paced([partial(bench.goes, child) for child in children])
    assert not bench.manager.live
    assert growth(came) < GROWTH
    assert growth(went[::-1]) < GROWTH
