"""Attachments: a switch in this process, and a transport that fails and comes back."""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest

from p4esp.engine import Direction, Engine, KeySpec
from p4esp.engine.attach import Answer, Attachment, Backoff, attach_engine
from p4esp.engine.check.requests import seal_request
from p4esp.engine.errors import AttachmentError
from p4esp.engine.linux_port import LinuxPort, linux_port

SPEC = KeySpec(Direction.SEAL, "AES-GCM-16-128", bytes(16), b"salt")


class FakeDevice:
    def __init__(self) -> None:
        self.sinks: dict[int, Callable[[list[bytes]], None]] = {}
        self.injected: list[tuple[int, list[bytes]]] = []

    def attach_burst(self, port: int, sink: Callable[[list[bytes]], None]) -> None:
        self.sinks[port] = sink

    def inject_burst(self, port: int, packets: Sequence[bytes]) -> None:
        self.injected.append((port, list(packets)))


def test_engine_on_a_device_answers_on_the_same_port_and_only_requests() -> None:
    device, engine = FakeDevice(), Engine()
    attach_engine(device, 509, engine.process)
    request = seal_request(engine.install(SPEC), 1, b"payload").encode()
    device.sinks[509]([request])
    ((port, (reply,)),) = device.injected
    assert (port, reply[14], reply[16]) == (509, 0x81, 0)
    device.sinks[509]([reply])
    assert len(device.injected) == 1


def test_replies_to_a_burst_go_back_as_one_burst_in_the_order_of_the_requests() -> None:
    device, engine = FakeDevice(), Engine()
    attach_engine(device, 509, engine.process)
    handle = engine.install(SPEC)
    requests = [seal_request(handle, seq, b"payload").encode() for seq in (1, 2, 3)]
    device.sinks[509]([requests[0], b"not a request", *requests[1:]])
    ((_, replies),) = device.injected
    assert [reply[22:30] for reply in replies] == [request[22:30] for request in requests]


def test_pauses_double_up_to_the_limit() -> None:
    backoff = Backoff(first=0.1, limit=1)
    assert [backoff.after(n) for n in (1, 2, 3, 4, 5, 1000)] == [0.1, 0.2, 0.4, 0.8, 1, 1]


class Script:
    """Connections that fail or serve one frame, as told; pauses are recorded, not slept."""

    def __init__(self, *steps: bytes | None) -> None:
        self.steps, self.pauses, self.replies = list(steps), [], []

    @asynccontextmanager
    async def connect(self) -> AsyncIterator["Script"]:
        if not self.steps:
            raise asyncio.CancelledError
        if self.steps[0] is None:
            self.steps.pop(0)
            raise AttachmentError("no switch there")
        yield self

    async def serve(self, answer: Answer) -> None:
        self.replies.append(answer(self.steps.pop(0)))
        raise AttachmentError("switch went away")

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)


async def test_switch_that_goes_away_is_reached_again_with_the_same_keys() -> None:
    engine = Engine()
    handle = engine.install(SPEC)
    frames = [seal_request(handle, seq, b"payload").encode() for seq in (1, 2)]
    script = Script(None, None, frames[0], None, frames[1])
    link = Attachment("test", script.connect, engine.process, Backoff(1, 8), script.sleep)
    assert link.state() == (False, "test: not connected yet")
    with pytest.raises(asyncio.CancelledError):
        await link.run()
    assert [reply[16] for reply in script.replies] == [0, 0]
    assert script.pauses == [1, 2, 1, 2, 1]
    assert link.state() == (False, "test: switch went away")


async def test_attached_engine_reports_ready() -> None:
    states = []
    script = Script(b"")
    link = Attachment("port 509", script.connect, lambda _: states.append(link.state()))
    link._sleep = script.sleep
    with pytest.raises(asyncio.CancelledError):
        await link.run()
    assert states == [(True, "port 509")]


async def test_linux_port_answers_frames_of_its_socket() -> None:
    engine = Engine()
    request = seal_request(engine.install(SPEC), 1, b"payload").encode()
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    near.setblocking(False)
    with near, far:
        port = LinuxPort(PacketSocket(near))
        task = asyncio.create_task(port.serve(engine.process))
        far.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(far, request)
        reply = await asyncio.wait_for(loop.sock_recv(far, 4096), 5)
        assert (reply[14], reply[16]) == (0x81, 0)
        task.cancel()


async def test_a_reply_too_long_for_the_interface_is_lost_and_the_next_one_is_not() -> None:
    engine = Engine()
    handle = engine.install(SPEC)
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    near.setblocking(False)
    with near, far:
        narrow = PacketSocket(near)
        narrow.send = sends_at_most(200, near)
        port = LinuxPort(narrow)
        task = asyncio.create_task(port.serve(engine.process))
        far.setblocking(False)
        loop = asyncio.get_running_loop()
        for seq, payload in ((1, bytes(200)), (2, b"short")):
            await loop.sock_sendall(far, seal_request(handle, seq, payload).encode())
        reply = await asyncio.wait_for(loop.sock_recv(far, 4096), 5)
        assert int.from_bytes(reply[22:30]) == 2
        assert port.lost == 1
        task.cancel()


def sends_at_most(mtu: int, inner: socket.socket) -> Callable[[bytes], int]:
    """What an interface does with a frame that is longer than it carries."""

    def send(frame: bytes) -> int:
        if len(frame) > mtu:
            raise OSError(errno.EMSGSIZE, "Message too long")
        return inner.send(frame)

    return send


class PacketSocket:
    """A datagram socket that reports addresses as AF_PACKET does."""

    def __init__(self, inner: socket.socket) -> None:
        self._inner = inner
        self.fileno, self.send = inner.fileno, inner.send

    def recvfrom(self, size: int) -> tuple[bytes, tuple[str, int, int]]:
        return self._inner.recv(size), ("x", 0x88B5, socket.PACKET_HOST)


async def test_missing_interface_or_right_is_an_attachment_error() -> None:
    with pytest.raises((AttachmentError, PermissionError)):
        async with linux_port("no-such-if0"):
            pass
