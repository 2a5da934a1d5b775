"""A bare P4Runtime client for tests: raw messages in, codes and entities out."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import finsy as fy
import grpc
from finsy import p4entity
from finsy.proto import p4i, p4r, p4r_grpc, rpc_code, rpc_status
from google.protobuf import text_format

from p4esp.switch.service import SwitchOptions, SwitchService, running_switch

PROGRAMS = Path(__file__).parent / "p4rt" / "programs"
STREAM_TIMEOUT = 5.0
ELECTION_IDS = itertools.count(1)


@dataclass(frozen=True)
class TestProgram:
    """A compiled test program."""

    __test__ = False

    json: bytes
    p4info: p4i.P4Info
    schema: fy.P4Schema = field(repr=False)

    def config(self, cookie: int = 0) -> p4r.ForwardingPipelineConfig:
        """The message that pushes the program."""
        config = p4r.ForwardingPipelineConfig(p4info=self.p4info, p4_device_config=self.json)
        config.cookie.cookie = cookie
        return config

    def entity(self, entity: p4entity.P4Entity) -> p4r.Entity:
        """Encode a finsy entity."""
        return next(iter(p4entity.encode_entities([entity], self.schema)))

    def insert(self, entity: p4entity.P4Entity) -> p4r.Update:
        """An INSERT of a finsy entity."""
        return p4r.Update(type=p4r.Update.INSERT, entity=self.entity(entity))

    def modify(self, entity: p4entity.P4Entity) -> p4r.Update:
        """A MODIFY of a finsy entity."""
        return p4r.Update(type=p4r.Update.MODIFY, entity=self.entity(entity))

    def delete(self, entity: p4entity.P4Entity) -> p4r.Update:
        """A DELETE of a finsy entity."""
        return p4r.Update(type=p4r.Update.DELETE, entity=self.entity(entity))

    def table_id(self, name: str) -> int:
        """The id of a table by alias."""
        return self.schema.tables[name].id


def load_program(name: str = "entities", folder: Path = PROGRAMS) -> TestProgram:
    """A program of a directory."""
    text = (folder / f"{name}.p4info.txtpb").read_text()
    p4info = text_format.Parse(text, p4i.P4Info())
    json = (folder / f"{name}.json").read_bytes()
    return TestProgram(json, p4info, fy.P4Schema(p4info))


ENTITIES = load_program()


@dataclass(frozen=True)
class Outcome:
    """How a request ended; `updates` has (code, message) for each update."""

    code: str
    message: str
    updates: tuple[tuple[str, str], ...] = ()

    @property
    def codes(self) -> list[str]:
        """The codes of the updates."""
        return [code for code, _ in self.updates]


def outcome(error: grpc.aio.AioRpcError) -> Outcome:
    """Outer status and per-update details of a failed RPC."""
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            status = rpc_status.Status.FromString(value)
            assert rpc_code.Code.Name(status.code) == error.code().name
            return Outcome(error.code().name, error.details() or "", _updates(status))
    return Outcome(error.code().name, error.details() or "")


def _updates(status: rpc_status.Status) -> tuple[tuple[str, str], ...]:
    found = []
    for detail in status.details:
        error = p4r.Error()
        assert detail.Unpack(error)
        found.append((rpc_code.Code.Name(error.canonical_code), error.message))
    return tuple(found)


class Client:
    """One P4Runtime client with its stream."""

    def __init__(self, address: str, device_id: int = 1) -> None:
        self.channel = grpc.aio.insecure_channel(address, [("grpc.max_metadata_size", 1 << 20)])
        self.stub: Any = p4r_grpc.P4RuntimeStub(self.channel)
        self.device_id = device_id
        self.election_id: int | None = None
        self.role = ""
        self.stream: Any = None

    async def arbitrate(
        self, election_id: int | None, role: p4r.Role | None = None
    ) -> p4r.MasterArbitrationUpdate:
        """Send an election id; returns the first arbitration answer."""
        await self.bid(election_id, role)
        return await self.next_arbitration()

    async def bid(self, election_id: int | None, role: p4r.Role | None = None) -> None:
        """Send an election id without waiting."""
        if self.stream is None:
            self.stream = self.stub.StreamChannel()
        update = p4r.MasterArbitrationUpdate(device_id=self.device_id, role=role)
        if election_id is not None:
            update.election_id.CopyFrom(uint128(election_id))
        self.election_id, self.role = election_id, role.name if role else ""
        await self.stream.write(p4r.StreamMessageRequest(arbitration=update))

    async def receive(self) -> p4r.StreamMessageResponse:
        """The next stream message."""
        async with asyncio.timeout(STREAM_TIMEOUT):
            message = await self.stream.read()
        assert isinstance(message, p4r.StreamMessageResponse), "the stream has ended"
        return message

    async def next_arbitration(self) -> p4r.MasterArbitrationUpdate:
        """The next arbitration update; nothing else may come before it."""
        message = await self.receive()
        assert message.WhichOneof("update") == "arbitration", message
        return message.arbitration

    async def stream_error(self) -> tuple[str, str]:
        """How the stream ended."""
        async with asyncio.timeout(STREAM_TIMEOUT):
            code = await self.stream.code()
        return code.name, await self.stream.details()

    async def push(
        self,
        config: p4r.ForwardingPipelineConfig | None,
        action: int = p4r.SetForwardingPipelineConfigRequest.VERIFY_AND_COMMIT,
    ) -> Outcome:
        """SetForwardingPipelineConfig."""
        request = p4r.SetForwardingPipelineConfigRequest(
            device_id=self.device_id, role=self.role, action=action, config=config
        )
        if self.election_id is not None:
            request.election_id.CopyFrom(uint128(self.election_id))
        return await self.call(self.stub.SetForwardingPipelineConfig(request))

    async def write(
        self, updates: Iterable[p4r.Update], atomicity: int = p4r.WriteRequest.CONTINUE_ON_ERROR
    ) -> Outcome:
        """Write one batch."""
        request = p4r.WriteRequest(
            device_id=self.device_id, role=self.role, updates=updates, atomicity=atomicity
        )
        if self.election_id is not None:
            request.election_id.CopyFrom(uint128(self.election_id))
        return await self.call(self.stub.Write(request))

    async def read(self, *queries: p4r.Entity) -> list[p4r.Entity]:
        """All entities; raises AioRpcError."""
        request = p4r.ReadRequest(device_id=self.device_id, entities=queries)
        found: list[p4r.Entity] = []
        async for response in self.stub.Read(request):
            found.extend(response.entities)
        return found

    async def call(self, call: Any) -> Outcome:
        """The outcome of a unary call."""
        try:
            await call
        except grpc.aio.AioRpcError as error:
            return outcome(error)
        return Outcome("OK", "")

    async def close(self) -> None:
        """End the stream."""
        if self.stream is not None:
            self.stream.cancel()
        await self.channel.close()


def uint128(value: int) -> p4r.Uint128:
    """An election id."""
    return p4r.Uint128(high=value >> 64, low=value & (1 << 64) - 1)


@asynccontextmanager
async def switch_and_primary(
    options: SwitchOptions | None = None, program: TestProgram | None = ENTITIES
) -> AsyncIterator[tuple[SwitchService, Client]]:
    """A switch with `program` pushed by its primary client (None: nothing pushed)."""
    async with (
        running_switch(options or SwitchOptions()) as switch,
        primary(switch.grpc_address, program) as client,
    ):
        yield switch, client


@asynccontextmanager
async def primary(address: str, program: TestProgram | None = ENTITIES) -> AsyncIterator[Client]:
    """A primary client at `address` that pushed `program`; each one outbids those before it."""
    client = Client(address)
    try:
        answer = await client.arbitrate(next(ELECTION_IDS))
        assert answer.status.code == rpc_code.OK
        if program is not None:
            assert (await client.push(program.config())).code == "OK"
        yield client
    finally:
        await client.close()
