"""Names and messages of `p4.bm.DataplaneInterface`, shared by servers and clients."""

from collections.abc import AsyncIterator, Callable
from typing import Any, Final, Protocol

import grpc

from p4esp.proto.dataplane_interface_pb2 import (
    PacketStreamRequest,
    PacketStreamResponse,
    SetPortOperStatusRequest,
    SetPortOperStatusResponse,
)

SERVICE: Final = "p4.bm.DataplaneInterface"
PORTS_KEY: Final = "ports"
"""gRPC metadata with which a client of `dpmux` names its ports, such as `0-3,7`."""


class DataplaneService(Protocol):
    """What a server of the service implements; `context` is a `grpc.aio.ServicerContext`."""

    def packet_stream(
        self, requests: AsyncIterator[PacketStreamRequest], context: Any
    ) -> AsyncIterator[PacketStreamResponse]:
        """Packets into the switch, packets out of it."""

    async def set_port_oper_status(
        self, request: SetPortOperStatusRequest, context: Any
    ) -> SetPortOperStatusResponse:
        """Take a port down or up."""


def add_dataplane_service(server: grpc.aio.Server, service: DataplaneService) -> None:
    """Offer `service` on `server`."""
    methods = {
        "PacketStream": grpc.stream_stream_rpc_method_handler(
            service.packet_stream,
            PacketStreamRequest.FromString,
            PacketStreamResponse.SerializeToString,
        ),
        "SetPortOperStatus": grpc.unary_unary_rpc_method_handler(
            service.set_port_oper_status,
            SetPortOperStatusRequest.FromString,
            SetPortOperStatusResponse.SerializeToString,
        ),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, methods),))


def packet_stream_method(channel: grpc.aio.Channel) -> Callable[..., Any]:
    """The client's `PacketStream` call."""
    method: Callable[..., Any] = channel.stream_stream(
        f"/{SERVICE}/PacketStream",
        PacketStreamRequest.SerializeToString,
        PacketStreamResponse.FromString,
    )
    return method


def port_status_method(channel: grpc.aio.Channel) -> Callable[..., Any]:
    """The client's `SetPortOperStatus` call."""
    method: Callable[..., Any] = channel.unary_unary(
        f"/{SERVICE}/SetPortOperStatus",
        SetPortOperStatusRequest.SerializeToString,
        SetPortOperStatusResponse.FromString,
    )
    return method
