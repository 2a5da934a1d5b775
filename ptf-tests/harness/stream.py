"""Packet I/O over gRPC: the service p4.bm.DataplaneInterface of bmv2 and of the embedded switch.

The two messages are declared here, in a descriptor pool of their own, so that the tests share no
generated code with the product.
"""

from __future__ import annotations

import queue
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

METHOD = "/p4.bm.DataplaneInterface/PacketStream"
DEVICE_ID = 1

_FIELD = descriptor_pb2.FieldDescriptorProto
_FIELDS = (
    ("id", 1, _FIELD.TYPE_UINT64),
    ("device_id", 2, _FIELD.TYPE_UINT64),
    ("port", 3, _FIELD.TYPE_UINT32),
    ("packet", 4, _FIELD.TYPE_BYTES),
)


def _message_class(name: str) -> Any:
    """PacketStreamRequest and PacketStreamResponse have the same fields."""
    file = descriptor_pb2.FileDescriptorProto(name="dp.proto", package="p4.bm", syntax="proto3")
    message = file.message_type.add(name=name)
    for field, number, kind in _FIELDS:
        message.field.add(name=field, number=number, type=kind, label=_FIELD.LABEL_OPTIONAL)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"p4.bm.{name}"))


Request = _message_class("PacketStreamRequest")
Response = _message_class("PacketStreamResponse")


class PacketStream:
    """One dp-grpc stream, shared by all ports; readable when a packet is there.

    A packet on a port that nobody has added goes to ``strays``, where the oracle finds it.
    """

    def __init__(self, address: str) -> None:
        self.ports: set[int] = set()
        self.strays: list[tuple[int, bytes]] = []
        self._packets: deque[tuple[int, bytes]] = deque()
        self._readable, self._signal = socket.socketpair()
        self._requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._channel = grpc.insecure_channel(address)
        call = self._channel.stream_stream(
            METHOD,
            request_serializer=Request.SerializeToString,
            response_deserializer=Response.FromString,
        )
        responses = call(iter(self._requests.get, None), wait_for_ready=True)
        threading.Thread(target=self._read, args=(responses,), daemon=True).start()

    def fileno(self) -> int:
        """For select."""
        return self._readable.fileno()

    def send(self, port: int, packet: bytes) -> int:
        """Sends a packet into the switch by ``port``."""
        self._requests.put(Request(device_id=DEVICE_ID, port=port, packet=packet))
        return len(packet)

    def recv(self) -> tuple[int, int, bytes, float] | None:
        """(device, port, packet, time) as PTF wants it, or nothing for a stray."""
        self._readable.recv(1)
        port, packet = self._packets.popleft()
        if port not in self.ports:
            self.strays.append((port, packet))
            return None
        return (0, port, packet, time.time())

    def _read(self, responses: Iterator[Any]) -> None:
        try:
            for response in responses:
                self._packets.append((response.port, response.packet))
                self._signal.send(b"\0")
        except grpc.RpcError:
            return
