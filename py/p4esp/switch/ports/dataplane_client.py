"""A client of `p4.bm.DataplaneInterface`: bmv2, the embedded switch, or dpmux."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc

from p4esp.proto.dataplane_interface_pb2 import (
    OPER_STATUS_DOWN,
    OPER_STATUS_UP,
    PacketStreamRequest,
    PacketStreamResponse,
    SetPortOperStatusRequest,
)
from p4esp.switch.ports.dataplane_rpc import PORTS_KEY, packet_stream_method, port_status_method


class DataplaneError(Exception):
    """The stream was refused or broke; `code` is the gRPC status."""

    def __init__(self, address: str, code: grpc.StatusCode, details: str | None) -> None:
        super().__init__(f"{address}: {code.name}: {details}")
        self.code = code
        self.details = details or ""


class DataplaneStream:
    """One open packet stream."""

    def __init__(self, address: str, device_id: int, call: Any) -> None:
        self._address = address
        self._device_id = device_id
        self._call = call

    async def send(self, port: int, packet: bytes, request_id: int = 0) -> None:
        """Send a packet into a port; a non-zero id comes back with the packets it causes."""
        request = PacketStreamRequest(
            id=request_id, device_id=self._device_id, port=port, packet=packet
        )
        try:
            await self._call.write(request)
        except (grpc.aio.AioRpcError, grpc.aio.UsageError):
            raise await self._broken() from None

    async def receive(self) -> PacketStreamResponse | None:
        """The next packet out of the switch; None when the server has ended the stream."""
        try:
            response: Any = await self._call.read()
        except grpc.aio.AioRpcError as error:
            raise DataplaneError(self._address, error.code(), error.details()) from None
        if response is grpc.aio.EOF:
            return None
        assert isinstance(response, PacketStreamResponse)
        return response

    async def finish(self) -> list[PacketStreamResponse]:
        """Say that no more will be sent; returns all packets up to the end of the stream."""
        await self._call.done_writing()
        responses = []
        while (response := await self.receive()) is not None:
            responses.append(response)
        return responses

    async def accepted(self) -> None:
        """Wait until the server has taken the stream (bmv2 tells only with the first packet)."""
        await self._call.initial_metadata()
        if self._call.done() and await self._call.code() is not grpc.StatusCode.OK:
            raise await self._broken()

    async def _broken(self) -> DataplaneError:
        return DataplaneError(self._address, await self._call.code(), await self._call.details())


@asynccontextmanager
async def dataplane_stream(
    address: str, device_id: int, ports: str = ""
) -> AsyncIterator[DataplaneStream]:
    """Open a packet stream; `ports` (such as `0-3,7`) subscribes at a dpmux."""
    metadata = ((PORTS_KEY, ports),) if ports else ()
    async with grpc.aio.insecure_channel(address) as channel:
        call = packet_stream_method(channel)(metadata=metadata)
        try:
            yield DataplaneStream(address, device_id, call)
        finally:
            call.cancel()


async def set_port_status(address: str, device_id: int, port: int, *, up: bool) -> None:
    """Take a port down or up; raises `DataplaneError`."""
    status = OPER_STATUS_UP if up else OPER_STATUS_DOWN
    request = SetPortOperStatusRequest(device_id=device_id, port=port, oper_status=status)
    async with grpc.aio.insecure_channel(address) as channel:
        try:
            await port_status_method(channel)(request)
        except grpc.aio.AioRpcError as error:
            raise DataplaneError(address, error.code(), error.details()) from None
