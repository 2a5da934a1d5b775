"""The P4Runtime service of one device, on grpc.aio with finsy's stubs.

Everything runs on one event loop, so packets, writes and reads never overlap; the write lock only
keeps batches and reads whole across the turns they give to packets.
"""

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any, NoReturn

import grpc
from finsy.proto import p4r, p4r_grpc, rpc_status

from p4esp.p4rt.arbitration import Arbitration, Notifications
from p4esp.p4rt.entities import Clocks
from p4esp.p4rt.errors import Code, P4RuntimeError
from p4esp.p4rt.pipeline import Pipeline
from p4esp.p4rt.read import read_entities
from p4esp.p4rt.stream import ClientStream
from p4esp.p4rt.stream_messages import handle_digest_ack, handle_packet_out, refuse_other
from p4esp.p4rt.write import (
    UPDATES_PER_TURN,
    BatchWriter,
    Errors,
    read_status,
    write_status,
)
from p4esp.switch.device import Device

API_VERSION = "1.5.0"

DIGEST_SECONDS = 0.02
"""How often digest time-outs are looked at."""

IDLE_SCAN_TURNS = 10
"""Turns between two scans for idle entries, which cost time on large tables."""

_STATUS_CODES = {code.value[0]: code for code in grpc.StatusCode}

Context = Any
"""`grpc.aio.ServicerContext`; grpc ships no types."""


class P4RuntimeServicer(p4r_grpc.P4RuntimeServicer):
    """P4Runtime for `device`, whose CPU port is `cpu_port` (None: no packet I/O).

    `new_device` makes an empty device on which configurations are tried out. `drops` counts
    packets and notifications that reached no client, by reason.
    """

    def __init__(
        self,
        device: Device,
        new_device: Callable[[], Device],
        clocks: Clocks,
        device_id: int,
        cpu_port: int | None,
    ) -> None:
        self.pipeline = Pipeline(device, new_device, clocks, self._send_digest)
        self._device = device
        self._device_id = device_id
        self._cpu_port = cpu_port
        self._arbitration: Arbitration[ClientStream] = Arbitration(device_id)
        self._lock = asyncio.Lock()
        self.drops: Counter[str] = Counter()
        if cpu_port is not None:
            device.attach(cpu_port, self._packet_in)

    async def Capabilities(  # noqa: N802
        self, request: p4r.CapabilitiesRequest, context: Context
    ) -> p4r.CapabilitiesResponse:
        """The version of the API; also the readiness probe."""
        return p4r.CapabilitiesResponse(p4runtime_api_version=API_VERSION)

    async def Write(self, request: p4r.WriteRequest, context: Context) -> p4r.WriteResponse:  # noqa: N802
        """A batch of updates (section 12)."""
        try:
            if len(request.updates) <= UPDATES_PER_TURN:
                errors = await self._write(request)
            else:  # a client that goes away must not leave half a batch
                errors = await asyncio.shield(self._write(request))
        except P4RuntimeError as error:
            await _abort(context, error)
        if any(errors):
            await _abort_with_details(context, write_status(errors))
        return p4r.WriteResponse()

    async def Read(  # noqa: N802
        self, request: p4r.ReadRequest, context: Context
    ) -> AsyncIterator[p4r.ReadResponse]:
        """Entities selected by the queries, in chunks (section 13)."""
        try:
            self._check_device(request.device_id)
            async with self._lock:
                responses, errors = await read_entities(self.pipeline.entities(), request)
        except P4RuntimeError as error:
            await _abort(context, error)
        for response in responses:
            yield response
        if any(errors):
            await _abort_with_details(context, read_status(errors))

    async def SetForwardingPipelineConfig(  # noqa: N802
        self, request: p4r.SetForwardingPipelineConfigRequest, context: Context
    ) -> p4r.SetForwardingPipelineConfigResponse:
        """Verify, save or commit a program with its p4info (section 14)."""
        config = request.config if request.HasField("config") else None
        try:
            async with self._lock:
                self._check_device(request.device_id)
                self._arbitration.check_primary(
                    request.role, request.election_id, request.HasField("election_id")
                ).check_pipeline()
                self.pipeline.set(request.action, config)
        except P4RuntimeError as error:
            await _abort(context, error)
        return p4r.SetForwardingPipelineConfigResponse()

    async def GetForwardingPipelineConfig(  # noqa: N802
        self, request: p4r.GetForwardingPipelineConfigRequest, context: Context
    ) -> p4r.GetForwardingPipelineConfigResponse:
        """The configuration in force (section 15)."""
        try:
            self._check_device(request.device_id)
            config = self.pipeline.get(request.response_type)
        except P4RuntimeError as error:
            await _abort(context, error)
        return p4r.GetForwardingPipelineConfigResponse(config=config)

    async def StreamChannel(  # noqa: N802
        self, requests: AsyncIterator[p4r.StreamMessageRequest], context: Context
    ) -> AsyncIterator[p4r.StreamMessageResponse]:
        """One client: arbitration, packets, digests, notifications (sections 5 and 16)."""
        stream = ClientStream()
        reader = asyncio.create_task(self._read_stream(stream, requests))
        try:
            while (message := await stream.next()) is not None:
                yield message
        except P4RuntimeError as error:
            await _abort(context, error)
        finally:
            reader.cancel()
            self._notify(self._arbitration.leave(stream))

    async def run(self) -> None:
        """Send digests and idle notifications whose time has come, until cancelled."""
        for turn in itertools.count():
            await asyncio.sleep(DIGEST_SECONDS)
            entities = self.pipeline.running
            if entities is None:
                continue
            entities.digests.poll()
            if turn % IDLE_SCAN_TURNS == 0:
                for notification in entities.idle.scan():
                    message = p4r.StreamMessageResponse(idle_timeout_notification=notification)
                    self._broadcast(message, "idle notification")

    async def _read_stream(
        self, stream: ClientStream, requests: AsyncIterator[p4r.StreamMessageRequest]
    ) -> None:
        refusal = None
        try:
            async for request in requests:
                await self._handle(stream, request)
        except P4RuntimeError as error:
            refusal = error
        finally:
            stream.close(refusal)

    async def _handle(self, stream: ClientStream, request: p4r.StreamMessageRequest) -> None:
        match request.WhichOneof("update"):
            case "arbitration":
                await self._arbitrate(stream, request.arbitration)
            case "packet":
                self._packet_out(stream, request.packet)
            case "digest_ack":
                if self._arbitration.is_primary(stream):
                    handle_digest_ack(self.pipeline.running, stream, request.digest_ack)
            case "other":
                refuse_other(stream, request.other)

    async def _arbitrate(self, stream: ClientStream, request: p4r.MasterArbitrationUpdate) -> None:
        """The others hear first; a new primary hears once writes of the old one are finished."""
        notifications = self._arbitration.update(stream, request)
        self._notify([item for item in notifications if item[0] is not stream])
        async with self._lock:
            self._notify([item for item in notifications if item[0] is stream])

    def _packet_out(self, stream: ClientStream, packet: p4r.PacketOut) -> None:
        frame = handle_packet_out(
            self.pipeline.running, stream, packet, self._arbitration.is_primary(stream)
        )
        if frame is not None and self._cpu_port is not None:
            self._device.inject(self._cpu_port, frame)

    def _packet_in(self, frame: bytes) -> None:
        """The sink of the CPU port."""
        entities = self.pipeline.running
        packet = entities.packet_in.message(frame) if entities else None
        if packet is None:
            self.drops["packet_in without its header"] += 1
            return
        message = p4r.StreamMessageResponse(packet=packet)
        takers = [s for s, role in self._arbitration.primaries() if role.wants(packet)]
        self._offer(takers, message, "packet_in")

    def _send_digest(self, digest: p4r.DigestList) -> None:
        self._broadcast(p4r.StreamMessageResponse(digest=digest), "digest list")

    def _broadcast(self, message: p4r.StreamMessageResponse, what: str) -> None:
        self._offer([stream for stream, _ in self._arbitration.primaries()], message, what)

    def _offer(
        self, streams: list[ClientStream], message: p4r.StreamMessageResponse, what: str
    ) -> None:
        if not streams:
            self.drops[f"{what} without primary client"] += 1
        for stream in streams:
            if not stream.offer(message):
                self.drops[f"{what} to a slow client"] += 1

    def _notify(self, notifications: Notifications[ClientStream]) -> None:
        for stream, update in notifications:
            stream.send(p4r.StreamMessageResponse(arbitration=update))

    async def _write(self, request: p4r.WriteRequest) -> Errors:
        """The checks of section 12 in their order, then the updates."""
        async with self._lock:
            self._check_device(request.device_id)
            role = self._arbitration.check_primary(
                request.role, request.election_id, request.HasField("election_id")
            )
            return await BatchWriter(self.pipeline.entities(), role).write(request)

    def _check_device(self, device_id: int) -> None:
        if device_id != self._device_id:
            raise P4RuntimeError(
                Code.NOT_FOUND, f"device id {device_id} is unknown; accepted: {self._device_id}"
            )


async def _abort(context: Context, error: P4RuntimeError) -> NoReturn:
    await context.abort(_STATUS_CODES[int(error.code)], error.message)
    raise AssertionError("abort always raises")


async def _abort_with_details(context: Context, status: rpc_status.Status) -> NoReturn:
    details = (("grpc-status-details-bin", status.SerializeToString()),)
    await context.abort(grpc.StatusCode.UNKNOWN, status.message, details)
    raise AssertionError("abort always raises")
