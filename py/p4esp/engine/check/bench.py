"""What the conformance cases work with: keys in, requests out, replies judged."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from p4esp.engine.check.judge import sealed_reply
from p4esp.engine.check.probe import Probe
from p4esp.engine.check.requests import GCM, seal_request
from p4esp.engine.check.vectors import Vector
from p4esp.engine.descriptor import CryptoFrame, DescriptorError, Status
from p4esp.engine.keyservice import KeyService
from p4esp.engine.keystore import Direction, KeySpec
from p4esp.engine.transforms import lookup


class CheckError(AssertionError):
    """The engine under test did something else than docs/crypto-port.md says."""


class Bench:
    """One engine under test. Fresh keys come from ``random_bytes``, so a rerun is no repeat."""

    def __init__(
        self, keys: KeyService, probe: Probe, random_bytes: Callable[[int], bytes]
    ) -> None:
        self.keys, self._probe, self.random_bytes = keys, probe, random_bytes
        self._installed: list[int] = []

    async def install(self, spec: KeySpec) -> int:
        """Install a key that ``clean`` removes."""
        handle = await self.keys.install(spec)
        self._installed.append(handle)
        return handle

    async def remove(self, handle: int) -> None:
        """Remove a key that ``install`` gave."""
        self._installed.remove(handle)
        await self.keys.remove(handle)

    async def clean(self) -> None:
        """Remove every key of ours that is still installed."""
        while self._installed:
            await self.keys.remove(self._installed.pop())

    async def fresh(
        self, direction: Direction = Direction.SEAL, generation: int = 0, transform: str = GCM
    ) -> tuple[int, KeySpec]:
        """Install a random key; returns (handle, key)."""
        sizes = lookup(transform)
        lengths = (sizes.key_len, sizes.salt_len, sizes.integrity_len)
        key, salt, integrity = map(self.random_bytes, lengths)
        spec = KeySpec(direction, transform, key, salt, generation, integrity_key=integrity)
        return await self.install(spec), spec

    async def for_vector(self, vector: Vector, direction: Direction) -> int:
        """Install a vector's key."""
        return await self.install(vector.key_spec(direction))

    async def replies(self, requests: Sequence[CryptoFrame]) -> list[CryptoFrame]:
        """Send requests; their replies in the order of the requests, found by key and seq."""
        raw = await self._probe.exchange([r.encode() for r in requests], len(requests))
        if len(raw) != len(requests):
            raise CheckError(f"{len(requests)} requests got {len(raw)} replies")
        return _in_order(requests, list(map(_decode, raw)))

    async def reply(self, request: CryptoFrame) -> CryptoFrame:
        """Send one request and return its reply."""
        (reply,) = await self.replies([request])
        return reply

    async def silence(self, frames: Sequence[bytes]) -> None:
        """Send frames none of which may be answered."""
        if raw := await self._probe.exchange(frames, 0):
            raise CheckError(
                f"{len(raw)} of {len(frames)} frames that are no request were answered"
            )

    async def expect(self, request: CryptoFrame, status: Status) -> CryptoFrame:
        """Send a request that must fail with ``status``, in an error reply as specified."""
        reply = await self.reply(request)
        _same(Status(reply.descriptor.status).name, status.name, "status")
        _same(reply.descriptor, request.descriptor.reply(status), "descriptor of the error reply")
        with_header = status is not Status.BAD_DESCRIPTOR
        shown = request.packet[: request.descriptor.ct_off] if with_header else b""
        # Ethernet pads short frames: zeros behind the reply are no fault.
        if reply.packet[: len(shown)] != shown or any(reply.packet[len(shown) :]):
            raise CheckError(f"error reply {status.name} carries {reply.packet.hex() or 'nothing'}")
        return reply

    async def sealed(self, handle: int, spec: KeySpec, seq: int, payload: bytes) -> None:
        """Seal and compare with what the judge computes."""
        request = seal_request(handle, seq, payload, transform=spec.transform, nh=4)
        await self.answered(request, spec)

    async def answered(self, request: CryptoFrame, spec: KeySpec) -> CryptoFrame:
        """Send a seal request and compare the reply with what the judge computes."""
        reply = await self.reply(request)
        asked = request.descriptor
        written = not lookup(spec.transform).guarded
        iv = reply.packet[asked.ct_off - asked.iv_len : asked.ct_off] if written else b""
        same_frame(reply, sealed_reply(request, spec, iv))
        return reply


def same_frame(reply: CryptoFrame, expected: CryptoFrame) -> None:
    """Compare a reply with the expected one, part by part; Ethernet padding is allowed."""
    _same(reply.ethernet, expected.ethernet, "Ethernet header")
    _same(reply.descriptor, expected.descriptor, "descriptor")
    body, tail = reply.packet[: len(expected.packet)], reply.packet[len(expected.packet) :]
    _same(body.hex(), expected.packet.hex(), "packet")
    if any(tail):
        raise CheckError(f"{len(tail)} bytes follow the packet: {tail.hex()}")


def _same(got: object, expected: object, what: str) -> None:
    if got != expected:
        raise CheckError(f"{what} is {got}, expected {expected}")


def _decode(raw: bytes) -> CryptoFrame:
    try:
        return CryptoFrame.decode(raw)
    except DescriptorError as error:
        raise CheckError(f"reply is no crypto frame: {error}") from error


def _in_order(requests: Sequence[CryptoFrame], replies: list[CryptoFrame]) -> list[CryptoFrame]:
    ordered = []
    for request in requests:
        asked = (request.descriptor.key, request.descriptor.seq)
        match = next((r for r in replies if (r.descriptor.key, r.descriptor.seq) == asked), None)
        if match is None:
            raise CheckError(f"no reply has key {asked[0]} and seq {asked[1]}")
        replies.remove(match)
        ordered.append(match)
    return ordered
