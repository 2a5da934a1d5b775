"""gateway.seal.1400 and gateway.open.1400: pass 1, engine, pass 2, in memory and on one core.

256 flows over 256 SAs with a key each. ESP that comes in was sealed with the bare AEAD.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
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
    from p4esp.engine import Engine
    from p4esp.switch.device import Device

SIZE = 1400
ROUNDS = 8
FLOWS_ROUNDS = 6
AEAD = "AES-GCM-16-256"
UNIT = "packets/s"
SALT = b"salt"
PROTO_IPV4 = 4


@dataclass(frozen=True, slots=True)
class Gateway:
    """A switch and the engine on its crypto port."""

    device: Device
    engine: Engine

    def carry(self, port: int, frames: list[bytes]) -> Iterator[bytes]:
        """Both passes for each frame; what leaves the gateway in the end."""
        process, crypt = self.device.process, self.engine.process
        for frame in frames:
            ((_, request),) = process(port, frame)
            reply = crypt(request)
            assert reply is not None, "a request is always answered"
            ((_, packet),) = process(top.CRYPTO_PORT, reply)
            yield packet

    def rate(self, port: int, frames: list[bytes]) -> float:
        """Packets/s. They are let go at once: to keep them all would measure the memory."""
        return cpu_rate(len(frames), partial(deque, self.carry(port, frames), maxlen=0))


def measure_seal(session: Session) -> Iterator[Row]:
    """From the clear packet to the ESP packet."""
    session.step("gateway.seal.1400")
    gateway = outbound_and_inbound(session)
    frames = list(traffic(Pass.OUTBOUND_1, SIZE).frames) * FLOWS_ROUNDS
    (best,) = best_rates([partial(gateway.rate, top.PROTECTED_PORT, frames)], ROUNDS)
    yield Row("gateway.seal.1400", best, UNIT)


def measure_open(session: Session) -> Iterator[Row]:
    """From the ESP packet to the clear packet."""
    session.step("gateway.open.1400")
    gateway, numbers = outbound_and_inbound(session), count(1)

    def measure_round() -> float:
        rounds = (esp_frames(next(numbers)) for _ in range(FLOWS_ROUNDS))
        frames = [frame for frames in rounds for frame in frames]
        return gateway.rate(top.UNPROTECTED_PORT, frames)

    (best,) = best_rates([measure_round], ROUNDS)
    yield Row("gateway.open.1400", best, UNIT)


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


def outbound_and_inbound(session: Session) -> Gateway:
    """256 SAs both ways, with an engine that has all their keys."""
    from bench.device import gateway_device
    from p4esp.engine import Direction, Engine, KeySpec

    engine = Engine()

    def install(direction: Direction, sa: int) -> int:
        return engine.install(KeySpec(direction, AEAD, key_of(sa), SALT, top.GENERATION, sa))

    device = gateway_device(
        session, top.FLOWS, partial(install, Direction.SEAL), partial(install, Direction.OPEN)
    )
    return Gateway(device, engine)


BENCHMARKS = (
    Benchmark("gateway.seal.1400", UNIT, "pass 1, engine, pass 2 in memory", measure_seal),
    Benchmark("gateway.open.1400", UNIT, "the same for ESP that comes in", measure_open),
)
