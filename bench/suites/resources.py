"""resources.*: eight flows over one SA, and over eight that IKE has made for a resource each.

Two gateways of the demonstration lab agree (RFC 9611); then packets of the flows go through the
left one: pass 1, engine, pass 2, in memory and on one core. What matters where there are several
cores is that no counter of one flow is another's: that is read from the switch's registers.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from bench.registry import Benchmark
from bench.row import Row
from bench.session import Session
from bench.timing import cpu_rate

if TYPE_CHECKING:
    from p4esp.demo.lab import Lab
    from p4esp.demo.site import Site

FLOWS = 8
BUCKETS = 256
SIZE = 1372
PER_FLOW = 32
ROUNDS = 6
SECONDS = 60
PLAIN: dict[str, Any] = {}
EAGER: dict[str, Any] = {"per_resource": "eager", "parallel": FLOWS}


@dataclass(frozen=True, slots=True)
class Figures:
    """What eight flows have used, and at which rate they were sealed (packets/s)."""

    counters: int
    rate: float


def measure(session: Session) -> Iterator[Row]:
    """One after the other: the gateways' IKE takes part in neither."""
    session.step("resources (two pairs of gateways)")
    one, several = (asyncio.run(_figures(session, keys)) for keys in (PLAIN, EAGER))
    note = f"sequence counters that {FLOWS} flows move"
    yield Row("resources.counters", several.counters, "counters", "one SA", one.counters, note)
    yield Row("resources.seal", several.rate, "packets/s", "one SA", one.rate)


async def _figures(session: Session, keys: dict[str, Any]) -> Figures:
    lab = _lab(session, keys)
    await lab.start()
    try:
        async with asyncio.timeout(SECONDS):
            await lab.tunnel_up()
            while len(lab.gateway(lab.left).sas.live) < 1 + keys.get("parallel", 0):
                await asyncio.sleep(0.01)
        return _sealed(lab)
    finally:
        await lab.stop()


def _lab(session: Session, keys: dict[str, Any]) -> Lab:
    from p4esp.controller.config import parse_config
    from p4esp.controller.program import Program
    from p4esp.demo.lab import Lab
    from p4esp.demo.plan import Change, gateway_section

    class SharedLab(Lab):
        """A lab whose child has such keys at both ends."""

        def config(self) -> Any:
            sections = {}
            for site in self.sites:
                section = gateway_section(site.plan, site.address, self.change)
                section["peers"][0]["children"][0] |= keys
                sections[site.plan.name] = section
            return parse_config({"gateways": sections}, "benchmark")

    return SharedLab(Program(session.p4info, session.program), Change())


def _sealed(lab: Lab) -> Figures:
    """The controller has no turn meanwhile."""
    from p4esp.demo.plan import INSIDE, OUTSIDE

    left: list[bytes] = []
    device, frames = lab.left.device, _frames(lab.left, lab.right)
    device.attach_burst(OUTSIDE, left.extend)
    before = _counters(lab)
    action = partial(device.inject_burst, INSIDE, frames)
    rate = max(cpu_rate(len(frames), action) for _ in range(ROUNDS))
    if len(left) != ROUNDS * len(frames):
        raise RuntimeError(f"{len(left)} of {ROUNDS * len(frames)} packets left the gateway")
    return Figures(sum(a != b for a, b in zip(before, _counters(lab), strict=True)), rate)


def _counters(lab: Lab) -> list[int]:
    sequence = lab.left.device.register_array("sequence")
    places = [live.record.placement for live in lab.gateway(lab.left).sas.live.values()]
    return [sequence.read(place.space_out) for place in places]


def _frames(source: Site, target: Site) -> list[bytes]:
    """Packets of eight flows in turn, each of which falls to another resource."""
    from p4esp.controller.packets import ETHERTYPE_IPV4, Ethernet, Udp
    from p4esp.demo.plan import INSIDE

    plan, frames = source.plan, []
    for port in _ports(plan.host.packed + target.plan.host.packed):
        packet = Udp(port, 9, bytes(SIZE)).over(plan.host, target.plan.host).build()
        frames.append(Ethernet(plan.mac(INSIDE), plan.host_mac, ETHERTYPE_IPV4, packet).build())
    return frames * PER_FLOW


def _ports(ends: bytes) -> list[int]:
    """A source port for each resource: the pipeline's bucket is the CRC-32 of the five fields."""
    found: dict[int, int] = {}
    for port in range(2000, 9000):
        fields = ends + b"\x11" + port.to_bytes(2, "big") + (9).to_bytes(2, "big")
        found.setdefault(zlib.crc32(fields) % BUCKETS % FLOWS, port)
    return list(found.values())


BENCHMARKS = (
    Benchmark(
        "resources.counters",
        "counters",
        "eight flows over an SA each and over one",
        measure,
    ),
)
