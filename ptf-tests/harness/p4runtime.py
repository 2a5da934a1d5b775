"""A blocking P4Runtime client: one primary stream, writes, reads, packet-in and packet-out.

finsy's entities and schema do the encoding; its own client is asynchronous, and a packet test
reads better without an event loop.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

import grpc
from finsy import P4DigestList, P4DigestListAck, P4PacketIn, P4PacketOut, P4Schema
from finsy.proto import p4r, p4r_grpc, rpc_code, rpc_status

RPC_TIMEOUT = 30.0
STATUS_DETAILS = "grpc-status-details-bin"


class WriteRefusedError(AssertionError):
    """A write that the target did not accept; the text names each update's canonical code."""

    def __init__(self, error: grpc.RpcError) -> None:
        self.codes = _update_codes(error)
        names = ", ".join(rpc_code.Code.Name(code) for code in self.codes)
        super().__init__(f"{error.code().name}: {error.details()} [{names}]")


def _update_codes(error: grpc.RpcError) -> list[int]:
    """One canonical code an update, from the P4Runtime error details."""
    codes = []
    for key, value in error.trailing_metadata() or ():
        if key == STATUS_DETAILS:
            for detail in rpc_status.Status.FromString(value).details:
                inner = p4r.Error()
                detail.Unpack(inner)
                codes.append(inner.canonical_code)
    return codes


class Client:
    """P4Runtime for one device.  Digests are acknowledged on arrival.

    ``packet_ins`` and ``digests`` are queues that the stream's reader fills.
    """

    def __init__(self, address: str, device_id: int, p4info: Path) -> None:
        self.schema = P4Schema(p4info)
        self.device_id = device_id
        self.packet_ins: queue.SimpleQueue[P4PacketIn] = queue.SimpleQueue()
        self.digests: queue.SimpleQueue[P4DigestList] = queue.SimpleQueue()
        self._channel = grpc.insecure_channel(address)
        self._stub = p4r_grpc.P4RuntimeStub(self._channel)
        self._requests: queue.SimpleQueue[p4r.StreamMessageRequest | None] = queue.SimpleQueue()
        self._arbitrations: queue.SimpleQueue[p4r.MasterArbitrationUpdate] = queue.SimpleQueue()
        self._election_id = p4r.Uint128()

    def wait_ready(self, timeout: float = RPC_TIMEOUT) -> str:
        """Waits until the server answers Capabilities; returns its P4Runtime version."""
        request = p4r.CapabilitiesRequest()
        answer = self._stub.Capabilities(request, timeout=timeout, wait_for_ready=True)
        return str(answer.p4runtime_api_version)

    def become_primary(self, election_id: int = 1) -> None:
        """Opens the stream and wins the arbitration, or raises."""
        self._election_id = p4r.Uint128(high=0, low=election_id)
        responses = self._stub.StreamChannel(iter(self._requests.get, None))
        threading.Thread(target=self._read_stream, args=(responses,), daemon=True).start()
        arbitration = p4r.MasterArbitrationUpdate(
            device_id=self.device_id, election_id=self._election_id
        )
        self._requests.put(p4r.StreamMessageRequest(arbitration=arbitration))
        answer = self._arbitrations.get(timeout=RPC_TIMEOUT)
        if answer.status.code != rpc_code.OK:
            raise AssertionError(f"not primary: {answer.status.message}")

    def push(self, program: bytes) -> None:
        """VERIFY_AND_COMMIT of the program with the schema's p4info."""
        config = p4r.ForwardingPipelineConfig(p4info=self.schema.p4info, p4_device_config=program)
        self._stub.SetForwardingPipelineConfig(
            p4r.SetForwardingPipelineConfigRequest(
                device_id=self.device_id,
                election_id=self._election_id,
                action=p4r.SetForwardingPipelineConfigRequest.VERIFY_AND_COMMIT,
                config=config,
            ),
            timeout=2 * RPC_TIMEOUT,
        )

    def write(self, updates: Iterable[p4r.Update]) -> None:
        """One Write request; raises ``WriteRefusedError``."""
        request = p4r.WriteRequest(
            device_id=self.device_id, election_id=self._election_id, updates=updates
        )
        try:
            self._stub.Write(request, timeout=RPC_TIMEOUT)
        except grpc.RpcError as error:
            raise WriteRefusedError(error) from error

    def read(self, *entities: p4r.Entity) -> Iterator[p4r.Entity]:
        """One Read request; the entities of all its responses."""
        request = p4r.ReadRequest(device_id=self.device_id, entities=entities)
        for response in self._stub.Read(request, timeout=RPC_TIMEOUT):
            yield from response.entities

    def packet_out(self, payload: bytes, **metadata: int) -> None:
        """Sends a packet-out; ``metadata`` are the fields of ``packet_out_t``."""
        self._requests.put(P4PacketOut(payload, **metadata).encode_update(self.schema))

    def close(self) -> None:
        """Ends the stream and the channel."""
        self._requests.put(None)
        self._channel.close()

    def _read_stream(self, responses: Iterator[p4r.StreamMessageResponse]) -> None:
        try:
            for response in responses:
                self._dispatch(response)
        except (grpc.RpcError, ValueError):
            return

    def _dispatch(self, response: p4r.StreamMessageResponse) -> None:
        match response.WhichOneof("update"):
            case "arbitration":
                self._arbitrations.put(response.arbitration)
            case "packet":
                self.packet_ins.put(P4PacketIn.decode(response, self.schema))
            case "digest":
                digest = P4DigestList.decode(response, self.schema)
                acknowledgement = P4DigestListAck(digest.digest_id, digest.list_id)
                self._requests.put(acknowledgement.encode_update(self.schema))
                self.digests.put(digest)
