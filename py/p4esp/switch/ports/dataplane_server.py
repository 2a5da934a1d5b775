"""Packet I/O over gRPC for the embedded switch, with the semantics of bmv2's dp-grpc.

One stream at a time; UNAVAILABLE "not ready" until a pipeline is loaded; packets for another
device id and empty packets are ignored; a non-zero request id comes back on the packets it
caused; a stream that the client ends stays open until all its packets are processed and sent.
Unlike bmv2's it takes packets only for the ports it was given.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import grpc

from p4esp.proto.dataplane_interface_pb2 import (
    OPER_STATUS_DOWN,
    OPER_STATUS_UP,
    PacketStreamRequest,
    PacketStreamResponse,
    SetPortOperStatusRequest,
    SetPortOperStatusResponse,
)
from p4esp.switch.ports.memory import Ports
from p4esp.switch.ports.outbox import Outbox

PACKETS_PER_TURN = 32


class DataplaneServer:
    """`p4.bm.DataplaneInterface` for the given ports of one device.

    `is_ready` says whether a pipeline is loaded. `lost` counts packets that left a port while no
    client listened or its stream was full, `refused` packets for ports that are not given: the
    CPU port belongs to the primary controller, an interface to its wire.
    """

    def __init__(
        self, device: Ports, device_id: int, ports: Iterable[int], is_ready: Callable[[], bool]
    ) -> None:
        self.lost = 0
        self.refused = 0
        self._ports = frozenset(ports)
        self._device = device
        self._device_id = device_id
        self._is_ready = is_ready
        self._down: set[int] = set()
        self._outbox: Outbox | None = None
        self._cause = 0
        for port in self._ports:
            device.attach(port, self._sink(port))

    async def packet_stream(
        self, requests: AsyncIterator[PacketStreamRequest], context: Any
    ) -> AsyncIterator[PacketStreamResponse]:
        """The one stream."""
        if not self._is_ready():
            await context.abort(grpc.StatusCode.UNAVAILABLE, "not ready")
        if self._outbox is not None:
            await context.abort(
                grpc.StatusCode.RESOURCE_EXHAUSTED, "only one client authorized at a time"
            )
        outbox = self._outbox = Outbox()
        await context.send_initial_metadata(())
        reader = asyncio.create_task(self._take_in(requests, outbox))
        try:
            while (response := await outbox.get()) is not None:
                yield response
        finally:
            reader.cancel()
            self.lost += outbox.lost
            self._outbox = None

    async def set_port_oper_status(
        self, request: SetPortOperStatusRequest, context: Any
    ) -> SetPortOperStatusResponse:
        """A port that is down neither takes nor sends packets."""
        invalid = grpc.StatusCode.INVALID_ARGUMENT
        if request.device_id != self._device_id:
            await context.abort(invalid, "Invalid device id")
        if request.oper_status == OPER_STATUS_DOWN:
            self._down.add(request.port)
        elif request.oper_status == OPER_STATUS_UP:
            self._down.discard(request.port)
        else:
            await context.abort(invalid, "Invalid oper status")
        return SetPortOperStatusResponse()

    async def _take_in(self, requests: AsyncIterator[PacketStreamRequest], outbox: Outbox) -> None:
        """Every request runs to completion before the next is read."""
        count = 0
        try:
            async for request in requests:
                self._process(request)
                await outbox.room()
                count += 1
                if count % PACKETS_PER_TURN == 0:
                    await asyncio.sleep(0)
        finally:
            outbox.close()

    def _process(self, request: PacketStreamRequest) -> None:
        port = request.port
        if request.device_id != self._device_id or port in self._down or not request.packet:
            return
        if port not in self._ports:
            self.refused += 1
            return
        self._cause = request.id
        try:
            self._device.inject(port, request.packet)
        finally:
            self._cause = 0

    def _sink(self, port: int) -> Callable[[bytes], None]:
        def send(packet: bytes) -> None:
            if self._outbox is None:
                self.lost += 1
            elif port not in self._down:
                self._outbox.put(
                    PacketStreamResponse(
                        id=self._cause, device_id=self._device_id, port=port, packet=packet
                    )
                )

        return send
