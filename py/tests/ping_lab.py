"""A lab whose gateways may ping each other by ESP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from family_lab import FamilyLab, Shape, outer, section

from p4esp.controller.config import ControllerConfig, parse_config
from p4esp.demo.plan import Change
from p4esp.service.journal import Kind

WAIT = 5.0
"""Seconds for replies that come, on a machine that has much else to do."""
SHORT = 0.05
"""Seconds for replies that don't."""


class PingLab(FamilyLab):
    """Each site has what `changed` says on top."""

    def __init__(self, **changed: Any) -> None:
        super().__init__(Shape(), Change(starts=()))
        self.changed = changed

    def config(self) -> ControllerConfig:
        """The controller's configuration."""
        sections = {}
        for site in self.sites:
            facts = section(site.plan, site.address, self.shape, self.change)
            sections[site.plan.name] = facts | self.changed
        return parse_config({"gateways": sections}, "lab")

    async def ready(self) -> None:
        """Wait for both gateways."""
        for site in self.sites:
            await self.happened(site, Kind.READY)

    async def restart(self, **changed: Any) -> None:
        """Start another controller."""
        await self.stop_controller()
        self.changed = changed
        self.start_controller()
        await self.ready()

    async def ping(
        self, number: int = 1, *, version: int = 4, size: int = 56, wait: float = WAIT
    ) -> float | None:
        """The left gateway pings the right one."""
        there = outer(self.right.plan.number, version)
        return await self.gateway(self.left).ping(there, number, size, wait)

    def pings_on_wire(self) -> list[bytes]:
        """What was seen behind IP headers, of pings and replies."""
        packets = [packet for packet in self._packets() if packet.payload.name == "ESP"]
        return [bytes(packet.payload) for packet in packets]


@asynccontextmanager
async def ping_lab(**changed: Any) -> AsyncIterator[PingLab]:
    """A running lab, both gateways ready."""
    lab = PingLab(**changed)
    await lab.start()
    try:
        await lab.ready()
        yield lab
    finally:
        await lab.stop()
