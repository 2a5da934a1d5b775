"""dpmux: one dp-grpc stream of a switch, shared by several clients by port.

bmv2 and the embedded switch take one packet stream at a time. A dpmux holds it and offers the
same service: a client names its ports in the gRPC metadata `ports` (such as `0-3,7`) or takes all
that nobody else named. Packets go to the owner of the port they leave from; a request id comes
back only to the client that sent it.

bmv2 loses packets silently when more than 64 wait for a port, and the protocol has no
acknowledgement. What can be done: each request gets an id, and only a window of requests is
forwarded until packets with their ids come back. A packet that the program drops never comes
back, so it leaves the window after a grace period. Packets that the switch makes by itself
(clones, packet-outs) are outside the window.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import grpc

from p4esp.proto.dataplane_interface_pb2 import (
    PacketStreamRequest,
    PacketStreamResponse,
    SetPortOperStatusRequest,
    SetPortOperStatusResponse,
)
from p4esp.switch.ports.dataplane_rpc import PORTS_KEY, packet_stream_method, port_status_method
from p4esp.switch.ports.mux_state import (
    PortOwners,
    PortReservedError,
    PortTakenError,
    RequestIds,
    Window,
)
from p4esp.switch.ports.outbox import Outbox
from p4esp.switch.ports.portset import PortSetError, parse_ports

RETRY_SECONDS = 0.1
SETTLE_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class MuxOptions:
    """`window`: requests in flight towards the switch, 0 for no limit; `grace` in seconds.

    `cpu_port` is the switch's: bmv2 takes what enters there, also from this stream, for packet-outs
    of the controller, so no client may send into it.
    """

    device_id: int
    window: int = 32
    grace: float = 0.02
    cpu_port: int = 510


class DataplaneMux:
    """`p4.bm.DataplaneInterface` for several clients of the switch behind `channel`.

    `clock` gives nanoseconds that never run backwards. `lost` counts packets without an owner.
    """

    def __init__(
        self, channel: grpc.aio.Channel, options: MuxOptions, clock: Callable[[], int]
    ) -> None:
        self.lost = 0
        self.connected = asyncio.Event()
        self._channel = channel
        self._options = options
        self._owners: PortOwners[Outbox] = PortOwners(options.cpu_port)
        self._ids: RequestIds[Outbox] = RequestIds()
        self._window: Window[Outbox] = Window(options.window, int(options.grace * 1e9), clock)
        self._acknowledged = asyncio.Event()
        self._sending = asyncio.Lock()
        self._call: Any = None

    async def run(self) -> None:
        """Keep the stream to the switch open, until cancelled."""
        while True:
            try:
                await self._serve_upstream()
            except grpc.aio.AioRpcError as error:
                if error.code() is grpc.StatusCode.INVALID_ARGUMENT:
                    raise
            finally:
                self.connected.clear()
            await asyncio.sleep(RETRY_SECONDS)

    async def packet_stream(
        self, requests: AsyncIterator[PacketStreamRequest], context: Any
    ) -> AsyncIterator[PacketStreamResponse]:
        """One client's stream."""
        outbox = Outbox()
        await self._claim(outbox, context)
        reader = asyncio.create_task(self._relay(requests, outbox))
        try:
            await context.send_initial_metadata(())
            while (response := await outbox.get()) is not None:
                yield response
            await self._abort_if_failed(reader, context)
        finally:
            reader.cancel()
            self._owners.release(outbox)

    async def set_port_oper_status(
        self, request: SetPortOperStatusRequest, context: Any
    ) -> SetPortOperStatusResponse:
        """Passed on to the switch."""
        try:
            answer = await port_status_method(self._channel)(request)
        except grpc.aio.AioRpcError as error:
            await context.abort(error.code(), error.details())
        assert isinstance(answer, SetPortOperStatusResponse)
        return answer

    async def _serve_upstream(self) -> None:
        """One life of the stream to the switch, until either side ends it."""
        await self._channel.channel_ready()
        self._call = packet_stream_method(self._channel)()
        await self._settle()
        self.connected.set()
        while (response := await self._call.read()) is not grpc.aio.EOF:
            self._route(response)

    async def _settle(self) -> None:
        """Wait for the switch to take the stream; bmv2 tells only by not refusing it soon."""
        taken = asyncio.ensure_future(self._call.initial_metadata())
        await asyncio.wait((taken,), timeout=SETTLE_SECONDS)
        taken.cancel()
        if self._call.done():
            await self._call.read()

    def _route(self, response: PacketStreamResponse) -> None:
        if self._window.acknowledge(response.id):
            self._acknowledged.set()
        owner = self._owners.owner(response.port)
        if owner is None:
            self.lost += 1
            return
        response.id = self._ids.original(owner, response.id)
        owner.put(response)

    async def _claim(self, outbox: Outbox, context: Any) -> None:
        """Take the ports the client names; refused by name when one is taken."""
        wanted = dict(context.invocation_metadata() or ()).get(PORTS_KEY)
        try:
            self._owners.claim(outbox, None if wanted is None else parse_ports(str(wanted)))
        except PortTakenError as error:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, str(error))
        except (PortSetError, PortReservedError) as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))

    async def _relay(self, requests: AsyncIterator[PacketStreamRequest], outbox: Outbox) -> None:
        try:
            async for request in requests:
                self._owners.require(outbox, request.port)
                await self._forward(request, outbox)
            while (left := self._window.wait_for(outbox)) is not None:
                await self._wait_acknowledged(left)
        finally:
            outbox.close()

    async def _forward(self, request: PacketStreamRequest, outbox: Outbox) -> None:
        if request.device_id != self._options.device_id:
            return
        async with self._sending:
            while (left := self._window.wait()) is not None:
                await self._wait_acknowledged(left)
            await self.connected.wait()
            request.id = self._ids.assign(outbox, request.id)
            self._window.sent(outbox, request.id)
            try:
                await self._call.write(request)
            except (grpc.aio.AioRpcError, grpc.aio.UsageError, asyncio.InvalidStateError):
                self.lost += 1

    async def _wait_acknowledged(self, nanoseconds: int) -> None:
        self._acknowledged.clear()
        # Not wait_for: before Python 3.12 it can swallow a cancellation (cpython issue 86296).
        with suppress(TimeoutError):
            async with asyncio.timeout(max(nanoseconds, 0) / 1e9):
                await self._acknowledged.wait()

    async def _abort_if_failed(self, reader: "asyncio.Task[None]", context: Any) -> None:
        await asyncio.wait((reader,))
        error = None if reader.cancelled() else reader.exception()
        if isinstance(error, (PortTakenError, PortReservedError)):
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
