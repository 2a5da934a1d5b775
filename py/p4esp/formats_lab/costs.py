"""What formats cost, measured on the running gateways: the figures of `p4esp formats compare`.

- Overhead: the octets that leave on the wire, less those of the inner packet.
- Octets moved in the pipeline: what its parser takes out of a frame and what its deparser writes
  in front of the rest, over the two passes. What it leaves where it is does not count.
- Octets moved in the engine: the text it reads and what it writes from there to the end.
- Parser states, tables: how many different ones the packets meet, with a key, out and in.
- Parser depth: the most states that one pass goes through.
- Header bits: the most that are alive at once, taken out of the frame or written in front of it.
- Registers: the cells of the SA's spaces in both directions.
- Rates: packets a second of one core's time, in bursts of 32, through pipeline and engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256, sha512
from pathlib import Path
from time import thread_time
from typing import Any

from p4esp.controller.numbers import Spread
from p4esp.engine.descriptor import CryptoFrame
from p4esp.formats_lab.gateways import ETHERNET, Gateway, Pair, site_frame, udp_packet
from p4esp.formats_lab.sas import CELLS, LabSa
from p4esp.ipsec.formats import FORMATS
from p4esp.ipsec.formats.describing import SAMPLES
from p4esp.switch.trace import End, Event, Extracted, ParserState, Recorder, Start, TableApplied

MEASURED = 512
"""Octets of the inner packets for all else."""
FLOWS = 256
ROUNDS = 16
SPI_STEP = 16
SENDER = {"sequence": 1}
RECEIVER = {"window_top": 1, "window_cell": CELLS}
"""Cells of each register that a sequence space has; without numbers there is no window."""
Step = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Moved:
    """Octets moved for one packet, one way."""

    pipeline: int
    engine: int


@dataclass(frozen=True, slots=True)
class Cost:
    """All figures of one format."""

    format: str
    overhead: dict[int, int]
    """By octets of the inner packet, in a tunnel over IPv4."""
    encap: Moved
    decap: Moved
    parser_states: int
    parser_depth: int
    header_bits: int
    tables: int
    spaces: int
    register_cells: int
    register_bits: int
    tail: str
    packets_out: float
    packets_in: float

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self)


def lab_sas() -> list[LabSa]:
    """An SA of each format with a key and SPIs of its own."""
    return [_lab_sa(number) for number in range(len(FORMATS))]


def _lab_sa(number: int) -> LabSa:
    form = FORMATS[number]
    sa = LabSa(
        form,
        number,
        key=sha256(form.name.encode()).digest()[:16],
        spi=0x1000 + SPI_STEP * number,
        parameters=form.usual,
        spread=Spread.FLOW,
    )
    if sa.has_masters:
        return replace(sa, key=sha512(form.name.encode()).digest())
    if sa.compresses:
        return replace(sa, parameters=replace(sa.parameters, spi=sa.spi))
    return replace(sa, key=sha256(form.name.encode()).digest()) if sa.key_each else sa


def compare(program: Path, step: Step = lambda _: None) -> list[Cost]:
    """Measure all formats in one run, on the same two gateways."""
    sas = lab_sas()
    step("loading the program into two gateways")
    pair = Pair(program, sas)
    rates = _rates(pair, sas, step)
    step("counting octets, states and tables")
    return [_cost(pair, sa, rate) for sa, rate in zip(sas, rates, strict=True)]


def _cost(pair: Pair, sa: LabSa, rate: tuple[float, float]) -> Cost:
    overhead = {payload: _overhead(pair, sa, payload) for payload in SAMPLES}
    (frame,) = frames = [site_frame(udp_packet(sa, 0, MEASURED))]
    out = _watched(pair.sealing, lambda: pair.seal(frames))
    wire = pair.seal([frame])
    into = _watched(pair.opening, lambda: pair.open(wire))
    seen = [*out.events, *into.events]
    per_space = SENDER | RECEIVER if sa.parameters.numbered else SENDER
    cells = {array: sa.subs * count for array, count in per_space.items()}
    registers = {array: pair.sealing.device.register_array(array) for array in cells}
    return Cost(
        format=sa.form.name,
        overhead=overhead,
        encap=Moved(out.pipeline, out.engine),
        decap=Moved(into.pipeline, into.engine),
        parser_states=len({event.name for event in seen if isinstance(event, ParserState)}),
        parser_depth=max(map(_depth, (*_passes(out.events), *_passes(into.events)))),
        header_bits=max(map(_header_bits, (*_passes(out.events), *_passes(into.events)))),
        tables=len({e.table for e in seen if isinstance(e, TableApplied) and e.keys}),
        spaces=sa.subs,
        register_cells=sum(cells.values()),
        register_bits=sum(cells[array] * registers[array].width for array in cells),
        tail=sa.form.tail_use.value,
        packets_out=rate[0],
        packets_in=rate[1],
    )


def _overhead(pair: Pair, sa: LabSa, payload: int) -> int:
    (frame,) = pair.seal([site_frame(udp_packet(sa, 0, payload))])
    return len(frame) - ETHERNET - payload


@dataclass(frozen=True, slots=True)
class Watched:
    """What one packet did in a gateway; `engine` octets were moved there."""

    events: tuple[Event, ...]
    engine: int

    @property
    def pipeline(self) -> int:
        """Octets that parser and deparser moved."""
        return sum(_moved_in(events) for events in _passes(self.events))


def _watched(gateway: Gateway, send: Callable[[], object]) -> Watched:
    """Send a packet through a variant of the program that reports each step."""
    recorder, octets = Recorder(gateway.device), list[int]()
    with gateway.watched(recorder, lambda *frames: octets.extend(map(_text_octets, frames))):
        send()
    return Watched(tuple(recorder.events), sum(octets))


def _text_octets(frame: bytes | None) -> int:
    if frame is None:
        return 0
    crypto = CryptoFrame.decode(frame)
    return len(crypto.packet) - crypto.descriptor.ct_off


def _passes(events: Sequence[Event]) -> Iterator[Sequence[Event]]:
    """The events of each time that the packet went through the switch."""
    starts = [at for at, event in enumerate(events) if isinstance(event, Start)]
    for at, end in zip(starts, [*starts[1:], len(events)], strict=True):
        yield events[at:end]


def _moved_in(events: Sequence[Event]) -> int:
    """Octets parsed, and octets written in front of what was not: of a packet that comes again as
    it is, none.
    """
    return sum(_front(events))


def _front(events: Sequence[Event]) -> tuple[int, int]:
    """Octets parsed in one pass, and octets written in front of what was not."""
    size = next(event.size for event in events if isinstance(event, Start))
    left = next((event.size or 0 for event in events if isinstance(event, End)), None)
    parsed = max(e.offset + e.octets for e in events if isinstance(e, Extracted))
    return parsed, 0 if left is None else left - (size - parsed)


def _header_bits(events: Sequence[Event]) -> int:
    return 8 * max(_front(events))


def _depth(events: Sequence[Event]) -> int:
    return sum(isinstance(event, ParserState) for event in events)


def _rates(pair: Pair, sas: Sequence[LabSa], step: Step) -> list[tuple[float, float]]:
    """Best of several short rounds for each way; all formats take turns, so that what disturbs
    this machine disturbs them alike.
    """
    frames = [_frames(sa) for sa in sas]
    best = [(0.0, 0.0)] * len(sas)
    for number in range(ROUNDS):
        step(f"packets a second, round {number + 1} of {ROUNDS}")
        for place, outgoing in enumerate(frames):
            now = _both_ways(pair, outgoing)
            best[place] = (max(best[place][0], now[0]), max(best[place][1], now[1]))
    return best


def _frames(sa: LabSa) -> list[bytes]:
    return [site_frame(udp_packet(sa, flow, MEASURED)) for flow in range(FLOWS)]


def _both_ways(pair: Pair, outgoing: Sequence[bytes]) -> tuple[float, float]:
    """Packets a second out, and of the same packets in."""
    start = thread_time()
    wire = pair.seal(outgoing)
    between = thread_time()
    pair.open(wire)
    return len(outgoing) / (between - start), len(outgoing) / (thread_time() - between)
