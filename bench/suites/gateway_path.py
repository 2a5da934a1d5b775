"""gateway.seal.1400 and gateway.open.1400: pass 1, engine, pass 2, in memory and on one core.

256 flows over 256 SAs with a key each. ESP that comes in was sealed with the bare AEAD. Switch and
engine are wired as the product wires them (`attach_engine`); packets enter as bursts, as from a
port on which several wait, and in the rows `.single` one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from itertools import count
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bench import topology as top
from bench.packets import OUTER_LEN, Pass, esp_frame, opened_frame, traffic
from bench.registry import Benchmark
from bench.row import Row
from bench.session import Session
from bench.timing import best_rates, cpu_rate

if TYPE_CHECKING:
    from p4esp.switch.device import Device

SIZE = 1400
ROUNDS = 8
FLOWS_ROUNDS = 4
BURST = 32
AEAD = "AES-GCM-16-256"
UNIT = "packets/s"
SALT = b"salt"
PROTO_IPV4 = 4


@dataclass(slots=True)
class Gateway:
    """A switch with an engine on its crypto port; `left` is the last burst that went out."""

    device: Device
    left: list[bytes] = field(default_factory=list)

    def carry(self, port: int, frames: Sequence[bytes], burst: int = BURST) -> int:
        """Sends all frames through; how many went out (to keep them would measure the memory)."""
        inject_burst, count = self.device.inject_burst, 0
        for start in range(0, len(frames), burst):
            self.left = []
            inject_burst(port, frames[start : start + burst])
            count += len(self.left)
        return count

    def take(self, frames: list[bytes]) -> None:
        """The sink of the ports."""
        self.left = frames


def measure_seal(session: Session) -> Iterator[Row]:
    """From the clear packet to the ESP packet."""
    session.step("gateway.seal.1400")
    frames = list(traffic(Pass.OUTBOUND_1, SIZE).frames) * FLOWS_ROUNDS
    yield from _rows(
        "gateway.seal.1400", gateway_and_engine(session), top.PROTECTED_PORT, lambda: frames
    )


def measure_open(session: Session) -> Iterator[Row]:
    """From the ESP packet to the clear packet."""
    session.step("gateway.open.1400")
    numbers = count(1)

    def fresh_frames() -> list[bytes]:
        rounds = (esp_frames(next(numbers)) for _ in range(FLOWS_ROUNDS))
        return [frame for frames in rounds for frame in frames]

    yield from _rows(
        "gateway.open.1400", gateway_and_engine(session), top.UNPROTECTED_PORT, fresh_frames
    )


def _rows(
    name: str, gateway: Gateway, port: int, make_frames: Callable[[], Sequence[bytes]]
) -> Iterator[Row]:
    """In bursts, and one by one: alternating between the stages costs a third."""

    def measure_round(burst: int) -> float:
        frames = make_frames()
        return cpu_rate(len(frames), partial(gateway.carry, port, frames, burst))

    check_all_leave(gateway, port, make_frames())
    bursts, single = best_rates([partial(measure_round, size) for size in (BURST, 1)], ROUNDS)
    yield Row(name, bursts, UNIT, note=f"bursts of {BURST}")
    yield Row(f"{name}.single", single, UNIT, note="one packet at a time")


def check_all_leave(gateway: Gateway, port: int, frames: Sequence[bytes]) -> None:
    """Raises `WrongWayError` unless every packet comes out: drops are quicker than the work."""
    from bench.device import WrongWayError

    count = gateway.carry(port, frames)
    if count != len(frames):
        raise WrongWayError(f"{count} of {len(frames)} packets left the gateway")


def key_of(sa: int) -> bytes:
    """The key of an SA; a different one each, as the engine's IV guard goes by key."""
    return sha256(sa.to_bytes(4, "big")).digest()


def esp_frames(seq: int) -> list[bytes]:
    """One ESP packet (with ESN) on each SA, sealed here with the bare AEAD."""
    frames = []
    for sa in range(top.FLOWS):
        headers, rest = _split(esp_frame(sa, sa, SIZE, seq))
        inner = opened_frame(sa, sa, SIZE)[-SIZE:]
        iv, aad = seq.to_bytes(8, "big"), top.spi(sa).to_bytes(4, "big") + seq.to_bytes(8, "big")
        pad = rest - SIZE - 2 - top.ICV_LEN
        plain = inner + bytes(range(1, pad + 1)) + bytes([pad, PROTO_IPV4])
        frames.append(headers + AESGCM(key_of(sa)).encrypt(SALT + iv, plain, aad))
    return frames


def _split(frame: bytes) -> tuple[bytes, int]:
    """Headers up to the IV, and the length of what is behind them."""
    at = 14 + OUTER_LEN
    return frame[:at], len(frame) - at


def gateway_and_engine(session: Session) -> Gateway:
    """256 SAs both ways, with an engine that has all their keys."""
    from bench.device import gateway_device
    from p4esp.engine import Direction, Engine, KeySpec
    from p4esp.engine.attach import attach_engine

    engine = Engine()

    def install(direction: Direction, sa: int) -> int:
        return engine.install(KeySpec(direction, AEAD, key_of(sa), SALT, top.GENERATION, sa))

    device = gateway_device(
        session, top.FLOWS, partial(install, Direction.SEAL), partial(install, Direction.OPEN)
    )
    attach_engine(device, top.CRYPTO_PORT, engine.process)
    gateway = Gateway(device)
    for port in (top.PROTECTED_PORT, top.UNPROTECTED_PORT):
        device.attach_burst(port, gateway.take)
    return gateway


BENCHMARKS = (
    Benchmark(
        "gateway.seal.1400",
        UNIT,
        "pass 1, engine, pass 2, in memory",
        measure_seal,
    ),
    Benchmark("gateway.open.1400", UNIT, "the same for ESP that comes in", measure_open),
)
