"""switch.outbound.* and switch.inbound.*: packets/s of each pass through the pipeline.

256 flows over 256 SAs. In memory the packets go through `Device.process`; over veth the same
sender drives our switch and bmv2, and what comes out is counted by the interfaces.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import count
from typing import TYPE_CHECKING

from bench import topology as top
from bench.packets import Pass, Traffic, traffic
from bench.registry import Benchmark
from bench.row import Row, compared, missing
from bench.session import MissingError, Session
from bench.targets import absent_peer
from bench.timing import Round, best_rates, cpu_rate

if TYPE_CHECKING:
    from p4esp.switch.device import Device

SIZES = (64, 512, 1400)
UNIT = "packets/s"
ROUNDS = 4
FLOWS_ROUNDS = 12
"""How often a timed round goes over all flows."""

PASSES = {
    "outbound": (Pass.OUTBOUND_1, Pass.OUTBOUND_2),
    "inbound": (Pass.INBOUND_1, Pass.INBOUND_2),
}


def measure(session: Session, direction: str, size: int) -> Iterator[Row]:
    """Both passes in memory, first together (one core does both), then each; then over veth."""
    name = f"switch.{direction}.{size}"
    session.step(f"{name} in memory")
    rates = in_memory(session, PASSES[direction], size)
    yield Row(name, 1 / sum(1 / value for value in rates), UNIT)
    for number, value in enumerate(rates, 1):
        yield Row(f"{name}.pass{number}", value, UNIT)
    for number, which in enumerate(PASSES[direction], 1):
        yield over_veth(session, f"{name}.pass{number}.veth", which, size)


def in_memory(session: Session, passes: tuple[Pass, ...], size: int) -> list[float]:
    """The best rate of each pass."""
    from bench.device import gateway_device

    device = gateway_device(session, top.FLOWS)
    return best_rates([pass_round(device, traffic(which, size)) for which in passes], ROUNDS)


def pass_round(device: Device, packets: Traffic) -> Round:
    """A round over fresh packets; checks first that they take the way they should."""
    from bench.device import check_way

    check_way(device, packets)
    numbers = count(1)

    def measure_round() -> float:
        frames = [frame for _ in range(FLOWS_ROUNDS) for frame in packets.round(next(numbers))]
        return cpu_rate(len(frames), partial(_process_all, device, packets.port, frames))

    return measure_round


def _process_all(device: Device, port: int, frames: list[bytes]) -> None:
    process = device.process
    for frame in frames:
        process(port, frame)


def over_veth(session: Session, name: str, which: Pass, size: int) -> Row:
    """Our switch and bmv2 over veth, one after the other."""
    from bench.bed import veth_bed

    try:
        bed = session.share(veth_bed)
    except MissingError as error:
        return missing(name, UNIT, str(error))
    rates = {}
    for lane in bed.lanes:
        session.step(f"{name} ({lane.name})")
        rates[lane.name] = lane.highest_rate(bed.sender, which, size)
    return compared(name, UNIT, rates, absent_peer(session))


BENCHMARKS = tuple(
    Benchmark(
        f"switch.{direction}.{size}",
        UNIT,
        f"{direction} passes, inner packets of {size} octets, in memory and over veth",
        partial(measure, direction=direction, size=size),
    )
    for direction in PASSES
    for size in SIZES
)
