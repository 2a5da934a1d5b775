"""engine.seal.1400: the engine's seal requests/s beside bare calls of the same AEAD."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count

from bench import topology as top
from bench.packets import DESCRIPTOR, ESN, OUTER_LEN, TRAILER, clear_frame
from bench.registry import Benchmark
from bench.row import Row
from bench.session import Session
from bench.timing import Round, best_rates, cpu_rate

SIZE = 1400
CALLS = 4000
ROUNDS = 7
KEY = bytes(range(32))
SALT = b"salt"
AEAD = "AES-GCM-16-256"
SEAL, REQUEST = 0x01, 0xFF


def measure(session: Session) -> Iterator[Row]:
    """One handle, requests with rising sequence numbers; the peer gets ready-made arguments."""
    session.step("engine.seal.1400")
    ours, bare = best_rates([_engine_round(), _bare_round()], ROUNDS)
    yield Row("engine.seal.1400", ours, "packets/s", "bare AESGCM", bare)


def _engine_round() -> Round:
    from p4esp.engine import Direction, Engine, KeySpec

    engine, numbers = Engine(), count(1)
    handle = engine.install(KeySpec(Direction.SEAL, AEAD, KEY, SALT, top.GENERATION))
    if (reply := engine.process(seal_request(handle, next(numbers)))) is None or reply[16]:
        raise RuntimeError(f"the engine refuses: {reply!r:.120}")

    def measure_round() -> float:
        frames = [seal_request(handle, next(numbers)) for _ in range(CALLS)]
        return cpu_rate(CALLS, partial(_call_all, engine.process, frames))

    return measure_round


def _call_all(process: Callable[[bytes], bytes | None], frames: list[bytes]) -> None:
    for frame in frames:
        process(frame)


def _bare_round() -> Round:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    cipher, plain, aad = AESGCM(KEY), bytes(SIZE + 2), bytes(12)
    nonces = [SALT + number.to_bytes(8, "big") for number in range(CALLS)]

    def encrypt_all() -> None:
        encrypt = cipher.encrypt
        for nonce in nonces:
            encrypt(nonce, plain, aad)

    return lambda: cpu_rate(CALLS, encrypt_all)


def seal_request(handle: int, seq: int) -> bytes:
    """A SEAL request as the pipeline makes it."""
    inner = clear_frame(0, 0, SIZE)[14:]
    descriptor = DESCRIPTOR.pack(
        *(SEAL, TRAILER | ESN, REQUEST, 4, handle, seq, top.GENERATION, 0),
        *(20, 8, top.IV_LEN, OUTER_LEN, SIZE, top.ICV_LEN, top.ALIGN),
    )
    esp = struct.pack("!IIQ", top.spi(0), seq & 0xFFFF_FFFF, seq)
    return bytes(12) + b"\x88\xb5" + descriptor + bytes(20) + esp + inner


BENCHMARKS = (
    Benchmark("engine.seal.1400", "packets/s", "the engine alone, AES-GCM-16-256", measure),
)
