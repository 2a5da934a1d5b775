"""How the conformance kit reaches an engine's data side."""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, Protocol

import grpc
import grpc.aio

from p4esp.engine.attach import Answer
from p4esp.engine.check.requests import seal_request
from p4esp.engine.descriptor import BASE, ETHERTYPE, CryptoFrame, DescriptorError
from p4esp.engine.errors import AttachmentError
from p4esp.proto.dataplane_interface_pb2 import (
    PacketStreamRequest,
    PacketStreamResponse,
    SetPortOperStatusRequest,
    SetPortOperStatusResponse,
)
from p4esp.switch.ports.dataplane_rpc import add_dataplane_service

#: Seconds to wait for replies that are due, and for replies that must not come.
PATIENCE: Final = 2.0
GRACE: Final = 0.05
CONNECT_SECONDS: Final = 15.0
_MAX_FRAME: Final = 65_600


class Probe(Protocol):
    """A way to hand frames to an engine and to see what it returns."""

    async def exchange(self, frames: Sequence[bytes], expected: int) -> list[bytes]:
        """Send frames; return the replies once ``expected`` of them came, or time is up."""
        ...


class LocalProbe:
    """Reaches an engine in this process by its ``process`` function."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    async def exchange(self, frames: Sequence[bytes], expected: int) -> list[bytes]:
        """Answer every frame (Probe)."""
        del expected
        return [reply for reply in map(self._answer, frames) if reply is not None]


class RemoteProbe:
    """Reaches an engine over a medium that delivers whatever it likes.

    A marker request behind the frames, for handle 0 which no engine issues, shows that the
    engine has seen them. Replies still due get ``PATIENCE``; where none is due, one that must
    not come gets ``GRACE``.
    """

    def __init__(self, send: Callable[[bytes], object]) -> None:
        self._send = send
        self._inbox: asyncio.Queue[bytes] = asyncio.Queue(maxsize=100_000)
        self._markers = itertools.count(1)

    def deliver(self, frame: bytes) -> None:
        """Take a frame from the medium; beyond the limit it is lost."""
        with suppress(asyncio.QueueFull):
            self._inbox.put_nowait(frame)

    async def exchange(self, frames: Sequence[bytes], expected: int) -> list[bytes]:
        """Send frames and collect the replies (Probe)."""
        while not self._inbox.empty():
            self._inbox.get_nowait()
        marker = next(self._markers)
        for frame in (*frames, seal_request(0, marker, b"").encode()):
            self._send(frame)
        return await self._collect(marker, expected)

    async def _collect(self, marker: int, expected: int) -> list[bytes]:
        replies: list[bytes] = []
        marked = False
        while not (marked and expected and len(replies) >= expected):
            due = not marked or len(replies) < expected
            try:
                frame = await asyncio.wait_for(self._inbox.get(), PATIENCE if due else GRACE)
            except TimeoutError:
                break
            if _is_marker(frame, marker):
                marked = True
            else:
                replies.append(frame)
        return replies


def _is_marker(frame: bytes, marker: int) -> bool:
    with suppress(DescriptorError):
        descriptor = CryptoFrame.decode(frame[:BASE]).descriptor
        return (descriptor.key, descriptor.seq) == (0, marker)
    return False


class _SwitchStandIn:
    """The kit in the place of a switch: one crypto port over dp-grpc."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._outgoing: asyncio.Queue[bytes] = asyncio.Queue()
        self.connected = asyncio.Event()
        self.probe = RemoteProbe(self._outgoing.put_nowait)

    async def packet_stream(
        self, requests: AsyncIterator[PacketStreamRequest], context: Any
    ) -> AsyncIterator[PacketStreamResponse]:
        """Serve the engine's stream."""
        await context.send_initial_metadata(())
        reader = asyncio.create_task(self._read(requests))
        self.connected.set()
        try:
            while True:
                packet = await self._outgoing.get()
                yield PacketStreamResponse(device_id=1, port=self._port, packet=packet)
        finally:
            reader.cancel()

    async def _read(self, requests: AsyncIterator[PacketStreamRequest]) -> None:
        async for request in requests:
            if request.port == self._port:
                self.probe.deliver(request.packet)

    async def set_port_oper_status(
        self, request: SetPortOperStatusRequest, context: Any
    ) -> SetPortOperStatusResponse:
        """Accept and ignore: the port is always up."""
        del request, context
        return SetPortOperStatusResponse()


@asynccontextmanager
async def dataplane_probe(address: str, port: int) -> AsyncIterator[RemoteProbe]:
    """Serve dp-grpc at ``address`` and wait for the engine to connect.

    AttachmentError when the address is taken or no engine comes within ``CONNECT_SECONDS``.
    """
    switch = _SwitchStandIn(port)
    server = grpc.aio.server()
    add_dataplane_service(server, switch)
    try:
        server.add_insecure_port(address)
    except RuntimeError as error:
        raise AttachmentError(f"cannot serve dp-grpc at {address}: {error}") from error
    await server.start()
    try:
        await asyncio.wait_for(switch.connected.wait(), CONNECT_SECONDS)
        yield switch.probe
    except TimeoutError as error:
        text = f"no engine connected to {address} within {CONNECT_SECONDS:.0f} s"
        raise AttachmentError(text) from error
    finally:
        await server.stop(grace=None)


@asynccontextmanager
async def interface_probe(interface: str) -> AsyncIterator[RemoteProbe]:
    """Reach the engine at the other end of a Linux interface; AttachmentError without it."""
    packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
    with packets:
        try:
            packets.bind((interface, ETHERTYPE))
        except OSError as error:
            raise AttachmentError(f"interface {interface}: {error}") from error
        probe = RemoteProbe(packets.send)
        loop = asyncio.get_running_loop()
        loop.add_reader(packets, _read_packet, packets, probe)
        try:
            yield probe
        finally:
            loop.remove_reader(packets)


def _read_packet(packets: socket.socket, probe: RemoteProbe) -> None:
    frame, address = packets.recvfrom(_MAX_FRAME)
    if address[2] != socket.PACKET_OUTGOING:
        probe.deliver(frame)
